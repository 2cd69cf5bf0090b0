"""What is particular about CUDA GPUs: 16 bits, pinned memory, and a stream for each thread.

In 16 bits (torch's automatic mixed precision) run convolutions and matrix products; torch keeps
sums that need it in float32. Only of the backbone: A leaves it as float32, and head, tails and maps
are computed in that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from camcli.errors import UsageError

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Autocast:
    """A backbone under autocast, with float32 outputs."""

    def __init__(self, backbone: Callable[[Tensor], Any], device: str, precision: str) -> None:
        """Wrap `backbone`, which is left alone.

        Args:
            backbone: normalised images (B, 3, H, W) -> A, or tuples of tensors.
            device: the type of device that it lives on, such as ``cuda``.
            precision: ``bfloat16`` or ``float16``.

        Raises:
            UsageError: the GPU has no such arithmetic.
        """
        if (
            device == "cuda"
            and precision == "bfloat16"
            and not torch.cuda.is_bf16_supported(including_emulation=False)
        ):
            raise UsageError("This GPU does not compute in bfloat16: use --precision float16.")
        self._backbone, self._device, self._dtype = backbone, device, DTYPES[precision]

    def __call__(self, images: Tensor) -> Any:
        """What the backbone returns for normalised images (B, 3, H, W)."""
        with torch.autocast(self._device, self._dtype):
            return _in_float32(self._backbone(images))


def _in_float32(out: Any) -> Any:
    if isinstance(out, Tensor):
        return out.float() if out.is_floating_point() else out
    return tuple(_in_float32(value) for value in out)


def to_device(pixels: Tensor, device: torch.device) -> Tensor:
    """Copy to a device; to a GPU from pinned memory, which the calling thread need not wait for.

    Args:
        pixels: (B, 3, H, W), anywhere.
        device: where to.
    """
    if device.type == "cuda" and pixels.device.type == "cpu":
        pixels = pixels.pin_memory()
    return pixels.to(device, non_blocking=True)


def own_stream(device: torch.device) -> None:
    """Give the calling thread a CUDA stream of its own, so that its work overlaps with others'.

    Whatever was put on the device before, the weights say, is there when this returns.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.set_stream(torch.cuda.Stream(device))
