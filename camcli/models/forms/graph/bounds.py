"""How much a graph would take to be run, seen before anything of it is.

A compiler computes what does not depend on the image at once, without a limit and without an ear
for Ctrl-C, and takes the memory that a shape asks for. A file of a kilobyte can ask for 10^11
numbers, or for 2^62 turns of a loop. Shapes are known before, so all of it can be counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from camcli.errors import CamcliError
from camcli.printable import printable

MOST_BYTES = 2 << 30
"""Of one value made of one picture: a hundred times that of a usual network's largest."""
MOST_STEPS = 2e13
"""Multiplications for one picture: the largest networks there are need a quarter of it."""
MOST_FOLDED_STEPS = 2e10
"""Multiplications for what does not depend on the picture: they are done one by one, in seconds."""
MOST_TURNS = 100_000
"""Turns of a loop, of those within others all together: a second or two."""
MOST_DEPTH = 8
"""Graphs within graphs: what a compiler does with them doubles with each."""
# What does not depend on the picture, over what the file itself holds: weights are unpacked in
# some steps, each as large as they are.
_FOLDED, _TIMES = 1 << 30, 16
# Whose result may be as large as a number in an input of theirs says.
_GROWING = ("Broadcast", "Tile", "Range", "Pad", "OneHot", "Interpolate", "Eye", "RandomUniform")
_SEQUENCES = ("LSTMSequence", "GRUSequence", "RNNSequence")


def check_bounded(model: Any, origin: str, images: int) -> None:
    """Refuse a graph that no classifier of pictures is, by what it would take.

    Args:
        model: of fixed shapes; a shape that it asks itself for is a constant in it.
        origin: its file, for messages.
        images: how many it takes at a time.

    Raises:
        CamcliError: it would take memory or time without an end, or nearly so.
    """
    folded, made = _Taken(), _Taken()
    held = 0
    for part in _parts(model, origin, 1, 0, False):
        if part.kind == "Constant":
            held += part.elements
            continue
        taken = made if part.of_the_image else folded
        taken.bytes += part.bytes
        taken.steps += part.steps * part.turns
        if part.of_the_image and part.bytes > MOST_BYTES * images:
            raise _refused(origin, part, f"makes {_about(part.bytes / images)} bytes of a picture")
        if made.steps > MOST_STEPS * images:
            raise _refused(origin, part, "is beyond what can be computed for each picture")
        # Several bytes hold one number at least, and one byte two at most.
        if not part.of_the_image and folded.bytes > _FOLDED + 4 * _TIMES * held:
            raise _refused(
                origin, part, f"makes {_about(part.elements)} numbers that are in no picture"
            )
        if folded.steps > MOST_FOLDED_STEPS:
            raise _refused(
                origin, part,
                f"needs {_about(part.steps * part.turns)} steps for what is in no picture",
            )  # fmt: skip


@dataclass
class _Taken:
    """Bytes and steps of some operations together."""

    bytes: float = 0
    steps: float = 0


@dataclass(frozen=True)
class _Part:
    """One operation: what it is, whether it depends on the image, and what it takes."""

    kind: str
    name: str
    of_the_image: bool
    elements: int
    bytes: int
    steps: float
    turns: float


