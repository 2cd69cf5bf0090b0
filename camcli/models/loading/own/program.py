"""A program in memory (TorchScript, ``torch.export``) as a network, and for which pictures."""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from camcli.models.programs.network import as_network, is_program

# What a network may say of itself, and its program as well.
_SAID = ("classes", "preprocess", "pretrained_cfg")


def exported_network(module: nn.Module) -> nn.Module:
    """A program of ``torch.export`` as a network; another module as it is.

    Such a program knows the size of its pictures: that is its ``preprocess`` then, if it has none.

    Args:
        module: the network.

    Raises:
        CamcliError: it cannot be made one.
    """
    if not isinstance(module, fx.GraphModule) or not is_program(module):
        return module
    shape, fixed = _shape_of(module)
    network = _with_what_it_says(as_network(module, shape), module)
    if fixed and not hasattr(network, "preprocess"):
        channels = f" channels={shape[0]}" if shape[0] in (1, 4) else ""
        network.preprocess = f"size={shape[1]}x{shape[2]}{channels}"  # type: ignore[assignment]
    return network


def scripted_network(module: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    """A TorchScript program as a network; another module as it is.

    Args:
        module: the network.
        shape: of a picture that it takes, (channels, height, width).

    Raises:
        CamcliError: it cannot be made one.
    """
    if not is_program(module) or isinstance(module, fx.GraphModule):
        return module
    return _with_what_it_says(as_network(module, shape), module)


def _with_what_it_says(network: nn.Module, program: nn.Module) -> nn.Module:
    for name in _SAID:
        said = getattr(program, name, None)
        if said is not None and not isinstance(said, torch.ScriptMethod | torch.ScriptFunction):
            setattr(network, name, said)
    return network


def _shape_of(program: fx.GraphModule) -> tuple[tuple[int, int, int], bool]:
    """The shape of a picture, and whether it takes no other."""
    value = next(n for n in program.graph.nodes if n.op == "placeholder").meta.get("val")
    if not isinstance(value, Tensor) or value.ndim != 4:
        return (3, 224, 224), False
    sides = [each if isinstance(each, int) else None for each in value.shape[1:]]
    channels, height, width = (
        each or usual for each, usual in zip(sides, (3, 224, 224), strict=True)
    )
    return (channels, height, width), None not in sides
