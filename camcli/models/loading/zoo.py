"""Classifiers by name: the bundled one, torchvision's, timm's and the user's own.

Every name ends as a `BuiltModel`: a frozen ``nn.Module`` with its class names, the preprocessing
that its weights were trained with, and where those weights came from. torchvision and timm take
seconds to import, so each is imported only for a name that needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from camcli.data.decode.preprocess_presets import described
from camcli.data.decode.preprocess_said import Said
from camcli.models.classes.names_file import read_class_names
from camcli.models.loading.builder import BuiltModel, Provenance
from camcli.models.loading.own.in_memory import build_in_memory
from camcli.models.loading.own.learned_inputs import as_learned
from camcli.models.loading.own.unnamed_outputs import told
from camcli.models.loading.sources import AskedModel, source_of
from camcli.models.spec import BUNDLED, OutputKind, check_weights_key
from camcli.models.weights.finite import check_finite

__all__ = ["BuiltModel", "Provenance", "build_model", "read_class_names"]


def build_model(
    name: str | Path | nn.Module = BUNDLED,
    *,
    weights: str | Path | None = None,
    weights_key: str | None = None,
    offline: bool = False,
    classes: str | Path | Sequence[str] | None = None,
    seed: int = 0,
    input_size: int | None = None,
    preprocess: Said | None = None,
    output: OutputKind | None = None,
    trust_pickle: bool = False,
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
        preprocess: how it wants its pixels, as ``--preprocess`` takes it; by default its own way.
        output: what it returns; None to find out.
        trust_pickle: whether code that a file names may run.

    Returns:
        The model, in eval mode with no gradients.

    Raises:
        UsageError: no such model, weights that are not its own, or class names that do not count
            up to its outputs.
        UnavailableError: the weights are not on this machine and cannot be fetched.
        CamcliError: the weights are damaged, or hold NaN or infinities.
    """
    if isinstance(name, nn.Module):
        return build_in_memory(
            name, classes=classes, input_size=input_size, preprocess=preprocess, output=output
        )
    name = str(name)
    check_weights_key(weights_key, weights, name)
    names = read_class_names(classes)
    asked = AskedModel(
        name, weights, weights_key, names, offline, input_size, preprocess, output, trust_pickle
    )
    # What builds a network draws initial weights on the CPU, even if they are replaced at once.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        built = source_of(name).build(asked)
    built.preprocess = asked.preprocessed(built.preprocess)
    if asked.preprocess is None and built.provenance.source == "user" and _is_of_a_library(name):
        # Whoever trained them has often taken another.
        built.preprocess, found = as_learned(built.module, built.preprocess, input_size, False)
        note = found or (
            f"{built.provenance.weights}: {described(built.preprocess)} ASSUMED, as {name} is "
            "used; --preprocess says otherwise."
        )
        notes = (*built.provenance.notes, note)
        built.provenance = replace(built.provenance, notes=notes)
    built.module.eval().requires_grad_(False)
    made = built.provenance
    if made.source != "random":
        check_finite(built.module, name if made.sha256 is None else made.weights)
    if note := told(built):
        built.provenance = replace(made, notes=(*made.notes, note))
    return built


def _is_of_a_library(name: str) -> bool:
    """Whether a network's name says how its original weights want their pixels."""
    return source_of(name).name in ("torchvision", "timm")
