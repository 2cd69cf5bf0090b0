"""Torch as it is, or in 16 bits on CUDA GPUs."""

from __future__ import annotations

import torch

from camcli.errors import CamcliError, UsageError
from camcli.models.cuda import DTYPES, Autocast
from camcli.models.pooling.network import PooledMaps
from camcli.models.runtime.protocol import Forward, Made, Wanted

SIXTEEN = "float16 is for CUDA GPUs: use bfloat16 on a CPU, or leave it out."


def in_precision(wanted: Wanted) -> Forward:
    """The backbone, in 16 bits where these are wanted; statistics of its maps stay in 32."""
    backbone = wanted.backbone
    if wanted.precision == "float32":
        return backbone
    if isinstance(backbone, PooledMaps):
        return backbone.behind(Autocast(backbone.first, wanted.device, wanted.precision))
    return Autocast(backbone, wanted.device, wanted.precision)


class InTorch:
    """What runtimes that are torch's own have in common."""

    worth = 0

    def version(self) -> str:
        """Torch's."""
        return str(torch.__version__)

    def refuses(self, device: str, precision: str) -> CamcliError | None:
        """As `Runtime.refuses`: what keeps torch from a precision."""
        if precision == "float32" or (device == "cuda" and precision in DTYPES):
            return None
        if precision == "float16":
            return UsageError(SIXTEEN)
        return UsageError(f"{precision} needs --runtime openvino; torch computes in float32 here.")


class Eager(InTorch):
    """Torch."""

    name = "torch"

    def why_not(self, wanted: Wanted) -> CamcliError | None:
        """As `Runtime.why_not`: nothing."""
        return None

    def make(self, wanted: Wanted) -> Made:
        """As `Runtime.make`."""
        return Made(in_precision(wanted))


TORCH = Eager()
