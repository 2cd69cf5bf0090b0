"""Steps that change light and colours, and their controls."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from camcli.evaluate.properties.measure import radius
from camcli.evaluate.properties.steps import (
    either_side,
    pixels,
    ramp,
    scaled,
    strength,
    turned,
)

_UNSEEN = 0.5  # grey levels: a smaller change is none


@dataclass(frozen=True, slots=True, eq=False)
class ChannelLines:
    """Each channel by a line: what a cast does, or takes away.

    Attributes:
        gains: (3,) by which R, G and B are multiplied.
        offsets: (3,) that are added then.
    """

    gains: np.ndarray
    offsets: np.ndarray

    def change(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """With the cast, or without."""
        difference = self._difference(rgb)
        return None if strength(difference) < _UNSEEN else pixels(rgb + difference)

    def control(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """With as much of a cast of another hue, a right angle or more away."""
        difference = self._difference(rgb)
        if strength(difference) < _UNSEEN:
            return None
        return pixels(rgb + turned(difference, rng.uniform(np.pi / 2, 3 * np.pi / 2)))

    def _difference(self, rgb: np.ndarray) -> np.ndarray:
        return rgb * np.float32(self.gains - 1) + np.float32(self.offsets)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """All channels by one curve: brighter or darker.

    Attributes:
        table: (256,) uint8.
    """

    table: np.ndarray

    def change(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """Brighter, or darker."""
        changed = self.table[rgb]
        return None if strength(changed.astype(np.float32) - rgb) < _UNSEEN else changed

    def control(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """As much brighter on one side as darker on the other."""
        wanted = strength(self.table[rgb].astype(np.float32) - rgb)
        return None if wanted < _UNSEEN else scaled(ramp(rgb, rng), rgb, wanted)


@dataclass(frozen=True, slots=True, eq=False)
class Rings:
    """Brighter or darker from the middle to the corners.

    Attributes:
        ratio: logarithm of the ratio of brightness after to before, of `measure.RINGS` rings.
    """

    ratio: np.ndarray

    def change(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """Light that falls off, or does not."""
        place = radius(*rgb.shape[:2]) * len(self.ratio) - 0.5
        gain = np.exp(np.interp(place, np.arange(len(self.ratio)), self.ratio))
        changed = pixels(rgb * gain[..., None].astype(np.float32))
        return None if strength(changed.astype(np.float32) - rgb) < _UNSEEN else changed

    def control(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """As much brighter on one side and darker on the other."""
        changed = self.change(rgb, rng)
        if changed is None:
            return None
        return scaled(ramp(rgb, rng), rgb, strength(changed.astype(np.float32) - rgb))


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """Lightness drawn apart or together about the photograph's mean.

    Attributes:
        ratio: of the contrast after to that before.
    """

    ratio: float

    def change(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """With more contrast, or less."""
        changed = pixels(rgb + (self.ratio - 1) * (rgb - rgb.mean(dtype=np.float64)))
        return None if strength(changed.astype(np.float32) - rgb) < _UNSEEN else changed

    def control(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """Brighter on one side and darker on the other by as much."""
        changed = self.change(rgb, rng)
        if changed is None:
            return None
        wanted = strength(changed.astype(np.float32) - rgb)
        return scaled(ramp(rgb, rng), rgb, wanted)


@dataclass(frozen=True, slots=True, eq=False)
class Saturation:
    """Colours drawn away from grey, or to it; 0 makes a photograph grey.

    Attributes:
        ratio: of the saturation after to that before.
    """

    ratio: float

    def change(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """Paler or more colourful."""
        difference = (self.ratio - 1) * _colours(rgb)
        return None if strength(difference) < _UNSEEN else pixels(rgb + difference)

    def control(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """Other hues, as colourful as before, moved by as much."""
        colours = _colours(rgb)
        if strength((self.ratio - 1) * colours) < _UNSEEN:
            return None
        angle = 2 * np.arcsin(min(abs(self.ratio - 1) / 2, 1.0))
        return pixels(rgb - colours + turned(colours, either_side(rng) * angle))


def _colours(rgb: np.ndarray) -> np.ndarray:
    """What makes pixels differ from the grey of the same mean."""
    grey = cv2.transform(rgb, np.full((3, 3), 1 / 3, np.float32))
    return rgb.astype(np.float32) - grey
