"""Colour maps as 256-entry tables."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from camcli.errors import UsageError

_CODES = {
    "jet": cv2.COLORMAP_JET,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "turbo": cv2.COLORMAP_TURBO,
    "magma": cv2.COLORMAP_MAGMA,
    "inferno": cv2.COLORMAP_INFERNO,
}
COLORMAPS = tuple(_CODES)


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
    if name not in _CODES:
        raise UsageError(f"No colour map '{name}'; choose one of {', '.join(COLORMAPS)}.")
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    table = np.ascontiguousarray(cv2.applyColorMap(ramp, _CODES[name])[:, 0, ::-1])
    table.flags.writeable = False
    return table
