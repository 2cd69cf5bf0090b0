"""A step that changes the shape of a photograph, and its control."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_CLOSE = 1.03  # of two aspect ratios that are the same


@dataclass(frozen=True, slots=True)
class Cropped:
    """Two opposite sides cut off, as much at either.

    Attributes:
        aspect: width by height that there is to be.
    """

    aspect: float

    def change(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """The photograph in the wanted shape."""
        height, width = rgb.shape[:2]
        kept = self._kept(rgb)
        if kept is None:
            return None
        if width / height > self.aspect:
            return _middle(rgb, height, max(1, round(width * kept)))
        return _middle(rgb, max(1, round(height * kept)), width)

    def control(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """As much cut off, and as much at all four sides: the shape stays."""
        kept = self._kept(rgb)
        if kept is None:
            return None
        height, width = (max(1, round(side * kept**0.5)) for side in rgb.shape[:2])
        return _middle(rgb, height, width)

    def _kept(self, rgb: np.ndarray) -> float | None:
        """Share of the photograph that is kept."""
        ratio = rgb.shape[1] / rgb.shape[0] / self.aspect
        kept = min(ratio, 1 / ratio)
        return kept if kept < 1 / _CLOSE else None


def _middle(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    top, left = (rgb.shape[0] - height) // 2, (rgb.shape[1] - width) // 2
    return np.ascontiguousarray(rgb[top : top + height, left : left + width])
