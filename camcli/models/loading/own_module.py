"""What a network in memory says of itself, and what is found out by asking it."""

from __future__ import annotations

from types import SimpleNamespace

from torch import nn

from camcli.data.decode.preprocess import Preprocess
from camcli.models.classes.names_file import read_class_names
from camcli.models.loading.builder import BuiltModel, Provenance, name_outputs
from camcli.models.loading.input_size import answers_of
from camcli.models.loading.pretrained import timm_preprocess
from camcli.models.loading.sources import AskedModel

# What timm assumes where a model's configuration is silent.
_TIMM_DEFAULTS = {"crop_mode": "center", "crop_pct": 0.875, "interpolation": "bicubic"}


def of_module(module: nn.Module, asked: AskedModel, made: Provenance) -> BuiltModel:
    """A network that was made outside of camcli, with its classes and its preprocessing.

    It may say more about itself: its ``classes`` (names), its ``preprocess`` (a `Preprocess`), or
    timm's ``pretrained_cfg``; else the usual ImageNet preprocessing is assumed.

    Args:
        module: the network, on the CPU.
        asked: what the user said of it.
        made: where it comes from.

    Raises:
        UsageError: it does not take pictures, or the classes that were named are not as many.
        CamcliError: it fails, or what it returns is no logits.
    """
    name, classes = asked.name, asked.classes
    preprocess = asked.preprocessed(_own_preprocess(module))
    own = getattr(module, "classes", None)
    if classes is None and isinstance(own, (list, tuple)):
        classes = read_class_names(own)
    outputs, preprocess = answers_of(module, preprocess, name, asked.input_size)
    return BuiltModel(module, name_outputs(classes, outputs, name), preprocess, made)


def _own_preprocess(module: nn.Module) -> Preprocess:
    own = getattr(module, "preprocess", None)
    if isinstance(own, Preprocess):
        return own
    cfg = getattr(module, "pretrained_cfg", None)
    if isinstance(cfg, dict) and {"input_size", "mean", "std"} <= cfg.keys():
        return timm_preprocess(SimpleNamespace(**{**_TIMM_DEFAULTS, **cfg}))
    return Preprocess()
