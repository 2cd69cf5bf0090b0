"""What a person calls a colour."""

from __future__ import annotations

import colorsys

import numpy as np

HUES = (
    (0.045, "red"), (0.115, "orange"), (0.19, "yellow"), (0.45, "green"), (0.53, "turquoise"),
    (0.7, "blue"), (0.8, "violet"), (0.93, "pink"), (1.01, "red"),
)  # fmt: skip


def colour_name(rgb: np.ndarray) -> str:
    """One word for a colour, (3,) in [0, 255]."""
    red, green, blue = (min(max(float(x) / 255, 0.0), 1.0) for x in rgb)
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    if value < 0.24:
        return "dark"
    if saturation < 0.16 or value * saturation < 0.12:
        return "white" if value > 0.86 else "light grey" if value > 0.68 else "grey"
    name = next(name for end, name in HUES if hue < end)
    if name in ("orange", "red") and value < 0.62 and 0.02 < hue < 0.13:
        return "brown"
    return name
