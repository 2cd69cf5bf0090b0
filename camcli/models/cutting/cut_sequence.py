"""Cut a network that is one sequence of modules and says itself which of them gives its last map.

Nothing is traced: the first part is the modules up to there, and the tail is the rest. What a
network says is not believed but tried: the cut is checked on numbers like any other
(`camcli.models.cutting.cut`).
"""

from __future__ import annotations

import copy
import itertools
from collections import OrderedDict

from torch import Tensor, nn

from camcli.models.cutting.graph.passes import folded
from camcli.models.cutting.types import Cut, Place


class MappedSequence(nn.Sequential):
    """Images (B, 3, H, W) -> logits (B, C) in one sequence.

    Within it, a normalisation that is defined just behind a convolution is all that takes the
    convolution's output.

    Attributes:
        last_map: the name of the module that gives the last map, (B, K, h, w).
    """

    last_map: str


def cut_at_last(model: MappedSequence, probe: Tensor, outputs: int) -> tuple[Cut, Tensor]:
    """Cut it behind its last map.

    Args:
        model: in eval mode; it is not changed.
        probe: (B, 3, H, W).
        outputs: C.

    Returns:
        The cut, with BatchNorm folded into the convolutions of its first part, and A (B, K, h, w)
        of `probe`.
    """
    parts = dict(model.named_children())
    place = list(parts).index(model.last_map) + 1
    first = nn.Sequential(OrderedDict(itertools.islice(parts.items(), place)))
    # Tensors are shared with the network, but for the convolutions' that are folded.
    shared = {id(t): t for t in (*model.parameters(), *model.buffers())}
    first = copy.deepcopy(first, shared).eval()
    for within in first.modules():
        children = list(within.named_children())
        for (name, conv), (after, norm) in itertools.pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(within, name, folded(conv, norm))
                setattr(within, after, getattr(norm, "act", nn.Identity()))
    tail = nn.Sequential(OrderedDict(itertools.islice(parts.items(), place, None))).eval()
    A = first(probe)
    cut = Cut(first, (Place(model.last_map, tail, (), None, tuple(A.shape[1:])),), outputs)
    return cut, A
