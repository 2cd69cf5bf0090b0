"""Patches of one exact colour and one shape: a heart, a dot, a round sticker have no corners.

Local features say nothing of what is smooth. But of a drawn mark the colour is the same to a few
grey values in every photograph, which of things that are photographed it is not: patches of a
colour that many photographs of a class have and others have not are compared by their shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np

from camcli.evaluate.marks.anywhere.cut_out import cut_out, likeness
from camcli.evaluate.marks.anywhere.search import Sought
from camcli.evaluate.marks.anywhere.usual_place import usual_place
from camcli.evaluate.marks.chance import more_than_chance
from camcli.evaluate.matching.alignment import chained

_SIDE = 320  # pixels of the longer side that are looked at
_STEP = 16  # grey values of a channel that are one colour
_LEAST, _MOST = 0.0006, 0.12  # shares of a photograph that a patch may cover
_CALM = 10  # grey values within which the nine pixels around one are flat
_OFF = 18  # grey values from the colour, within which a pixel is of the patch
_GRID = 24  # a side: patches are compared as so many squares
_ALIKE = 0.72  # intersection over union of two patches of one shape
_CLEAR = 0.35  # share of the class that has a colour, less the others'
_P = 1e-4
_COLOURS = 3  # of a class are looked at closely
_SAME = 0.45  # likeness of what is there to the mark


def flat_colours(rgb: np.ndarray) -> np.ndarray:
    """Numbers of the colours that flat patches of a photograph have.

    Args:
        rgb: (H, W, 3) uint8.

    Returns:
        Sorted int64. Colours are told apart in two grids, of which one is half a step off, so that
        none is always at the limit of two.
    """
    small = _small(rgb)
    if min(small.shape[:2]) < 8:
        return np.zeros(0, np.int64)
    window = np.ones((3, 3), np.uint8)
    calm = (cv2.dilate(small, window) - cv2.erode(small, window)).max(-1) <= _CALM
    pixels = small[calm].astype(np.int64)
    out = []
    for grid in (0, 1):
        steps = (pixels + grid * _STEP // 2) // _STEP
        names = ((grid * 32 + steps[:, 0]) * 32 + steps[:, 1]) * 32 + steps[:, 2]
        numbers, counts = np.unique(names, return_counts=True)
        out.append(numbers[counts >= 0.5 * _LEAST * calm.size])
    return np.concatenate(out)


def _small(rgb: np.ndarray) -> np.ndarray:
    ratio = min(1.0, _SIDE / max(rgb.shape[:2]))
    if ratio == 1:
        return rgb
    size = max(1, round(rgb.shape[1] * ratio)), max(1, round(rgb.shape[0] * ratio))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))


def telling_colours(mine: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Colours (3,) that photographs of a class have and others have not, the clearest first.

    Args:
        mine: `flat_colours` of photographs of the class.
        others: of others.
    """
    if not mine or not others:
        return []
    numbers, counts = np.unique(np.concatenate(mine), return_counts=True)
    other_numbers, other_counts = np.unique(np.concatenate(others), return_counts=True)
    elsewhere = dict(zip(other_numbers.tolist(), other_counts.tolist(), strict=True))
    told = []
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        there = elsewhere.get(number, 0)
        clear = count / len(mine) - there / len(others)
        if clear < _CLEAR:
            continue
        p = more_than_chance(count, len(mine), there, len(others)) * len(numbers)
        if p <= _P:
            told.append((clear, number))
    colours: list[np.ndarray] = []
    for _, number in sorted(told, reverse=True):
        grid = number >> 15
        steps = np.array([number >> 10 & 31, number >> 5 & 31, number & 31])
        colour = steps * _STEP + _STEP / 2 - grid * _STEP / 2
        if all(np.abs(colour - known).max() > 1.5 * _STEP for known in colours):
            colours.append(colour)
        if len(colours) == _COLOURS:
            break
    return colours


class _Patch:
    """A connected patch of one colour: its shape, and where it is."""

    def __init__(self, mask: np.ndarray, box: np.ndarray, ratio: float) -> None:
        left, top, width, height = box[:4]
        part = mask[top : top + height, left : left + width].astype(np.float32)
        # Seen in a square around its middle, so that its proportions are part of its shape.
        rows, columns = np.nonzero(part)
        self.middle = (np.array([left + columns.mean(), top + rows.mean()]) + 0.5) / ratio - 0.5
        self.side = float(np.sqrt(len(rows))) / ratio
        scale = _GRID / (2.2 * np.sqrt(len(rows)))
        matrix = np.array(
            [[scale, 0, _GRID / 2 - scale * columns.mean()],
             [0, scale, _GRID / 2 - scale * rows.mean()]]
        )  # fmt: skip
        self.shape = np.asarray(cv2.warpAffine(part, matrix, (_GRID, _GRID)))


