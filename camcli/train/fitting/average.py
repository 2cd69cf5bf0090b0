"""The average of a network over its last steps, which is better than any of them.

Each step pulls the weights towards the few pictures in it. The exponential moving average forgets
the pictures and keeps where the steps lead (Polyak and Juditsky 1992; Izmailov et al. 2018).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """The exponential moving average of a network's weights and BatchNorm's statistics.

    Attributes:
        steps: that were averaged so far.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        """Begin with the network as it is.

        Args:
            net: whose learning weights, and whose buffers, are averaged.
            decay: share of the average that a step leaves; early steps, which are on the way, count
                for more.
        """
        self._net, self._decay = net, decay
        self.steps = 0
        # What does not learn is its own average.
        self._tensors = {name: t.detach().clone() for name, t in self._moving()}

    def update(self) -> None:
        """Take in the network after a step."""
        self.steps += 1
        decay = min(self._decay, self.steps / (self.steps + 9))
        with torch.no_grad():
            for name, tensor in self._moving():
                if tensor.is_floating_point():
                    self._tensors[name].lerp_(tensor.detach().to(self._tensors[name]), 1 - decay)
                else:
                    self._tensors[name].copy_(tensor)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network holds the average in this block, and its own weights again after it."""
        own = {name: t.detach().clone() for name, t in self._moving()}
        self._put(self._tensors)
        try:
            yield
        finally:
            self._put(own)

    def state(self) -> dict[str, Tensor]:
        """What `restore` takes, on the CPU."""
        return {name: t.cpu().clone() for name, t in self._tensors.items()}

    def restore(self, tensors: Mapping[str, Tensor], steps: int) -> None:
        """Go on from a `state` after so many steps."""
        self.steps = steps
        for name, tensor in self._tensors.items():
            tensor.copy_(tensors[name])

    def _put(self, tensors: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, tensor in self._moving():
                tensor.copy_(tensors[name])

    def _moving(self) -> Iterator[tuple[str, Tensor]]:
        for name, p in self._net.named_parameters():
            if p.requires_grad:
                yield name, p
        yield from self._net.named_buffers()
