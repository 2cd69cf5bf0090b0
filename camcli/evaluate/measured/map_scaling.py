"""How a map becomes scores; named without NumPy, for options."""

from typing import Literal, get_args

MapScaling = Literal["relu", "minmax"]
"""``relu``: as maps are drawn, negative evidence is 0; ``minmax``: from minimum to maximum."""
MAP_SCALINGS: tuple[MapScaling, ...] = get_args(MapScaling)
