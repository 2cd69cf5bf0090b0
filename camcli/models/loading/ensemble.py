"""Several networks as one classifier: their logits averaged, their maps side by side.

An ensemble whose logits are S = 1/M Σ_m S_m is cut like any network. A is the members' maps
concatenated along the channels, (B, M·K, h, w), and the tail gives each member its own channels.
For members that end in GAP + linear the tail is GAP + linear again, with the weights
[w_1 | ... | w_M] / M: each closed form holds, and CAM is the mean of the members' maps. (Averaged
probabilities would not give a linear tail; that is why logits are averaged.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from camcli.models.cutting.types import Cut, LinearHead, Place


def join(cuts: Sequence[Cut]) -> Cut:
    """The members' cuts, all at the same layers, as the cut of their mean.

    Args:
        cuts: of M networks of one architecture.

    Returns:
        A cut whose logits are the mean of the members' logits.
    """
    places = []
    for at_one_layer in zip(*(cut.places for cut in cuts), strict=True):
        heads = [place.head for place in at_one_layer]
        linear = [head for head in heads if head is not None]
        head = block_head(linear) if len(linear) == len(cuts) else None
        channels = [place.shape[0] for place in at_one_layer]
        contexts = [len(place.batched) for place in at_one_layer]
        places.append(
            Place(
                at_one_layer[0].layer,
                head or _MeanTail([place.tail for place in at_one_layer], channels, contexts),
                tuple(batched for place in at_one_layer for batched in place.batched),
                head,
                (sum(channels), *at_one_layer[0].shape[1:]),
                any(place.matters for place in at_one_layer),
            )
        )
    plain = len(places) == 1 and not places[0].batched
    return Cut(_SideBySide(cuts, plain), tuple(places), cuts[0].outputs)


def block_head(heads: Sequence[LinearHead]) -> LinearHead:
    """The head on concatenated maps whose logits are the mean of the M heads' logits."""
    return LinearHead(
        torch.cat([head.weight for head in heads], 1) / len(heads),
        torch.stack([head.bias for head in heads]).mean(0),
    )


def split_head(head: LinearHead, members: int) -> list[LinearHead]:
    """The inverse of `block_head`, but for the biases: each head has their mean."""
    return [LinearHead(weight * members, head.bias) for weight in head.weight.chunk(members, dim=1)]


class _SideBySide(nn.Module):
    """Images -> the members' maps, concatenated along the channels, and their contexts."""

    def __init__(self, cuts: Sequence[Cut], plain: bool) -> None:
        super().__init__()
        self._runs = [(cut.first, cut.plain) for cut in cuts]
        self._plain = plain
        # What is a module is moved to a device with this one.
        self.members = nn.ModuleList(run for run, _ in self._runs if isinstance(run, nn.Module))

    def forward(self, images: Tensor) -> Any:
        outs = [run(images) if not alone else ((run(images),),) for run, alone in self._runs]
        rows = tuple(
            (
                torch.cat([A for A, *_ in at_one_layer], 1),
                *(value for _, *context in at_one_layer for value in context),
            )
            for at_one_layer in zip(*outs, strict=True)
        )
        return rows[0][0] if self._plain else rows


class _MeanTail(nn.Module):
    """The mean of the members' tails, each on its own channels and with its own context."""

    def __init__(self, tails: Sequence[Any], channels: list[int], contexts: list[int]) -> None:
        super().__init__()
        self._tails, self._channels, self._contexts = list(tails), channels, contexts
        self.members = nn.ModuleList(tail for tail in tails if isinstance(tail, nn.Module))

    def forward(self, A: Tensor, *context: Any) -> Tensor:
        logits, start = [], 0
        for tail, part, count in zip(
            self._tails, A.split(self._channels, 1), self._contexts, strict=True
        ):
            logits.append(tail(part, *context[start : start + count]))
            start += count
        return torch.stack(logits).mean(0)
