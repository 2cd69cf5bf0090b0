"""Maps, small enough to be sent by the hundred thousand."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

# All maps of a page together, in bytes of text: the rest of 100,000 rows takes half as much again.
BUDGET = 22_000_000
# Where maps of different sizes or views meet: cells a side over the whole photograph.
_COMMON = 16


@dataclass(slots=True)
class PageMap:
    """A map as a page draws it: what is positive, in 256 levels, and what is negative.

    Attributes:
        target: number of the class that it explains.
        prob: the probability of that class; None of a value.
        cells: (h, w) uint8, 255 at the maximum; None when there is no positive evidence.
        against: (h, w) uint8, the negative evidence of a signed run on the same scale, on which the
            strongest of either sign is 255; None when there is none, or the run is not signed.
        high: the number that level 255 stands for, in the method's own units.
    """

    target: int
    prob: float | None
    cells: np.ndarray | None
    against: np.ndarray | None = None
    high: float = 0.0

    @classmethod
    def of(
        cls, record: Mapping[str, Any], number: Callable[[str], int], signed: bool = False
    ) -> PageMap:
        """From a record of a run's maps.

        Args:
            record: ``target``, ``prob``, ``empty`` and ``values``, (h, w), signed.
            number: of a class name.
            signed: keep what is negative, too.
        """
        values = np.asarray(record["values"], np.float32)
        high = float(values.max()) if values.size else 0.0
        low = float(values.min()) if signed and values.size else 0.0
        high = max(high, -low)
        against = _levels(-values, high) if low < 0 else None
        cells = None
        if values.size and values.max() > 0 and not record["empty"]:
            cells = _levels(values, high)
        prob = None if record["prob"] is None else float(record["prob"])
        return cls(number(str(record["target"])), prob, cells, against, high)

    @property
    def drawn(self) -> bool:
        """Whether there is anything to draw."""
        return self.cells is not None or self.against is not None

    def text(self, most: int, signed: bool = False) -> str:
        """``h,w,`` and the cells in base64, row by row; empty for an empty map.

        Args:
            most: cells a side; larger maps are averaged down.
            signed: levels from 0, the strongest evidence against, over 128, none, to 255.
        """
        cells = self.cells if self.cells is not None or not signed else self.against
        if cells is None:
            return ""
        if signed:
            pro = 0 if self.cells is None else self.cells.astype(np.float32)
            contra = 0 if self.against is None else self.against.astype(np.float32)
            cells = np.rint(127.5 + (pro - contra) / 2).astype(np.uint8)
        h, w = cells.shape
        if max(h, w) > most:
            ratio = most / max(h, w)
            size = max(1, round(w * ratio)), max(1, round(h * ratio))
            cells = cv2.resize(cells, size, interpolation=cv2.INTER_AREA)
            h, w = cells.shape
        return f"{h},{w},{base64.b64encode(cells.tobytes()).decode()}"


def _levels(values: np.ndarray, high: float) -> np.ndarray:
    """(h, w) uint8: what is positive, 255 at `high`."""
    return np.rint(np.clip(values, 0, high) * np.float32(255 / high)).astype(np.uint8)


def affordable_side(count: int, budget: int = BUDGET) -> int:
    """How many cells a side `count` maps can have within the budget; at least 4.

    Args:
        count: of the maps on a page.
        budget: bytes of text for all of them.
    """
    side = 32
    # Four characters of base64 for three cells, and the size in front.
    while side > 4 and count * (6 + 4 * -(-side * side // 3)) > budget:
        side -= 1
    return side


def similarity(a: np.ndarray, b: np.ndarray, view_a: np.ndarray, view_b: np.ndarray) -> float:
    """Cosine of two maps of one photograph: 1 the same places, 0 no place in common.

    Args:
        a: (h, w) uint8.
        b: (h', w') uint8.
        view_a: (4,), the part of the photograph that `a` covers, as shares.
        view_b: (4,), likewise.
    """
    if a.shape != b.shape or not np.allclose(view_a, view_b, atol=1e-3):
        a, b = _placed(a, view_a), _placed(b, view_b)
    x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    length = float(np.sqrt((x @ x) * (y @ y)))
    return min(1.0, float(x @ y) / length) if length > 0 else 0.0


def _placed(cells: np.ndarray, view: np.ndarray) -> np.ndarray:
    """A map on a grid over the whole photograph, (16, 16) float32; 0 where nobody looked."""
    # Imported here: what only lays out pages need not load what draws pictures.
    from camcli.render.overlay import heat_to_canvas

    x0, y0, x1, y1 = (view * _COMMON).tolist()
    heat01 = cells.astype(np.float32) / 255
    return heat_to_canvas(heat01, (x0, y0, x1, y1), (_COMMON, _COMMON)).astype(np.float32)


class MeanMap:
    """The mean of maps of any size, on one grid over what the network sees."""

    def __init__(self, side: int = 14) -> None:
        self._sum = np.zeros((side, side), np.float64)
        self.count = 0

    def add(self, cells: np.ndarray) -> None:
        """One more map, (h, w) uint8."""
        h, w = self._sum.shape
        if cells.shape != (h, w):
            cells = cv2.resize(cells.astype(np.float32), (w, h), interpolation=cv2.INTER_LINEAR)
        self._sum += cells
        self.count += 1

    def text(self, signed: bool = False) -> str:
        """As `PageMap.text`, scaled to its own maximum; empty when there was no map."""
        if self.count == 0 or self._sum.max() <= 0:
            return ""
        cells = np.rint(self._sum * (255 / self._sum.max())).astype(np.uint8)
        return PageMap(-1, 0.0, cells).text(max(cells.shape), signed)
