"""What a change of a property is made of: one step there, or back, and a control as large.

A control changes a photograph by as much, measured as the root of its pixels' mean squared
difference, and leaves the property as it is: what is taken away or put on is turned into a
direction at a right angle. A cast becomes one of another hue, light that is brighter all over
becomes brighter on one side only, detail that is smoothed is moved out of phase instead.
"""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

_SQRT3 = 3**0.5


class PropertyStep(Protocol):
    """Changes a photograph, (H, W, 3) uint8; None where it would stay as it is."""

    def change(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """The photograph, changed."""

    def control(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """The photograph, changed by as much without changing the property."""


def pixels(values: np.ndarray) -> np.ndarray:
    """Values as pixels."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def strength(difference: np.ndarray) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(difference, dtype=np.float64))))


def scaled(pattern: np.ndarray, rgb: np.ndarray, wanted: float) -> np.ndarray:
    """A photograph with a pattern (H, W) on it, so strong that its pixels change by `wanted`.

    Clipping at black and white takes some of it away, so that it is laid on a little stronger.
    """
    factor = 1.0
    changed = rgb
    for _ in range(4):
        changed = pixels(rgb + (factor * wanted) * pattern[..., None])
        found = strength(changed.astype(np.float32) - rgb)
        if found <= 0 or abs(found / wanted - 1) < 0.02:
            break
        factor = min(factor * wanted / found, 3.0)
    return changed


def ramp(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(H, W): rises evenly in a direction drawn by chance; mean 0, strength 1."""
    height, width = rgb.shape[:2]
    turn = rng.uniform(0, 2 * np.pi)
    across = np.linspace(-1, 1, width, dtype=np.float32)[None] * np.float32(np.cos(turn))
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * np.float32(np.sin(turn))
    values = across + down
    values = values - values.mean()
    return np.asarray(values / max(float(values.std()), 1e-6), np.float32)


def turned(colours: np.ndarray, angle: float) -> np.ndarray:
    """Colours (H, W, 3) turned about the axis from black to white: their grey part stays."""
    cosine, sine = np.cos(angle), np.sin(angle)
    # Rodrigues' formula for the axis (1, 1, 1).
    own, shared = cosine + (1 - cosine) / 3, (1 - cosine) / 3
    side = sine / _SQRT3
    matrix = np.array(
        [
            [own, shared - side, shared + side],
            [shared + side, own, shared - side],
            [shared - side, shared + side, own],
        ],
        np.float32,
    )
    return np.asarray(cv2.transform(np.ascontiguousarray(colours, np.float32), matrix))


def either_side(rng: np.random.Generator) -> float:
    """1 or -1."""
    return 1.0 if rng.random() < 0.5 else -1.0
