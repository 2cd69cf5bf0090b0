"""How strong structures are by their fineness and direction: what a blur takes, what noise adds."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

BANDS = (0.02, 0.04, 0.07, 0.11, 0.16, 0.22, 0.29, 0.38, 0.5)
"""Where bands begin and end, in cycles per pixel."""
DIRECTIONS = 6
"""Of waves, from left to right and on by the clock's hands in half a turn."""
_LARGEST = 256
_SMALLEST = 48


def spectrum(grey: np.ndarray) -> tuple[float, ...] | None:
    """Logarithm of the mean power in each band and direction, bands first.

    Args:
        grey: (h, w) uint8; the square in its middle is looked at.

    Returns:
        `len(BANDS) - 1` times `DIRECTIONS` numbers; None of a picture that is too small.
    """
    height, width = grey.shape
    side = min(height, width, _LARGEST) // 16 * 16  # sizes that are quick to transform
    if side < _SMALLEST:
        return None
    top, left = (height - side) // 2, (width - side) // 2
    values = grey[top : top + side, left : left + side].astype(np.float32)
    window, bins, counts = _grid(side)
    waves = np.fft.rfft2((values - values.mean()) * window)
    power = waves.real**2 + waves.imag**2
    total = np.bincount(bins, power.reshape(-1), len(counts) + 1)[:-1]
    return tuple(np.log(total / counts / side**2 + 1e-3).tolist())


@lru_cache(maxsize=16)
def _grid(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A window, the bin of each wave (the last for none), and how many are in each."""
    fineness, direction = frequencies(side, side)
    number = (len(BANDS) - 1) * DIRECTIONS
    band = np.searchsorted(BANDS, fineness, side="right") - 1
    sector = np.floor(direction / np.pi * DIRECTIONS + 0.5).astype(int) % DIRECTIONS
    bins = np.where((band >= 0) & (band < len(BANDS) - 1), band * DIRECTIONS + sector, number)
    counts = np.bincount(bins.reshape(-1), minlength=number + 1)[:-1]
    return (
        np.outer(np.hanning(side), np.hanning(side)).astype(np.float32),
        bins.reshape(-1),
        np.maximum(counts, 1),
    )


def frequencies(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Of `numpy.fft.rfft2`'s waves: cycles per pixel, and their direction in [0, pi)."""
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    return np.hypot(down, across), np.arctan2(down, across) % np.pi


def transfer(
    height: int, width: int, ratio: np.ndarray, pixels: float, limits: tuple[float, float]
) -> np.ndarray:
    """What to multiply a picture's waves with, to multiply its power's spectrum with a ratio.

    Args:
        height: of the picture.
        width: likewise.
        ratio: logarithm of the ratio of powers, as `spectrum` orders bands and directions.
        pixels: of the picture, to one pixel of that on which spectra are measured.
        limits: least and most of what is multiplied with.

    Returns:
        (height, width // 2 + 1) float32, as `numpy.fft.rfft2` orders waves.
    """
    fineness, direction = frequencies(height, width)
    table = ratio.reshape(len(BANDS) - 1, DIRECTIONS) / 2
    # Coarser than all bands: nothing is changed. Finer: as the finest.
    table = np.vstack([np.zeros((1, DIRECTIONS)), table])
    table = np.hstack([table, table[:, :1]]).astype(np.float32)  # half a turn on, the same
    centres = np.concatenate([[BANDS[0]], np.sqrt(np.multiply(BANDS[1:], BANDS[:-1]))])
    row = np.interp(fineness * pixels, centres, np.arange(len(centres))).astype(np.float32)
    column = (direction / np.pi * DIRECTIONS).astype(np.float32)
    return np.exp(
        np.clip(
            cv2.remap(table, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
            np.log(limits[0]),
            np.log(limits[1]),
        )
    )
