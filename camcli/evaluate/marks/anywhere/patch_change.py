"""A local mark taken away from photographs and put on others, beside controls of its size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.marks.anywhere.cut_out import CutOut
from camcli.evaluate.marks.anywhere.usual_place import UsualPlace, box_of
from camcli.evaluate.marks.inpainting import inpainted
from camcli.evaluate.matching.alignment import scale_of

_SOLID = 0.5  # share of its box that a mark covers, from which on it is no line of text
_TRIES = 60  # places that are tried for a control


class PatchChange:
    """Of a mark: inpainted where it is, pasted where it usually is.

    The control of the removal inpaints the same shape elsewhere in the same photograph; that of the
    pasting fills the same shape at the same place with a piece of another photograph. A line of
    text filled so would still be read, so its control is a rectangle of as many pixels.

    Args:
        mark: what it looks like.
        places: relative path -> similarities from the mark's pixels to those of the photograph,
            for all photographs that have it.
        usual: where it usually is, and how large.
        donors: pieces of photographs that do not have it, (h, w, 3) uint8, at least one.
    """

    removed_by = "painted over"
    added_by = "pasted"
    control = "an equal area elsewhere painted over; a piece of another photograph pasted there"

    def __init__(
        self,
        mark: CutOut,
        places: Mapping[str, Sequence[np.ndarray]],
        usual: UsualPlace,
        donors: Sequence[np.ndarray],
    ) -> None:
        self._mark = mark
        self._places = places
        self._usual = usual
        self._donors = donors

    def remove(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The photograph without it; None where it is not known to have it."""
        mask = self._mask(photo, rgb)
        return None if mask is None else inpainted(rgb, mask)

    def remove_control(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The photograph with the same shape inpainted elsewhere; None where there is no room."""
        mask = self._mask(photo, rgb)
        other = None if mask is None else elsewhere(mask, rng)
        return None if other is None else inpainted(rgb, other)

    def add(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The photograph with it, where and as large as one of the others has it."""
        matrix = self._drawn(rgb, rng)
        return pasted(rgb, self._mark.rgb, self._mark.alpha, matrix)

    def add_control(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The photograph with a piece of another one there."""
        matrix = self._drawn(rgb, rng)
        donor = self._donors[int(rng.integers(len(self._donors)))]
        height, width = self._mark.alpha.shape
        donor = np.asarray(cv2.resize(donor, (width, height), interpolation=cv2.INTER_AREA))
        return pasted(rgb, donor, control_shape(self._mark.alpha), matrix)

    def _drawn(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Where it is put: as in one of the photographs that have it."""
        index = int(rng.integers(len(self._usual.scales)))
        return self._usual.matrix((rgb.shape[0], rgb.shape[1]), index)

    def _mask(self, photo: AuditedPhoto, rgb: np.ndarray) -> np.ndarray | None:
        """(H, W) uint8, 255 where the mark is, and a little around it."""
        matrices = self._places.get(photo.rel)
        if not matrices:
            return None
        mask = np.zeros(rgb.shape[:2], np.uint8)
        for matrix in matrices:
            alpha = laid(self._mark.alpha, matrix, rgb.shape[:2])
            here = (alpha > 0.15).astype(np.uint8)
            low, high = box_of(self._usual.size, matrix)
            # What compression smeared, and what a pixel's misplacement leaves.
            reach = 2 + round(0.04 * float((high - low).min()))
            disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
            pad = 4 * reach
            padded = cv2.copyMakeBorder(here, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0)
            closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disc)[pad:-pad, pad:-pad]
            mask |= np.asarray(cv2.dilate(closed, disc))
        return mask * np.uint8(255) if mask.any() else None


def control_shape(alpha: np.ndarray) -> np.ndarray:
    """(h, w) float32: the mark's own shape, or a rectangle of as many pixels in its middle."""
    if alpha.mean() >= _SOLID:
        return alpha
    height, width = alpha.shape
    share = float(np.sqrt(alpha.mean()))
    size = max(1, round(height * share)), max(1, round(width * share))
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    out = np.zeros_like(alpha)
    out[top : top + size[0], left : left + size[1]] = 1
    return out


def laid(picture: np.ndarray, matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A small picture (or its alpha) where a similarity puts it, 0 elsewhere.

    Args:
        picture: (h, w) or (h, w, 3).
        matrix: similarity from its pixels to those of the result.
        shape: (H, W) of the result.
    """
    scale = scale_of(matrix)
    if scale < 0.8:  # no aliasing
        height, width = picture.shape[:2]
        small = max(1, round(width * scale)), max(1, round(height * scale))
        picture = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
        matrix = matrix.copy()
        matrix[:, :2] = matrix[:, :2] @ np.diag([width / small[0], height / small[1]])
    return np.asarray(cv2.warpAffine(picture, matrix, (shape[1], shape[0])))


def pasted(
    rgb: np.ndarray, picture: np.ndarray, alpha: np.ndarray, matrix: np.ndarray
) -> np.ndarray:
    """A photograph with a small picture on it.

    Args:
        rgb: (H, W, 3) uint8.
        picture: (h, w, 3) uint8.
        alpha: (h, w) float32, how much it hides.
        matrix: similarity from the picture's pixels to the photograph's.
    """
    # Colours travel with their weight, so that none of what is around the mark comes along.
    weighted = picture * alpha[..., None]
    over = laid(weighted.astype(np.float32), matrix, rgb.shape[:2])
    hides = laid(alpha.astype(np.float32), matrix, rgb.shape[:2])[..., None]
    return np.clip(over + (1 - hides) * rgb, 0, 255).round().astype(np.uint8)


def elsewhere(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """A mask's shape at another place, which does not touch the mask; None where there is no room.

    Args:
        mask: (H, W) uint8.
        rng: draws the place.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    shape = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    room = mask.shape[0] - shape.shape[0], mask.shape[1] - shape.shape[1]
    for _ in range(_TRIES):
        top, left = (int(rng.integers(r + 1)) for r in room)
        part = np.s_[top : top + shape.shape[0], left : left + shape.shape[1]]
        if not (mask[part] & shape).any():
            out = np.zeros_like(mask)
            out[part] = shape
            return out
    # Along a whole side, or at all of them: on the other side.
    for axes in ((0,), (1,), (0, 1)):
        out = np.ascontiguousarray(np.flip(mask, axes))
        if not (out & mask).any():
            return out
    return None
