"""A network of Keras as a network of torch: its graph, layer by layer.

Maps are (B, K, h, w) between the layers, whatever Keras has within one. Layers that are the same
in torch are torch's (`camcli.models.forms.keras.layers`); any other is run by Keras, between two
transpositions. Networks within networks, as transfer learning makes them, are opened, so that the
maps of the inner one can be seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from camcli.models.forms.keras.layers import torchs
from camcli.models.outputs import largest


@dataclass(frozen=True)
class _Ref:
    """A value in the graph: which one, and how many dimensions it has."""

    index: int
    rank: int


@dataclass(frozen=True)
class _Step:
    """One layer's work: its name, what it takes, and the numbers of what it gives."""

    name: str
    takes: tuple[int, ...]
    gives: tuple[int, ...]


class InKeras(nn.Module):
    """A layer that Keras runs.

    Attributes:
        in_one_piece: Keras looks at values while it computes, which tracing cannot follow.
    """

    in_one_piece = True

    def __init__(self, layer: Any, arguments: Any, options: Any, values: list[_Ref]) -> None:
        """Keep a layer and how it is called.

        Args:
            layer: an operation of Keras.
            arguments: as it is called, with references in place of tensors.
            options: likewise, by name.
            values: the references among them, in the order of `forward`'s.
        """
        super().__init__()
        self.called = layer
        self._call, self._values = (arguments, options), values

    def forward(self, *values: Tensor) -> Any:
        """What the layer says of them, maps as (B, K, h, w)."""
        import keras

        given = {
            ref.index: value.permute(0, 2, 3, 1) if ref.rank == 4 else value
            for ref, value in zip(self._values, values, strict=True)
        }

        def put(part: Any) -> Any:
            if isinstance(part, _Ref):
                return given[part.index]
            # Constants of a graph live where Keras made them.
            return part.to(values[0].device) if isinstance(part, Tensor) else part

        arguments, options = keras.tree.map_structure(put, self._call)
        with keras.device(str(values[0].device)):
            out = self.called(*arguments, **options)
        flat = [
            each.permute(0, 3, 1, 2) if each.ndim == 4 else each for each in keras.tree.flatten(out)
        ]
        return flat[0] if len(flat) == 1 else tuple(flat)


class FromKeras(nn.Module):
    """A network of Keras; images (B, 3, H, W) -> what its last layer says."""

    def __init__(self, network: Any, *, own_layers: bool = True) -> None:
        """Follow its graph.

        Args:
            network: a functional or sequential network with one input and one output.
            own_layers: whether torch's layers take the place of Keras' where they are the same.
        """
        super().__init__()
        self._own_layers = own_layers
        self._steps: list[_Step] = []
        self._count = 1
        last = self._follow(network, [_Ref(0, 4)], "")
        self._last = last[0].index

    def forward(self, images: Tensor) -> Tensor:
        """(B, C) of (B, K, H, W)."""
        values: dict[int, Any] = {0: images}
        for step in self._steps:
            out = getattr(self, step.name)(*(values[index] for index in step.takes))
            if len(step.gives) == 1:
                values[step.gives[0]] = out
            else:
                values.update((index, out[place]) for place, index in enumerate(step.gives))
        answer: Tensor = values[self._last]
        return answer

    def _follow(self, network: Any, inputs: list[_Ref], within: str) -> list[_Ref]:
        """Append the steps of a network, and give its outputs."""
        import keras

        graph = getattr(network, "_functional", None) or network

        def call(operation: Any, *arguments: Any, **options: Any) -> Any:
            taken = [
                ref for ref in keras.tree.flatten((arguments, options)) if isinstance(ref, _Ref)
            ]
            if is_graph(operation):
                return self._follow(operation, taken, f"{within}{operation.name}_")
            return self._append(operation, arguments, options, taken, within)

        return list(keras.tree.flatten(graph._run_through_graph(inputs, call_fn=call)))

    def _append(
        self, operation: Any, arguments: Any, options: Any, taken: list[_Ref], within: str
    ) -> Any:
        """One step, and references to what it gives."""
        import keras

        given = dict.fromkeys(taken)  # each once
        values = list(given)
        module = torchs(operation, [ref.rank for ref in taken]) if self._own_layers else None
        if module is not None:
            values = taken
        else:
            options = {k: v for k, v in options.items() if k not in ("training", "mask")}
            if "training" in _accepts(operation):
                options["training"] = False
            module = InKeras(operation, arguments, options, values)
        name = self._named(operation.name, within)
        self.add_module(name, module)
        shapes = keras.tree.flatten(
            keras.tree.map_structure(lambda tensor: len(tensor.shape), _outputs(operation))
        )
        refs = [_Ref(self._count + place, rank) for place, rank in enumerate(shapes)]
        self._count += len(refs)
        self._steps.append(
            _Step(name, tuple(ref.index for ref in values), tuple(ref.index for ref in refs))
        )
        return refs[0] if len(refs) == 1 else refs

    def _named(self, name: str, within: str) -> str:
        """A layer's name as torch takes it, once."""
        plain = re.sub(r"\W", "_", name)
        own = plain if plain not in self._modules and not hasattr(self, plain) else within + plain
        own = re.sub(r"\W", "_", own)
        number = 2
        made = own
        while made in self._modules or hasattr(self, made):
            made, number = f"{own}_{number}", number + 1
        return made


def is_graph(operation: Any) -> bool:
    """Whether an operation is a network with a graph of its own."""
    import keras

    inner = getattr(operation, "_functional", None) or operation
    return isinstance(inner, keras.Model) and hasattr(inner, "_run_through_graph")


def _accepts(operation: Any) -> tuple[str, ...]:
    import inspect

    try:
        return tuple(inspect.signature(operation.call).parameters)
    except (AttributeError, TypeError, ValueError):
        return ()


def _outputs(operation: Any) -> Any:
    """What it gives: tensors without values, as one that is called twice gives the same kind."""
    node = operation._inbound_nodes[0]
    return list(node.output_tensors)


class AsAWhole(nn.Module):
    """A network of Keras without a graph, such as a subclass; its layers are modules of torch's."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """(B, C) of (B, K, H, W)."""
        import keras

        with keras.device(str(images.device)):
            out: Tensor = self.network(images.permute(0, 2, 3, 1), training=False)
        return out


def same_answer(made: nn.Module, network: Any, images: Tensor) -> bool:
    """Whether a network says what Keras says.

    Args:
        made: (B, K, H, W) -> (B, C).
        network: of Keras.
        images: (B, K, H, W), as it takes them.
    """
    with torch.no_grad():
        wanted = network(images.permute(0, 2, 3, 1), training=False)
        got = made(images)
    limit = 1e-3 * largest(wanted)
    return got.shape == wanted.shape and torch.allclose(got, wanted, rtol=1e-3, atol=limit)
