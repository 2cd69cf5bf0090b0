"""One queue of (image, what is done to it) pairs, worked off a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from camcli.cam.map_options import Effort


def in_chunks(pairs: Tensor, score: Callable[[Tensor], Tensor], effort: Effort) -> Tensor:
    """The scores (n,) of pairs (n, 2): whatever `score` builds exists for one chunk a lane.

    Args:
        pairs: image and channel, or position; of any images, in any number.
        score: pairs (m, 2) -> (m,), without autograd; called by several threads at once where
            there are lanes.
        effort: how large chunks may be, and who works on them.
    """
    if not len(pairs):
        return torch.zeros(0, device=pairs.device)

    def quietly(some: Tensor) -> Tensor:
        with torch.no_grad():  # of this thread only
            return score(some)

    if effort.pool is None:
        return torch.cat([quietly(some) for some in pairs.split(effort.chunk)])
    # Each lane gets something, even of a few pairs.
    size = min(effort.chunk, -(-len(pairs) // effort.lanes))
    return torch.cat(list(effort.pool.map(quietly, pairs.split(size))))
