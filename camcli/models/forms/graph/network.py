"""A graph as it is looked at: one entrance for pixels, one end in logits, at any number of images.

Every part of it is made at a fixed number of images and size of pictures, so that no shape is a
question of the graph's own: what is cut off needs pixels or features, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from camcli.errors import CamcliError, UsageError
from camcli.models.cutting.purity import same
from camcli.models.cutting.scores.final_activation import Family
from camcli.models.forms.graph.entrance import PixelSpan
from camcli.models.forms.graph.running import GraphPart
from camcli.models.forms.graph.values import GraphValues, Key, fold_shapes
from camcli.models.runtime.openvino_core import imported
from camcli.printable import shortened

# Images of a trial, as everywhere.
PROBE = 2
# So many steps before the end are searched for an activation.
_STEPS = 8
ACTIVATIONS: dict[str, Family] = {
    "Softmax": "softmax", "LogSoftmax": "softmax", "Sigmoid": "sigmoid",
}  # fmt: skip
# Linear layers, and what may follow them: constants that are added, and other shapes.
_LINEAR = ("MatMul", "Convolution", "GroupConvolution")
_KEEPING = ("Add", "Subtract", "Multiply", "Reshape", "Squeeze", "Unsqueeze", "Transpose",
            "Convert", "ReduceMean", "AvgPool")  # fmt: skip


@dataclass(frozen=True)
class Graph:
    """A graph with an entrance for pixels.

    Attributes:
        model: (B, H, W, C) float32 -> one output.
        origin: its file, for messages.
        channels: C.
        span: what pixels it takes.
        batch: how many images it takes at a time, where it takes no other number; else None.
        seen: pictures' size by the shape of what a part made of them, for the parts after it.
    """

    model: Any
    origin: str
    channels: int
    span: PixelSpan
    batch: int | None = None
    seen: dict[tuple[str, tuple[int, ...]], tuple[int, int]] = field(default_factory=dict)
    _compiled: dict[Any, GraphPart] = field(default_factory=dict)

    def probe(self, size: tuple[int, int], count: int = PROBE) -> Tensor:
        """Images of noise (count, C, H, W), in the numbers that the graph takes."""
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(count, self.channels, *size, generator=generator)
        return in_span(noise, self.span)

    def fixed(self, count: int, size: tuple[int, int]) -> GraphValues:
        """A copy for so many images of (height, width), without a question about shapes.

        Raises:
            RuntimeError: the graph cannot be of this shape.
        """
        copy = self.model.clone()
        copy.reshape([count, *size, self.channels])
        fold_shapes(copy)
        return GraphValues(copy)

    def rows(self, usual: int) -> int:
        """How many images a part takes at a time."""
        return self.batch or usual

    def run(self, images: Tensor, keys: Sequence[Key]) -> list[Tensor]:
        """What some of the graph's values are for images (B, C, H, W).

        Raises:
            RuntimeError: OpenVINO cannot, or a value has not one row for each image.
        """
        count, size = self.rows(PROBE), (images.shape[2], images.shape[3])
        at = (size, tuple(keys))
        if at not in self._compiled:
            values = self.fixed(count, size)
            self._compiled[at] = GraphPart(
                part_of(values, [values.at(key) for key in keys]), count, trial=True
            )
        return self._compiled[at](channels_last(images))

    def answers(self, images: Tensor) -> dict[Key, Tensor]:
        """What the graph says of images, and what is before an activation that it may end in."""
        keys = list(self.ends(self.fixed(self.rows(PROBE), (images.shape[2], images.shape[3]))))
        return dict(zip(keys, self.run(images, keys), strict=True))

    def ends(self, values: GraphValues) -> dict[Key, Family | None]:
        """The graph's end, and what is before activations near it, with their kinds."""
        key = values.logits
        found: dict[Key, Family | None] = {key: None}
        for _ in range(_STEPS):
            inputs = values.inputs(key)
            if len(inputs) != 1:
                break
            family = ACTIVATIONS.get(values.at(key).get_node().get_type_name())
            key = inputs[0]
            if family is not None and values.shape(key) is not None:
                found[key] = family
        return found

    def ends_linear(self, values: GraphValues) -> bool:
        """Whether what the graph returns is what a linear layer or a convolution said."""
        key = values.logits
        for _ in range(_STEPS):
            inputs = values.inputs(key)
            kind = values.at(key).get_node().get_type_name()
            if len(inputs) != 1 or kind in _LINEAR:
                return len(inputs) == 1
            if kind not in _KEEPING:
                return False
            key = inputs[0]
        return False

    def ending_at(self, key: Key) -> Graph:
        """The same graph with another value as its end."""
        ov = imported("openvino")

        copy = self.model.clone()
        value = GraphValues(copy).at(key)
        return self.with_(model=ov.Model([value], copy.get_parameters()))

    def with_(self, **changes: Any) -> Graph:
        """Another graph, or another number of images; nothing that was compiled is kept."""
        return replace(self, **changes, seen={}, _compiled={})


