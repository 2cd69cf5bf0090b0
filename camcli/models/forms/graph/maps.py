"""Which values of a graph are maps, which of them is the last, and what a user calls them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from camcli.errors import UsageError
from camcli.models.cutting.listing import Layer
from camcli.models.cutting.token_positions import answering, disturbed, lies_so
from camcli.models.cutting.tokens import Grid, TensorLayout, fits, layout_of
from camcli.models.cutting.types import NoMapError, not_a_map
from camcli.models.forms.graph.network import PROBE, Graph, in_span
from camcli.models.forms.graph.values import GraphValues, Key
from camcli.models.spec import LAST

# What moves or renames numbers: the value before is the one to name.
_SAME = {"Convert", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Identity"}
# How many maps before a value are near it: the two of a bilinear pooling, each before its ReLU.
_NEAR = 4


@dataclass(frozen=True)
class GraphMaps:
    """The maps of a graph for pictures of one size.

    Attributes:
        network: the graph.
        size: (height, width) of the pictures.
    """

    network: Graph
    size: Grid
    _found: dict[Key, TensorLayout | None] = field(default_factory=dict)

    @cached_property
    def values(self) -> GraphValues:
        """The graph for a trial's images."""
        return self.network.fixed(self.network.rows(PROBE), self.size)

    def layout(self, key: Key) -> TensorLayout | None:
        """How a value holds maps; None where it holds none."""
        if key not in self._found:
            self._found[key] = self._layout(key)
        return self._found[key]

    def _layout(self, key: Key) -> TensorLayout | None:
        shape = self.values.shape(key)
        if shape is None or not shape or shape[0] != self.network.rows(PROBE):
            return None
        if key == self.values.image or self._is_input(key):
            return None
        if len(shape) == 4:
            return layout_of(shape, self.size)
        return self._tokens(key, shape) if len(shape) == 3 else None

    def _is_input(self, key: Key) -> bool:
        """Whether a value is the picture itself, its numbers only scaled or moved."""
        while key != self.values.image:
            node = self.values.at(key).get_node()
            inputs = self.values.inputs(key)
            scaled = {"Add", "Subtract", "Multiply", "Divide", "Clamp", "Round", "Pad"}
            if len(inputs) != 1 or node.get_type_name() not in _SAME | scaled:
                return False
            key = inputs[0]
        return True

    def _tokens(self, key: Key, shape: tuple[int, ...]) -> TensorLayout | None:
        """Tokens lie on a grid that the network itself has made: that of an earlier map.

        Where there is none, or where the rows may be a matrix of channels by channels, a trial
        tells: a change at one place of a picture must show most at its own token.
        """
        maps: dict[Key, TensorLayout] = {}
        grids: set[Grid] = set()
        for other in self.values.before(key):
            earlier = self.values.shape(other)
            if earlier is None:
                continue
            if len(earlier) == 4 and (held := self.layout(other)):
                maps[other] = held
            if len(earlier) > 4:  # patches that are cut out without a convolution
                sides = earlier[1:]
                grids |= {p for p in itertools.combinations(sides, 2) if fits(p, self.size)}
        grids |= {(held.shape[1], held.shape[2]) for held in maps.values()}
        found = layout_of(shape, self.size, grids) or layout_of(shape, self.size)
        if found is None:
            return None
        known = found.shape[1:] in grids
        like_channels = shape[1] in {held.shape[0] for held in list(maps.values())[-_NEAR:]}
        if known and not like_channels:
            return found
        return found if self._lies_so(key, found) else None

    def _lies_so(self, key: Key, held: TensorLayout) -> bool:
        pictures = in_span(disturbed((self.network.channels, *self.size)), self.network.span)
        (value,) = self.network.run(pictures, [key])
        return lies_so(held, answering(value))

    def last(self, matters: dict[Key, bool] | None = None) -> Key:
        """The last value that can be looked at: on the way back from the logits, the first map.

        Args:
            matters: of values that were tried, whether they have any influence on the logits.

        Raises:
            NoMapError: there is none.
        """
        known = matters or {}
        key, values = self.values.logits, self.values
        while len(inputs := values.inputs(key)) == 1:
            key = inputs[0]
            if self.layout(key) and known.get(key, True):
                return self.named(key)
        for key in reversed(values.trunk):
            if self.layout(key) and known.get(key, True):
                return self.named(key)
        raise NoMapError(
            f"{self.network.origin} has no spatial feature map between its input and its output "
            "that everything passes through: 'camcli layers' lists the maps that it has, and "
            "--layer takes one."
        )

    def named(self, key: Key) -> Key:
        """The value that a step only moved or converted, where nothing else looks at it."""
        values = self.values
        while values.at(key).get_node().get_type_name() in _SAME:
            inputs = values.inputs(key)
            if len(inputs) != 1 or len(values.users(inputs[0])) != 1 or not self.layout(inputs[0]):
                break
            if self.layout(inputs[0]).kind == "tokens" != self.layout(key).kind:  # type: ignore[union-attr]
                break
            key = inputs[0]
        return key

    def find(self, name: str) -> Key:
        """The value that a user means: by its operation's name, its tensor's, or its module's.

        Raises:
            UsageError: there is none, or it is no map.
        """
        if name == LAST:
            return self.last()
        plain = name.strip("/")
        nodes = [n for n in self.values.nodes if n.get_friendly_name() in self.values.needed]
        exact = [
            (node.get_friendly_name(), number)
            for node in nodes
            for number in range(node.get_output_size())
            if name == node.get_friendly_name() or name in node.output(number).get_names()
        ]
        for key in exact:
            if self.layout(key):
                return key
        # /layer4/layer4.1/relu/Relu is of layer4, and of layer4/layer4.1.
        inside = [
            (node.get_friendly_name(), 0)
            for node in nodes
            if f"/{node.get_friendly_name().strip('/')}/".startswith(f"/{plain}/")
            and node.get_type_name() != "Result"
        ]
        for key in reversed(inside):
            if self.layout(key):
                return key
        if exact or inside:
            shape = self.values.at((exact or inside)[0]).get_partial_shape()
            raise not_a_map(name, tuple(shape.to_shape()) if shape.is_static else ())
        near = ", ".join(repr(layer.name) for layer in self.layers() if layer.main)
        raise UsageError(
            f"{self.network.origin} has no layer {name!r}. It has {near[:300] or 'none with a map'}"
            "; 'camcli layers' lists all of them."
        )

    def layers(self) -> list[Layer]:
        """The values that are maps, in the order of computation."""
        trunk, found = set(self.values.trunk), []
        for node in self.values.nodes:
            name = node.get_friendly_name()
            kind = node.get_type_name()
            if name not in self.values.needed or kind in _SAME or kind == "Result":
                continue
            held = self.layout((name, 0)) if node.get_output_size() else None
            if held:
                found.append(Layer(name, kind, held.shape, (name, 0) in trunk))
        return found


def influence(run: Callable[[Tensor], Tensor], A: Tensor) -> bool:
    """Whether another map gives other logits."""
    noise = torch.randn(A.shape, generator=torch.Generator().manual_seed(2))
    return not torch.equal(run(A), run(A + A.std().clamp(min=1e-3) * noise))
