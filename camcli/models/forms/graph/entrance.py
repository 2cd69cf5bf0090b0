"""The way into a graph: where its channels are, what numbers it takes, what it does to them first.

Whatever a graph takes (channels first or last, bytes, half precision), it gets an entrance that
takes what camcli's lanes have: (B, H, W, C) in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from camcli.errors import CamcliError, UsageError
from camcli.models.runtime.openvino_core import imported
from camcli.printable import counted

PixelSpan = Literal["bytes", "unit", "unknown"]
"""What pixels a graph takes: 0 to 255, 0 to 1, or normalised in a way that it does not show."""

_IMAGE_CHANNELS = (3, 1, 4, 2)
# So many steps after the input are searched for a normalisation.
_STEPS = 12
# Arithmetic of a normalisation, and what moves numbers without changing them.
_ARITHMETIC = {"Add", "Subtract", "Multiply", "Divide"}
_MOVES = {"Convert", "Transpose", "Reshape", "Unsqueeze", "Squeeze", "Round", "Clamp"}


@dataclass(frozen=True)
class Entrance:
    """What a graph's input is.

    Attributes:
        channels: C.
        size: (height, width), where they are fixed.
        batch: how many images it takes at a time, where that is fixed.
        span: what pixels it takes.
        told: what was found out, for the user; empty for the usual.
    """

    channels: int
    size: tuple[int, int] | None
    batch: int | None
    span: PixelSpan
    told: str


def entrance_made(model: Any, origin: str) -> Entrance:
    """Give a graph an input (B, H, W, C) in float32.

    Args:
        model: as it was read; changed.
        origin: its file, for messages.

    Raises:
        UsageError: it takes something else than one picture.
        CamcliError: its input has no shape that pictures have.
    """
    PartialShape = imported("openvino").PartialShape
    ops = imported("openvino.opset13")

    old = _only_input(model, origin)
    shape = old.get_partial_shape()
    if shape.rank.is_dynamic:
        shape = PartialShape([-1, 3, -1, -1])
        old.set_partial_shape(shape)
    if len(shape) != 4:
        raise CamcliError(
            f"{origin} takes a tensor {_shown(shape)}, and pictures are (batch, channels, height, "
            "width) or (batch, height, width, channels): export it with such an input."
        )
    first = _channels_first(old, shape, model)
    order = (0, 1, 2, 3) if first else (0, 3, 1, 2)
    batch, channels, height, width = (_length(shape[i]) for i in order)
    if channels is None:
        channels = 3
    lengths = [-1 if d is None else d for d in (batch, height, width)]
    name = old.get_friendly_name()
    new = ops.parameter(PartialShape([*lengths, channels]), np.float32, name=f"{name}/pixels")
    value = new.output(0)
    kind = old.get_element_type()
    if not kind.is_real():
        value = ops.clamp(ops.round(value, "half_to_even"), 0.0, 255.0).output(0)
    if first:
        value = ops.transpose(value, [0, 3, 1, 2]).output(0)
    if kind.get_type_name() != "f32":
        value = ops.convert(value, kind.get_type_name()).output(0)
    old.output(0).replace(value)
    model.add_parameters([new])
    model.remove_parameter(old)
    model.validate_nodes_and_infer_types()
    span: PixelSpan = "bytes"
    told = "takes bytes"
    if kind.is_real():
        span, told = _span(new, channels)
    size = (height, width) if height and width else None
    told = "; ".join(filter(None, ["" if first else "channels last", told]))
    return Entrance(channels, size, batch, span, told)


def _only_input(model: Any, origin: str) -> Any:
    """The parameter that takes the picture.

    Raises:
        UsageError: there are several that are used, or none.
    """
    used = [p for p in model.get_parameters() if p.output(0).get_target_inputs()]
    for unused in [p for p in model.get_parameters() if p not in used]:
        model.remove_parameter(unused)
    if len(used) != 1:
        names = ", ".join(f"{p.get_friendly_name()} {_shown(p.get_partial_shape())}" for p in used)
        raise UsageError(
            f"{origin} takes {counted(len(used), 'input')}{': ' * bool(names)}{names}. A "
            "classifier of pictures has one: export it with the others as constants."
        )
    return used[0]


def _channels_first(parameter: Any, shape: Any, model: Any) -> bool:
    """Whether (B, C, H, W), not (B, H, W, C): as the file says, or by the number of channels."""
    layout = str(parameter.get_layout()).strip("[]").replace(",", "")
    if layout in ("NCHW", "NHWC"):
        return layout == "NCHW"
    second, last = _length(shape[1]), _length(shape[3])
    for count in _IMAGE_CHANNELS:
        if (second == count) != (last == count):
            return second == count
    return True


def _length(dimension: Any) -> int | None:
    return None if dimension.is_dynamic else int(dimension.get_length())


def _shown(shape: Any) -> str:
    return str(shape).replace("?", "any").replace("[", "(").replace("]", ")").replace(",", ", ")


def _span(parameter: Any, channels: int) -> tuple[PixelSpan, str]:
    """What pixels a graph takes, read off the arithmetic that it begins with.

    All of its first steps together are y = a x + b for each channel. Networks look at numbers of
    about -3 to 3, so pixels of 0 to 255 need a small a, or a b of about minus a hundred; and where
    there is a subtraction of a mean and a small gain, pixels are 0 to 1.
    """
    gain, shift = np.ones(channels), np.zeros(channels)
    value, steps = parameter.output(0), 0
    for _ in range(_STEPS):
        users = [target.get_node() for target in value.get_target_inputs()]
        if len(users) != 1:
            break
        node = users[0]
        kind = node.get_type_name()
        if kind in _ARITHMETIC:
            number, reverse = _by_channel(node, channels)
            if number is None or (reverse and kind in ("Subtract", "Divide")):
                break
            steps += 1
            if kind in ("Add", "Subtract"):
                shift = shift + number if kind == "Add" else shift - number
            else:
                number = number if kind == "Multiply" else 1 / number
                gain, shift = gain * number, shift * number
        elif kind not in _MOVES:
            break
        value = node.output(0)
    if not steps or not (np.isfinite(gain).all() and np.isfinite(shift).all()):
        return "unknown", ""
    if np.abs(gain).max() < 0.2 or np.abs(shift).max() > 16:
        return "bytes", "normalises pixels of 0 to 255 itself"
    if np.abs(shift).max() > 1e-6 and np.abs(gain).min() > 1:
        return "unit", "normalises pixels of 0 to 1 itself"
    return "unknown", ""


def _by_channel(node: Any, channels: int) -> tuple[np.ndarray | None, bool]:
    """The constant of an arithmetic step, a number for each channel; and whether it comes first."""
    for place, source in enumerate(node.input_values()):
        number = constant_value(source)
        if number is not None and number.size in (1, channels):
            with np.errstate(divide="ignore"):
                return np.broadcast_to(number.astype(np.float64).ravel(), (channels,)), place == 0
    return None, False


def constant_value(output: Any) -> np.ndarray | None:
    """A constant's numbers, also behind a change of type; None where it is none."""
    node = output.get_node()
    while node.get_type_name() in ("Convert", "Reshape", "Unsqueeze") and node.get_input_size():
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant":
        return None
    number: np.ndarray = node.data
    return number
