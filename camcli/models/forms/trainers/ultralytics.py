"""Classifiers of Ultralytics (``-cls.pt``), where it is installed and the file trusted."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

from torch import nn

from camcli.data.decode.preprocess import Preprocess
from camcli.errors import UsageError
from camcli.models.forms.registry import path_of
from camcli.models.forms.trainers.opening import ULTRALYTICS, check
from camcli.models.loading.builder import BuiltModel, provenance
from camcli.models.loading.own.module import of_module
from camcli.models.loading.sources import AskedModel
from camcli.models.weights.opening import open_trusted
from camcli.models.weights.places import sha256_of


def build(asked: AskedModel) -> BuiltModel:
    """The network of a file, which RUNS THE CODE that it names.

    Raises:
        UsageError: the file is not trusted, or its network does not classify.
        UnavailableError: ultralytics is not installed.
        CamcliError: it is damaged.
    """
    check(ULTRALYTICS, asked)
    path = path_of(asked.name)
    digest = sha256_of(path)
    held = open_trusted(path)
    # Training keeps an average beside the network, and takes it in the end.
    network: Any = (held.get("ema") or held.get("model")) if isinstance(held, Mapping) else held
    layers = getattr(network, "model", None)
    head: Any = layers[-1] if isinstance(layers, nn.Sequential) and len(layers) else None
    if not isinstance(network, nn.Module) or not hasattr(head, "linear"):
        raise UsageError(
            f"{path} holds a {type(network).__name__} of Ultralytics, which tells no classes of "
            "whole pictures: one that was trained with task classify (-cls.pt) is needed."
        )
    network = network.float().cpu().eval()
    head.export = True  # its answer alone, and not a pair
    said = held.get("train_args") if isinstance(held, Mapping) else None
    size = _side(said) or _side(getattr(network, "args", None)) or 224
    network.preprocess = Preprocess(
        size=size, crop_pct=1.0, interpolation="bilinear", mean=(0.0,) * 3, std=(1.0,) * 3
    )
    names = getattr(network, "names", None)
    if isinstance(names, Mapping):
        network.classes = [str(names[index]) for index in sorted(names)]
    notes = [f"{path.name}: a classifier of Ultralytics."]
    made = provenance(asked.name, str(path), digest, "user", notes=notes)
    made.versions["ultralytics"] = metadata.version("ultralytics")
    return of_module(network, asked, made)


def _side(settings: Any) -> int | None:
    """The side of the pictures that it was trained on, from its settings."""
    value = settings.get("imgsz") if isinstance(settings, Mapping) else None
    if isinstance(value, list | tuple) and value:
        value = max(value)
    return value if type(value) is int and value > 0 else None
