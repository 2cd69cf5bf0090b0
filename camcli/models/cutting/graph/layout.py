"""Which nodes of a graph hold a map, and how: decided by where their values come from.

A shape is no proof: 16 x 16 numbers may be a map, or a Gram matrix of 16 channels by 16; 64 rows
may be 8 x 8 places, or one query a class. A node holds a map where its positions are traced to
pixels: either step by step, through convolutions and what else keeps places where they are, or by
a trial, in which a change at one place of a picture must show most at its own place
(`camcli.models.cutting.token_positions`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor, fx, nn

from camcli.models.cutting.crossing import followers
from camcli.models.cutting.graph.fx_graph import PROBE, Traced
from camcli.models.cutting.graph.steps import (
    Following,
    Keeps,
    from_images,
    held_by,
    keeps_last,
    kept,
    remember,
    step_of,
)
from camcli.models.cutting.purity import is_input
from camcli.models.cutting.token_positions import answers_of, disturbed, lies_so
from camcli.models.cutting.tokens import TensorLayout, possible_layouts

# Modules of torch that move places, or mix them so that none is any place's.
_MIXING = (
    nn.MultiheadAttention, nn.Transformer, nn.TransformerEncoder, nn.TransformerEncoderLayer,
    nn.TransformerDecoder, nn.TransformerDecoderLayer, nn.RNNBase, nn.RNNCellBase, nn.Flatten,
    nn.Unflatten, nn.Fold, nn.Unfold, nn.PixelShuffle, nn.PixelUnshuffle, nn.Bilinear,
    nn.modules.loss._Loss, nn.CosineSimilarity, nn.PairwiseDistance, nn.Embedding,
)  # fmt: skip
# Those that work on (B, K, h, w) alone.
_ON_MAPS = (
    nn.modules.conv._ConvNd, nn.modules.pooling._MaxPoolNd, nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd, nn.modules.pooling._AdaptiveMaxPoolNd,
    nn.modules.pooling._LPPoolNd, nn.Upsample, nn.modules.batchnorm._BatchNorm,
)  # fmt: skip
# Those of them that take two values of the same places.
_JOINING = {"add", "iadd", "sub", "isub", "mul", "imul", "maximum", "minimum", "lerp", "cat"}
# So many steps behind a value it is looked for what it is added to.
_STEPS = 8
# And so many before it for what asked.
_FAR = 24
_RELAID = {"view", "reshape", "flatten", "unflatten", "getitem"}


def layout(traced: Traced, node: fx.Node) -> TensorLayout | None:
    """How a node holds maps; None if it does not."""
    stack = [node]
    while stack:
        n = stack[-1]
        if n in traced.layouts:
            stack.pop()
            continue
        possible = _possible(traced, n)
        waits, held = _followed(traced, n, possible)
        if waits is not None:
            stack.append(waits)
            continue
        stack.pop()
        traced.layouts[n] = (
            held
            or _joined(traced, n, possible)
            or _tried(traced, n, possible)
            or _asking(traced, n, possible)
        )
    return traced.layouts[node]


def _possible(traced: Traced, node: fx.Node) -> list[TensorLayout]:
    """What its shape allows."""
    shape = traced.shapes.get(node)
    if shape is None or shape[:1] != (PROBE,) or is_input(node) or node not in traced.pixels:
        return []
    return possible_layouts(shape, _image(traced)[1:])


def _image(traced: Traced) -> tuple[int, int, int]:
    images = next(n for n in traced.whole.graph.nodes if n.op == "placeholder")
    _, C, H, W = traced.shapes[images]
    return C, H, W


def _followed(
    traced: Traced, node: fx.Node, possible: list[TensorLayout]
) -> tuple[fx.Node | None, TensorLayout | None]:
    """How it holds maps if one step leads there from a value that does.

    Returns:
        The value whose layout must be known first, or None; and the layout, if there is one.
    """
    if not possible:
        return None, None
    for source in _sources(traced, node):
        if source not in traced.layouts and not is_input(source):
            return source, None
        found = _after(traced, node, source, possible)
        if found is not None:
            return None, found
    first = node.args[0] if node.op in ("call_function", "call_method") and node.args else None
    if isinstance(first, fx.Node) and first in traced.shapes and step_name(node) in _RELAID:
        if first not in traced.layouts and not is_input(first):
            return first, None
        before = traced.layouts.get(first)
        if before is not None and (found := _relaid(node, before, possible)) is not None:
            return None, found
    shuffled = _rearranged(traced, node, possible)
    if shuffled is None:
        return None, None
    if shuffled not in traced.layouts:
        return shuffled, None
    held = traced.layouts[shuffled]
    found = None if held is None else kept("maps", held, possible)
    return None, found if found and held and found.shape[1:] == held.shape[1:] else None


def _relaid(node: fx.Node, held: TensorLayout, possible: list[TensorLayout]) -> TensorLayout | None:
    """The layout where rows of tokens become channels last, or the reverse, or some are left out.

    Args:
        node: of a function in `_RELAID`.
        held: how its first argument holds maps.
        possible: what its own shape allows.
    """
    if step_name(node) == "getitem":  # each second row and column
        asked = node.args[1]
        parts = [p for p in asked if p is not Ellipsis] if isinstance(asked, tuple) else [None]
        if not all(isinstance(p, slice) and p.start in (None, 0) and p.stop is None for p in parts):
            return None
        same = [p for p in possible if p.kind == held.kind != "tokens"]
        return next((p for p in same if p.shape[0] == held.shape[0]), None)
    if held.kind == "maps" or held.prefix:
        return None
    others = [p for p in possible if p.kind != "maps" and p.prefix == 0]
    return next((p for p in others if p.shape == held.shape), None)


def _asking(traced: Traced, node: fx.Node, possible: list[TensorLayout]) -> TensorLayout | None:
    """How the answers of an attention lie: as the places that asked, the left side of a product."""
    if step_name(node) in ("view", "reshape") and len(traced.shapes.get(node, ())) == 4:
        return _unrolled(traced, node, possible)
    n = node
    for _ in range(_FAR if possible else 0):
        if n.op == "call_module":
            module = traced.whole.get_submodule(str(n.target))
            if isinstance(module, _MIXING) or n.target in traced.pieces:
                return None
        elif n.op not in ("call_function", "call_method") or step_name(n) == "einsum":
            return None
        first = n.args[0] if n.args else None
        if not isinstance(first, fx.Node) or first not in traced.pixels or is_input(first):
            return None
        n = first
        held = layout(traced, n) if n in traced.shapes else None
        if held is not None:
            # As many rows as channels may be those, as in a Gram matrix.
            channels = traced.shapes[node][1] == held.shape[0]
            lying = [p for p in possible if p.kind == "tokens" and p.prefix == held.prefix]
            fits = (p for p in lying if p.shape[1:] == held.shape[1:] and not channels)
            return next(fits, None)
    return None


def _unrolled(traced: Traced, node: fx.Node, possible: list[TensorLayout]) -> TensorLayout | None:
    """How an attention's answers (B, K, h·w) lie that are given two dimensions again."""
    waiting, seen = list(node.all_input_nodes), {node}
    while waiting and len(seen) < _FAR:
        n = waiting.pop(0)
        if n in seen or n not in traced.pixels or is_input(n):
            continue
        seen.add(n)
        held = layout(traced, n) if n in traced.shapes else None
        if held is None:
            waiting += n.all_input_nodes
            continue
        for p in possible:  # not the matrix of channels by channels that it may be
            if p.kind == held.kind == "maps" and p.shape[1:] == held.shape[1:] != held.shape[:2]:
                return p
    return None