def _patches(rgb: np.ndarray, colour: np.ndarray) -> list[_Patch]:
    """Patches of a colour, of a mark's size; what lies along a whole side is a frame."""
    small = _small(rgb)
    ratio = max(small.shape[:2]) / max(rgb.shape[:2])
    mask = (np.abs(small.astype(np.int16) - colour).max(-1) <= _OFF).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    count, names, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    out = []
    for k in range(1, count):
        area = stats[k, cv2.CC_STAT_AREA] / mask.size
        long = stats[k, 2] > 0.8 * mask.shape[1] or stats[k, 3] > 0.8 * mask.shape[0]
        if _LEAST <= area <= _MOST and not long and stats[k, cv2.CC_STAT_AREA] >= 25:
            out.append(_Patch(names == k, stats[k], ratio))
    return out


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.minimum(one, other).sum() / max(np.maximum(one, other).sum(), 1e-6))


def flat_mark(
    colour: np.ndarray,
    mine: Mapping[str, tuple[int, int]],
    others: Mapping[str, tuple[int, int]],
    pixels: Callable[[str], np.ndarray | None],
    fewest: int,
) -> Sought | None:
    """The mark that patches of a colour belong to, if they are of one shape.

    Args:
        colour: (3,).
        mine: names of photographs of the class, and their (height, width).
        others: the same of other photographs.
        pixels: of a photograph, by its name.
        fewest: photographs that must show it.
    """
    # The class has the colour more often by so much: a mark explains that, chance shapes do not.
    fewest = max(fewest, math.ceil(_CLEAR * len(mine)))
    patches = {
        name: found
        for name in [*mine, *others]
        if (rgb := pixels(name)) is not None and (found := _patches(rgb, colour))
    }
    shape = _common_shape([patches[n] for n in mine if n in patches])
    if shape is None:
        return None
    best = {n: max(found, key=lambda p: _overlap(p.shape, shape)) for n, found in patches.items()}
    best = {n: p for n, p in best.items() if _overlap(p.shape, shape) >= _ALIKE}
    seen = [n for n in mine if n in best]
    if len(seen) < fewest:
        return None
    side = float(np.percentile([best[n].side for n in seen], 75))
    matrices = {n: _laid(p, side) for n, p in best.items()}
    rows, columns = np.nonzero(shape > 0.9)
    points = (np.stack([columns, rows], 1) - _GRID / 2) * 2.2 * side / _GRID
    shown = [(rgb, matrices[n]) for n in seen if (rgb := pixels(n)) is not None]
    mark = cut_out(shown, points, grown=1) if len(points) else None
    if mark is None:
        return None
    places = {}
    for name, matrix in matrices.items():
        rgb, there = pixels(name), chained(mark.shift, matrix)
        if rgb is not None and likeness(rgb, there, mark) >= _SAME:
            places[name] = [there]
    learned = [(places[n][0], mine[n]) for n in mine if n in places]
    if len(learned) < fewest:
        return None
    return Sought(mark, places, usual_place((mark.alpha.shape[1], mark.alpha.shape[0]), learned))


def _laid(patch: _Patch, side: float) -> np.ndarray:
    """From a frame whose middle is the patch's to the photograph."""
    scale = patch.side / side
    return np.array([[scale, 0, patch.middle[0]], [0, scale, patch.middle[1]]])


def _common_shape(patches: list[list[_Patch]]) -> np.ndarray | None:
    """The shape that most photographs have a patch of; None where there is none."""
    everyone = [(k, p) for k, found in enumerate(patches) for p in found]
    if len(everyone) < 3:
        return None
    everyone = everyone[:400]
    flat = np.stack([p.shape.ravel() for _, p in everyone])
    owner = np.array([k for k, _ in everyone])
    common = np.array([
        [np.minimum(a, b).sum() for b in flat] for a in flat[:60]
    ])  # fmt: skip
    total = flat.sum(1)
    alike = common / (total[:60, None] + total - common + 1e-6) >= _ALIKE
    votes = [len(set(owner[row].tolist())) for row in alike]
    chosen = int(np.argmax(votes))
    return np.asarray(flat[alike[chosen]].mean(0).reshape(_GRID, _GRID))
