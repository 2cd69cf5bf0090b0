"""A thing that was found is looked for in photographs: by its features, then pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from camcli.evaluate.marks.anywhere.cut_out import MOST, CutOut, cut_out, likeness
from camcli.evaluate.marks.anywhere.same_things import Thing
from camcli.evaluate.marks.anywhere.usual_place import (
    UsualPlace,
    at_usual_place,
    fitted,
    usual_place,
)
from camcli.evaluate.matching.alignment import Alignment, alignments, chained, inverse
from camcli.evaluate.matching.local_features import LocalFeatures

COSINE = 0.86  # of a feature with one of several descriptions of it
SAME = 0.3  # likeness to the mark, where its features agree already
SAME_THERE = 0.35  # the same, at the least, where features did not point to it
_CHANCE = 40  # photographs whose opposite place says what chance gives
_MANY_MORE = 1.2  # times as many photographs, for it to be cut out again
_REACH = 3  # pixels by which features may be off
_FINE = (0.97, 1.0, 1.03)


@dataclass(frozen=True, slots=True, eq=False)
class Sought:
    """A mark, and the photographs in which it is.

    Attributes:
        mark: what it looks like.
        places: name of a photograph -> similarities from the mark's pixels to its own, best first.
        usual: where it usually is.
    """

    mark: CutOut
    places: dict[str, list[np.ndarray]]
    usual: UsualPlace


def by_features(thing: Thing, features: LocalFeatures) -> list[Alignment]:
    """Where a thing is in a photograph, from the thing's pixels to the photograph's."""
    if not len(features) or not len(thing.features):
        return []
    similar = features.descriptors @ thing.features.descriptors.T
    nearest = similar.argmax(1)
    good = np.flatnonzero(similar[np.arange(len(nearest)), nearest] >= COSINE)
    return alignments(thing.features, features, np.stack([nearest[good], good], 1), most=2)


def sought(
    thing: Thing,
    mine: Mapping[str, LocalFeatures],
    others: Mapping[str, LocalFeatures],
    pixels: Callable[[str], np.ndarray | None],
    fewest: int,
) -> Sought | None:
    """Where a thing is, in the photographs that it was found in and in others.

    Args:
        thing: what is looked for.
        mine: features of the photographs that it was found in.
        others: features of other photographs.
        pixels: of a photograph, by its name.
        fewest: photographs that must show it, for it to be cut out.

    Returns:
        None where nothing in the photographs is the same pixel by pixel.
    """
    found = {
        name: here
        for name, features in {**mine, **others}.items()
        if (here := by_features(thing, features))
    }
    strong = sorted((n for n in found if n in mine), key=lambda n: -len(found[n][0].pairs))
    shown = [(rgb, found[n][0].matrix) for n in strong if (rgb := pixels(n)) is not None]
    if len(shown) < fewest:
        return None
    mark = _twice_cut_out(shown, thing.features.points)
    if mark is None:
        return None
    places: dict[str, list[np.ndarray]] = {}
    for name, here in found.items():
        rgb = pixels(name)
        good = [] if rgb is None else [m for a in here if (m := _placed(rgb, a, mark)) is not None]
        if good:
            places[name] = good
    usual = _learned(mark, mine, places)
    if len(usual.scales) < fewest:
        return None
    if not usual.fixed:
        return Sought(mark, places, usual)
    names = [*mine, *others]
    there = _look_there(mark, usual, names, pixels, places)
    if len([n for n in there if n in mine]) > _MANY_MORE * len(usual.scales):
        # With so many more photographs, the mark is seen better, and with it found in more.
        in_frame = inverse(mark.shift)
        shown = [
            (rgb, chained(in_frame, there[n][0]))
            for n in there
            if n in mine and (rgb := pixels(n)) is not None
        ]
        better = cut_out(shown, thing.features.points)
        if better is not None:
            moved_by = chained(better.shift, in_frame)
            there = {n: [chained(moved_by, m) for m in here] for n, here in there.items()}
            mark, usual = better, _learned(better, mine, there)
            there = _look_there(mark, usual, names, pixels, there)
    return Sought(mark, there, _learned(mark, mine, there))


def _learned(
    mark: CutOut, mine: Mapping[str, LocalFeatures], places: Mapping[str, list[np.ndarray]]
) -> UsualPlace:
    """Where a mark usually is, in the photographs of the class that have it."""
    placed = [(places[n][0], features.shape) for n, features in mine.items() if n in places]
    return usual_place((mark.alpha.shape[1], mark.alpha.shape[0]), placed)


def _twice_cut_out(shown: list[tuple[np.ndarray, np.ndarray]], points: np.ndarray) -> CutOut | None:
    """A mark, cut out of photographs that are laid on each other by its first cut-out."""
    mark = cut_out(shown, points)
    if mark is None:
        return None
    better = []
    for rgb, matrix in shown[:MOST]:
        fine = fitted(rgb, mark, chained(mark.shift, matrix), _REACH, _FINE)
        if fine is not None and likeness(rgb, fine, mark) >= SAME:
            better.append((rgb, chained(inverse(mark.shift), fine)))
    if len(better) < max(3, len(shown[:MOST]) // 3):
        return mark
    return cut_out(better, points) or mark


def _placed(rgb: np.ndarray, found: Alignment, mark: CutOut) -> np.ndarray | None:
    """Where the mark is that features point to; None where its pixels are not there."""
    rough = chained(mark.shift, found.matrix)
    fine = fitted(rgb, mark, rough, _REACH, _FINE)
    best = max((m for m in (rough, fine) if m is not None), key=lambda m: likeness(rgb, m, mark))
    return best if likeness(rgb, best, mark) >= SAME else None


def _look_there(
    mark: CutOut,
    usual: UsualPlace,
    names: list[str],
    pixels: Callable[[str], np.ndarray | None],
    places: Mapping[str, list[np.ndarray]],
) -> dict[str, list[np.ndarray]]:
    """`places`, and the photographs that have the mark at its usual place.

    How like the mark something is by chance is asked of the opposite place of the photographs.
    """
    chance = [
        there[1]
        for name in names[:: max(1, len(names) // _CHANCE)]
        if (rgb := pixels(name)) is not None
        and (there := at_usual_place(rgb, mark, usual, mirrored=True)) is not None
    ]
    least = max(SAME_THERE, max(chance, default=1.0) + 0.05)
    out = dict(places)
    for name in names:
        rgb = None if name in out else pixels(name)
        found = None if rgb is None else at_usual_place(rgb, mark, usual)
        if found is not None and found[1] >= least:
            out[name] = [found[0]]
    return out
