"""Colour maps as 256-entry tables."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from camcli.render.ranges import COLORMAPS, no_colormap

# Evidence for a class and against it: told apart by the colour-blind, too.
FOR = (214, 40, 20)
AGAINST = (20, 80, 220)
# Of pages: one lighter and one darker than the grey photograph that they lie on, so that they are
# told apart where there are no colours, too.
LIGHT_FOR = (255, 190, 0)
DARK_AGAINST = (0, 32, 150)

SIGNED = {"amber and blue": (LIGHT_FOR, DARK_AGAINST), "red and blue": (FOR, AGAINST)}
"""Colours of evidence for and against by name, the pages' own first; files have the last."""


@lru_cache(maxsize=len(COLORMAPS))
def get_colormap(name: str) -> np.ndarray:
    """A colour map by name.

    Args:
        name: one of `COLORMAPS`; ``jet`` is what the papers use, the others are even to the eye.

    Returns:
        (256, 3) uint8, RGB; read-only. Row 0 is no heat, row 255 the hottest.

    Raises:
        UsageError: there is no colour map of that name.
    """
    if name not in COLORMAPS:
        raise no_colormap(name)
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    table = np.ascontiguousarray(
        cv2.applyColorMap(ramp, getattr(cv2, f"COLORMAP_{name.upper()}"))[:, 0, ::-1]
    )
    table.flags.writeable = False
    return table


@lru_cache(maxsize=len(SIGNED))
def signed_colormap(name: str = "red and blue") -> tuple[np.ndarray, np.ndarray]:
    """The colours of evidence of either sign, and how much of them to show.

    Args:
        name: one of `SIGNED`.

    Returns:
        (256, 3) uint8 RGB: rows below the middle are evidence against, those above it evidence
        for; and (256,) float32 in [0, 1], their weight: 0 in the middle, where there is none, 1 at
        both ends, steeper in the middle so that weak evidence is seen. Both read-only.
    """
    table = np.empty((256, 3), np.uint8)
    table[128:], table[:128] = SIGNED[name]
    strength = np.abs(np.arange(256, dtype=np.float32) - 127.5) / 127.5
    strength = np.maximum(strength - np.float32(1 / 255), 0) / np.float32(254 / 255)
    weight = strength * (2 - strength)
    table.flags.writeable = weight.flags.writeable = False
    return table, weight
