"""Cut a network on its graph, at its last map or at any layer by name."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from camcli.models.cutting import fx_graph
from camcli.models.cutting.fx_graph import (
    PROBE,
    Traced,
    first_part,
    second_part,
    trunk,
)
from camcli.models.cutting.graph_passes import fold_batchnorm, without_inplace
from camcli.models.cutting.purity import is_input
from camcli.models.cutting.token_positions import answering, disturbed, lies_so
from camcli.models.cutting.tokens import Grid, TensorLayout, fits, from_maps, layout_of, to_maps
from camcli.models.cutting.types import Cut, LinearHead, NoMapError, Place, not_a_map

# How many maps before a node are near it: the two of a bilinear pooling, each before its ReLU.
_NEAR = 4


def layout(traced: Traced, node: fx.Node) -> TensorLayout | None:
    """How a node holds maps.

    Tokens lie on a grid that the network itself has made: that of an earlier map. As many rows as
    a grid has places may be something else, such as the rows of a Gram matrix; where a map also
    has so many channels, or there is no such map, a trial tells: a change at one place must show
    most at its own token.
    """
    shape = traced.shapes.get(node)
    if shape is None or shape[:1] != (PROBE,) or is_input(node):
        return None
    images = next(n for n in traced.whole.graph.nodes if n.op == "placeholder")
    image = (traced.shapes[images][2], traced.shapes[images][3])
    if len(shape) != 3:
        return layout_of(shape, image)
    if node not in traced.layouts:
        traced.layouts[node] = _tokens(traced, node, image)
    return traced.layouts[node]


def _tokens(traced: Traced, node: fx.Node, image: Grid) -> TensorLayout | None:
    shape = traced.shapes[node]
    before = [n for n in fx_graph.before(node) if n is not node and n in traced.shapes]
    maps = {
        n: found.shape
        for n in traced.whole.graph.nodes
        if n in before and not is_input(n) and len(traced.shapes[n]) == 4
        and traced.shapes[n][0] == PROBE
        and (found := layout_of(traced.shapes[n], image)) is not None
    }  # fmt: skip
    grids = {(h, w) for _, h, w in maps.values()}
    for n in before:  # patches that are cut out without a convolution: (B, 3, h, 16, w, 16)
        sides = traced.shapes[n][1:] if len(traced.shapes[n]) > 4 else ()
        grids |= {pair for pair in itertools.combinations(sides, 2) if fits(pair, image)}
    found = layout_of(shape, image, grids)
    if found is None:
        found = layout_of(shape, image)  # by their number, if they also lie so
        return found if found and lies_so(found, _answers(traced)[node]) else None
    # What a matrix of channels by channels would be made of: the maps just before it.
    if shape[1] not in {K for K, _, _ in list(maps.values())[-_NEAR:]}:
        return found
    sources = [n for n, (_, *grid) in maps.items() if tuple(grid) == found.shape[1:]]
    return found if sources and _stays(traced, node, sources[-1], found, image) else None


def _answers(traced: Traced) -> dict[fx.Node, Tensor]:
    """For each node that may hold tokens, which of them answer to a change in a picture."""
    if not traced.answers:
        images = next(n for n in traced.whole.graph.nodes if n.op == "placeholder")
        _, C, H, W = traced.shapes[images]
        wanted = {n for n, s in traced.shapes.items() if len(s) == 3 and s[0] == PROBE}
        traced.answers.update(_Answers(traced.whole, wanted).of(disturbed((C, H, W))))
    return traced.answers


class _Answers(fx.Interpreter):
    """Runs a graph and notes which tokens answer."""

    def __init__(self, whole: fx.GraphModule, wanted: set[fx.Node]) -> None:
        super().__init__(whole)
        self._wanted, self._found = wanted, dict[fx.Node, Tensor]()

    def of(self, images: Tensor) -> dict[fx.Node, Tensor]:
        """By node."""
        self.run(images)
        return self._found

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n in self._wanted:
            self._found[n] = answering(value)
        return value


def _stays(traced: Traced, node: fx.Node, source: fx.Node, held: TensorLayout, image: Grid) -> bool:
    """Whether a change at one place of a map shows most at that place's token."""
    _, h, w = held.shape
    first_last = layout_of(traced.shapes[source], image)
    assert first_last is not None
    places = torch.tensor([0, h * w // 3, 2 * h * w // 3, h * w - 1])
    shape = traced.shapes[next(iter(traced.whole.graph.nodes))]
    images = torch.randn((1, *shape[1:]), generator=torch.Generator().manual_seed(0))

    def disturb(value: Tensor) -> Tensor:
        value = value.clone()
        size = 10 * value.std().clamp(min=1e-3)
        for row, place in enumerate(places.tolist(), 1):
            i, j = divmod(place, w)
            if first_last.kind == "maps":
                value[row, :, i, j] += size
            else:
                value[row, i, j] += size
        return value

    run = _Disturbed(traced.whole, source, node, disturb)
    value = run.of(images.repeat(len(places) + 1, 1, 1, 1))
    most = (value[1:] - value[:1]).norm(dim=2).argmax(1)
    return bool((most == places + held.prefix).sum() >= len(places) - 1)


class _Disturbed(fx.Interpreter):
    """Runs a graph with one node's value changed."""

    def __init__(
        self,
        whole: fx.GraphModule,
        source: fx.Node,
        node: fx.Node,
        change: Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__(whole)
        self._source, self._node, self._change = source, node, change
        self._value = torch.empty(0)

    def of(self, images: Tensor) -> Tensor:
        """The value of the node."""
        self.run(images)
        return self._value

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n is self._source:
            value = self._change(value)
        if n is self._node:
            self._value = value.clone()
        return value


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
    if any(layout(traced, node) for node in traced.shapes):
        raise NoMapError(
            "No spatial feature map of the network decides its answer: the input reaches the "
            "output by another way, too."
        )
    raise NoMapError("The network has no spatial feature map between its input and output.")


def _matters(traced: Traced, node: fx.Node) -> bool:
    """Whether a change in the map changes the logits; always true for ordinary maps."""
    held = layout(traced, node)
    if held is None or held.kind != "tokens":
        return True
    made = cut_at(traced, [node])
    shape = traced.shapes[next(iter(traced.whole.graph.nodes))]
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    ((A, tail),) = made.split(images)
    changed = tail(A + A.std() * torch.randn(A.shape, generator=torch.Generator().manual_seed(2)))
    return not torch.equal(changed, tail(A))


def new_head(traced: Traced, head: LinearHead, probe: Tensor) -> Traced:
    """The network with everything after its last map replaced by a linear head."""
    node = _last(traced)
    held = layout(traced, node)
    assert held is not None
    return fx_graph.with_head(traced, node, _NewHead(head, held), probe)


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
        prefix = held.prefix > 0
        layouts.append(held)
        # A tail that writes into A would change the map that is being explained.
        tail = without_inplace(second.module)
        places.append(
            Place(
                traced.name(node),
                tail if held.kind == "maps" else _FromMaps(tail, held, prefix),
                ((True,) if prefix else ()) + second.batched,
                None,
                held.shape,
            )
        )
    single = len(nodes) == 1 and not seconds[0].context
    outputs = traced.shapes[traced.output.all_input_nodes[0]][1]
    if single and layouts[0].kind == "maps":
        return Cut(first, tuple(places), outputs)
    plain = single and not places[0].batched
    return Cut(_ToMaps(first, layouts, single, plain), tuple(places), outputs)


class _NewHead(nn.Module):
    """A linear head on what the network holds its maps in."""

    def __init__(self, head: LinearHead, layout: TensorLayout) -> None:
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

    def __init__(
        self, first: nn.Module, layouts: list[TensorLayout], single: bool, plain: bool
    ) -> None:
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

    def __init__(self, tail: nn.Module, layout: TensorLayout, prefix: bool) -> None:
        super().__init__()
        self.tail, self.layout, self.prefix = tail, layout, prefix

    def forward(self, A: Tensor, *context: Any) -> Tensor:
        if self.prefix:
            return self.tail(from_maps(A, self.layout, context[0]), *context[1:])
        return self.tail(from_maps(A, self.layout), *context)
