"""How a photograph is fitted to a network's input; named without NumPy, for options."""

from typing import Literal, get_args

Fit = Literal["crop", "squash", "whole", "pad"]
FITS: tuple[Fit, ...] = get_args(Fit)

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box"]
INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)
"""The filters of Pillow, under its names; `box` is what OpenCV calls area."""


def seen_share(
    view: tuple[float, float, float, float] | None, width: int | None, height: int | None
) -> float | None:
    """How much of a photograph a network saw.

    Args:
        view: what it saw, (x0, y0, x1, y1) in pixels of the photograph; with margins it is larger.
        width: of the photograph, in pixels.
        height: likewise.

    Returns:
        The share of the photograph's area, in [0, 1]; None where something of it is not known.
    """
    if view is None or not width or not height:
        return None
    across = min(view[2], width) - max(view[0], 0)
    down = min(view[3], height) - max(view[1], 0)
    return min(1.0, max(0.0, across) * max(0.0, down) / (width * height))
