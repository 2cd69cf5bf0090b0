"""How a photograph is fitted to a network's input; named without NumPy, for options."""

from typing import Literal, get_args

Fit = Literal["crop", "squash", "whole", "pad"]
FITS: tuple[Fit, ...] = get_args(Fit)

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box"]
INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)
"""The filters of Pillow, under its names; `box` is what OpenCV calls area."""
