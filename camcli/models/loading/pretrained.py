"""torchvision's and timm's classifiers, built by their own code from files that were checked."""

from __future__ import annotations

import math
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from camcli.data.decode.preprocess import Preprocess
from camcli.data.decode.preprocess_files import of_timm
from camcli.errors import UsageError
from camcli.models.loading import bundled
from camcli.models.loading.builder import (
    IMAGENET,
    BuiltModel,
    fill,
    name_outputs,
    provenance,
    reason,
    wake_zero_layers,
    weight_path,
)
from camcli.models.loading.sources import AskedModel
from camcli.models.recognition.unallocated import unallocated
from camcli.models.spec import unknown
from camcli.models.weights.files import read_candidates, read_state, taken
from camcli.models.weights.places import WeightFile, find, locate
from camcli.models.weights.state_dict import Candidates, Match, match

# Heads that only help training: torchvision's own loader drops them as well.
_TRAINING_ONLY = ("aux1.", "aux2.", "AuxLogits.")
_SUPPLYING = threading.Lock()


def torchvision_names() -> list[str]:
    """Torchvision's classification models."""
    from torchvision import models

    return models.list_models(module=models)


def torchvision_entries(name: str) -> list[Any]:
    """The members of a torchvision model's enum of weights, the default one first."""
    from torchvision import models

    entries = models.get_model_weights(name)
    return [entries.DEFAULT, *(entry for entry in entries if entry is not entries.DEFAULT)]


def torchvision_file(name: str, entry: Any) -> WeightFile:
    """The weight file of a member of one of torchvision's enums."""
    megabytes = entry.meta.get("_file_size")
    return WeightFile(
        model=name,
        filename=entry.url.rsplit("/", 1)[-1],
        url=entry.url,
        size=int(megabytes * 2**20) if megabytes else None,
    )


def build_torchvision(asked: AskedModel) -> BuiltModel:
    """A model of ``torchvision.models``; see `zoo.build_model`."""
    name, weights, classes, key = asked.name, asked.weights, asked.classes, asked.weights_key
    if name not in torchvision_names():
        raise unknown(name, [bundled.NAME, *torchvision_names()], "model")
    if weights == "random":
        return _torchvision_random(name, classes)
    entries = {entry.name: entry for entry in torchvision_entries(name)}
    default = next(iter(entries.values()))
    # Both IMAGENET1K_V1 and ResNet50_Weights.IMAGENET1K_V1 are how people write it.
    member = "DEFAULT" if weights is None else str(weights).rpartition(".")[2].upper()
    entry = default if member == "DEFAULT" else entries.get(member)
    if entry is not None and not (weights and Path(weights).is_file()):
        here = [e.name for e in entries.values() if e is not entry and _is_here(name, e)]
        path, expected = locate(
            torchvision_file(name, entry), offline=asked.offline, also_here=here
        )
        state, digest = read_state(path, expected)
        return _torchvision_original(name, entry, state, digest, path.name, classes)

    path = weight_path(weights or "", name, entries)
    files = {torchvision_file(name, each): each for each in entries.values()}
    expected = next((file.sha256 for file in files if file.filename == path.name), None)
    found, digest = read_candidates(path, expected, trust=asked.trust_pickle)
    for file, each in files.items():
        if file.sha256 and digest.startswith(file.sha256):
            state = taken(found.largest())
            return _torchvision_original(name, each, state, digest, str(path), classes)
    return _torchvision_tuned(name, default, found, digest, path, classes, key)


def _is_here(name: str, entry: Any) -> bool:
    return find(torchvision_file(name, entry)) is not None


def _torchvision_random(name: str, classes: tuple[str, ...] | None) -> BuiltModel:
    outputs = len(classes) if classes else IMAGENET
    module = _bare(name, outputs)
    wake_zero_layers(module)
    return BuiltModel(
        module,
        name_outputs(classes, outputs, name),
        torchvision_preprocess(torchvision_entries(name)[0]),
        provenance(name, "random", None, "random"),
    )


def _torchvision_original(
    name: str,
    entry: Any,
    state: dict[str, Tensor],
    digest: str,
    label: str,
    classes: tuple[str, ...] | None,
) -> BuiltModel:
    """Torchvision's own weights: its builder knows what they need.

    GoogLeNet and Inception normalise their input anew, DenseNet's tensors have old names, and some
    ViTs want another picture size.
    """
    from torchvision import models

    with _supplied(state):
        module = models.get_model(name, weights=entry)
    return BuiltModel(
        module,
        name_outputs(classes, len(entry.meta["categories"]), name),
        torchvision_preprocess(entry),
        provenance(name, label, digest, "torchvision"),
    )


