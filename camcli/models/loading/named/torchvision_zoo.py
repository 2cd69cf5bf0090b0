"""torchvision's classifiers, built by its own code from files that were checked."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from camcli.data.decode.preprocess import Preprocess
from camcli.errors import UsageError
from camcli.models.loading.builder import (
    IMAGENET,
    BuiltModel,
    fill,
    name_outputs,
    provenance,
    wake_zero_layers,
    weight_path,
)
from camcli.models.loading.named.architecture import check_nothing_behind, other_form
from camcli.models.loading.sources import AskedModel
from camcli.models.recognition.blueprints import torchvision_blueprint
from camcli.models.recognition.unallocated import without_memory
from camcli.models.spec import unknown
from camcli.models.weights.bundled_file import BUNDLED
from camcli.models.weights.files import read_candidates, read_state, taken
from camcli.models.weights.places import WeightFile, find, locate
from camcli.models.weights.state_dict import Candidates, match

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
        raise unknown(name, [*BUNDLED, *torchvision_names()], "model")
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
    files = (torchvision_file(name, each) for each in entries.values())
    expected = next((file.sha256 for file in files if file.filename == path.name), None)
    found, digest = read_candidates(path, expected, trust=asked.trust_pickle)
    return torchvision_of_file(name, found, digest, path, classes, key)


def torchvision_of_file(
    name: str,
    found: Candidates,
    digest: str,
    path: Path,
    classes: tuple[str, ...] | None,
    key: str | None,
) -> BuiltModel:
    """A model of torchvision with a file's weights: its own set of them, or the user's.

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
    entries = torchvision_entries(name)
    for each in entries:
        file = torchvision_file(name, each)
        if file.sha256 and digest.startswith(file.sha256):
            state = taken(found.largest())
            return _torchvision_original(name, each, state, digest, str(path), classes)
    return _torchvision_tuned(name, entries[0], found, digest, path, classes, key)


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
    own = without_memory(lambda: _bare(name, IMAGENET)).state_dict()
    # The head is the last tensor that has one row a class.
    head = next(each for each in reversed(own) if own[each].shape[:1] == (IMAGENET,))
    layer = head.rpartition(".")[0]
    heads = [each for each in own if each.rpartition(".")[0] == layer]
    preprocess = torchvision_preprocess(entry)
    try:
        fits = match(found, own, model=name, key=key, heads=heads, optional=_TRAINING_ONLY)
    except UsageError as error:
        other = other_form(torchvision_blueprint(name), found, key, error)
        module, outputs, notes = other.module, other.outputs, list(other.notes)
        preprocess = other.preprocess(preprocess)
    else:
        outputs, notes = fits.state[head].shape[0], [fits.note]
        check_nothing_behind(found, fits, outputs, f"{name} of torchvision")
        module = _bare(name, outputs)
        fill(module, fits, str(path))
    if hasattr(module, "transform_input"):
        notes.append(
            f"{path}: {name} normalises its input anew if its training began with torchvision's "
            "weights, which tensors do not tell: then --preprocess inception does the same."
        )
    named, note = (classes, "") if classes else found.classes(outputs)
    notes.append(note)
    return BuiltModel(
        module,
        name_outputs(named, outputs, f"{path}"),
        preprocess,
        provenance(name, str(path), digest, "user", key, notes),
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
