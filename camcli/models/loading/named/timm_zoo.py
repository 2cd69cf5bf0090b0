"""timm's classifiers, built by its own code from files that were checked."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from camcli.data.decode.preprocess import Preprocess
from camcli.data.decode.preprocess_files import of_timm
from camcli.errors import UsageError
from camcli.models.loading.builder import (
    IMAGENET,
    BuiltModel,
    name_outputs,
    provenance,
    reason,
    wake_zero_layers,
    weight_path,
)
from camcli.models.loading.named.architecture import (
    NotFittingError,
    check_nothing_behind,
    fitted_to,
)
from camcli.models.loading.sources import AskedModel
from camcli.models.recognition.blueprints import timm_blueprint
from camcli.models.recognition.unallocated import without_memory
from camcli.models.spec import unknown
from camcli.models.weights.files import read_candidates, read_state, taken
from camcli.models.weights.places import WeightFile, locate
from camcli.models.weights.state_dict import Candidates, match


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
    name, weights, classes = asked.name, asked.weights, asked.classes
    import timm

    cfg = timm_config(name)
    if weights is not None and weights != "random":
        path = weight_path(weights, name)
        found, digest = read_candidates(path, trust=asked.trust_pickle)
        return timm_of_file(name, found, digest, path, classes, asked.weights_key)
    bare = name.removeprefix("timm:")
    outputs = cfg.num_classes
    if (weights is None or classes is None) and not is_classifier(cfg):
        raise UsageError(
            f"{name} gives features and no classes: choose another, or pass --weights FILE with "
            "a head that you trained."
        )
    if weights == "random":
        outputs = len(classes) if classes else outputs
        made = provenance(name, "random", None, "random")
        module = timm.create_model(bare, num_classes=outputs)
        wake_zero_layers(module)
    else:
        path, label, state, digest = _timm_default(name, cfg, asked.offline)
        made = provenance(name, label, digest, "timm")
        module = _timm_loaded(bare, {"state_dict": state}, outputs, str(path))
    names = classes or timm_classes(cfg, outputs)
    return BuiltModel(module, name_outputs(names, outputs, name), timm_preprocess(cfg), made)


def timm_of_file(
    name: str,
    found: Candidates,
    digest: str,
    path: Path,
    classes: tuple[str, ...] | None,
    key: str | None,
) -> BuiltModel:
    """A model of timm with a file's weights.

    Args:
        name: of the model.
        found: what is in the file.
        digest: its sha256.
        path: of the file.
        classes: the user's names of the classes.
        key: which of several sets.

    Raises:
        UsageError: they are not that model's.
    """
    import timm

    cfg = timm_config(name)
    preprocess = timm_preprocess(cfg)
    bare = name.removeprefix("timm:")
    head = cfg.classifier if isinstance(cfg.classifier, str) else (cfg.classifier or [""])[0]
    outputs = max(1, cfg.num_classes)
    own = without_memory(lambda: timm.create_model(bare, num_classes=outputs)).state_dict()
    heads = [each for each in own if each.rpartition(".")[0] == head]
    try:
        fits = match(found, own, model=name, key=key, heads=heads)
    except UsageError as error:
        try:
            other = fitted_to(timm_blueprint(bare.partition(".")[0]), found, key)
        except NotFittingError:
            module, outputs, notes = _timm_renamed(name, cfg, found, key, head, error)
        else:
            module, outputs, notes = other.module, other.outputs, list(other.notes)
            preprocess = other.preprocess(preprocess)
    else:
        state = dict(fits.state)
        weight = state.get(f"{head}.weight")
        module, outputs = _timm_filled(bare, cfg, state, weight, found.origin)
        check_nothing_behind(found, fits, outputs, f"{bare} of timm")
        notes = [fits.note]
    named, note = (classes, "") if classes else found.classes(outputs)
    made = provenance(name, str(path), digest, "user", key, (*notes, note))
    names = named or timm_classes(cfg, outputs)
    return BuiltModel(module, name_outputs(names, outputs, name), preprocess, made)


def _timm_renamed(
    name: str, cfg: Any, found: Candidates, key: str | None, head: str, differs: UsageError
) -> tuple[nn.Module, int, list[str]]:
    """The network with tensors of other names: timm knows those of the authors' own files."""
    state = taken((found.named(key or "") or (found.largest(),))[0])
    bare = name.removeprefix("timm:")
    today = _todays_names(bare, cfg, state)
    try:
        module, outputs = _timm_filled(bare, cfg, state, today.get(f"{head}.weight"), found.origin)
    except UsageError as error:
        raise differs from error
    return module, outputs, []


def _todays_names(bare: str, cfg: Any, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as timm would name them now: of earlier versions of it, and of the authors'."""
    import timm

    empty = without_memory(lambda: timm.create_model(bare, num_classes=max(1, cfg.num_classes)))
    rename = getattr(sys.modules[type(empty).__module__], "checkpoint_filter_fn", None)
    try:
        renamed: dict[str, Tensor] = rename(dict(state), empty) if rename else state
    except Exception:  # what it looks for is not there
        return state
    return renamed


def _timm_filled(
    bare: str, cfg: Any, state: dict[str, Tensor], weight: Tensor | None, origin: str
) -> tuple[nn.Module, int]:
    """The network with a user's own tensors, and the number of its classes.

    Args:
        bare: the model's name in timm.
        cfg: timm's description of it.
        state: the tensors.
        weight: of its last layer; None if that is not known.
        origin: the file, for errors.

    Raises:
        UsageError: they do not fit.
    """
    outputs, offset = cfg.num_classes, cfg.label_offset or 0
    count = weight.shape[0] if weight is not None and weight.ndim else outputs + offset
    overlay: dict[str, Any] = {"state_dict": state}
    if count != outputs + offset:  # a user's own head
        outputs = count
        overlay |= {"num_classes": outputs, "label_offset": 0}
    return _timm_loaded(bare, overlay, outputs, origin), outputs


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