def _torchvision_tuned(
    name: str,
    entry: Any,
    found: Candidates,
    digest: str,
    path: Path,
    classes: tuple[str, ...] | None,
    key: str | None,
) -> BuiltModel:
    """A user's own weights, with any number of classes."""
    with unallocated():
        own = _bare(name, IMAGENET).state_dict()
    # The head is the last tensor that has one row a class.
    head = next(each for each in reversed(own) if own[each].shape[:1] == (IMAGENET,))
    layer = head.rpartition(".")[0]
    heads = [each for each in own if each.rpartition(".")[0] == layer]
    fits = match(found, own, model=name, key=key, heads=heads, optional=_TRAINING_ONLY)
    outputs = fits.state[head].shape[0]
    module = _bare(name, outputs)
    fill(module, fits, str(path))
    return BuiltModel(
        module,
        name_outputs(classes, outputs, f"{path}"),
        torchvision_preprocess(entry),
        provenance(name, str(path), digest, "user", key, [fits.note]),
    )


def _bare(name: str, outputs: int) -> nn.Module:
    """The untrained network, without heads that only help training."""
    from torchvision import models

    options = {"aux_logits": False, "init_weights": True}
    inception = name in ("googlenet", "inception_v3")
    return models.get_model(name, num_classes=outputs, **(options if inception else {}))


@contextmanager
def _supplied(state: dict[str, Tensor]) -> Iterator[None]:
    """Within, torchvision's builders get `state` where they would download a file."""
    from torchvision.models import WeightsEnum

    with _SUPPLYING:
        original = WeightsEnum.get_state_dict
        WeightsEnum.get_state_dict = lambda self, *args, **kwargs: state
        try:
            yield
        finally:
            WeightsEnum.get_state_dict = original


def torchvision_preprocess(entry: Any) -> Preprocess:
    """The preprocessing that torchvision stores with a set of weights."""
    transforms = entry.transforms()
    size, resize = transforms.crop_size[0], transforms.resize_size[0]
    return Preprocess(
        size=size,
        crop_pct=_share(size, resize),
        interpolation=transforms.interpolation.value,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
    )


def _share(size: int, resize: int) -> float:
    """A `crop_pct` for which ``int(size / crop_pct)`` is `resize` again, however floats round."""
    share = size / resize
    return share if int(size / share) == resize else math.nextafter(share, 0)


def timm_file(name: str, cfg: Any) -> WeightFile | None:
    """The weight file of a timm model, or None if timm has none."""
    if cfg.hf_hub_id:
        repository = cfg.hf_hub_id
        filename = cfg.hf_hub_filename or "model.safetensors"
        endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
        return WeightFile(
            model=name,
            filename=repository.replace("/", "--") + Path(filename).suffix,
            url=f"{endpoint}/{repository}/resolve/main/{filename}",
            hub=(repository, filename),
        )
    if isinstance(cfg.url, str) and cfg.url:
        return WeightFile(model=name, filename=cfg.url.rsplit("/", 1)[-1], url=cfg.url)
    return None


def timm_config(name: str) -> Any:
    """Timm's description of the weights of ``timm:NAME`` or ``timm:NAME.TAG``.

    Raises:
        UsageError: there is no such model or tag, or it does not look at RGB pictures.
    """
    import timm

    bare = name.removeprefix("timm:")
    architecture = bare.partition(".")[0]
    if not timm.is_model(architecture):
        names = [f"timm:{each}" for each in timm.list_models()]
        raise unknown(name, names, "model of timm")
    try:
        cfg = timm.get_pretrained_cfg(bare)
    except RuntimeError:  # an unknown tag
        cfg = None
    if cfg is None:
        tagged = [f"timm:{each}" for each in timm.list_pretrained(f"{architecture}.*")]
        raise UsageError(
            f"timm has no weights {name}; {architecture} comes as {', '.join(tagged) or 'none'}."
        )
    if cfg.input_size[0] != 3:
        raise UsageError(f"{name} wants {cfg.input_size[0]} channels, and pictures have 3.")
    return cfg


def is_classifier(cfg: Any) -> bool:
    """Whether the weights tell classes: CLIP's and DINO's give embeddings or nothing."""
    from timm.data import infer_imagenet_subset

    # Embeddings have some hundreds of numbers; ImageNet's larger sets and others 10,000 and more.
    count = {"num_classes": cfg.num_classes}
    return infer_imagenet_subset(count) is not None or cfg.num_classes >= 10_000


