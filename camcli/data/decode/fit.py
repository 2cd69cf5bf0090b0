"""How a photograph is fitted to a network's square input; named without NumPy, for options."""

from typing import Literal, get_args

Fit = Literal["crop", "squash", "whole"]
FITS: tuple[Fit, ...] = get_args(Fit)
