"""A network that is in memory already: `camcli.load_classifier(my_module)`."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from camcli.data.decode.preprocess_said import Said
from camcli.errors import UsageError
from camcli.models.classes.names_file import read_class_names
from camcli.models.loading.builder import BuiltModel, provenance, reason
from camcli.models.loading.own.module import of_module
from camcli.models.loading.own.wrappers import check_has_values, unwrapped
from camcli.models.loading.sources import AskedModel
from camcli.models.spec import IN_MEMORY, OutputKind
from camcli.models.weights.finite import check_finite


def build_in_memory(
    module: nn.Module,
    *,
    classes: str | Path | Sequence[str] | None = None,
    input_size: int | None = None,
    preprocess: Said | None = None,
    output: OutputKind | None = None,
) -> BuiltModel:
    """A copy of a network, as `camcli.models.loading.zoo.build_model` gives it.

    The user's own stays as it is, with its mode, its gradients and its device; and the copy, when
    the user goes on training.

    Args:
        module: images (B, C, H, W) -> logits.
        classes: the class names, or a file of them.
        input_size: side of its input.
        preprocess: how it wants its pixels.
        output: what it returns.

    Raises:
        UsageError: it cannot be copied, or does not take pictures.
        CamcliError: it fails, or its weights hold NaN or infinities.
    """
    module, within = unwrapped(module)
    name = type(module).__name__
    check_has_values(module, name)
    own = copied(module, name)
    names = read_class_names(classes)
    notes = [f"It is taken out of {' and '.join(within)}."] if within else []
    made = provenance(name, IN_MEMORY, _digest(own), "user", notes=notes)
    asked = AskedModel(
        name, classes=names, input_size=input_size, preprocess=preprocess, output=output
    )
    with torch.random.fork_rng(devices=[]):  # a forward may draw
        built = of_module(own, asked, made)
    built.preprocess = asked.preprocessed(built.preprocess)
    built.module.eval().requires_grad_(False)
    check_finite(built.module, name)
    return built


def copied(module: nn.Module, name: str) -> nn.Module:
    """A network of its own with the same weights, on the CPU.

    Raises:
        UsageError: it holds what cannot be copied.
    """
    # What a forward left on the module, as weight_norm does, is part of a graph; a copy needs none.
    memo: dict[int, Any] = {}
    for each in module.modules():
        for value in vars(each).values():
            if isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    try:
        return copy.deepcopy(module, memo).cpu()
    except Exception as error:  # whatever it holds: a lock, an open file, a generator
        raise UsageError(
            f"{name} cannot be copied ({type(error).__name__}: {reason(error)}), and camcli does "
            "not change the network of its caller: name a function that makes it, as "
            "'module:factory'."
        ) from error


def _digest(module: nn.Module) -> str:
    """SHA-256 of all weights, so that a run is not gone on with after more training."""
    digest = hashlib.sha256()
    try:
        state = module.state_dict()
    except Exception:  # of a program that has none
        return hashlib.sha256(type(module).__name__.encode()).hexdigest()
    for key in sorted(state):
        value = state[key]
        digest.update(key.encode())
        if isinstance(value, Tensor) and not value.is_quantized:
            data = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(data.numpy().data)
        else:
            digest.update(repr(value).encode())
    return digest.hexdigest()
