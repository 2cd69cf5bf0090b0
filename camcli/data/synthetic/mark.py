"""Where a planted mark is in the test split; named without NumPy, for options."""

from typing import Literal

MarkRule = Literal["same", "absent", "swapped"]
"""As in training; nowhere; or on all other classes, which fools whoever relies on it."""
