"""A photograph that the network has seen once, and that may be changed and shown to it again."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from camcli.data.decode.images import load_image
from camcli.data.sources.refs import ImageRef

LONGEST = 1024  # pixels of the longer side of a photograph that is looked at again


@dataclass(frozen=True, slots=True, eq=False)
class AuditedPhoto:
    """One photograph, and what the network said of it.

    Attributes:
        ref: where it is.
        label: true class; None where it is unknown.
        pred: predicted class.
        prob: its probability.
        size: (width, height) of the photograph as it is shown upright, in its own pixels.
    """

    ref: ImageRef
    label: str | None
    pred: str
    prob: float
    size: tuple[int, int]

    @property
    def rel(self) -> str:
        """Its relative path, which is its name everywhere."""
        return self.ref.rel

    @property
    def right(self) -> bool:
        """Whether the prediction is the label, or there is no label to contradict it."""
        return self.label is None or self.label == self.pred

    def rgb(self) -> np.ndarray:
        """Its pixels, (H, W, 3) uint8, upright, the longer side at most `LONGEST`.

        Raises:
            ImageError: it cannot be read (any more).
        """
        return reduced(load_image(self.ref), LONGEST)


def reduced(rgb: np.ndarray, longest: int) -> np.ndarray:
    """A photograph whose longer side is at most `longest` pixels; smaller ones as they are."""
    height, width = rgb.shape[:2]
    ratio = longest / max(height, width)
    if ratio >= 1:
        return rgb
    size = max(1, round(width * ratio)), max(1, round(height * ratio))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