def _rearranged(traced: Traced, node: fx.Node, possible: list[TensorLayout]) -> fx.Node | None:
    """The value (B, K, h, w) whose channels a node has in another order, as after a shuffle."""
    sides = next((p.shape[1:] for p in possible if p.kind == "maps"), None)
    while sides is not None and node.op in ("call_function", "call_method"):
        given = [n for n in node.all_input_nodes if n in traced.pixels]
        if len(given) != 1 or node.args[0] is not given[0]:
            return None
        (source,) = given
        shape = traced.shapes.get(source)
        if not keeps_last(step_name(node), node.args[1:], len(shape or ())):
            return None
        if shape is not None and (len(shape) < 4 or shape[-2:] != sides):
            return None
        if shape is not None and len(shape) == 4:
            return source
        node = source
    return None


def _sources(traced: Traced, node: fx.Node) -> list[fx.Node]:
    """The values of pixels that a node takes, if it leaves their places where they are."""
    if _step(traced, node) is None:
        return []
    # In the order of computation: what a block adds to comes before what it adds.
    given = [n for n in node.all_input_nodes if n in traced.pixels and n in traced.shapes]
    return sorted(given, key=lambda n: traced.position[n])


def _step(traced: Traced, node: fx.Node) -> Keeps | None:
    """Which layouts a node keeps: "maps", "rows" of channels (last, or tokens), "any", or none.

    One that is "turned" is given in the other order of its dimensions.
    """
    if node.op == "call_module":
        module = traced.whole.get_submodule(str(node.target))
        if isinstance(module, _MIXING) or node.target in traced.pieces:
            return None
        homes = {kind.__module__ for kind in type(module).__mro__ if kind is not nn.Module}
        if not any(home.startswith("torch.nn.modules.") for home in homes):
            return None  # whatever somebody declares to be one piece
        if isinstance(module, nn.Linear):
            return "rows"
        return "maps" if isinstance(module, _ON_MAPS) else "any"
    if node.op not in ("call_function", "call_method"):
        return None
    return step_of(step_name(node))


