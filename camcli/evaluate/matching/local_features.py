"""What a photograph looks like around its corners and blobs, so that the same can be found again.

SIFT (Lowe 2004) as RootSIFT (Arandjelovic and Zisserman 2012): the square root of each histogram
that sums to one, so that a product of two descriptors is one less half their Hellinger distance
squared, and in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

SIDE = 480  # pixels of the longer side that a photograph is looked at
MOST = 500  # features of a photograph, the clearest
BORDER = 0.3  # of them are the clearest of what is left near the border, where marks are
_NEAR_BORDER = 0.15  # of the shorter side
LEAST = 8  # pixels of a side below which there is nothing to find


@dataclass(frozen=True, slots=True, eq=False)
class LocalFeatures:
    """The features of one photograph.

    Attributes:
        points: (N, 2) float32, x and y in pixels of the photograph that was given.
        sizes: (N,) float32, diameter of each in the same pixels.
        angles: (N,) float32, orientation of each in radians.
        descriptors: (N, 128) float32 of norm 1.
        shape: (height, width) of the photograph that was given.
        ratio: pixels that were looked at for one of its pixels, at most 1.
    """

    points: np.ndarray
    sizes: np.ndarray
    angles: np.ndarray
    descriptors: np.ndarray
    shape: tuple[int, int]
    ratio: float

    def __len__(self) -> int:
        return len(self.points)

    def some(self, chosen: np.ndarray) -> LocalFeatures:
        """Those that `chosen` (indices, or N booleans) points to."""
        return LocalFeatures(
            self.points[chosen],
            self.sizes[chosen],
            self.angles[chosen],
            self.descriptors[chosen],
            self.shape,
            self.ratio,
        )


def local_features(
    rgb: np.ndarray, side: int = SIDE, most: int = MOST, contrast: float = 0.02
) -> LocalFeatures:
    """The features of a photograph.

    Args:
        rgb: (H, W, 3) or grey (H, W), uint8, of any size.
        side: it is looked at with its longer side at most so many pixels.
        most: how many are kept, those of the strongest response; some are kept for the border.
        contrast: SIFT's threshold on the response, lower for fainter features.

    Returns:
        None at all where the picture is blank, or a few pixels.
    """
    height, width = rgb.shape[:2]
    ratio = min(1.0, side / max(height, width))
    size = round(width * ratio), round(height * ratio)
    if min(size) < LEAST:
        return no_features((height, width), ratio)
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) if rgb.ndim == 3 else rgb
    if ratio < 1:
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    sift = cv2.SIFT.create(contrastThreshold=contrast)
    keypoints, found = sift.compute(grey, _clearest(sift.detect(grey, None), size, most))
    if not keypoints:
        return no_features((height, width), ratio)
    weight = found.sum(1)
    kept = np.flatnonzero(weight > 0).tolist()  # a feature of no gradient at all has no direction
    descriptors = np.sqrt(found[kept] / weight[kept, None])
    scale = np.array([width / size[0], height / size[1]], np.float32)
    # A pixel's centre is at its index: (x + 0.5) / ratio - 0.5.
    points = (np.array([keypoints[k].pt for k in kept], np.float32) + 0.5) * scale - 0.5
    return LocalFeatures(
        points.astype(np.float32),
        np.array([keypoints[k].size for k in kept], np.float32) / np.float32(ratio),
        np.deg2rad(np.array([keypoints[k].angle for k in kept], np.float32)),
        descriptors.astype(np.float32),
        (height, width),
        ratio,
    )


def _clearest(
    keypoints: Sequence[cv2.KeyPoint], size: tuple[int, int], most: int
) -> list[cv2.KeyPoint]:
    """Those of the strongest response: of all, and then of the border."""
    ordered = sorted(keypoints, key=lambda k: (-k.response, k.pt))
    if len(ordered) <= most:
        return ordered
    first = most - round(BORDER * most)
    near = _NEAR_BORDER * min(size)
    border = [
        k
        for k in ordered[first:]
        if min(k.pt[0], k.pt[1], size[0] - k.pt[0], size[1] - k.pt[1]) < near
    ][: most - first]
    chosen = [*ordered[:first], *border]
    taken = {id(k) for k in chosen}
    return [*chosen, *(k for k in ordered[first:] if id(k) not in taken)][:most]


def no_features(shape: tuple[int, int], ratio: float = 1.0) -> LocalFeatures:
    """Those of a picture in which there are none."""
    nothing = np.zeros(0, np.float32)
    return LocalFeatures(
        np.zeros((0, 2), np.float32),
        nothing,
        nothing,
        np.zeros((0, 128), np.float32),
        shape,
        ratio,
    )
