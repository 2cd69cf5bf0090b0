"""A backbone in OpenVINO, for CPUs.

- In float32 by name. Left alone, OpenVINO computes in bfloat16 where the processor can, and the
  features are off by up to a quarter.
- One stream of one thread for each core, and each of the engine's lanes has a request of its own:
  the network's weights are held once, lanes never wait for one another, and nothing spins.
- A few images at a time. What an early layer writes is then still in the core's cache when the
  next layer reads it: a depthwise network is a quarter faster so, and no other is slower.
- For the network's own square input the shapes are fixed, which is up to a fifth faster; any other
  size runs in a second network, compiled when it is first needed.
- Without its telemetry, which is on by default: its front end is called directly, below the
  converter that tells of each call; and see `openvino_core`.
- Converted once: a later process finds the network on the disk
(`camcli.models.runtime.conversion_cache`).
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from camcli.models.runtime.cpu_quota import quota
from camcli.models.runtime.openvino_core import core, imported

# Images that go through the network at a time; measured by benchmarks/runtimes.py.
SLICE = {"float32": 2, "bfloat16": 2, "int8": 8}


_cores: int | None = None


def use_cores(count: int) -> None:
    """Make `available_cores` say `count`: for one of several workers on a machine."""
    global _cores
    _cores = count


def available_cores() -> int:
    """Cores that this process may use (fewer than the machine's in a container or under SLURM)."""
    if _cores is not None:
        return _cores
    seen = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    own = seen or 1
    return min(own, quota() or own)


@dataclass(frozen=True)
class Converted:
    """A backbone as OpenVINO's own graph.

    Attributes:
        model: (B, H, W, 3) float32 -> flat outputs, for any B, H and W.
        rows: how many outputs make each of the backbone's tuples; None if it returns one tensor.
        per_image: of each flat output, whether it has one row an image.
    """

    model: Any
    rows: tuple[int, ...] | None
    per_image: tuple[bool, ...]


def convert(backbone: nn.Module, shape: tuple[int, int, int]) -> Converted:
    """Convert `backbone`, which is left alone.

    Args:
        backbone: normalised images (B, 3, H, W) -> A, or tuples of tensors.
        shape: (channels, height, width) of an input.
    """
    ov = imported("openvino")
    FrontEndManager = imported("openvino.frontend").FrontEndManager
    decoders = imported("openvino.frontend.pytorch.ts_decoder")

    example = torch.zeros(2, *shape).contiguous(memory_format=torch.channels_last)
    frontend = FrontEndManager().load_by_framework("pytorch")
    with one_thread(), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated; OpenVINO still asks for it
        out = backbone(example)
        # What torch's own check would find, in twice the time, `Checked` finds on real images.
        decoder = decoders.TorchScriptPythonDecoder(
            backbone, example_input=(example,), trace_kwargs={"check_trace": False}
        )
        model = frontend.convert(frontend.load(decoder))
    single = isinstance(out, Tensor)
    values = [out] if single else [value for row in out for value in row]
    per_image = tuple(
        value.shape[:1] == example.shape[:1] and output.partial_shape[0].is_dynamic
        for value, output in zip(values, model.outputs, strict=True)
    )
    # Photographs come channels last; without this each batch would be copied. Before any
    # quantisation: OpenVINO cannot move the transposition later.
    prepost = ov.preprocess.PrePostProcessor(model)
    prepost.input().tensor().set_layout(ov.Layout("NHWC"))
    prepost.input().model().set_layout(ov.Layout("NCHW"))
    model = prepost.build()
    return Converted(model, None if single else tuple(len(row) for row in out), per_image)


class OpenVino:
    """A converted backbone, compiled for the CPU; called by several threads."""

    def __init__(self, converted: Converted, shape: tuple[int, int, int], precision: str) -> None:
        """Compile it for its own square input.

        Args:
            converted: from `convert`, or quantised.
            shape: (channels, height, width) of the input.
            precision: ``float32``, ``bfloat16`` or ``int8``.
        """
        self._rows, self._per_image = converted.rows, converted.per_image
        self._slice, self._size = SLICE[precision], shape[1:]
        self._any_size = converted.model
        streams = available_cores()
        self._settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": streams,
            "ENABLE_CPU_PINNING": False,
        }
        square = self._any_size.clone()
        square.reshape([self._slice, *shape[1:], shape[0]])
        self._compiled = {True: self._compile(square)}
        self._compiling = threading.Lock()
        self._own = threading.local()

    def _compile(self, model: Any) -> Any:

        return core().compile_model(model, "CPU", self._settings)

    def _request(self, square: bool) -> Any:
        """This thread's own."""
        requests = self._own.__dict__.setdefault("requests", {})
        if square not in requests:
            with self._compiling:
                if square not in self._compiled:
                    self._compiled[square] = self._compile(self._any_size)
                requests[square] = self._compiled[square].create_infer_request()
        return requests[square]

    def __call__(self, images: Tensor) -> Any:
        """What the backbone returns for normalised images (B, 3, H, W)."""
        square = images.shape[2:] == self._size
        request = self._request(square)
        rest = -len(images) % self._slice if square else 0
        batch = images.permute(0, 2, 3, 1)
        if rest:  # the shapes are fixed: the last slice is filled up, and what that gives dropped
            batch = torch.cat([batch, batch[-1:].expand(rest, -1, -1, -1)])
        batch = batch.contiguous()
        flat: list[Tensor] = []
        for start in range(0, len(batch), self._slice):
            request.infer([batch[start : start + self._slice].numpy()], share_inputs=True)
            parts = [torch.from_numpy(t.data) for t in request.output_tensors]
            # Copies: the request writes its next outputs where these are.
            if not flat:
                flat = [
                    part.new_empty((len(images), *part.shape[1:])) if rows else part.clone()
                    for part, rows in zip(parts, self._per_image, strict=True)
                ]
            for whole, part, rows in zip(flat, parts, self._per_image, strict=True):
                if rows:
                    room = whole[start : start + self._slice]
                    room.copy_(part[: len(room)])
        if self._rows is None:
            return flat[0]
        values = iter(flat)
        return tuple(tuple(next(values) for _ in range(n)) for n in self._rows)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread inside torch: on busy cores two that wait for each other are much slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
