"""What each prediction of a batch is compared with, and the map of the difference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from camcli.batch.explanation import Explanation
from camcli.cam.difference import can_differ, difference_maps
from camcli.models.classifier import Classifier, Look


def differences_of(
    classifier: Classifier,
    seen: Look,
    best: Tensor,
    truths: Sequence[int | None],
    what: Explanation,
) -> tuple[list[int | None], np.ndarray]:
    """Maps of the prediction minus the true class of a mistake, and else minus the second best.

    Behind more than a linear layer such a map takes a pass through the network's tail, and by some
    methods one through all of it: there only mistakes have one.

    Args:
        classifier: which looked.
        seen: what it saw.
        best: (B, 2 or more) int64, the best classes, best first; fewer of a network of one class.
        truths: the true classes, where they are known.
        what: method and options, and whether such maps were asked for.

    Returns:
        The class that each is compared with, None where there is no map; and the maps (B, h, w),
        signed, which mean something for the others only.
    """
    others: list[int | None] = [None] * len(truths)
    if not (what.truth and can_differ(what.how, classifier)):
        return others, np.empty(0)
    rows, free = best.tolist(), classifier.head is not None and what.how.is_cheap(classifier)
    for b, (truth, row) in enumerate(zip(truths, rows, strict=True)):
        mistaken = truth is not None and truth != row[0]
        if mistaken or free:
            others[b] = truth if mistaken else row[1]
    if all(other is None for other in others):
        return others, np.empty(0)
    filled = [row[1] if c is None else c for c, row in zip(others, rows, strict=True)]
    maps = difference_maps(classifier, seen, best[:, 0], best.new_tensor(filled), what.how)
    return others, maps.float().cpu().numpy()
