"""Which photographs have what a class has at a place: each is compared with the mean of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.marks.fixed.canvases import CHANNELS, Strokes, laid
from camcli.evaluate.marks.fixed.laid_together import DifferingPlace

SHIFT = 3  # pixels of a canvas by which a mark may be elsewhere
FOLDS = 4  # parts of a class, each compared with the mean of the others
VALUES = 1600  # of the mean that are compared, the strongest
LEAST, MOST = 0.3, 0.6  # correlation above which a photograph has it: between these, see `_limit`
MIRRORED = 60  # photographs that are mirrored
ROUNDS = 2


@dataclass(frozen=True, slots=True, eq=False)
class PlaceLikeness:
    """How much photographs are at a place like the mean of those that have something there.

    Attributes:
        scores: (N,) correlation, the own first.
        shifts: (N, 2) x and y in pixels of the canvas at which it is.
        limit: correlation above which a photograph has it.
    """

    scores: np.ndarray
    shifts: np.ndarray
    limit: float


def likeness(
    patch: DifferingPlace,
    own: Sequence[AuditedPhoto],
    others: Sequence[AuditedPhoto],
    drawn: Strokes,
) -> PlaceLikeness:
    """How much each photograph is like the others of `own` at a place.

    No photograph is compared with a mean that it is part of: of noise, it would be like it.
    """
    photos = [*own, *others]
    pieces = np.stack([_piece(photo, patch, drawn) for photo in photos])
    folds = np.arange(len(own)) % FOLDS
    chosen, shifts = np.ones(len(own), bool), np.zeros((len(photos), 2), int)
    some = photos[:: max(1, len(photos) // MIRRORED)]
    mirrored = np.concatenate(
        [[_piece(photo, patch, drawn, turn) for photo in some] for turn in ((1, -1), (-1, 1))]
    )
    for _ in range(ROUNDS + 1):
        means = _means(pieces[: len(own)], shifts, chosen, folds)
        each = _scores(pieces, means)  # (N, FOLDS + 1, shifts)
        rows = np.arange(len(photos))
        # The own by the mean of the other folds; all others by the mean of all.
        which = np.full(len(photos), FOLDS)
        which[: len(own)] = folds
        by = each[rows, which]
        scores, at = by.max(1), by.argmax(1)
        shifts = np.stack(np.divmod(at, 2 * SHIFT + 1)[::-1], 1) - SHIFT
        limit = _limit(_scores(mirrored, means[FOLDS:])[:, 0].max(1))
        chosen = scores[: len(own)] > limit
        if chosen.sum() < 3:
            break
    return PlaceLikeness(scores, shifts, limit)


def _piece(
    photo: AuditedPhoto, patch: DifferingPlace, drawn: Strokes, turn: tuple[int, int] = (1, 1)
) -> np.ndarray:
    """What is drawn at a place and `SHIFT` pixels around it; of a photograph mirrored by `turn`."""
    left, top, right, bottom = patch.box
    found = drawn(photo, patch.canvas.scale)
    if found is None:
        return np.zeros((CHANNELS, bottom - top + 2 * SHIFT, right - left + 2 * SHIFT), np.int8)
    features = found[0]
    if turn != (1, 1):
        features = features[:, :: turn[1], :: turn[0]].copy()
        features[0] *= turn[0]
        features[1] *= turn[1]
    whole = laid(features, patch.canvas, SHIFT)
    return whole[:, top : bottom + 2 * SHIFT, left : right + 2 * SHIFT]


def _means(
    pieces: np.ndarray, shifts: np.ndarray, chosen: np.ndarray, folds: np.ndarray
) -> list[np.ndarray]:
    """Means of those that are chosen, without each fold and of all, laid as they are shifted."""
    height, width = pieces.shape[2] - 2 * SHIFT, pieces.shape[3] - 2 * SHIFT
    sums = np.zeros((FOLDS + 1, CHANNELS, height, width), np.float32)
    counts = np.zeros(FOLDS + 1)
    for number in np.flatnonzero(chosen):
        x, y = shifts[number] + SHIFT
        piece = pieces[number][:, y : y + height, x : x + width].astype(np.float32)
        into = np.arange(FOLDS + 1) != folds[number]
        sums[into] += piece
        counts[into] += 1
    return list(sums / np.maximum(counts, 1)[:, None, None, None])


def _scores(pieces: np.ndarray, means: Sequence[np.ndarray]) -> np.ndarray:
    """Correlations (N, means, shifts) of pieces with means, where the means are strong."""
    count = (2 * SHIFT + 1) ** 2
    out = np.zeros((len(pieces), len(means), count), np.float32)
    flat = np.stack([mean.ravel() for mean in means])
    whole = np.abs(flat[-1])
    strong = np.argsort(-whole)[:VALUES]
    strong = strong[whole[strong] > 0.15 * max(whole[strong[0]], 1.0)]
    if not len(strong):
        return out
    channel, y, x = np.unravel_index(strong, means[0].shape)
    norms = np.linalg.norm(flat[:, strong], axis=1, keepdims=True)
    ideal = flat[:, strong] / np.maximum(norms, 1e-6)
    # What is all but blank is like nothing.
    least = 12 * np.sqrt(len(strong))
    for shift in range(count):
        dy, dx = divmod(shift, 2 * SHIFT + 1)
        values = pieces[:, channel, y + dy, x + dx].astype(np.float32)
        lengths = np.sqrt(np.einsum("np,np->n", values, values))
        out[:, :, shift] = values @ ideal.T / np.maximum(lengths, least)[:, None]
    return out


def _limit(mirrored: np.ndarray) -> float:
    """Correlation above which a photograph has it: what mirrored photographs hardly ever reach."""
    return float(np.clip(np.quantile(mirrored, 0.99), LEAST, MOST))