def in_span(noise: Tensor, span: PixelSpan) -> Tensor:
    """Noise around 0 as pixels that a graph takes."""
    if span == "bytes":
        return (noise * 60 + 120).clamp(0, 255).round()
    return (noise * 0.25 + 0.5).clamp(0, 1) if span == "unit" else noise


def part_of(values: GraphValues, wanted: Sequence[Any]) -> Any:
    """A graph from the image to some of its values."""
    ov = imported("openvino")

    return ov.Model(list(wanted), values.model.get_parameters())


def channels_last(images: Tensor) -> Tensor:
    """(B, C, H, W) as (B, H, W, C); no copy where memory is already so."""
    return images.permute(0, 2, 3, 1).contiguous()


def for_any_batch(network: Graph, fixed: int | None, size: tuple[int, int]) -> Graph:
    """The network for as many images at a time as one likes, if it is the same then.

    A graph that was written for one image may hold that 1 in its reshapes. Where another number
    gives the same answers row by row, it may be run so; else it takes its own number at a time.

    Args:
        network: with the number of images that its file has.
        fixed: that number, None where the file leaves it open.
        size: (height, width) of its pictures.

    Raises:
        UsageError: it cannot look at pictures of this size.
        CamcliError: OpenVINO cannot run it.
    """
    images = network.probe(size, 3)
    own = fixed or 1

    def said(tried: Graph, images: Tensor) -> Tensor:
        answer = next(iter(tried.answers(images).values()))
        if not torch.isfinite(answer).all():
            raise CamcliError(
                f"{network.origin} answers NaN or infinity for trial images: its weights hold such "
                "numbers. Export it anew."
            )
        return answer

    if fixed is None:
        free = network.with_(batch=None)
        try:
            # The third picture is alone with itself, and then with another.
            rows, turned = said(free, images), said(free, images.roll(1, 0)).roll(-1, 0)
        except RuntimeError as error:
            raise not_run(network.origin, size, error) from error
        if same(rows, turned):
            return free
        raise CamcliError(
            f"{network.origin} answers differently for a picture that comes with others: a map of "
            "one picture would not be its own. Export it in evaluation mode."
        )
    alone = network.with_(batch=own)
    try:
        rows = said(alone, images)
    except RuntimeError as error:
        raise not_run(network.origin, size, error) from error
    mended = _reshapes_mended(network, own) if own == 1 else None
    for tried in filter(None, (network, mended)):
        free = tried.with_(batch=None)
        try:
            if same(said(free, images), rows):
                return free
        except RuntimeError:
            continue
    return alone


def _reshapes_mended(network: Graph, own: int) -> Graph | None:
    """The same with reshapes to the one image of its file made to follow the number of images."""
    ops = imported("openvino.opset13")

    copy = network.model.clone()
    values, changed = GraphValues(copy), False
    for node in list(values.nodes):
        if node.get_type_name() not in ("Reshape", "Broadcast"):
            continue
        target = node.input_value(1).get_node()
        if target.get_type_name() != "Constant" or node.get_type_name() == "Broadcast":
            continue
        numbers = [int(n) for n in target.data.ravel()]
        data = node.input_value(0)
        shape = data.get_partial_shape()
        if (
            not numbers or numbers[0] != own or node.get_friendly_name() not in values.made
            or shape.rank.is_dynamic or not len(shape) or shape[0].is_dynamic
            or shape[0].get_length() != own or 0 in numbers
        ):  # fmt: skip
            continue
        new = ops.reshape(data, ops.constant([0, *numbers[1:]], dtype="int64"), True)
        new.set_friendly_name(node.get_friendly_name())
        node.output(0).replace(new.output(0))
        changed = True
    return network.with_(model=copy) if changed else None


def not_run(origin: str, size: tuple[int, int], error: BaseException) -> CamcliError:
    """What to say of a graph that does not run."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [repr(error)]
    told = next((line for line in reversed(lines) if not line.startswith("Check '")), lines[-1])
    return UsageError(
        f"OpenVINO cannot run {origin} on {size[0]}x{size[1]} pixels "
        f"({shortened(told).rstrip('.')}): give the side that it is built for with --input-size."
    )
