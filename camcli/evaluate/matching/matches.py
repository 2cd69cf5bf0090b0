"""Which features of one photograph are like which of another: the descriptors alone.

Every feature of a class is compared with every other, as a few products of matrices; what is
above the threshold is rare, so that the rest of the work is done on a few thousand matches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from camcli.evaluate.matching.local_features import LocalFeatures

COSINE = 0.90  # of two descriptors of the same thing; about 0.6 for two of different things


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Features of one photograph that are like features of another.

    Attributes:
        one: index of the photograph.
        other: index of the other photograph.
        pairs: (M, 2) indices of a feature of `one` and of a feature of `other`.
        cosines: (M,) how like they are.
    """

    one: int
    other: int
    pairs: np.ndarray
    cosines: np.ndarray


def mutual(similar: np.ndarray, least: float = COSINE) -> tuple[np.ndarray, np.ndarray]:
    """Mutual nearest neighbours in a matrix of similarities.

    Args:
        similar: (N, M).
        least: what two must have in common.

    Returns:
        (P, 2) indices of rows and columns, each of which occurs once, and (P,) similarities.
    """
    rows, columns = np.divmod(np.flatnonzero(similar >= least), similar.shape[1])
    return _mutual(rows, columns, similar[rows, columns])


def matches(one: LocalFeatures, other: LocalFeatures, least: float = COSINE) -> Matches:
    """Features of two photographs that are each other's nearest, and near."""
    pairs, cosines = mutual(one.descriptors @ other.descriptors.T, least)
    return Matches(0, 1, pairs, cosines)


def all_matches(
    features: Sequence[LocalFeatures], least: float = COSINE, fewest: int = 5
) -> Iterator[list[Matches]]:
    """`matches` of each photograph with all that follow it.

    Args:
        features: those of the photographs.
        least: see `mutual`.
        fewest: pairs of photographs with fewer matches are left out.

    Yields:
        For each photograph the matches with those after it, so that progress can be shown.
    """
    counts = np.array([len(f) for f in features], int)
    ends = np.cumsum(counts)
    owner = np.repeat(np.arange(len(features)), counts)
    stacked = (
        np.concatenate([f.descriptors for f in features])
        if len(features)
        else np.zeros((0, 128), np.float32)
    )
    for one, found in enumerate(features):
        yield _with_the_rest(one, found, stacked[ends[one] :], owner[ends[one] :], least, fewest)


def _with_the_rest(
    one: int,
    found: LocalFeatures,
    rest: np.ndarray,
    owner: np.ndarray,
    least: float,
    fewest: int,
) -> list[Matches]:
    """Matches of photograph `one` with those whose features are stacked in `rest`."""
    if not len(found) or not len(rest):
        return []
    similar = found.descriptors @ rest.T
    rows, columns = np.divmod(np.flatnonzero(similar >= least), len(rest))
    cosines = similar[rows, columns]
    # A row has a nearest in each of the other photographs: rows are told apart by photograph.
    owners = owner[columns]
    keys = owners * len(found) + rows
    chosen, kept = _mutual(keys, columns, cosines)
    keys, columns = chosen[:, 0], chosen[:, 1]
    owners = owner[columns]
    out = []
    starts = {int(o): int(np.searchsorted(owner, o)) for o in np.unique(owners)}
    for other, start in starts.items():
        mine = owners == other
        if mine.sum() < fewest:
            continue
        pairs = np.stack([keys[mine] % len(found), columns[mine] - start], 1)
        out.append(Matches(one, other, pairs, kept[mine]))
    return out


def _mutual(
    rows: np.ndarray, columns: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of entries of a sparse matrix, those that are the largest of their row and column."""
    order = np.argsort(-values, kind="stable")
    rows, columns, values = rows[order], columns[order], values[order]
    first = np.zeros(len(rows), bool)
    first[np.unique(rows, return_index=True)[1]] = True
    second = np.zeros(len(rows), bool)
    second[np.unique(columns, return_index=True)[1]] = True
    best = first & second
    return np.stack([rows[best], columns[best]], 1), values[best]
