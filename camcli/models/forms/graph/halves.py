"""The two parts of a cut graph as camcli calls them: pixels -> features, features -> logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from camcli.errors import UsageError
from camcli.models.cutting.tokens import Grid, TensorLayout, from_maps, to_maps
from camcli.models.cutting.types import LinearHead
from camcli.models.forms.graph.network import Graph, channels_last, part_of
from camcli.models.forms.graph.running import GraphPart, GraphParts
from camcli.models.forms.graph.values import Key
from camcli.models.outputs import largest
from camcli.models.runtime.openvino_core import imported

# Images at a time, as measured for converted backbones, and rows of features.
SLICE, ROWS = 2, 8

NO_GRADIENTS = (
    "OpenVINO runs this network's graph and has no gradients, which this method needs at a place "
    "that is not followed by global average pooling and a linear layer alone. These work here: "
    "reciprocam, ablationcam, scorecam, eigencam, kpcacam, fem."
)


@dataclass(frozen=True)
class Spot:
    """Where a graph is cut.

    Attributes:
        key: the value that is explained.
        layout: how it holds maps.
        context: what else the rest needs.
    """

    key: Key
    layout: TensorLayout
    context: tuple[Key, ...]

    @property
    def name(self) -> str:
        """As a user calls it."""
        name, number = self.key
        return f"{name}:{number}" if number else name


class First:
    """SaidPixels -> A, or ((A, *context), ...) of several places; run by OpenVINO.

    Attributes:
        own_runtime: what runs it, whatever a user asks for.
    """

    own_runtime = "openvino"

    def __init__(self, network: Graph, spots: Sequence[Spot], size: Grid) -> None:
        """Compile it for pictures of (height, width).

        Raises:
            RuntimeError: OpenVINO cannot.
        """
        self._network, self._spots = network, tuple(spots)
        self._plain = len(spots) == 1 and not spots[0].context and not spots[0].layout.prefix
        self._parts = GraphParts(self._made)
        self._parts.at(size)

    def _made(self, size: Grid) -> GraphPart:
        rows = self._network.rows(SLICE)
        values = self._network.fixed(rows, size)
        wanted = [values.at(key) for spot in self._spots for key in (spot.key, *spot.context)]
        return GraphPart(part_of(values, wanted), rows)

    def __call__(self, images: Tensor) -> Any:
        """What `Cut.first` gives, for normalised images (B, C, H, W)."""
        size = (images.shape[2], images.shape[3])
        flat = iter(self._parts.at(size)(channels_last(images)))
        rows = []
        for spot in self._spots:
            A, *prefix = to_maps(next(flat), spot.layout)
            rows.append((A, *prefix, *(next(flat) for _ in spot.context)))
            self._network.seen[spot.name, tuple(A.shape[1:])] = size
        return rows[0][0] if self._plain else tuple(rows)


class GraphTail:
    """A -> logits, run by OpenVINO.

    Attributes:
        has_gradients: none, as `camcli.models.cutting.types.has_gradients` asks.
        layout: how the graph holds what it calls A.
    """

    has_gradients = False

    def __init__(self, network: Graph, spot: Spot, outputs: int) -> None:
        """Compiled when it is first called.

        Args:
            network: the graph.
            spot: where it was cut.
            outputs: C.
        """
        self._network, self._spot, self._outputs = network, spot, outputs
        self.layout = spot.layout
        self._parts = GraphParts(self._made)

    def _made(self, size: Grid) -> GraphPart:
        rows = self._network.rows(ROWS)
        return GraphPart(rest_of(self._network, self._spot, rows, size), rows)

    def __call__(self, A: Tensor, *context: Tensor) -> Tensor:
        """Logits (n, C) of A (n, K, h, w).

        Raises:
            UsageError: gradients are asked for.
        """
        if torch.is_grad_enabled() and A.requires_grad:
            raise UsageError(NO_GRADIENTS)
        size = self._network.seen[self._spot.name, tuple(A.shape[1:])]
        value, others = held(A, context, self._spot.layout)
        (logits,) = self._parts.at(size)(value, *others)
        return logits.reshape(len(A), self._outputs)


def held(
    A: Tensor, context: Sequence[Tensor], layout: TensorLayout
) -> tuple[Tensor, Sequence[Tensor]]:
    """A as the graph holds it, and the context without what belongs to A."""
    if layout.prefix:
        return from_maps(A, layout, context[0]), context[1:]
    return from_maps(A, layout), context


def rest_of(network: Graph, spot: Spot, rows: int, size: Grid) -> Any:
    """The graph after a place: (value, *context) -> logits.

    Raises:
        RuntimeError: it cannot be of this shape.
    """
    ov = imported("openvino")
    ops = imported("openvino.opset13")

    values = network.fixed(rows, size)
    given = []
    for key in (spot.key, *spot.context):
        output = values.at(key)
        kind = output.get_element_type()
        shape = list(output.get_partial_shape().to_shape())
        parameter = ops.parameter(shape, ov.Type.f32 if kind.is_real() else kind)
        value = parameter.output(0)
        if kind.is_real() and kind != ov.Type.f32:
            value = ops.convert(parameter, kind.get_type_name()).output(0)
        output.replace(value)
        given.append(parameter)
    return ov.Model(values.model.get_results(), given)


def linear_head(tail: Callable[[Tensor], Tensor], A: Tensor, rest: Any) -> LinearHead | None:
    """The tail as global average pooling and a linear layer, if it is that, decided by numbers.

    Its weights are looked for among the constants of the graph; where they were folded into
    several, they are what the tail says of one channel at a time.

    Args:
        tail: A -> logits.
        A: features of trial images, (B, K, h, w).
        rest: the tail's graph.
    """
    random = torch.randn(A.shape, generator=torch.Generator().manual_seed(1))
    trials = (A, random, 1e4 * random)
    try:
        answers = [tail(a) for a in trials]
        # The same everywhere in a picture: pooling by the mean sees no difference.
        means = [a.mean((2, 3), keepdim=True).expand_as(a) for a in trials]
        if not all(_near(tail(m), s) for m, s in zip(means, answers, strict=True)):
            return None
        bias = tail(torch.zeros_like(A[:1]))[0]
    except RuntimeError:
        return None
    K, C = A.shape[1], len(bias)

    def right(head: LinearHead) -> bool:
        return all(_near(head(a), s) for a, s in zip(trials, answers, strict=True))

    for weight in _matrices(rest, K, C):
        head = LinearHead(weight, bias)
        if right(head):
            return head
    scale = 100.0
    weight = torch.empty(C, K)
    for start in range(0, K, ROWS):
        channels = torch.arange(start, min(K, start + ROWS))
        one = torch.zeros(len(channels), *A.shape[1:])
        one[torch.arange(len(channels)), channels] = scale
        weight[:, channels] = ((tail(one) - bias) / scale).T
    head = LinearHead(weight, bias)
    return head if right(head) else None


def _near(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-4, atol=1e-4 * largest(b))


def _matrices(rest: Any, K: int, C: int) -> list[Tensor]:
    """Constants of a graph that may be the weights (C, K) of its last layer, the last first."""
    found = []
    for node in reversed(rest.get_ordered_ops()):
        if node.get_type_name() != "Constant" or node.get_element_type().get_type_name() not in (
            "f32", "f16", "f64"
        ):  # fmt: skip
            continue
        shape = [d for d in node.get_output_shape(0) if d != 1]
        wanted = [d for d in (C, K) if d != 1]
        if shape not in (wanted, wanted[::-1]):
            continue
        value = torch.tensor(node.data, dtype=torch.float32)
        ways = [value.reshape(C, K)] if shape == wanted else []
        if shape == wanted[::-1]:
            ways.append(value.reshape(K, C).T.contiguous())
        found += ways
    return found
