"""Numbers that are no numbers: a network with NaN in its weights has an answer for every picture.

And the answer is always the same class, with a status of ok. So each network is looked through once
when it is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from camcli.errors import CamcliError

# Buffers may hold minus infinity on purpose, as masks do; averages of features may not.
_STATISTICS = ("running_mean", "running_var")


def not_finite(tensors: Iterable[tuple[str, Tensor]]) -> tuple[str, str] | None:
    """The first tensor with a number that is not finite, and what it holds: ``NaN`` or ``inf``.

    Args:
        tensors: names and tensors; those of whole numbers are passed over.
    """
    for name, tensor in tensors:
        if is_lazy(tensor) or tensor.is_meta or not _has_fractions(tensor):
            continue
        # A sum is one pass that writes nothing, four times as fast as looking at each number. NaN
        # and infinity always show in it; a sum of large numbers may overflow, so then each is
        # looked at.
        total = tensor.detach().sum()
        if not torch.isfinite(total) and not bool(torch.isfinite(tensor).all()):
            return name, "NaN" if bool(torch.isnan(tensor).any()) else "inf"
    return None


def _has_fractions(tensor: Tensor) -> bool:
    floating = tensor.is_floating_point() or tensor.is_complex()
    return floating and not (tensor.is_sparse or tensor.is_quantized or tensor.is_nested)


def check_finite(tensors: nn.Module | Mapping[str, Tensor], origin: str) -> None:
    """That a network's weights are numbers.

    Args:
        tensors: the network, or its tensors by name.
        origin: the file or the network, for the message.

    Raises:
        CamcliError: names the first tensor that holds NaN or an infinity.
    """
    found = not_finite(_named(tensors))
    if found is not None:
        name, what = found
        raise CamcliError(
            f"{origin}: {name} holds {what}, so the network's answers mean nothing: its training "
            "diverged, or the file is damaged. Take an earlier checkpoint."
        )


def _named(tensors: nn.Module | Mapping[str, Tensor]) -> Iterable[tuple[str, Tensor]]:
    if not isinstance(tensors, nn.Module):
        yield from tensors.items()
        return
    yield from tensors.named_parameters()
    for name, buffer in tensors.named_buffers():
        if name.rpartition(".")[2] in _STATISTICS:
            yield name, buffer
        elif _has_fractions(buffer) and not buffer.is_meta:
            # NaN is no mask; infinities may be one.
            yield name, torch.nan_to_num(buffer.detach(), nan=torch.nan, posinf=0.0, neginf=0.0)
