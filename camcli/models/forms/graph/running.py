"""GraphParts of a graph, compiled for the CPU and called with torch's tensors by several threads.

As `camcli.models.runtime.openvino` runs a converted backbone: in float32 by name, one stream of
one thread a core, a request of its own for each lane, a few images at a time, nothing that spins.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from camcli.errors import UsageError
from camcli.models.runtime.openvino import available_cores
from camcli.models.runtime.openvino_core import core

# Sizes of pictures for which a part stays compiled.
_KEPT = 6


def compiled(model: Any, streams: int) -> Any:
    """A graph, compiled for the CPU with so many streams of one thread.

    Raises:
        RuntimeError: OpenVINO cannot.
    """
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": streams,
        "ENABLE_CPU_PINNING": False,
    }
    return core().compile_model(model, "CPU", settings)


class GraphPart:
    """GraphPart of a graph that was compiled for so many rows at a time."""

    def __init__(
        self, model: Any, rows: int, per_row: Sequence[bool] | None = None, *, trial: bool = False
    ) -> None:
        """Compile it.

        Args:
            model: with fixed shapes.
            rows: of each input.
            per_row: of each output, whether it has one row for each of the input's; all by default.
            trial: for one thread, which is compiled in half the time.

        Raises:
            RuntimeError: OpenVINO cannot, or an output has other rows.
        """
        self._compiled = compiled(model, 1 if trial else available_cores())
        self._rows = rows
        self._per_row = list(per_row or [True] * len(model.outputs))
        for output, per in zip(model.outputs, self._per_row, strict=True):
            shape = output.get_partial_shape()
            if per and (not len(shape) or shape[0].is_dynamic or shape[0].get_length() != rows):
                raise RuntimeError(f"an output of shape {shape} is not one row for each image")
        self._own = threading.local()

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        """The outputs for any number of rows; new tensors, floating ones in float32."""
        request = getattr(self._own, "request", None)
        if request is None:
            request = self._own.request = self._compiled.create_infer_request()
        count, step = len(inputs[0]), self._rows
        results: list[Tensor] = []
        for start in range(0, count, step):
            given = [_rows_of(value, start, step) for value in inputs]
            request.infer([value.numpy() for value in given], share_inputs=True)
            parts = [torch.from_numpy(tensor.data) for tensor in request.output_tensors]
            # Copies: the request writes its next outputs where these are.
            if not results:
                results = [
                    part.new_empty(
                        (count, *part.shape[1:]),
                        dtype=torch.float32 if part.is_floating_point() else part.dtype,
                    )
                    if rows
                    else part.clone()
                    for part, rows in zip(parts, self._per_row, strict=True)
                ]
            for whole, part, rows in zip(results, parts, self._per_row, strict=True):
                if rows:
                    room = whole[start : start + step]
                    room.copy_(part[: len(room)])
        return results


def _rows_of(value: Tensor, start: int, step: int) -> Tensor:
    """So many rows of a value; the last one again where there are no more."""
    part = value[start : start + step]
    if len(part) < step:
        part = torch.cat([part, part[-1:].expand(step - len(part), *part.shape[1:])])
    return part.detach().contiguous()


class GraphParts:
    """One part of a graph for every size of pictures; the last few stay compiled."""

    def __init__(self, make: Callable[[tuple[int, int]], GraphPart]) -> None:
        """`make` compiles it for pictures of (height, width)."""
        self._make, self._lock = make, threading.Lock()
        self._made: OrderedDict[tuple[int, int], GraphPart] = OrderedDict()

    def at(self, size: tuple[int, int]) -> GraphPart:
        """The part for pictures of (height, width).

        Raises:
            UsageError: the graph takes no pictures of this size.
        """
        with self._lock:
            if size not in self._made:
                try:
                    self._made[size] = self._make(size)
                except RuntimeError as error:
                    raise UsageError(
                        f"The network cannot look at {size[0]}x{size[1]} pixels: its graph is made "
                        "for another size. Leave --input-size and --fit whole out."
                    ) from error
                while len(self._made) > _KEPT:
                    self._made.popitem(last=False)
            self._made.move_to_end(size)
            return self._made[size]
