"""Pixels of a photograph that are drawn anew from what is around them."""

from __future__ import annotations

import cv2
import numpy as np

_NEAR = 16  # pixels around a hole that are looked at: inpainting a whole photograph is slow
_RADIUS = 4  # pixels about a point that its filling is made of


def inpainted(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A photograph whose pixels under a mask are drawn from what is around them (Telea 2004).

    Args:
        rgb: (H, W, 3) uint8.
        mask: (H, W) uint8, not 0 where there is something to be drawn.

    Returns:
        A copy; as it was where nothing is masked, or nothing is left to draw from.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows) or (mask > 0).all():
        return rgb.copy()
    part = np.s_[
        max(0, rows[0] - _NEAR) : rows[-1] + _NEAR + 1,
        max(0, columns[0] - _NEAR) : columns[-1] + _NEAR + 1,
    ]
    out = rgb.copy()
    out[part] = cv2.inpaint(
        np.ascontiguousarray(rgb[part]), np.ascontiguousarray(mask[part]), _RADIUS,
        cv2.INPAINT_TELEA,
    )  # fmt: skip
    return out


def box_inpainted(rgb: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """A photograph whose box (left, top, right, bottom, in pixels) is drawn from around it."""
    mask = np.zeros(rgb.shape[:2], np.uint8)
    mask[box[1] : box[3], box[0] : box[2]] = 255
    return inpainted(rgb, mask)