def _parts(model: Any, origin: str, turns: float, depth: int, made: bool) -> Iterator[_Part]:
    """All operations, those of loops and branches among them.

    Args:
        model: a graph, or the body of an operation.
        origin: its file, for messages.
        turns: how often it is run.
        depth: in how many others it is.
        made: of a body: whether its operation depends on the image.

    Raises:
        CamcliError: it has a loop without an end, or is nested too deep.
    """
    inside: set[str] = set()
    for node in model.get_ordered_ops():
        kind, name = node.get_type_name(), node.get_friendly_name()
        sources = node.input_values()
        if (not depth and kind == "Parameter") or any(
            source.get_node().get_friendly_name() in inside for source in sources
        ):
            inside.add(name)
        of_image = made or name in inside
        shapes = [_static(output) for output in node.outputs()]
        elements = sum(math.prod(shape) for shape in shapes if shape is not None)
        size = sum(
            math.prod(shape) * max(1, output.get_element_type().size)
            for shape, output in zip(shapes, node.outputs(), strict=True)
            if shape is not None
        )
        part = _Part(kind, name, of_image, elements, size, _steps(node, elements), turns)
        if kind in _GROWING and None in shapes:
            raise _refused(
                origin, part, "makes as many numbers as another value says, which is not known"
            )
        yield part
        bodies, times = _bodies(node)
        if bodies and depth >= MOST_DEPTH:
            raise _refused(origin, part, f"lies within more than {MOST_DEPTH} others like it")
        if bodies and not 0 <= turns * times <= MOST_TURNS:
            often = "without an end" if times < 0 else f"{_about(turns * times)} times"
            raise _refused(origin, part, f"is a loop that turns {often}")
        for body in bodies:
            yield from _parts(body, origin, turns * max(1, times), depth + 1, of_image)


def _bodies(node: Any) -> tuple[list[Any], float]:
    """The graphs within an operation, and how often they are run; -1 where that is not said."""
    kind = node.get_type_name()
    if kind == "If":
        return [node.get_then_body(), node.get_else_body()], 1
    if kind == "Loop":
        return [node.get_function()], float(node.get_num_iterations())
    if kind == "TensorIterator":  # along a side of a tensor
        sides = [max(_static(source) or (1,), default=1) for source in node.input_values()]
        return [node.get_function() if hasattr(node, "get_function") else node.get_body()], float(
            max(sides, default=1)
        )
    return [], 1


def _static(output: Any) -> tuple[int, ...] | None:
    shape = output.get_partial_shape()
    return tuple(shape.to_shape()) if shape.is_static else None


def _steps(node: Any, elements: int) -> float:
    """About how many multiplications an operation needs, where its shapes are known."""
    kind = node.get_type_name()
    inputs = [_static(source) or () for source in node.input_values()]
    if kind == "MatMul" and inputs[0]:
        transposed = node.get_attributes().get("transpose_a") and len(inputs[0]) > 1
        return float(elements) * inputs[0][-2 if transposed else -1]
    if kind.endswith("ConvolutionBackpropData") and len(inputs[1]) > 1:
        return float(math.prod(inputs[0])) * math.prod(inputs[1]) / _channels(kind, inputs[1])
    if "Convolution" in kind and len(inputs[1]) > 1:
        return float(elements) * math.prod(inputs[1]) / _channels(kind, inputs[1])
    if kind in ("MaxPool", "AvgPool"):
        return float(elements) * math.prod(node.get_attributes().get("kernel", (1,)))
    if kind.startswith("ROI") or kind == "PSROIPooling":
        attributes = node.get_attributes()
        ratio = max(attributes.get(key, 1) for key in ("sampling_ratio", "spatial_bins_x"))
        return float(elements) * max(1, ratio) ** 2
    if kind in _SEQUENCES and len(inputs[0]) == 3:
        weights = sum(math.prod(shape) for shape in inputs if len(shape) == 3)
        return float(weights) * inputs[0][0] * inputs[0][1]
    if kind == "Einsum":  # as if no side of the inputs were another's
        return float(math.prod(math.prod(shape) for shape in inputs))
    return float(elements + sum(math.prod(shape) for shape in inputs))


def _channels(kind: str, weights: tuple[int, ...]) -> int:
    """Which of the weights' sides are not summed over: of groups two, of others the first."""
    return max(1, math.prod(weights[: 2 if kind.startswith("Group") else 1]))


def _about(count: float) -> str:
    """A number in a few characters: 4,000 or 5e18."""
    return f"{count:,.0f}" if count < 1e7 else f"{count:.0e}".replace("e+", "e").replace("e0", "e")


def _refused(origin: str, part: _Part, why: str) -> CamcliError:
    name = printable(part.name)[:60]
    return CamcliError(
        f"{origin} is not run: its {part.kind} {name!r} {why}, which no classifier of pictures "
        "needs. The file is damaged, or made to harm; if it is yours, export the network anew, in "
        "evaluation mode and with the size of its pictures fixed."
    )