def build_timm(asked: AskedModel) -> BuiltModel:
    """A model of timm; see `zoo.build_model`."""
    name, weights, classes, key = asked.name, asked.weights, asked.classes, asked.weights_key
    import timm

    cfg = timm_config(name)
    bare = name.removeprefix("timm:")
    outputs = cfg.num_classes
    if (weights is None or (weights == "random" and classes is None)) and not is_classifier(cfg):
        raise UsageError(
            f"{name} gives features and no classes: choose another, or pass --weights FILE with "
            "a head that you trained."
        )
    if weights == "random":
        outputs = len(classes) if classes else outputs
        made = provenance(name, "random", None, "random")
        module = timm.create_model(bare, num_classes=outputs)
        wake_zero_layers(module)
    elif weights is None:
        path, label, state, digest = _timm_default(name, cfg, asked.offline)
        made = provenance(name, label, digest, "timm")
        module = _timm_loaded(bare, {"state_dict": state}, outputs, str(path))
    else:
        path = weight_path(weights, name)
        found, digest = read_candidates(path, trust=asked.trust_pickle)
        module, outputs, note = _timm_tuned(name, cfg, found, key)
        made = provenance(name, str(path), digest, "user", key, [note])
    names = classes or timm_classes(cfg, outputs)
    return BuiltModel(module, name_outputs(names, outputs, name), timm_preprocess(cfg), made)


def _timm_tuned(
    name: str, cfg: Any, found: Candidates, key: str | None
) -> tuple[nn.Module, int, str]:
    """The network with a user's own weights, the number of its classes, and what to say of them."""
    import timm

    bare = name.removeprefix("timm:")
    outputs, offset = cfg.num_classes, cfg.label_offset or 0
    head = cfg.classifier if isinstance(cfg.classifier, str) else (cfg.classifier or [""])[0]
    with unallocated():
        own = timm.create_model(bare, num_classes=max(1, outputs)).state_dict()
    heads = [each for each in own if each.rpartition(".")[0] == head]
    fits: Match | None
    try:
        fits = match(found, own, model=name, key=key, heads=heads)
        state = dict(fits.state)
    except UsageError as error:
        # timm knows the names of the authors' own files, and brings them to today's.
        fits, differs = None, error
        state = taken((found.named(key or "") or (found.largest(),))[0])
    weight = state.get(f"{head}.weight")
    count = weight.shape[0] if weight is not None and weight.ndim else outputs + offset
    overlay: dict[str, Any] = {"state_dict": state}
    if count != outputs + offset:  # a user's own head
        outputs = count
        overlay |= {"num_classes": outputs, "label_offset": 0}
    try:
        module = _timm_loaded(bare, overlay, outputs, found.origin)
    except UsageError as error:
        if fits is None:
            raise differs from error
        raise
    return module, outputs, fits.note if fits else ""


def _timm_default(name: str, cfg: Any, offline: bool) -> tuple[Path, str, dict[str, Tensor], str]:
    file = timm_file(name, cfg)
    if file is None:
        raise UsageError(
            f"timm has no weights for {name}: pass --weights FILE, or --weights random."
        )
    if cfg.custom_load or file.filename.endswith(".npz"):
        raise UsageError(
            f"{name} comes in a format of its own ({file.url}), which is not read here: choose "
            "another tag, or pass --weights FILE with a state dict."
        )
    path, expected = locate(file, offline=offline)
    state, digest = read_state(path, expected)
    return path, file.filename, state, digest


def _timm_loaded(bare: str, overlay: dict[str, Any], outputs: int, origin: str) -> nn.Module:
    """The network with the overlay's ``state_dict``, which timm first brings to today's names.

    Raises:
        UsageError: it does not fit.
    """
    import timm

    try:
        return timm.create_model(
            bare, pretrained=True, num_classes=outputs, pretrained_cfg_overlay=overlay
        )
    except Exception as error:
        raise UsageError(f"{origin} does not fit timm:{bare}: {reason(error)}.") from error


def timm_classes(cfg: Any, outputs: int) -> tuple[str, ...] | None:
    """The names of ImageNet's larger sets, whose wnid is added where a name occurs twice."""
    if outputs in (IMAGENET, 0) or outputs != cfg.num_classes:
        return None
    if cfg.label_names and len(cfg.label_names) == outputs:
        return tuple(cfg.label_names)
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": outputs})
    if subset is None:
        return None
    info = ImageNetInfo(subset)
    wnids = info.label_names()
    lemmas = [info.label_name_to_description(wnid) for wnid in wnids]
    once = Counter(lemmas)
    return tuple(
        lemma if once[lemma] == 1 else f"{lemma} ({wnid})"
        for lemma, wnid in zip(lemmas, wnids, strict=True)
    )


def timm_preprocess(cfg: Any) -> Preprocess:
    """The preprocessing that timm stores with a model's weights."""
    told = ("input_size", "mean", "std", "crop_pct", "crop_mode", "interpolation")
    return of_timm({name: getattr(cfg, name) for name in told})
