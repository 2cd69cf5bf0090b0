"""Several processes for one run, one a GPU: torchrun starts them, torch.distributed joins them.

    torchrun --nproc-per-node 4 -m camcli train --data D --unfreeze layer4 ...

Each process looks at its share of the images and of each batch; gradients are averaged by torch's
`DistributedDataParallel`. All compute the same head; the first one alone writes and speaks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

T = TypeVar("T")


@dataclass(frozen=True)
class Team:
    """The processes of a run, from one of them; by default there is only this one.

    Attributes:
        rank: of this process, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """What ``--device`` means here: each process has a GPU of its own."""
        if self.size > 1 and name in ("auto", "cuda") and torch.cuda.is_available():
            return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        return name

    def part(self, batch: Tensor) -> Tensor:
        """This process's share of a batch of indices (B,); may be empty."""
        return batch if self.size == 1 else batch[self.rank :: self.size]

    def parallel(self, net: nn.Module, device: torch.device) -> nn.Module:
        """The network with its gradients averaged over all."""
        if self.size == 1:
            return net
        ids = [device] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(net, device_ids=ids)

    def share_buffers(self, net: nn.Module) -> None:
        """Give all the first one's BatchNorm statistics."""
        if self.size > 1:
            for buffer in net.buffers():
                dist.broadcast(buffer, 0)

    def sum(self, *numbers: float) -> list[float]:
        """Each number, summed over all."""
        if self.size == 1:
            return list(numbers)
        total = torch.tensor(numbers, dtype=torch.double)
        dist.all_reduce(total)
        return [float(x) for x in total]

    def gather(self, value: T) -> list[T]:
        """Everybody's value, in the order of ranks."""
        if self.size == 1:
            return [value]
        values: list[T | None] = [None] * self.size
        dist.all_gather_object(values, value)
        return values  # type: ignore[return-value]

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """The others wait until the first one has done it: one download, one message of an error.

        Raises:
            SystemExit: in the others, where the first one could not do it; it says why.
        """
        if not self.leads and not self.agree(False):
            raise SystemExit(1)
        try:
            yield
        except BaseException:
            if self.leads:
                self.agree(False)
            raise
        if self.leads:
            self.agree(True)

    def agree(self, value: T) -> T:
        """The first one's value; all wait for it."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, 0)
        return values[0]


ALONE = Team()


@contextmanager
def team() -> Iterator[Team]:
    """The team that torchrun made, or one of this process alone."""
    if not (dist.is_available() and dist.is_torchelastic_launched()):
        yield Team()
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Team(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
