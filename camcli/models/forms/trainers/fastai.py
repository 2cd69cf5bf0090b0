"""Learners of fastai (``learn.export``), where that library is installed and the file trusted."""

from __future__ import annotations

from dataclasses import replace
from importlib import metadata
from typing import Any

from torch import Tensor, nn

from camcli.data.decode.preprocess import Preprocess
from camcli.errors import UsageError
from camcli.models.forms.registry import path_of
from camcli.models.forms.trainers.opening import FASTAI, check
from camcli.models.loading.builder import BuiltModel, provenance
from camcli.models.loading.own.module import of_module
from camcli.models.loading.sources import AskedModel
from camcli.models.spec import OutputKind
from camcli.models.weights.opening import open_trusted
from camcli.models.weights.places import sha256_of

_FITS: dict[str, Any] = {"squish": "squash", "crop": "crop", "pad": "pad"}


def build(asked: AskedModel) -> BuiltModel:
    """The network of an exported learner, which RUNS THE CODE that its file names.

    Raises:
        UsageError: the file is not trusted, or holds no learner of pictures.
        UnavailableError: fastai is not installed.
        CamcliError: it is damaged.
    """
    check(FASTAI, asked)
    path = path_of(asked.name)
    digest = sha256_of(path)
    learner = open_trusted(path)
    network: Any = getattr(learner, "model", None)
    data: Any = getattr(learner, "dls", None)
    if not isinstance(network, nn.Module) or data is None:
        raise UsageError(
            f"{path} holds a {type(learner).__name__} of fastai, and no learner with a network: "
            "export one, learn.export('network.pkl')."
        )
    network = network.float().cpu().eval()
    # Tensors of a class of fastai's own pass its methods by, and cannot be traced.
    for value in (*network.parameters(), *network.buffers()):
        value.data = value.data.as_subclass(Tensor)
    preprocess, assumed = _preprocess(data)
    network.preprocess = preprocess
    names = _names(data)
    if names:
        network.classes = names
    notes = [f"{path.name}: a learner of fastai.", assumed]
    made = provenance(asked.name, str(path), digest, "user", notes=notes)
    made.versions["fastai"] = metadata.version("fastai")
    built = of_module(network, asked, made)
    return replace(built, output=asked.output or _output(learner))


def _names(data: Any) -> list[str]:
    vocabulary: Any = getattr(data, "vocab", None)
    if vocabulary is None:
        return []
    first = next(iter(vocabulary), None)
    if not isinstance(first, str) and hasattr(first, "__iter__"):  # one a kind of target
        vocabulary = first
    return [str(name) for name in vocabulary]


def _output(learner: Any) -> OutputKind | None:
    """What its loss takes the outputs for."""
    loss = getattr(learner, "loss_func", None)
    kind = f"{type(loss).__name__} {type(getattr(loss, 'func', None)).__name__}"
    if "BCEWithLogits" in kind:
        return "sigmoid"
    if "CrossEntropy" in kind or "Focal" in kind:
        return "softmax"
    return "none" if any(name in kind for name in ("MSE", "L1")) else None


def _preprocess(data: Any) -> tuple[Preprocess, str]:
    """What its transforms do to a picture that is not trained on; and what was assumed."""
    items = list(getattr(data.after_item, "fs", ()))
    batches = list(getattr(data.after_batch, "fs", ()))
    assumed: list[str] = []
    resize = next((f for f in items if type(f).__name__ in ("Resize", "RandomResizedCrop")), None)
    height, width = _sides(resize) or (224, 224)
    if resize is None:
        assumed.append("it resizes nothing, so input 224x224 is ASSUMED")
    method = str(getattr(resize, "method", "crop")).rpartition(".")[2].lower()
    fit = _FITS.get(method, "crop")
    pad: tuple[int, int, int] | None = None
    if fit == "pad":
        mode = str(getattr(resize, "pad_mode", "")).rpartition(".")[2].lower()
        pad = (0, 0, 0) if mode == "zeros" else None
        if mode != "zeros":
            assumed.append(f"its margins ({mode}) are of one colour here")
    xtra = float(getattr(resize, "val_xtra", 0.0) or 0.0)
    last = next((s for s in map(_sides, reversed(batches)) if s), None)
    if last and last != (height, width):  # resized once more, in batches
        height, width = last
        assumed.append("its two resizes are one here")
    mean: tuple[float, ...] = (0.0,) * 3
    std: tuple[float, ...] = (1.0,) * 3
    for each in batches:
        if type(each).__name__ == "Normalize":
            mean = tuple(each.mean.flatten().tolist())
            std = tuple(each.std.flatten().tolist())
    made = Preprocess(
        size=height, width=None if width == height else width, fit=fit,
        crop_pct=1 / (1 + xtra), interpolation="bilinear", mean=mean, std=std, pad=pad,
        round_down=True,
    )  # fmt: skip
    return made, f"Of its transforms, {'; '.join(assumed)}." if assumed else ""


def _sides(transform: Any) -> tuple[int, int] | None:
    """(height, width) of what a transform gives, where it says."""
    size = getattr(transform, "size", None)
    if type(size) is int:
        return size, size
    if isinstance(size, list | tuple) and len(size) == 2 and all(type(s) is int for s in size):
        return size[1], size[0]  # fastai turns them round
    return None
