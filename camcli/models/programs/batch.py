"""A program that was exported for one picture, for any number: its sizes are those of one.

Attention puts a picture's heads, and windows, in one dimension with the pictures. So where a
program changes shapes, the dimension in which the pictures are is followed, and how many values of
one picture lie beside each other in it; what comes out is right if numbers say so, which is up to
whoever asks.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import torch
from torch import Tensor, fx

_ATEN = torch.ops.aten
_SHAPING = frozenset({_ATEN.view.default, _ATEN.reshape.default, _ATEN._unsafe_view.default,
                      _ATEN.expand.default})  # fmt: skip


def for_any_batch(graph: fx.GraphModule, images: Tensor) -> fx.GraphModule:
    """The program with the number of pictures in place of one wherever it makes shapes.

    Args:
        graph: exported for one picture, with what each value was in its nodes' ``meta``; changed.
        images: several.

    Raises:
        RuntimeError: it cannot be run for several all the same.
    """
    first = next(n for n in graph.graph.nodes if n.op == "placeholder")
    with graph.graph.inserting_after(first):
        size = graph.graph.call_method("size", (first, 0))
    _Several(graph, size, len(images)).run(images)
    graph.recompile()
    return graph


class _Several(fx.Interpreter):
    """Runs a program for several pictures, and changes its shapes as it meets them."""

    def __init__(self, graph: fx.GraphModule, size: fx.Node, count: int) -> None:
        super().__init__(graph)
        self._size, self._count = size, count
        # How many values of one picture lie side by side in the dimension of the pictures.
        self._beside: dict[fx.Node, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Its value for several pictures."""
        beside = next((self._beside[i] for i in n.all_input_nodes if i in self._beside), 1)
        if n.op == "call_function" and n.target in _SHAPING:
            beside = self._shaped(n, beside)
        self._beside[n] = beside
        return super().run_node(n)

    def _shaped(self, n: fx.Node, beside: int) -> int:
        """Write the number of pictures into a shape; what lies beside each other after it."""
        given: Any = n.args[0]
        old, now = given.meta["val"].shape, self.env[given].shape
        shape: list[Any] = list(n.meta["val"].shape)
        at = next((d for d, (a, b) in enumerate(zip(old, now, strict=True)) if a != b), None)
        if at is None:  # the same for all pictures, as a class token is until each gets one
            if n.target is _ATEN.expand.default and shape and shape[0] == 1:
                n.args = (given, [self._size, *shape[1:]])
            return 1
        if n.target is _ATEN.expand.default:
            shape[at] = self._times(n, shape[at])
            n.args = (given, shape)
            return beside
        inner = beside * math.prod(old[at + 1 :])
        place = self._place(shape, inner)
        if place is None:
            raise RuntimeError(f"{n.name} mixes pictures")
        one = shape[place[0]]
        shape[place[0]] = self._times(n, one)
        n.args = (given, shape)
        return place[1]

    @staticmethod
    def _place(shape: list[int], inner: int) -> tuple[int, int] | None:
        """The dimension of the pictures, and what of one lies beside each other in it."""
        for d, side in enumerate(shape):  # a dimension of their own
            if side == 1 and math.prod(shape[d:]) == inner:
                return d, 1
        for d in range(len(shape) - 1):  # before heads or windows
            if math.prod(shape[d:]) == inner:
                return d, shape[d]
        for d in range(len(shape)):  # after the places of a sequence
            beside, rest = divmod(inner, math.prod(shape[d + 1 :]))
            if not rest and beside and not shape[d] % beside:
                return d, beside
        return None

    def _times(self, n: fx.Node, one: int) -> Any:
        """The number of pictures times a size, as a node before another."""
        if one == 1:
            made = self._size
        else:
            with self.module.graph.inserting_before(n):  # type: ignore[union-attr, operator]
                made = self.module.graph.call_function(operator.mul, (self._size, one))  # type: ignore[union-attr, operator]
            self.env[made] = self._count * one
        return made
