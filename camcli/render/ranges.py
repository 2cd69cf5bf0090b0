"""The numbers that a picture can be asked for; read without NumPy: a slip is told at once."""

from __future__ import annotations

from camcli.errors import UsageError

COLORMAPS = ("jet", "viridis", "turbo", "magma", "inferno", "cividis")
MIN_SIZE = 300
"""Longer side, in pixels, of the smallest photograph that a strip can be read under."""
LARGEST_MIN_SIZE = 2000
"""Of --min-size: 60 times the smallest photographs that networks are trained on."""


def no_colormap(name: str) -> UsageError:
    """The error for a colour map that does not exist."""
    return UsageError(f"No colour map '{name}'; choose one of {', '.join(COLORMAPS)}.")


def check_picture(alpha: float, max_size: int | None, min_size: int, quality: int) -> None:
    """Refuse numbers that no picture can have.

    Args:
        alpha: weight of the heat in the overlay.
        max_size: longest side of the photograph, in pixels; None keeps it.
        min_size: what a small photograph is enlarged to, in pixels; 0 keeps it.
        quality: of the JPEG.

    Raises:
        UsageError: one of them is out of its range.
    """
    if not 0 <= alpha <= 1:
        raise UsageError(f"--alpha is a share between 0 and 1, not {alpha:g}.")
    if max_size is not None and max_size < 16:
        raise UsageError(f"--max-size must be at least 16 pixels, not {max_size}.")
    if not 0 <= min_size <= LARGEST_MIN_SIZE:
        raise UsageError(
            f"--min-size is 0 to {LARGEST_MIN_SIZE} pixels, not {min_size}: it enlarges small "
            "photographs."
        )
    if not 1 <= quality <= 100:
        raise UsageError(f"--quality is between 1 and 100, not {quality}.")
