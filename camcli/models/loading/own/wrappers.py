"""What people have around a network, and in which form: taken off, or brought into the usual one.

A compiled network, one that is spread over devices, an average of weights: within each is the
network itself. Weights in half or double precision become float32, in which camcli computes.
"""

from __future__ import annotations

from collections import Counter

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from camcli.errors import UsageError

# The class of a wrapper, the attribute of the network in it, and what to call it.
_WRAPPERS = {
    "torch._dynamo.eval_frame.OptimizedModule": ("_orig_mod", "torch.compile"),
    "torch.nn.parallel.data_parallel.DataParallel": ("module", "DataParallel"),
    "torch.nn.parallel.distributed.DistributedDataParallel": ("module", "DistributedDataParallel"),
    "torch.distributed.fsdp.fully_sharded_data_parallel.FullyShardedDataParallel": (
        "module", "FullyShardedDataParallel",
    ),
    "torch.optim.swa_utils.AveragedModel": ("module", "AveragedModel"),
}  # fmt: skip


def unwrapped(module: nn.Module) -> tuple[nn.Module, list[str]]:
    """The network within wrappers, and what they are called; it is not changed."""
    names = []
    while (found := _wrapper(module)) is not None:
        attribute, name = found
        module = getattr(module, attribute)
        names.append(name)
    return module, names


def _wrapper(module: nn.Module) -> tuple[str, str] | None:
    for kind in type(module).__mro__:
        found = _WRAPPERS.get(f"{kind.__module__}.{kind.__qualname__}")
        if found is not None and isinstance(getattr(module, found[0], None), nn.Module):
            return found
    return None


def check_has_values(module: nn.Module, name: str) -> None:
    """Refuse a network of which only the shapes are there.

    Args:
        module: the network.
        name: what to call it.

    Raises:
        UsageError: weights are on the meta device, or of layers that have not run yet.
    """
    tensors = [*module.named_parameters(), *module.named_buffers()]
    if any(tensor.is_meta for _, tensor in tensors if not is_lazy(tensor)):
        key = next(key for key, tensor in tensors if not is_lazy(tensor) and tensor.is_meta)
        raise UsageError(
            f"{name}: {key} is on the meta device, where tensors have a shape and no numbers: "
            "build the network outside of torch.device('meta') and init_empty_weights(), or load "
            "its weights with load_state_dict(..., assign=True)."
        )
    if lazy := [key for key, tensor in tensors if is_lazy(tensor)]:
        raise UsageError(
            f"{name}: {lazy[0]} has no shape yet, as of a lazy layer that has never run: run the "
            "network once on a picture, and load its weights then."
        )


def ready(module: nn.Module, name: str) -> tuple[nn.Module, list[str]]:
    """A network as camcli runs it: without wrappers, on the CPU, in float32, in eval mode.

    Args:
        module: the network, camcli's own to change.
        name: what to call it, for errors.

    Returns:
        The network, and notes on what was done.

    Raises:
        UsageError: its weights have no values.
    """
    module, names = unwrapped(module)
    if isinstance(module, torch.jit.ScriptModule):
        return module.eval(), []
    check_has_values(module, name)
    for parent in list(module.modules()):
        for key, child in list(parent.named_children()):
            inner, within = unwrapped(child)
            if within:
                setattr(parent, key, inner)
                names += within
    notes = []
    if names:
        of = " and ".join(dict.fromkeys(names))
        notes.append(f"It is taken out of {of}, whose answers are the same.")
    kinds = Counter(
        str(p.dtype).removeprefix("torch.")
        for p in module.parameters()
        if p.is_floating_point() and p.dtype != torch.float32
    )
    if kinds:
        module = module.float()
        notes.append(f"Its weights are {' and '.join(kinds)}; it is run in float32.")
    return module.cpu().eval(), notes
