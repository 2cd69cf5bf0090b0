"""Which layers of a network have maps, so that it can be cut there."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import nn

from camcli.models.cutting import cut_graph, cut_hooks
from camcli.models.cutting.graph.fx_graph import trace, trunk
from camcli.models.cutting.graph.pieces import inner_layers
from camcli.models.cutting.scores.asking import Shape, answered, shape_of
from camcli.models.cutting.types import CutsItself

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer with a map.

    Attributes:
        name: as the network names it.
        kind: its class.
        shape: of the map, (K, h, w).
        main: whether everything passes through it; others are inside of blocks, or another name
            of a layer that is listed.
    """

    name: str
    kind: str
    shape: tuple[int, int, int]
    main: bool


def list_layers(model: nn.Module, size: int | Shape) -> list[Layer]:
    """The layers that `cut` takes, in the order of computation.

    Args:
        model: in eval mode.
        size: as for `cut`.

    Raises:
        CamcliError: the network returns no (B, C) logits.
    """
    if isinstance(model, CutsItself):
        return model.own_layers(shape_of(size))
    with torch.no_grad():
        model, probe, _, writes = answered(model, size)
        try:
            traced = trace(model, probe, writes=writes)
        except Exception as error:
            log.debug("cannot trace (%s); watching with hooks", error)
            seen = cut_hooks.watch(model, probe)
            held = cut_hooks.layouts(model, seen, probe[0])
            return [
                Layer(name, _kind(model, name), layout.shape, "." not in name)
                for name, layout in held.items()
            ]
    position = {n: i for i, n in enumerate(traced.whole.graph.nodes)}
    every = set(trunk(traced))
    shortest: dict[object, str] = {}
    for name, node in traced.names.items():
        if name and (node not in shortest or len(name) < len(shortest[node])):
            shortest[node] = name
    found = [
        (position[node], Layer(
            name, _kind(model, name), layout.shape,
            node in every and shortest[node] == name and not _passes_on(model, name),
        ))
        for name, node in traced.names.items()
        if name and (layout := cut_graph.layout(traced, node))
    ]  # fmt: skip
    for name, shape in inner_layers(model, traced, probe).items():
        piece = next(p for p in traced.pieces if name.startswith(f"{p}."))
        found.append((position[traced.names[piece]], Layer(name, _kind(model, name), shape, False)))
    return [layer for _, layer in sorted(found, key=lambda item: item[0])]


def _passes_on(model: nn.Module, name: str) -> bool:
    """Whether a layer gives what it was given: another name of the one before it."""
    return isinstance(model.get_submodule(name), nn.Identity)


def _kind(model: nn.Module, name: str) -> str:
    return type(model.get_submodule(name)).__name__
