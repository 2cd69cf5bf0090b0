"""Cut a network on its graph, at its last map or at any layer by name."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from camcli.models import graph
from camcli.models.graph import PROBE, Traced, first_part, fold_batchnorm, second_part, trunk
from camcli.models.parts import Cut, LinearHead, NoMapError, Place, not_a_map
from camcli.models.purity import is_input
from camcli.models.tokens import Layout, from_maps, layout_of, map_shape, prefix_tokens, to_maps


def layout(traced: Traced, node: fx.Node) -> Layout | None:
    """How a node holds maps; a flattened map (B, K, h·w) is not mistaken for tokens (B, N, K)."""
    shape = traced.shapes.get(node)
    if shape is None or shape[:1] != (PROBE,) or is_input(node):
        return None
    found = layout_of(shape)
    if found == "tokens":
        for before in node.all_input_nodes:
            source = traced.shapes.get(before, ())
            if len(source) == 4 and source[1] == shape[1] and source[2] * source[3] == shape[2]:
                return None
    return found


def find(traced: Traced, name: str) -> fx.Node:
    """The node that a user means.

    Raises:
        UsageError: there is no such layer, or it has no map.
        LookupError: the network has this module, but the graph does not show it.
    """
    if name == "last":
        return _last(traced)
    node = traced.names.get(name)
    if node is None:
        node = next((n for n in traced.whole.graph.nodes if traced.name(n) == name), None)
    if node is None:
        raise LookupError(name)
    if layout(traced, node) is None:
        shape = traced.shapes.get(node, ())
        raise not_a_map(name, tuple(shape))
    return node


def _last(traced: Traced) -> fx.Node:
    """The last node that can be looked at: on the way back from the logits, the first map.

    A transformer's last class token has looked at the tokens of the block before: those after it
    have no influence, so they are passed over.
    """
    node = traced.output
    while True:
        inputs = [n for n in node.all_input_nodes if n in traced.shapes and n.op != "get_attr"]
        if len(inputs) != 1:
            break
        node = inputs[0]
        if layout(traced, node) and _matters(traced, node):
            return node
    candidates = [n for n in reversed(trunk(traced)) if layout(traced, n)]
    for node in candidates:
        if _matters(traced, node):
            return node
    raise NoMapError("The network has no spatial feature map between its input and output.")


def _matters(traced: Traced, node: fx.Node) -> bool:
    """Whether a change in the map changes the logits; always true for ordinary maps."""
    if layout(traced, node) != "tokens":
        return True
    made = cut_at(traced, [node])
    size = traced.shapes[next(iter(traced.whole.graph.nodes))][-1]
    images = torch.randn(PROBE, 3, size, size, generator=torch.Generator().manual_seed(0))
    ((A, tail),) = made.split(images)
    changed = tail(A + A.std() * torch.randn(A.shape, generator=torch.Generator().manual_seed(2)))
    return not torch.equal(changed, tail(A))


def new_head(traced: Traced, head: LinearHead, probe: Tensor) -> Traced:
    """The network with everything after its last map replaced by a linear head."""
    node = _last(traced)
    held = layout(traced, node)
    assert held is not None
    return graph.with_head(traced, node, _NewHead(head, held), probe)


def cut_at(traced: Traced, nodes: list[fx.Node]) -> Cut:
    """Cut at nodes of the graph."""
    seconds = [second_part(traced, node) for node in nodes]
    first = first_part(
        traced, [(n, second.context) for n, second in zip(nodes, seconds, strict=True)]
    )
    first = fold_batchnorm(first)
    places, layouts = [], []
    for node, second in zip(nodes, seconds, strict=True):
        held = layout(traced, node)
        assert held is not None
        shape = traced.shapes[node]
        prefix = prefix_tokens(shape, held) > 0
        layouts.append(held)
        # A tail that writes into A would change the map that is being explained.
        tail = graph.without_inplace(second.module)
        places.append(
            Place(
                traced.name(node),
                tail if held == "maps" else _FromMaps(tail, held, prefix),
                ((True,) if prefix else ()) + second.batched,
                None,
                map_shape(shape),
            )
        )
    single = len(nodes) == 1 and not seconds[0].context
    outputs = traced.shapes[traced.output.all_input_nodes[0]][1]
    if layouts == ["maps"] and single:
        return Cut(first, tuple(places), outputs)
    plain = single and not places[0].batched
    return Cut(_ToMaps(first, layouts, single, plain), tuple(places), outputs)


class _NewHead(nn.Module):
    """A linear head on what the network holds its maps in."""

    def __init__(self, head: LinearHead, layout: Layout) -> None:
        super().__init__()
        self.fc = nn.Linear(head.weight.shape[1], head.weight.shape[0])
        self.fc.weight, self.fc.bias = (
            nn.Parameter(t, requires_grad=False) for t in (head.weight, head.bias)
        )
        self.layout = layout

    def forward(self, value: Tensor) -> Tensor:
        logits: Tensor = self.fc(to_maps(value, self.layout)[0].mean((2, 3)))
        return logits


class _ToMaps(nn.Module):
    """Turns what the first part returns into maps."""

    def __init__(self, first: nn.Module, layouts: list[Layout], single: bool, plain: bool) -> None:
        super().__init__()
        self.first, self.layouts, self.single, self.plain = first, layouts, single, plain

    def forward(self, images: Tensor) -> Any:
        out = self.first(images)
        rows = [(out,)] if self.single else out
        result = tuple(
            (*to_maps(value, layout), *context)
            for (value, *context), layout in zip(rows, self.layouts, strict=True)
        )
        return result[0][0] if self.plain else result


class _FromMaps(nn.Module):
    """Turns maps into what the second part takes."""

    def __init__(self, tail: nn.Module, layout: Layout, prefix: bool) -> None:
        super().__init__()
        self.tail, self.layout, self.prefix = tail, layout, prefix

    def forward(self, A: Tensor, *context: Any) -> Tensor:
        if self.prefix:
            return self.tail(from_maps(A, self.layout, context[0]), *context[1:])
        return self.tail(from_maps(A, self.layout), *context)
