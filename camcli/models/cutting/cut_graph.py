"""Cut a network on its graph, at its last map or at any layer by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from camcli.models.cutting.crossing import followers
from camcli.models.cutting.graph import fx_graph
from camcli.models.cutting.graph.fx_graph import Traced, first_part, second_part, trunk
from camcli.models.cutting.graph.gradients import influences
from camcli.models.cutting.graph.layout import layout, step_name
from camcli.models.cutting.graph.passes import fold_batchnorm, without_inplace
from camcli.models.cutting.tokens import TensorLayout, from_maps, to_maps
from camcli.models.cutting.types import Cut, Head, LinearHead, NoMapError, Place, not_a_map
from camcli.models.pooling.network import POOLED, JoinedMaps
from camcli.models.pooling.pooling import Pooling
from camcli.models.pooling.statistics import pooled_shape

# So many places of a map are changed, one at a time, to see whether they have influence.
_CELLS = 8
_MOST = 0.5
# So many branches' ends are compared, the last.
_ENDS = 6
# A map before which everything has passed is not taken where it has so many times more places
# than the last ones: what it shows is far from what the network decides on.
_FINER = 4
# Or where so many convolutions follow it in the branch that decides most.
_DEEPER = 4
# What GeM and its like do to a map before they average it.
_POWERS, _BOUNDS = {"pow", "square", "exp"}, {"clamp", "clamp_min", "abs", "relu"}


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

    Where the network has several branches to its end, the last map through which everything passes
    may be far from it, or there is none: then it is the end of the branch that decides most.
    """
    node = traced.output
    while True:
        inputs = [n for n in node.all_input_nodes if n in traced.pixels]
        if len(inputs) != 1:
            break
        node = inputs[0]
        if layout(traced, node) and _matters(traced, node):
            return _before_pooling(traced, node)
    whole = next(
        (n for n in reversed(trunk(traced)) if layout(traced, n) and _matters(traced, n)), None
    )
    ends = _ends(traced)
    if len(ends) > 1 or whole is None:
        ends = ends[-_ENDS:]
        shares = [_share(traced, n) for n in ends]
        best = max(zip(shares, range(len(ends)), ends, strict=True), default=(0, 0, None))[2]
    else:
        best = ends[0] if ends else None
    if best is None and whole is None:
        raise NoMapError("The network has no spatial feature map between its input and output.")
    if whole is None or (best is not None and _is_far(traced, whole, best)):
        assert best is not None
        return best
    return whole


def _is_far(traced: Traced, whole: fx.Node, end: fx.Node) -> bool:
    """Whether a map through which everything passes is too early to show what is decided on."""
    if _places(traced, whole) > _FINER * _places(traced, end):
        return True
    between = fx_graph.before(end) - fx_graph.before(whole)
    layers = [n for n in between & traced.pixels if n.op == "call_module"]
    weights = [traced.whole.get_submodule(str(n.target)) for n in layers]
    return sum(isinstance(m, nn.Conv2d) for m in weights) > _DEEPER


def _places(traced: Traced, node: fx.Node) -> int:
    held = layout(traced, node)
    assert held is not None
    return held.shape[1] * held.shape[2]


def _before_pooling(traced: Traced, node: fx.Node) -> fx.Node:
    """The map itself where a pooling begins with a power of it, as GeM's does, or has few cells."""
    found = node
    while "adaptive" in _what(traced, node):
        (source,) = [n for n in node.all_input_nodes if n in traced.pixels]
        if layout(traced, source) is None:
            break
        if _places(traced, source) > _FINER * _places(traced, node):
            found = source
        node = source
    node = found
    while node.op != "call_module" and step_name(node) in _POWERS | _BOUNDS:
        inputs = [n for n in node.all_input_nodes if n in traced.pixels]
        if len(inputs) != 1 or layout(traced, inputs[0]) != layout(traced, node):
            break
        if step_name(node) in _POWERS or found is not node:
            found = inputs[0]
        elif step_name(inputs[0]) not in _POWERS | _BOUNDS:
            break
        node = inputs[0]
    return found


def _what(traced: Traced, node: fx.Node) -> str:
    """What a node calls, in small letters."""
    if node.op == "call_module":
        return type(traced.whole.get_submodule(str(node.target))).__name__.lower()
    return step_name(node).lower()


def _ends(traced: Traced) -> list[fx.Node]:
    """The last maps of a network's branches: none is made from another."""
    live = traced.pixels & fx_graph.before(traced.output)
    covered: set[fx.Node] = set()
    ends = []
    for n in reversed(traced.position):
        if n not in live or n is traced.output:
            continue
        if any(user in covered for user in n.users):
            covered.add(n)
        elif layout(traced, n) and _matters(traced, n):
            covered.add(n)
            ends.append(n)
    return _gathered(traced, ends[::-1])


