"""Classifiers by name: the bundled one, torchvision's, timm's and the user's own.

Every name ends as a `BuiltModel`: a frozen ``nn.Module`` with its class names, the preprocessing
that its weights were trained with, and where those weights came from. torchvision and timm take
seconds to import, so each is imported only for a name that needs it.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn

from camcli.data.preprocess import Preprocess
from camcli.errors import UsageError
from camcli.models import bundled
from camcli.models.built import (
    IMAGENET,
    BuiltModel,
    Provenance,
    fill,
    name_outputs,
    outputs_of,
    provenance,
    read_classes,
    reason,
    rows,
    weight_path,
)
from camcli.models.pretrained import build_timm, build_torchvision, timm_preprocess
from camcli.models.weights import read_state
from camcli.models.words import is_own_code

# What timm assumes where a model's configuration is silent.
_TIMM_DEFAULTS = {"crop_mode": "center", "crop_pct": 0.875, "interpolation": "bicubic"}

__all__ = ["BuiltModel", "Provenance", "build_model", "read_classes"]


def build_model(
    name: str = bundled.NAME,
    *,
    weights: str | Path | None = None,
    offline: bool = False,
    classes: str | Path | Sequence[str] | None = None,
    seed: int = 0,
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
        offline: never touch the network.
        classes: the class names, or a file with one a line or a JSON list. None stands for
            ImageNet's where the model has 1000 classes, else for the numbers from 0.
        seed: of ``random``; the global random state is left as it was.

    Returns:
        The model, in eval mode with no gradients.

    Raises:
        UsageError: no such model, weights that are not its own, or class names that do not count
            up to its outputs.
        UnavailableError: the weights are not on this machine and cannot be fetched.
    """
    names = read_classes(classes)
    # What builds a network draws initial weights on the CPU, even if they are replaced at once.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if name == bundled.NAME:
            built = _bundled(weights, names)
        elif name.startswith("timm:"):
            built = build_timm(name, weights, names, offline)
        elif is_own_code(name):
            built = _user(name, weights, names)
        else:
            built = build_torchvision(name, weights, names, offline)
    built.module.eval().requires_grad_(False)
    return built


def _bundled(weights: str | Path | None, classes: tuple[str, ...] | None) -> BuiltModel:
    """EfficientNet-Lite0 through timm, with the weights that the installation carries."""
    import timm

    if weights == "random":
        outputs = len(classes) if classes else IMAGENET
        module = timm.create_model(bundled.TIMM_NAME, num_classes=outputs)
        made = provenance(bundled.NAME, "random", None, "random")
        return BuiltModel(
            module, name_outputs(classes, outputs, bundled.NAME), bundled.PREPROCESS, made
        )
    if weights in (None, "bundled"):
        path = bundled.weights_path()
        state, digest = read_state(path, bundled.SHA256)
        made = provenance(bundled.NAME, "bundled", digest, "bundled")
    else:
        path = weight_path(weights or "", bundled.NAME, ["bundled"])
        state, digest = read_state(path)
        made = provenance(bundled.NAME, str(path), digest, "user")
    state = bundled.rename(state)
    outputs = rows(state, "classifier.weight", IMAGENET)
    module = timm.create_model(bundled.TIMM_NAME, num_classes=outputs)
    fill(module, state, path, bundled.NAME)
    return BuiltModel(
        module, name_outputs(classes, outputs, bundled.NAME), bundled.PREPROCESS, made
    )


def _user(name: str, weights: str | Path | None, classes: tuple[str, ...] | None) -> BuiltModel:
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
        state, digest = read_state(path)
        fill(module, state, path, name)
        made = provenance(name, str(path), digest, "user")
    preprocess = _own_preprocess(module)
    own = getattr(module, "classes", None)
    if classes is None and isinstance(own, (list, tuple)):
        classes = read_classes(own)
    outputs = outputs_of(module, preprocess.size, name)
    return BuiltModel(module, name_outputs(classes, outputs, name), preprocess, made)


def _call_factory(name: str) -> nn.Module:
    """Import ``package.module:factory`` and call it."""
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
    if isinstance(factory, nn.Module):
        return factory
    if not callable(factory):
        raise UsageError(f"--model {name}: '{what}' is a {type(factory).__name__}, not a function.")
    try:
        module = factory()
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"--model {name}: {what}() fails: {type(error).__name__}: {reason(error)}."
        ) from error
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"--model {name}: {what}() returned a {type(module).__name__}, not a torch.nn.Module."
        )
    return module


def _own_preprocess(module: nn.Module) -> Preprocess:
    own = getattr(module, "preprocess", None)
    if isinstance(own, Preprocess):
        return own
    cfg = getattr(module, "pretrained_cfg", None)
    if isinstance(cfg, dict) and {"input_size", "mean", "std"} <= cfg.keys():
        return timm_preprocess(SimpleNamespace(**{**_TIMM_DEFAULTS, **cfg}))
    return Preprocess()