def step_name(node: fx.Node) -> str:
    """The name of what a node calls, the same for functions, methods, and what writes in place."""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return name.removesuffix("_")


def _after(
    traced: Traced, node: fx.Node, source: fx.Node, possible: list[TensorLayout]
) -> TensorLayout | None:
    """The layout that a step from a value of known layout gives."""
    step = _step(traced, node)
    if is_input(source):
        return None if step is None else from_images(step, possible)
    held = traced.layouts[source]
    return None if held is None or step is None else kept(step, held, possible)


def _joined(traced: Traced, node: fx.Node, possible: list[TensorLayout]) -> TensorLayout | None:
    """How a value lies that is added to one that holds a map, as the output of an attention is."""
    if not possible:
        return None
    traced.layouts[node] = None  # for now: two values that are added to each other may both ask
    behind: set[fx.Node] | None = None
    n = node
    for _ in range(_STEPS):
        users = [u for u in n.users if u in traced.pixels and u in traced.shapes]
        if len(users) != 1 or _step(traced, users[0]) not in ("rows", "any"):
            return None
        (user,) = users
        if step_name(user) in _JOINING:
            behind = behind or followers(traced.whole.graph, node)
            for other in user.all_input_nodes:
                if other is n or other in behind or traced.shapes.get(other) is None:
                    continue
                held = layout(traced, other)
                for p in possible if held is not None else ():
                    assert held is not None
                    if replace(p, shape=held.shape) == held and p.shape[1:] == held.shape[1:]:
                        return p
        n = user
    return None


def _tried(traced: Traced, node: fx.Node, possible: list[TensorLayout]) -> TensorLayout | None:
    """How it holds maps by a trial."""
    if not possible:
        return None
    if not traced.trial:
        traced.trial.append(Trial(traced.whole, traced.images, set(traced.shapes)))
    held: TensorLayout | None = traced.trial[0].layout(node)
    return held if held in possible else None


class Trial(fx.Interpreter):
    """Runs a graph on `disturbed` pictures as far as is asked, and keeps which nodes hold maps."""

    def __init__(self, whole: fx.GraphModule, images: Tensor, tensors: set[fx.Node]) -> None:
        super().__init__(whole)
        self._pictures = disturbed((images.shape[1], images.shape[2], images.shape[3]), images[0])
        self._image = (images.shape[2], images.shape[3])
        self._following = Following(self._image)
        self._following.begin(self._pictures)
        self.env, self.args_iter = {}, iter([self._pictures])
        self._left = iter(whole.graph.nodes)
        self._tensors = tensors
        self._found: dict[fx.Node, TensorLayout | None] = {}

    def layout(self, node: fx.Node) -> TensorLayout | None:
        """How a node holds maps, if that shows."""
        with self._following:
            while node not in self._found:
                n = next(self._left, None)
                if n is None or n.op == "output":
                    break
                try:
                    value = self.run_node(n)
                except RuntimeError:  # this number of pictures is not taken
                    self._left = iter(())
                    break
                self.env[n] = value
                if n in self._tensors:
                    self._found[n] = self._noted(value)
                for done in self.user_to_last_uses.get(n, ()):
                    del self.env[done]
        return self._found.get(node)

    def _noted(self, value: Any) -> TensorLayout | None:
        if not isinstance(value, Tensor) or len(value.shape) not in (3, 4):
            return None
        if len(value) != len(self._pictures) or not value.is_floating_point():
            return None
        return traced_to_pixels(value, possible_layouts(tuple(value.shape), self._image))


def traced_to_pixels(value: Tensor, possible: list[TensorLayout]) -> TensorLayout | None:
    """How a value of `disturbed` pictures holds maps: as it was followed there, or by its answers.

    Args:
        value: (1 + spots, ...), made under `Following`.
        possible: the layouts that its shape allows.
    """
    held = held_by(value)
    if held is None and possible:
        answers = answers_of(value, possible)
        held = next((p for p in possible if lies_so(p, answers[p])), None)
        if held is not None:
            remember(value, held)
    return held
