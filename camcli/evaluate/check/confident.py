"""Confident learning: which labels are wrong, by probabilities that were predicted without them.

After Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels",
JAIR 70 (2021), arXiv 1911.00068. A photograph counts as *confidently* of class j where its
probability of j is at least the mean that photographs labelled j have of j; how often those
labelled i are confidently j is the confident joint, of which the number of wrong labels of each
kind follows. Those are then taken that are most clearly j and not i (prune by noise rate).
"""

from __future__ import annotations

import numpy as np


def thresholds(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean self-confidence of each class.

    Args:
        probabilities: (N, C), each predicted by what was not trained on that photograph.
        labels: (N,) int.

    Returns:
        (C,); infinite for a class that nothing is labelled.
    """
    out = np.full(probabilities.shape[1], np.inf)
    for c in np.unique(labels):
        out[c] = probabilities[labels == c, c].mean()
    return out


def confident_joint(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many that are labelled i are confidently j, (C, C) int.

    Where several classes reach their thresholds, the likeliest counts; where none does, nothing.

    Args:
        probabilities: see `thresholds`.
        labels: likewise.
    """
    classes = probabilities.shape[1]
    reached = probabilities >= thresholds(probabilities, labels) - 1e-12
    known = reached.any(1)
    taken = np.where(reached, probabilities, -1.0).argmax(1)
    pairs = labels[known] * classes + taken[known]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def calibrated(joint: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """How many there are of each kind: rows of the joint that sum to the labels' counts.

    Args:
        joint: (C, C), as `confident_joint` gives it.
        counts: (C,) how many are labelled each class.

    Returns:
        (C, C) float; divided by its sum it estimates the joint distribution of label and truth.
    """
    sums = joint.sum(1)
    out = joint * (counts / np.maximum(sums, 1))[:, None]
    empty = sums == 0
    out[empty, empty] = counts[empty]  # nothing is known of it: taken as it is
    return np.asarray(out, np.float64)


def wrong_labels(
    probabilities: np.ndarray, labels: np.ndarray, clear: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Photographs whose label is probably wrong, the clearest first.

    Args:
        probabilities: see `thresholds`.
        labels: likewise.
        clear: by how much another class is likelier than the label so that the photograph is taken
            in any case, however few the joint says there are.

    Returns:
        (M,) indices, (M,) the class that each looks like, and (M,) by how much more likely that is
        than the label, in (0, 1].
    """
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    wanted = calibrated(confident_joint(probabilities, labels), counts)
    own = probabilities[np.arange(len(labels)), labels]
    found = np.zeros(len(labels), bool)
    for i in range(classes):
        members = np.flatnonzero(labels == i)
        for j in np.flatnonzero(np.round(wanted[i]) > 0):
            if i == j:
                continue
            margins = probabilities[members, j] - own[members]
            clearest = members[np.argsort(-margins, kind="stable")[: int(np.round(wanted[i, j]))]]
            found[clearest] = True
    others = probabilities.copy()
    others[np.arange(len(labels)), labels] = -1
    looks = others.argmax(1)
    margin = others.max(1) - own
    which = np.flatnonzero((found & (margin > 0)) | (margin >= clear))
    which = which[np.argsort(-margin[which], kind="stable")]
    return which, looks[which], margin[which]
