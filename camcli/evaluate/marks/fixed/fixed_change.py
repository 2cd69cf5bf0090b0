"""How a mark at a fixed place is taken away from photographs and put on others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np

from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.findings.suspect import Region
from camcli.evaluate.marks.inpainting import box_inpainted

FilledBox = tuple[int, int, int, int]
PlaceIn = Callable[[AuditedPhoto, np.ndarray], Region]

LARGEST = 0.5  # of a photograph: what is larger cannot be filled from around it
LEAST = 0.6  # of the place that must be within a photograph
FEATHER = 1  # pixels over which what is pasted fades


def box_in(region: Region, shape: tuple[int, ...], grown: int = 0) -> FilledBox | None:
    """Left, top, right, bottom in pixels of a photograph; None where nothing is left of it."""
    height, width = shape[:2]
    left, top = round(region[0] * width) - grown, round(region[1] * height) - grown
    right, bottom = round(region[2] * width) + grown, round(region[3] * height) + grown
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    return (left, top, right, bottom) if right - left >= 2 and bottom - top >= 2 else None


def filled(rgb: np.ndarray, box: FilledBox) -> np.ndarray | None:
    """A photograph with a box filled from what is around it; None where that is too little."""
    left, top, right, bottom = box
    if (right - left) * (bottom - top) > LARGEST * rgb.shape[0] * rgb.shape[1]:
        return None
    return box_inpainted(rgb, box)


def pasted(rgb: np.ndarray, piece: np.ndarray, box: FilledBox) -> np.ndarray:
    """A photograph with a piece of another in a box, its inner edges faded."""
    left, top, right, bottom = box
    out = rgb.copy()
    size = right - left, bottom - top
    smaller = piece.shape[1] > size[0]
    fit = cv2.resize(piece, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    whole = np.pad(np.ones((size[1], size[0]), np.float32), FEATHER)
    faded = cv2.blur(whole, (2 * FEATHER + 1, 2 * FEATHER + 1), borderType=cv2.BORDER_CONSTANT)
    alpha = faded[FEATHER:-FEATHER, FEATHER:-FEATHER, None]
    mixed = fit * alpha + out[top:bottom, left:right] * (1 - alpha)
    out[top:bottom, left:right] = mixed.round().astype(np.uint8)
    return out


class FixedChange:
    """Fills a mark's place from around it, and puts the place of one photograph into another.

    What differs from photograph to photograph, such as the digits of a date, is put on as it is in
    one of them, drawn by chance.

    Args:
        regions: relative path -> where it is, of all photographs that have it.
        place: where it would be in a photograph that has none; may reach beyond it.
        donors: photographs that have it, with their pixels.
        plain: photographs that have none, with their pixels.
    """

    removed_by = "painted over"
    added_by = "pasted"
    control = "an equal area elsewhere painted over; a piece of another photograph pasted there"

    def __init__(
        self,
        regions: Mapping[str, Region],
        place: PlaceIn,
        donors: Sequence[tuple[AuditedPhoto, np.ndarray]],
        plain: Sequence[tuple[AuditedPhoto, np.ndarray]],
    ) -> None:
        self._regions = dict(regions)
        self._place = place
        self._donors = list(donors)
        self._plain = list(plain)

    def remove(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The photograph with the mark's place filled."""
        region = self._regions.get(photo.rel)
        box = None if region is None else box_in(region, rgb.shape, 1)
        return None if box is None else filled(rgb, box)

    def remove_control(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The photograph with as large a place filled where the mark is not, see `_elsewhere`."""
        region = self._regions.get(photo.rel)
        if region is None:
            return None
        box = box_in(_elsewhere(region), rgb.shape, 1)
        return None if box is None else filled(rgb, box)

    def add(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The photograph with the mark of one that has it."""
        donor, pixels = self._donors[int(rng.integers(len(self._donors)))]
        return self._put(photo, rgb, pixels, self._regions[donor.rel])

    def add_control(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The photograph with the same place of one that has no mark."""
        others = [one for one in self._plain if one[0].rel != photo.rel]
        if not others:
            return None
        rng.integers(len(self._donors))  # the donor is drawn before, here as there
        other, pixels = others[int(rng.integers(len(others)))]
        return self._put(photo, rgb, pixels, self._place(other, pixels))

    def _put(
        self, photo: AuditedPhoto, rgb: np.ndarray, pixels: np.ndarray, region: Region
    ) -> np.ndarray | None:
        place = self._place(photo, rgb)
        whole = (place[2] - place[0]) * (place[3] - place[1])
        shown = _clipped(place)
        if (shown[2] - shown[0]) * (shown[3] - shown[1]) < LEAST * whole:
            return None
        source, box = box_in(region, pixels.shape, 1), box_in(shown, rgb.shape, 1)
        if source is None or box is None:
            return None
        piece = pixels[source[1] : source[3], source[0] : source[2]]
        return pasted(rgb, piece, box)


def _clipped(region: Region) -> Region:
    left, top, right, bottom = (min(max(value, 0.0), 1.0) for value in region)
    return left, top, max(left, right), max(top, bottom)


def _elsewhere(region: Region) -> Region:
    """The same size where the mark is not: mirrored on the farther axis, or moved to a side."""
    left, top, right, bottom = region
    mirrored_x, mirrored_y = (1 - right, top, 1 - left, bottom), (left, 1 - bottom, right, 1 - top)
    gap_x = max(left - mirrored_x[2], mirrored_x[0] - right)
    gap_y = max(top - mirrored_y[3], mirrored_y[1] - bottom)
    if max(gap_x, gap_y) >= 0:
        return mirrored_x if gap_x > gap_y else mirrored_y
    return (
        (left, 0.0, right, bottom - top)
        if top > 1 - bottom
        else (left, 1 - bottom + top, right, 1.0)
    )
