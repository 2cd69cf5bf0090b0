"""The pixels of photographs that are looked at again and again, as many as memory has room for."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from camcli.errors import ImageError
from camcli.evaluate.findings.audited_photo import AuditedPhoto

BYTES = 400_000_000  # about 700 photographs of 500 x 375, a tenth of a small laptop's memory


class PixelCache:
    """Reads photographs, and keeps the latest.

    Args:
        bytes_: how much is kept.

    Attributes:
        unread: relative paths of the photographs that could not be read any more.
    """

    def __init__(self, bytes_: int = BYTES) -> None:
        self._room = bytes_
        self._held = 0
        self.unread: set[str] = set()
        self._kept: OrderedDict[str, np.ndarray] = OrderedDict()

    def __call__(self, photo: AuditedPhoto) -> np.ndarray | None:
        """`AuditedPhoto.rgb`, read-only; None where it cannot be read any more."""
        kept = self._kept.get(photo.rel)
        if kept is not None:
            self._kept.move_to_end(photo.rel)
            return kept
        try:
            rgb = photo.rgb()
        except ImageError:
            self.unread.add(photo.rel)
            return None
        rgb.setflags(write=False)
        self._kept[photo.rel] = rgb
        self._held += rgb.nbytes
        while self._held > self._room and len(self._kept) > 1:
            _, gone = self._kept.popitem(last=False)
            self._held -= gone.nbytes
        return rgb
