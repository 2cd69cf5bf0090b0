"""How the places that are suspected for their heat are taken away, and put on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.findings.pixel_cache import PixelCache
from camcli.evaluate.findings.suspect import Region
from camcli.evaluate.marks.inpainting import box_inpainted

TRIES = 40  # places that are looked at for one that is free
HOT = 0.5  # of the strongest heat: where the object is, mostly
RING = 0.1  # of the sides: as far in as a map's border share counts

Hole = tuple[int, int, int, int]


def box_of(region: Region, rgb: np.ndarray) -> Hole | None:
    """Left, top, right, bottom in pixels of a photograph; None for a place of no pixels."""
    height, width = rgb.shape[:2]
    left, top = round(region[0] * width), round(region[1] * height)
    right, bottom = round(region[2] * width), round(region[3] * height)
    return (left, top, right, bottom) if right > left and bottom > top else None


class _FromOthers:
    """What needs pixels of photographs of the class, which have it, and of others, which do not.

    Args:
        own: photographs of the class that have it, those that show it best first.
        others: photographs of other classes.
        pixels: reads them.
    """

    def __init__(
        self, own: Sequence[AuditedPhoto], others: Sequence[AuditedPhoto], pixels: PixelCache
    ) -> None:
        self._own, self._others, self._pixels = list(own), list(others), pixels

    def _one(
        self, some: Sequence[AuditedPhoto], photo: AuditedPhoto, rng: np.random.Generator
    ) -> tuple[AuditedPhoto, np.ndarray] | None:
        """One of some photographs by chance, but not `photo` itself."""
        left = [p for p in some if p.rel != photo.rel]
        if not left:
            return None
        one = left[int(rng.integers(len(left)))]
        rgb = self._pixels(one)
        return None if rgb is None else (one, rgb)


class PlaceChange(_FromOthers):
    """A place of a photograph, which may be another one in each.

    Args:
        own: photographs of the class that have it, those that show it best first.
        others: photographs of other classes.
        pixels: reads them.
        places: where it is, by relative path.
        thumbs: the heat, (h, w) in [0, 1], by relative path: a control is not where the heat is.
    """

    removed_by = "painted over"
    added_by = "pasted"
    control = "an equal area elsewhere painted over; a piece of another photograph pasted there"

    def __init__(
        self,
        own: Sequence[AuditedPhoto],
        others: Sequence[AuditedPhoto],
        pixels: PixelCache,
        places: Mapping[str, Region],
        thumbs: Mapping[str, np.ndarray],
    ) -> None:
        super().__init__(own, others, pixels)
        self._places, self._thumbs = places, thumbs

    def remove(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """What is there, filled from around it."""
        box = box_of(self._places[photo.rel], rgb)
        return None if box is None else box_inpainted(rgb, box)

    def remove_control(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """Another place of its size, where the heat is not, filled in the same way."""
        place = self._places[photo.rel]
        width, height = place[2] - place[0], place[3] - place[1]
        best: tuple[float, Region] | None = None
        for _ in range(TRIES):
            left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
            new = left, top, left + width, top + height
            cost = _common(new, place) + _heat(self._thumbs[photo.rel], new)
            if best is None or cost < best[0]:
                best = cost, new
            if cost == 0:
                break
        assert best is not None
        box = box_of(best[1], rgb)
        return None if box is None else box_inpainted(rgb, box)

    def add(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """What is there in a photograph of the class, at the same place of this one."""
        donor = self._one(self._own, photo, rng)
        if donor is None:
            return None
        place = self._places[donor[0].rel]
        return pasted(rgb, donor[1], place)

    def add_control(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """What another photograph that has it not has at that place."""
        donor = self._one(self._own, photo, rng)
        other = self._one(self._others, photo, rng)
        if donor is None or other is None:
            return None
        return pasted(rgb, other[1], self._places[donor[0].rel])


class BorderChange(_FromOthers):
    """The border all around: what it holds is replaced by what is next to it, mirrored."""

    removed_by = "the border filled from inside"
    added_by = "the border put on"
    control = "the border of another photograph of the class; the border of one of another class"

    def remove(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The border, mirrored from what is next to it."""
        across, down = _ring(rgb)
        inner = rgb[down : rgb.shape[0] - down, across : rgb.shape[1] - across]
        if min(inner.shape[:2]) <= 2 * max(across, down):
            return None
        return cv2.copyMakeBorder(inner, down, down, across, across, cv2.BORDER_REFLECT)

    def remove_control(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The border of another photograph of the class, which has it too."""
        donor = self._one(self._own, photo, rng)
        return None if donor is None else bordered(rgb, donor[1])

    def add(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The border of a photograph of the class."""
        donor = self._one(self._own, photo, rng)
        return None if donor is None else bordered(rgb, donor[1])

    def add_control(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The border of another photograph that is not of the class."""
        donor = self._one(self._others, photo, rng)
        return None if donor is None else bordered(rgb, donor[1])


def pasted(rgb: np.ndarray, donor: np.ndarray, place: Region) -> np.ndarray | None:
    """A photograph with what another one has at a place; None for a place of no pixels."""
    source, target = box_of(place, donor), box_of(place, rgb)
    if source is None or target is None:
        return None
    cut = donor[source[1] : source[3], source[0] : source[2]]
    out = rgb.copy()
    size = target[2] - target[0], target[3] - target[1]
    out[target[1] : target[3], target[0] : target[2]] = _resized(cut, size)
    return out


def bordered(rgb: np.ndarray, donor: np.ndarray) -> np.ndarray:
    """A photograph with the border of another."""
    across, down = _ring(rgb)
    out = _resized(donor, (rgb.shape[1], rgb.shape[0])).copy()
    out[down : rgb.shape[0] - down, across : rgb.shape[1] - across] = rgb[
        down : rgb.shape[0] - down, across : rgb.shape[1] - across
    ]
    return out


def _resized(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    smaller = size[0] * size[1] < rgb.shape[0] * rgb.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, size, interpolation=how))


def _ring(rgb: np.ndarray) -> tuple[int, int]:
    """Width of the border at the left and right, and at the top and bottom, in pixels."""
    return max(1, round(RING * rgb.shape[1])), max(1, round(RING * rgb.shape[0]))


def _common(one: Region, other: Region) -> float:
    """Pixels that two places share, as a share of the picture."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)


def _heat(thumb: np.ndarray, place: Region) -> float:
    """Share of the picture at a place that is hot."""
    h, w = thumb.shape
    rows = slice(int(place[1] * h), max(int(place[1] * h) + 1, int(np.ceil(place[3] * h))))
    columns = slice(int(place[0] * w), max(int(place[0] * w) + 1, int(np.ceil(place[2] * w))))
    return float((thumb[rows, columns] >= HOT).sum()) / thumb.size
