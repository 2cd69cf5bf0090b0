"""Networks without memory: built to be asked for names and shapes, whatever their size."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules import module as registration

_HOOKING = threading.Lock()
_Built = TypeVar("_Built")


@contextmanager
def unallocated() -> Iterator[None]:
    """Within, the modules that this thread makes have parameters and buffers on ``meta``.

    ``with torch.device("meta")`` would send everything there: also the numbers from which a
    constructor works out its widths (torchvision's RegNet), and these have to be read. Here a
    tensor is moved when a module takes it as its own, so nothing that was computed before is
    touched, and what draws initial weights afterwards has nothing to draw.
    """
    here = threading.get_ident()

    def moved(module: nn.Module, name: str, tensor: Tensor | None) -> Tensor | None:
        if tensor is None or threading.get_ident() != here:
            return None  # as it is
        if isinstance(tensor, nn.Parameter):
            return nn.Parameter(tensor.detach().to("meta"), requires_grad=tensor.requires_grad)
        return tensor.to("meta")

    hook: Any = moved  # torch's annotation forgets that a hook may return another tensor
    # The hooks are the process's; other threads pass through them.
    with _HOOKING:
        hooks = [
            registration.register_module_parameter_registration_hook(hook),
            registration.register_module_buffer_registration_hook(hook),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def without_memory(build: Callable[[], _Built]) -> _Built:
    """What `build` makes, on ``meta``.

    Some constructors try a part of the network out, to see how large its maps are (timm's hybrid
    ViTs): there, whatever is made has to be on the same device as the part.
    """
    try:
        with unallocated():
            return build()
    except Exception as error:  # also where another one explains it
        if "meta" not in str(error):
            raise
        with torch.device("meta"):
            return build()


def shapes_of(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shapes of a network's tensors by name, in its order."""
    state: dict[str, Tensor] = module.state_dict()
    return {name: tuple(tensor.shape) for name, tensor in state.items()}
