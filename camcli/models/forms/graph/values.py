"""The values of an OpenVINO graph: which depend on the image, what uses them, what is a constant.

A value is one output of one operation. Copies of a graph have equal names, so a value is known by
its operation's name and the number of its output, and is found again in any copy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from camcli.models.runtime.openvino_core import imported

Key = tuple[str, int]
"""An operation's name and the number of its output."""


def key_of(output: Any) -> Key:
    """What an output is known by in every copy of its graph."""
    return output.get_node().get_friendly_name(), output.get_index()


def named_apart(model: Any) -> None:
    """Give operations of one name different ones."""
    seen: dict[str, int] = {}
    for node in model.get_ordered_ops():
        name = node.get_friendly_name()
        count = seen.get(name, 0)
        seen[name] = count + 1
        if count:
            while f"{name}_{count}" in seen:
                count += 1
            node.set_friendly_name(f"{name}_{count}")
            seen[f"{name}_{count}"] = 1


def fold_shapes(model: Any) -> None:
    """Put numbers for every shape that a graph asks itself for: nothing then goes by it but pixels.

    Args:
        model: with a fixed shape of its input; changed.
    """
    ops = imported("openvino.opset13")

    for node in model.get_ordered_ops():
        if node.get_type_name() != "ShapeOf":
            continue
        shape = node.input_value(0).get_partial_shape()
        if shape.is_static:
            numbers = ops.constant(list(shape.to_shape()), dtype=node.get_output_element_type(0))
            node.output(0).replace(numbers.output(0))
    model.validate_nodes_and_infer_types()


def in_float32(model: Any) -> None:
    """Let a graph that computes in half or double precision compute in float32.

    A processor does so anyway; what the graph would round in between, and at its end, is what a
    comparison of its parts by numbers stumbles over.

    Args:
        model: changed, if it is one.
    """
    ov = imported("openvino")
    ops = imported("openvino.opset13")

    others = (ov.Type.f16, ov.Type.f64)
    nodes = model.get_ordered_ops()
    if not any(
        output.get_element_type() in others
        for node in nodes
        if node.get_type_name() not in ("Constant", "Convert")
        for output in node.outputs()
    ):
        return
    for node in nodes:
        if node.get_output_size() != 1 or node.get_output_element_type(0) not in others:
            continue
        if node.get_type_name() == "Constant":
            new = ops.constant(node.data.astype("float32"))
        elif node.get_type_name() == "Convert":
            new = ops.convert(node.input_value(0), "f32")
        else:
            continue
        new.set_friendly_name(node.get_friendly_name())
        node.output(0).replace(new.output(0))
    model.validate_nodes_and_infer_types()


@dataclass(frozen=True)
class GraphValues:
    """A graph with fixed shapes, and which of its values are made from the image.

    Attributes:
        model: one input, one output: (B, H, W, C) -> logits.
    """

    model: Any

    @cached_property
    def nodes(self) -> list[Any]:
        """Operations in the order of computation, constants left out."""
        return [n for n in self.model.get_ordered_ops() if n.get_type_name() != "Constant"]

    @cached_property
    def made(self) -> set[str]:
        """Names of the operations that depend on the image, the image itself among them."""
        found: set[str] = set()
        for node in self.nodes:
            if node.get_type_name() == "Parameter" or any(
                source.get_node().get_friendly_name() in found for source in node.input_values()
            ):
                found.add(node.get_friendly_name())
        return found

    @cached_property
    def needed(self) -> set[str]:
        """Names of those that the logits depend on, and that depend on the image."""
        found: set[str] = set()
        stack = list(self.model.get_results())
        while stack:
            node = stack.pop()
            name = node.get_friendly_name()
            if name in found or name not in self.made:
                continue
            found.add(name)
            stack += [source.get_node() for source in node.input_values()]
        return found

    @cached_property
    def _by_key(self) -> dict[Key, Any]:
        return {
            (node.get_friendly_name(), number): node.output(number)
            for node in self.nodes
            for number in range(node.get_output_size())
        }

    def at(self, key: Key) -> Any:
        """The value itself, in this copy.

        Raises:
            KeyError: there is none.
        """
        return self._by_key[key]

    @property
    def image(self) -> Key:
        """The input."""
        return self.model.get_parameters()[0].get_friendly_name(), 0

    @property
    def logits(self) -> Key:
        """What the graph returns."""
        return key_of(self.model.get_results()[0].input_value(0))

    def shape(self, key: Key) -> tuple[int, ...] | None:
        """Of a value of real numbers; None where it is none, or has no fixed shape."""
        output = self.at(key)
        shape = output.get_partial_shape()
        if not output.get_element_type().is_real() or not shape.is_static:
            return None
        return tuple(shape.to_shape())

    def inputs(self, key: Key) -> list[Key]:
        """The values that an operation is computed from and that depend on the image, each once."""
        sources = self.at(key).get_node().input_values()
        return list(
            dict.fromkeys(
                key_of(source)
                for source in sources
                if source.get_node().get_friendly_name() in self.made
            )
        )

    def users(self, key: Key) -> list[Any]:
        """The operations that use a value on the way to the logits."""
        targets = [target.get_node() for target in self.at(key).get_target_inputs()]
        return [node for node in targets if node.get_friendly_name() in self.needed]

    def before(self, key: Key) -> list[Key]:
        """The values that one is made from, in the order of computation."""
        found: set[str] = set()
        stack = [self.at(key).get_node()]
        while stack:
            node = stack.pop()
            for source in node.input_values():
                other = source.get_node()
                name = other.get_friendly_name()
                if name in self.made and name not in found:
                    found.add(name)
                    stack.append(other)
        return [each for each in self._by_key if each[0] in found]

    def after(self, key: Key) -> list[Any]:
        """The operations between a value and the logits, in the order of computation."""
        found: set[str] = set()
        for node in self.nodes:
            name = node.get_friendly_name()
            if name in self.needed and any(
                key_of(source) == key or source.get_node().get_friendly_name() in found
                for source in node.input_values()
            ):
                found.add(name)
        return [node for node in self.nodes if node.get_friendly_name() in found]

    def crossing(self, key: Key) -> list[Key]:
        """What else the operations after a value need from before it, each once."""
        after = self.after(key)
        inside = {node.get_friendly_name() for node in after}
        return list(
            dict.fromkeys(
                other
                for node in after
                for source in node.input_values()
                if (other := key_of(source)) != key
                and other[0] in self.made
                and other[0] not in inside
            )
        )

    @cached_property
    def trunk(self) -> list[Key]:
        """The values through which everything in the image passes to the logits, in order."""
        position = {node.get_friendly_name(): i for i, node in enumerate(self.nodes)}
        result: list[Key] = []
        last_use = -1
        for node in self.nodes:
            name = node.get_friendly_name()
            if name not in self.needed or node.get_output_size() == 0:
                continue
            key = (name, 0)
            if last_use <= position[name] and len(self._outputs_used(node)) == 1:
                result.append(key)
            uses = [
                position[user.get_friendly_name()]
                for number in range(node.get_output_size())
                for user in self.users((name, number))
            ]
            last_use = max([last_use, *uses])
        return result

    def _outputs_used(self, node: Any) -> list[int]:
        name = node.get_friendly_name()
        return [n for n in range(node.get_output_size()) if self.users((name, n))]


def constants_of(node: Any) -> Iterable[Any]:
    """The constants that an operation takes directly."""
    for source in node.input_values():
        if source.get_node().get_type_name() == "Constant":
            yield source.get_node()
