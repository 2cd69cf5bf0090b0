"""What passes by a cut: values from before it that the rest of the network still needs.

Most are made from the picture, and are *context*, such as a transformer's class token. Others are
not: what is computed from parameters alone (the exponent of a GeM pooling, the normalised weights
of a cosine head) belongs to the second part, and is computed there; and the number of images, the
device and the precision are those of A.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, fx

# What is asked of a tensor without looking at its numbers.
_ASKED = {"shape", "device", "dtype", "ndim", "layout", "is_cuda", "requires_grad", "itemsize"}
_METHODS = {
    "size", "dim", "ndimension", "numel", "nelement", "get_device", "is_floating_point", "stride",
    "new_zeros", "new_ones", "new_empty", "new_full", "new_tensor",
}  # fmt: skip
_FUNCTIONS: set[Any] = {
    torch.zeros_like, torch.ones_like, torch.empty_like, torch.full_like, torch.rand_like,
    torch.randn_like, torch.numel, torch.is_tensor, torch.is_floating_point, len, isinstance,
}  # fmt: skip


def asks_only(node: fx.Node) -> bool:
    """Whether a node asks its first argument for its shape, its device or the like."""
    if node.op == "call_method":
        return str(node.target) in _METHODS
    if node.op == "call_function":
        if node.target is getattr:
            return node.args[1] in _ASKED
        return node.target in _FUNCTIONS
    return False


def made_of_pixels(graph: fx.Graph) -> set[fx.Node]:
    """The nodes whose value changes with the numbers in the images."""
    found: set[fx.Node] = set()
    for node in graph.nodes:
        given = node.all_input_nodes
        if asks_only(node):  # what else it takes, such as a value to fill with, may be of pixels
            given = [n for n in given if n is not node.args[0]]
        if node.op == "placeholder" or any(n in found for n in given):
            found.add(node)
    return found


def followers(graph: fx.Graph, node: fx.Node) -> set[fx.Node]:
    """The node, and all that is computed from it."""
    found = {node}
    for n in graph.nodes:
        if any(m in found for m in n.all_input_nodes):
            found.add(n)
    return found


class CrossingError(ValueError):
    """A value cannot be handed over the cut: the graph is no use here."""


class Crossing:
    """Fills a second part's graph with what it needs from before the cut.

    Attributes:
        context: the nodes whose values the second part takes besides A.
    """

    def __init__(
        self,
        new: fx.Graph,
        copied: dict[fx.Node, fx.Node],
        cut: fx.Node,
        pixels: set[fx.Node],
        values: dict[fx.Node, tuple[Any, Any]],
        images: tuple[int, int],
        tensors: set[fx.Node],
    ) -> None:
        """Of one cut.

        Args:
            new: the second part's graph, so far with A alone.
            copied: its nodes, by those of the whole graph; more are added.
            cut: the node whose value is A.
            pixels: from `made_of_pixels`.
            values: of the nodes that are no tensors, for two numbers of images.
            images: those two numbers.
            tensors: the nodes that are.
        """
        self.context: list[fx.Node] = []
        self._new, self._copied, self._cut = new, copied, cut
        self._pixels, self._values, self._images = pixels, values, images
        self._tensors = tensors

    def bring(self, node: fx.Node) -> None:
        """Let the second part have a node from before the cut.

        Raises:
            CrossingError: it is neither a tensor nor a number.
        """
        if node in self._copied:
            return
        if self._own(node):
            for needed in node.all_input_nodes:
                self.bring(needed)
            self._copied[node] = self._new.node_copy(node, self._copied.__getitem__)
        elif node in self._tensors or node in self._pixels:
            self._take(node)
        else:
            self._number(node)

    def _own(self, node: fx.Node) -> bool:
        """Whether the second part can compute a tensor itself, whatever the images are."""
        stack = [node]
        while stack:
            n = stack.pop()
            if n.op == "get_attr" or n in self._copied:
                continue
            if n in self._pixels or n.op == "placeholder":
                return False
            if n in self._tensors:
                if asks_only(n):  # zeros in the shape of another: it is of no use here
                    return False
                stack += n.all_input_nodes
                continue
            value, more = self._values[n]
            if n is node or not (isinstance(value, torch.device) or _rows(value, more)):
                return False
        return True

    def _take(self, node: fx.Node) -> None:
        if node not in self._tensors:
            raise CrossingError(f"{node} crosses the cut and is a {self._type(node)}")
        self.context.append(node)
        self._copied[node] = self._new.placeholder(f"context_{node.name}")

    def _number(self, node: fx.Node) -> None:
        """A value that is no tensor."""
        A = self._copied[self._cut]
        value, more = self._values[node]
        two, three = self._images
        if isinstance(value, torch.device):
            self._copied[node] = self._new.call_function(getattr, (A, "device"))
        elif isinstance(value, torch.dtype):
            self._copied[node] = self._new.call_function(_same, (value,))
        elif type(value) in (tuple, torch.Size) and all(type(side) is int for side in value):
            if any(a != b and a * three != b * two for a, b in zip(value, more, strict=True)):
                raise CrossingError(f"{node} depends on the batch")
            each = tuple(a // two if a != b else None for a, b in zip(value, more, strict=True))
            rows = self._new.call_method("size", (A, 0))
            self._copied[node] = self._new.call_function(_sides, (self._placed(node), rows, each))
        elif isinstance(value, int) and not isinstance(value, bool) and more != value:
            if value * three != more * two:
                raise CrossingError(f"{node} depends on the batch")
            rows = self._new.call_method("size", (A, 0))
            self._copied[node] = self._new.call_function(operator.mul, (rows, value // two))
        elif type(value) in (int, float, bool, str, type(None)):
            self._copied[node] = self._placed(node)
        else:
            raise CrossingError(f"{node} crosses the cut and is a {self._type(node)}")

    def _placed(self, node: fx.Node) -> fx.Node:
        self.context.append(node)
        return self._new.placeholder(f"context_{node.name}")

    def _type(self, node: fx.Node) -> str:
        return type(self._values.get(node, (None, None))[0]).__name__


def _rows(value: Any, more: Any) -> bool:
    """Whether a value is a number that grows with the images."""
    return type(value) is int and value != more


def _same(value: Any) -> Any:
    """What a graph holds as a constant."""
    return value


def _sides(shape: tuple[int, ...], rows: int, each: tuple[int | None, ...]) -> tuple[int, ...]:
    """A shape for another number of images; `each` says how many rows an image has, or None."""
    return tuple(side if per is None else rows * per for side, per in zip(shape, each, strict=True))


def usable(value: Any) -> Any:
    """A context value that autograd can work with: one that inference mode made is copied."""
    if isinstance(value, Tensor) and value.is_inference() and not torch.is_inference_mode_enabled():
        return value.clone()
    return value
