"""Code that asks for a CUDA GPU, run on a machine that has none."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


def without_cuda() -> AbstractContextManager[object]:
    """Let ``.cuda()`` and ``device="cuda"`` mean the CPU inside, where there is no CUDA GPU."""
    return nullcontext() if torch.cuda.is_available() else _OnCpu()


class _OnCpu(TorchFunctionMode):
    """Takes each mention of CUDA for the CPU, in this thread."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is Tensor.cuda:
            return args[0]
        if func is Tensor.is_cuda.__get__:  # type: ignore[attr-defined]
            return False
        given = {name: _meant(value) for name, value in (kwargs or {}).items()}
        return func(*(_meant(value) for value in args), **given)


def _meant(value: Any) -> Any:
    if isinstance(value, torch.device) and value.type == "cuda":
        return torch.device("cpu")
    return "cpu" if isinstance(value, str) and value.partition(":")[0] == "cuda" else value
