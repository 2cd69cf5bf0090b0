"""What there is: the models by name, and the weight files on this machine.

torch and torchvision are not imported for it, timm only where its models are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from camcli.errors import UsageError
from camcli.models.loading.named.torchvision_weights import torchvision_models as torchvision
from camcli.models.spec import TIMM, unknown
from camcli.models.weights.bundled_file import BUNDLED, NAME
from camcli.models.weights.places import (
    WeightFile,
    expected_sha256,
    find,
    hash_in_name,
    search_dirs,
    sha256_of,
)

_SUFFIXES = {".pth", ".pt", ".bin", ".safetensors"}
_HUB_FILES = "models--*/snapshots/*/*.safetensors"


@dataclass(frozen=True)
class ModelEntry:
    """One line of the catalogue.

    Attributes:
        name: as ``--model`` takes it.
        family: the models that share their code.
        source: ``bundled``, ``torchvision`` or ``timm``.
        parameters: how many, or None where only building the model would tell.
        size: of the weight file in bytes, or None where nobody says.
        top1: ImageNet accuracy in [0, 1] as torchvision states it, or None.
        weights: the names that ``--weights`` takes, the default first.
        here: whether the default weights are on this machine.
    """

    name: str
    family: str
    source: str
    parameters: int | None
    size: int | None
    top1: float | None
    weights: tuple[str, ...]
    here: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def bundled_models() -> list[ModelEntry]:
    """EfficientNet-Lite0, which is always here, and those that are extras."""
    return [
        ModelEntry(
            name=name,
            family="bundled",
            source="bundled",
            parameters=carried.parameters,
            size=carried.path().stat().st_size if carried.is_here() else None,
            top1=None,
            weights=("bundled",),
            here=carried.is_here(),
        )
        for name, carried in BUNDLED.items()
    ]


def torchvision_models() -> list[ModelEntry]:
    """Torchvision's classifiers, family by family, from the smallest up."""
    found = []
    for name, model in torchvision().items():
        default = model.weights[0]
        found.append(
            ModelEntry(
                name=name,
                family=model.family,
                source="torchvision",
                parameters=default.parameters,
                size=default.size,
                top1=default.top1,
                weights=tuple(each.name for each in model.weights),
                here=find(default.file(name)) is not None,
            )
        )
    return sorted(found, key=lambda entry: (entry.family, entry.parameters or 0))


def timm_models() -> list[ModelEntry]:
    """Timm's classifiers with weights of their own, one entry a set of weights."""
    import timm

    from camcli.models.loading.named.timm_zoo import is_classifier, timm_file

    found = []
    for name in timm.list_pretrained():
        cfg = timm.get_pretrained_cfg(name)
        if cfg is None or cfg.input_size[0] != 3 or cfg.custom_load or not is_classifier(cfg):
            continue
        file = timm_file(f"timm:{name}", cfg)
        builder = timm.model_entrypoint(name.partition(".")[0])
        found.append(
            ModelEntry(
                name=f"timm:{name}",
                family=f"timm {builder.__module__.rpartition('.')[2]}",
                source="timm",
                parameters=None,
                size=None,
                top1=None,
                weights=(),
                here=file is not None and find(file) is not None,
            )
        )
    return sorted(found, key=lambda entry: (entry.family, entry.name))


def weight_file(model: str, weights: str | None = None) -> WeightFile:
    """The file that a model of torchvision or timm would load.

    Args:
        model: as ``--model`` takes it.
        weights: one of torchvision's sets of weights, or None for the default.

    Raises:
        UsageError: no such model or weights, or a model whose weights are not fetched.
        UnavailableError: a model whose weights come with a package that is not installed.
    """
    if model in BUNDLED:
        BUNDLED[model].path()  # or how to get it
        raise UsageError(f"{model} is bundled: its weights come with the installation.")
    if model.startswith(TIMM):
        if weights:
            raise UsageError("timm's weights are a part of the name: timm:NAME.TAG.")
        from camcli.models.loading.named.timm_zoo import timm_config, timm_file

        file = timm_file(model, timm_config(model))
        if file is None:
            raise UsageError(f"timm has no weights for {model}.")
        return file
    known = torchvision().get(model)
    if known is None:
        raise unknown(model, [*BUNDLED, *torchvision()], "model")
    wanted = (weights or known.weights[0].name).rpartition(".")[2].upper()
    for each in known.weights:
        if wanted in (each.name, "DEFAULT"):
            return each.file(model)
    names = " or ".join(each.name for each in known.weights)
    raise UsageError(f"{model} has no weights '{weights}'; it takes {names}.")


@dataclass(frozen=True)
class FoundFile:
    """A weight file on this machine.

    Attributes:
        path: where it lies.
        model: what it belongs to, or None for a file of the user's own.
        sha256: how its digest must begin, or None if nobody says.
        size: in bytes.
    """

    path: Path
    model: str | None
    sha256: str | None
    size: int

    def intact(self) -> bool | None:
        """Whether the digest is the right one; None if nobody says what it should be."""
        return None if self.sha256 is None else sha256_of(self.path).startswith(self.sha256)


def files_here() -> Iterator[FoundFile]:
    """The bundled files, then the weight files of the folders in which weights are looked up."""
    BUNDLED[NAME].path()  # a part of every installation: that it is lost must be told
    yield from (_carried(name) for name, carried in BUNDLED.items() if carried.is_here())
    known = {
        each.file(name).filename: name
        for name, model in torchvision().items()
        for each in model.weights
    }
    for folder in search_dirs():
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.suffix in _SUFFIXES and path.is_file():
                model = known.get(path.name) or _timm_name(path.stem)
                yield FoundFile(path, model, hash_in_name(path.name), path.stat().st_size)
    from huggingface_hub.constants import HF_HUB_CACHE

    for path in sorted(Path(HF_HUB_CACHE).glob(_HUB_FILES)):
        repository = path.parents[2].name.removeprefix("models--")
        if path.is_file() and (model := _timm_name(repository)):
            file = WeightFile(model, path.name, "", hub=(repository, path.name))
            yield FoundFile(path, model, expected_sha256(file, path), path.stat().st_size)


def file_of(model: str) -> FoundFile | None:
    """The weight file of a model on this machine, or None if it is not here."""
    if model in BUNDLED:
        return _carried(model)
    file = weight_file(model)
    path = find(file)
    if path is None:
        return None
    return FoundFile(path, model, expected_sha256(file, path), path.stat().st_size)


def _carried(name: str) -> FoundFile:
    """The file of a network that comes as a package; it must be here."""
    carried = BUNDLED[name]
    path = carried.path()
    return FoundFile(path, name, carried.sha256, path.stat().st_size)


def _timm_name(stem: str) -> str | None:
    """``timm:resnet18.a1_in1k`` from ``timm--resnet18.a1_in1k`` with or without digits after it."""
    match = re.fullmatch(r"timm--(.+?)(-[0-9a-f]{8})?", stem)
    return f"timm:{match[1]}" if match else None