def _gathered(traced: Traced, ends: list[fx.Node]) -> list[fx.Node]:
    """Ends that are made of one map, as an attention's keys and values are: that map instead."""
    sources: dict[fx.Node, list[fx.Node]] = {}
    for end in ends:
        given = [n for n in end.all_input_nodes if n in traced.pixels]
        if len(given) == 1 and end.op == "call_module" and layout(traced, given[0]):
            sources.setdefault(given[0], []).append(end)
    shared = {source: made for source, made in sources.items() if len(made) > 1}
    if not shared:
        return ends
    gone = {end for made in shared.values() for end in made}
    kept = {*shared, *(end for end in ends if end not in gone)}
    return [n for n in traced.position if n in kept]


def _share(traced: Traced, node: fx.Node) -> float:
    """How much of what tells two pictures apart is in one branch's map."""
    made = cut_at(traced, [node])
    ((A, tail),) = made.split(traced.images)
    return float((tail(A.roll(1, 0)) - tail(A)).norm())


def passed_by(traced: Traced, node: fx.Node) -> str:
    """What to say of a map that not all of the answer is made from; empty where all of it is."""
    if node in trunk(traced):
        return ""
    related = fx_graph.before(node) | followers(traced.whole.graph, node)
    names = [repr(traced.name(n)) for n in _ends(traced) if n not in related]
    others = f" It also decides by {', '.join(names[:3])}, which --layer shows." if names else ""
    return (
        f"Maps are of {traced.name(node)!r}, and part of what the network decides on passes by "
        f"it.{others}"
    )


def _matters(traced: Traced, node: fx.Node) -> bool:
    """Whether most of a map has influence on the logits; always true for ordinary maps.

    A transformer's last class token has looked at the tokens of the block before: those after it
    have none. What an LSTM says of the last place has seen the others, which have none any more.
    """
    held = layout(traced, node)
    if held is None or held.kind != "tokens":
        return True
    rows = influences(traced).get(node)
    share = None if rows is None else float(rows[held.prefix :].mean())
    if share is not None and (share == 0 or share >= _MOST):
        return share > 0
    # Where a maximum is taken, other cells would have influence if they were other.
    generator = torch.Generator().manual_seed(0)
    ((A, tail),) = cut_at(traced, [node]).split(traced.images)
    _, h, w = held.shape
    cells = torch.randperm(h * w, generator=generator)[:_CELLS]
    first = torch.zeros(len(cells), dtype=torch.long)
    changed = A[first].flatten(2)
    for row, cell in enumerate(cells.tolist()):
        noise = torch.randn(A.shape[1], generator=generator)
        changed[row, :, cell] += 100 * A.std().clamp(min=1e-3) * noise
    answers = tail(changed.unflatten(2, (h, w)), first)
    # As many rows at a time: of two or six a matrix product is not rounded alike.
    same = (answers == tail(A[first], first)).all(1)
    return int(same.sum()) * 2 <= len(cells)


def new_head(traced: Traced, head: Head, probe: Tensor, pooling: Pooling | None = None) -> Traced:
    """The network with everything after its last map replaced by a head.

    Args:
        traced: the network; its graph is changed.
        head: takes the maps (B, K, h, w).
        probe: (PROBE, 3, H, W).
        pooling: which makes the maps that the head is given, those of the layer `POOLED`; None
            for the last map as it is.
    """
    held = {}
    for layer in (pooling or Pooling()).layers:
        node = find(traced, layer)
        found = layout(traced, node)
        assert found is not None  # `find` sees to it
        held[layer] = node, found
    nodes, layouts = zip(*held.values(), strict=True)
    if pooling is None and isinstance(head, LinearHead):
        return fx_graph.with_end(traced, nodes, {"_new_head": _NewHead(head, layouts[0])}, probe)[0]
    pooling = pooling or Pooling()
    shapes = {layer: found.shape for layer, (_, found) in held.items()}
    maps = TensorLayout("maps", pooled_shape(pooling, shapes))
    end = _NewHead(head, maps) if isinstance(head, LinearHead) else head
    assert isinstance(end, nn.Module)
    steps = {"_pooling": _PooledValues(pooling, layouts), "_new_head": end}
    made, (pooled, _) = fx_graph.with_end(traced, nodes, steps, probe)
    made.layouts[pooled] = maps
    made.names.setdefault(POOLED, pooled)
    return made


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


class _PooledValues(nn.Module):
    """The pooled maps of what a network holds the maps of several layers in."""

    def __init__(self, pooling: Pooling, layouts: Sequence[TensorLayout]) -> None:
        super().__init__()
        self.join, self.layouts = JoinedMaps(pooling), layouts

    def forward(self, *values: Tensor) -> Tensor:
        pairs = zip(values, self.layouts, strict=True)
        a: Tensor = self.join(*(to_maps(value, layout)[0] for value, layout in pairs))
        return a


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
