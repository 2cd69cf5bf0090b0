"""Classifiers by name: the bundled one, torchvision's, timm's and the user's own.

Every name ends as a `BuiltModel`: a frozen ``nn.Module`` with its class names, the preprocessing
that its weights were trained with, and where those weights came from. torchvision and timm take
seconds to import, so each is imported only for a name that needs it.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from camcli.data.decode.preprocess import Preprocess
from camcli.errors import UsageError
from camcli.models.classes.names_file import read_class_names
from camcli.models.loading import bundled
from camcli.models.loading.builder import (
    IMAGENET,
    BuiltModel,
    Provenance,
    fill,
    name_outputs,
    provenance,
    reason,
    weight_path,
)
from camcli.models.loading.cuda_code import without_cuda
from camcli.models.loading.efficientnet_lite0 import EfficientNetLite0
from camcli.models.loading.input_size import answers_of
from camcli.models.loading.pretrained import build_timm, build_torchvision, timm_preprocess
from camcli.models.spec import check_weights_key, is_own_code
from camcli.models.weights.files import read_candidates
from camcli.models.weights.finite import check_finite
from camcli.models.weights.state_dict import Candidate, Candidates, head_rows, match

# What timm assumes where a model's configuration is silent.
_TIMM_DEFAULTS = {"crop_mode": "center", "crop_pct": 0.875, "interpolation": "bicubic"}
# What factories call the number of classes.
_COUNTS = ("num_classes", "n_classes", "num_labels", "nclass", "nb_classes", "num_class", "classes")

__all__ = ["BuiltModel", "Provenance", "build_model", "read_class_names"]


def build_model(
    name: str = bundled.NAME,
    *,
    weights: str | Path | None = None,
    weights_key: str | None = None,
    offline: bool = False,
    classes: str | Path | Sequence[str] | None = None,
    seed: int = 0,
    input_size: int | None = None,
) -> BuiltModel:
    """Build a classifier and load its weights.

    Args:
        name: ``efficientnet_lite0`` (its weights are part of the installation), one of
            torchvision's classification models, ``timm:NAME``, or ``module:factory``: a Python
            callable of the user's own that returns an ``nn.Module``. The last runs the user's code,
            and finds modules in the current directory as ``python -m`` does.
        weights: None for the model's default; a ``.pth`` or ``.safetensors`` file; the name of one
            of torchvision's sets of weights such as ``IMAGENET1K_V1``; or ``random`` for an
            untrained network, the same for the same `seed`.
        weights_key: which of several sets in a file of `weights`, as
            `camcli.models.weights.state_dict.match` takes it.
        offline: never touch the network.
        classes: the class names, or a file of them (`camcli.models.classes.names_file`). None
            stands for ImageNet's where the model has 1000 classes, else for the numbers from 0.
        seed: of ``random``; the global random state is left as it was.
        input_size: side of the input that a network of one's own is tried at; by default its own.

    Returns:
        The model, in eval mode with no gradients.

    Raises:
        UsageError: no such model, weights that are not its own, or class names that do not count
            up to its outputs.
        UnavailableError: the weights are not on this machine and cannot be fetched.
        CamcliError: the weights are damaged, or hold NaN or infinities.
    """
    check_weights_key(weights_key, weights)
    names = read_class_names(classes)
    # What builds a network draws initial weights on the CPU, even if they are replaced at once.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if name == bundled.NAME:
            built = _bundled(weights, names, weights_key)
        elif name.startswith("timm:"):
            built = build_timm(name, weights, names, offline, weights_key)
        elif is_own_code(name):
            built = _user(name, weights, names, weights_key, input_size)
        else:
            built = build_torchvision(name, weights, names, offline, weights_key)
    built.module.eval().requires_grad_(False)
    made = built.provenance
    if made.source != "random":
        check_finite(built.module, name if made.sha256 is None else made.weights)
    return built


def _bundled(
    weights: str | Path | None, classes: tuple[str, ...] | None, key: str | None
) -> BuiltModel:
    """EfficientNet-Lite0, with the weights that the installation carries or with others of its."""
    name = bundled.NAME
    if weights == "random":
        outputs = len(classes) if classes else IMAGENET
        made = provenance(name, "random", None, "random")
        names = name_outputs(classes, outputs, name)
        return BuiltModel(EfficientNetLite0(outputs), names, bundled.PREPROCESS, made)
    own = weights in (None, "bundled")
    path = bundled.weights_path() if own else weight_path(weights or "", name, ["bundled"])
    found, digest = read_candidates(path, bundled.SHA256 if own else None)
    found = Candidates(
        found.origin,
        tuple(Candidate(c.key, bundled.rename(dict(c.tensors))) for c in found.each),
    )
    module = EfficientNetLite0(IMAGENET)
    heads = ("classifier.weight", "classifier.bias")
    fits = match(found, module, model=name, key=key, heads=heads)
    outputs = fits.state[heads[0]].shape[0]
    if outputs != IMAGENET:
        module = EfficientNetLite0(outputs)
    fill(module, fits, str(path))
    made = provenance(
        name, "bundled" if own else str(path), digest, "bundled" if own else "user", key,
        [fits.note],
    )  # fmt: skip
    return BuiltModel(module, name_outputs(classes, outputs, name), bundled.PREPROCESS, made)


def _user(
    name: str,
    weights: str | Path | None,
    classes: tuple[str, ...] | None,
    key: str | None,
    input_size: int | None,
) -> BuiltModel:
    """What the user's own factory makes.

    A module may say more about itself: its ``classes`` (names), its ``preprocess`` (a
    `Preprocess`), or timm's ``pretrained_cfg``; else the usual ImageNet preprocessing is assumed.
    """
    module = _call_factory(name)
    if weights == "random":
        raise UsageError(
            f"--weights random: what {name} returns is used as it is; let the factory leave it "
            "untrained."
        )
    if weights is None:
        made = provenance(name, "factory", None, "user")
    else:
        path = weight_path(weights, name)
        found, digest = read_candidates(path)
        count = head_rows(found, module, key)
        # Of classes, and nothing else differs: the factory may build that many.
        if count is not None and (option := _count_option(name)):
            module = _call_factory(name, **{option: count})
        fits = match(found, module, model=name, key=key)
        fill(module, fits, str(path))
        made = provenance(name, str(path), digest, "user", key, [fits.note])
    preprocess = _own_preprocess(module)
    own = getattr(module, "classes", None)
    if classes is None and isinstance(own, (list, tuple)):
        classes = read_class_names(own)
    outputs, preprocess = answers_of(module, preprocess, name, input_size)
    return BuiltModel(module, name_outputs(classes, outputs, name), preprocess, made)


def _count_option(name: str) -> str | None:
    """The argument of a factory that takes the number of classes, or None."""
    factory = _find_factory(name)
    try:
        taken = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return None
    return next((each for each in _COUNTS if each in taken), None)


def _find_factory(name: str) -> Any:
    """Import ``package.module:factory``."""
    where, _, what = name.partition(":")
    if not (what and all(where.split("."))):
        raise UsageError(f"--model {name}: a model of your own is written module:factory.")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        factory = importlib.import_module(where)
    except ModuleNotFoundError as error:
        if error.name and (where == error.name or where.startswith(f"{error.name}.")):
            raise UsageError(
                f"--model {name}: there is no Python module '{where}' in {Path.cwd()} or among the "
                "installed packages; a model is written module:factory."
            ) from error
        raise UsageError(f"--model {name}: importing {where} fails: {reason(error)}.") from error
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"--model {name}: importing {where} fails: {type(error).__name__}: {reason(error)}."
        ) from error
    for part in what.split("."):
        if not hasattr(factory, part):
            callables = [n for n, v in vars(factory).items() if callable(v) and n[0] != "_"]
            near = difflib.get_close_matches(part, callables, n=3)
            hint = f"; did you mean {' or '.join(near)}?" if near else "."
            raise UsageError(f"--model {name}: {where} has no '{part}'{hint}")
        factory = getattr(factory, part)
    return factory


def _call_factory(name: str, **options: int) -> nn.Module:
    """What ``package.module:factory`` returns."""
    factory, what = _find_factory(name), name.partition(":")[2]
    if isinstance(factory, nn.Module):
        return factory.cpu()
    if not callable(factory):
        raise UsageError(f"--model {name}: '{what}' is a {type(factory).__name__}, not a function.")
    try:
        with without_cuda():
            module = factory(**options)
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"--model {name}: {what}() fails: {type(error).__name__}: {reason(error)}."
        ) from error
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"--model {name}: {what}() returned a {type(module).__name__}, not a torch.nn.Module."
        )
    return module.cpu()  # it is tried and cut there, and then moved to where it runs


def _own_preprocess(module: nn.Module) -> Preprocess:
    own = getattr(module, "preprocess", None)
    if isinstance(own, Preprocess):
        return own
    cfg = getattr(module, "pretrained_cfg", None)
    if isinstance(cfg, dict) and {"input_size", "mean", "std"} <= cfg.keys():
        return timm_preprocess(SimpleNamespace(**{**_TIMM_DEFAULTS, **cfg}))
    return Preprocess()
