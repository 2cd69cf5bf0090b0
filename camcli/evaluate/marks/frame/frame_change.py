"""How a frame is taken away from photographs and put on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.marks.frame.borders import SIDES

Depths = tuple[int, int, int, int]
"""Pixels of the frame at the left, top, right, bottom; 0 where there is none."""

LEAST = 12  # pixels of a side that must be left of a photograph


def inside(shape: tuple[int, ...], depths: Depths) -> tuple[slice, slice] | None:
    """Rows and columns within a frame; None where too little is left."""
    left, top, right, bottom = depths
    rows, columns = slice(top, shape[0] - bottom), slice(left, shape[1] - right)
    if rows.stop - rows.start < LEAST or columns.stop - columns.start < LEAST:
        return None
    return rows, columns


def framed(rgb: np.ndarray, depths: Depths, donor: np.ndarray, of: Depths) -> np.ndarray | None:
    """A photograph with the borders of another over its own.

    Corners are scaled as corners and sides as sides, so that lines and roundings stay what they
    are.

    Args:
        rgb: the photograph.
        depths: of the frame that it is to have.
        donor: whose borders are taken.
        of: how deep they are there.

    Returns:
        Pixels, or None where one of the two is too small for it.
    """
    if inside(rgb.shape, depths) is None or inside(donor.shape, of) is None:
        return None
    out = rgb.copy()
    to_rows, from_rows = _thirds(rgb.shape[0], depths[1::2]), _thirds(donor.shape[0], of[1::2])
    to_columns, from_columns = _thirds(rgb.shape[1], depths[::2]), _thirds(donor.shape[1], of[::2])
    for row in range(3):
        for column in range(3):
            if row == column == 1:
                continue
            place = out[to_rows[row], to_columns[column]]
            piece = donor[from_rows[row], from_columns[column]]
            if place.size and piece.size:
                size = place.shape[1], place.shape[0]
                place[:] = cv2.resize(piece, size, interpolation=cv2.INTER_AREA)
    return out


def _thirds(length: int, depths: tuple[int, ...]) -> tuple[slice, slice, slice]:
    first, last = depths
    return slice(0, first), slice(first, length - last), slice(length - last, length)


class FrameChange:
    """Crops a frame off, and puts it on.

    The frame that is put on is that of a photograph that has one, drawn by chance, so that its
    colours and widths vary as they do in the class.

    Args:
        depths: relative path -> the frame of a photograph, as shares of its width and height, in
            the order of `SIDES`; of all photographs that have it.
        donors: pixels of photographs that have it, with their relative paths.
        plain: pixels of photographs that have none, with their relative paths.
        scale: what is the same in all of the frames: ``pixels`` of the photograph, a share of its
            ``shorter`` side, or of the ``side`` itself.
    """

    removed_by = "cropped off"
    added_by = "put on"
    control = "as much of the inside cropped; borders of other photographs put on"

    def __init__(
        self,
        depths: Mapping[str, tuple[float, float, float, float]],
        donors: Sequence[tuple[AuditedPhoto, np.ndarray]],
        plain: Sequence[tuple[AuditedPhoto, np.ndarray]],
        scale: str,
    ) -> None:
        self._depths = dict(depths)
        self._donors = list(donors)
        self._plain = list(plain)
        self._scale = scale

    def depths(self, photo: AuditedPhoto, rgb: np.ndarray) -> Depths | None:
        """Pixels of its frame in these pixels; None where it has none."""
        shares = self._depths.get(photo.rel)
        if shares is None:
            return None
        height, width = rgb.shape[:2]
        left, top, right, bottom = (
            round(share * (height if number % 2 else width)) for number, share in enumerate(shares)
        )
        return left, top, right, bottom

    def remove(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The photograph within its frame."""
        depths = self.depths(photo, rgb)
        if depths is None:
            return None
        # One line more: JPEG and resizing leave a trace of the frame in it.
        left, top, right, bottom = (depth + (depth > 0) for depth in depths)
        within = inside(rgb.shape, (left, top, right, bottom))
        return None if within is None else np.ascontiguousarray(rgb[within])

    def remove_control(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The frame as it is, and within it the photograph cropped by as much again."""
        depths = self.depths(photo, rgb)
        within = None if depths is None else inside(rgb.shape, depths)
        if depths is None or within is None:
            return None
        again = inside(rgb[within].shape, depths)
        if again is None:
            return None
        out = rgb.copy()
        size = out[within].shape[1], out[within].shape[0]
        out[within] = cv2.resize(rgb[within][again], size, interpolation=cv2.INTER_LINEAR)
        return out

    def add(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The photograph with the frame of one that has it over its borders."""
        donor, pixels = self._donors[int(rng.integers(len(self._donors)))]
        of = self.depths(donor, pixels)
        if of is None:
            return None
        return framed(rgb, self._as_deep(photo, rgb, donor, pixels, of), pixels, of)

    def add_control(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The photograph with borders of one that has no frame, as deep, over its own."""
        donor, pixels = self._donors[int(rng.integers(len(self._donors)))]
        of = self.depths(donor, pixels)
        others = [one for one in self._plain if one[0].rel != photo.rel]
        if of is None or not others:
            return None
        other, content = others[int(rng.integers(len(others)))]
        depths = self._as_deep(photo, rgb, donor, pixels, of)
        return framed(rgb, depths, content, self._as_deep(other, content, donor, pixels, of))

    def _as_deep(
        self, photo: AuditedPhoto, rgb: np.ndarray, donor: AuditedPhoto, pixels: np.ndarray,
        of: Depths,
    ) -> Depths:  # fmt: skip
        """How deep a donor's frame is on another photograph."""
        height, width = rgb.shape[:2]
        if self._scale == "pixels":
            ours, theirs = width / max(photo.size[0], 1), pixels.shape[1] / max(donor.size[0], 1)
            ratios = [ours / theirs] * 2
        elif self._scale == "shorter":
            ratios = [min(height, width) / min(pixels.shape[:2])] * 2
        else:
            ratios = [width / pixels.shape[1], height / pixels.shape[0]]
        left, top, right, bottom = (
            max(1, round(depth * ratios[number % 2])) if depth else 0
            for number, depth in enumerate(of)
        )
        return left, top, right, bottom


def shares(depths: Mapping[str, int], shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    """Depths by side in pixels as shares of width and height, in the order of `SIDES`."""
    height, width = shape[:2]
    left, top, right, bottom = (depths.get(side, 0) for side in SIDES)
    return left / width, top / height, right / width, bottom / height
