"""Pillow's pixels in an array of ours, copied by a call that lets go of Python's lock.

`numpy.array(image)` packs the pixels into pieces of bytes, joins them and copies them once more,
all of it under the lock: a sixth of what a photograph took there, which is what bounds a machine
with many cores. Pillow shows the memory itself as well, by the Arrow C data interface, and OpenCV
copies three bytes of each four out of it.
"""

from __future__ import annotations

import ctypes
from typing import Any

import cv2
import numpy as np
import PIL
from PIL import Image

# 11.2.1 has the interface, too, but never frees a picture that was shown.
_SHOWS = tuple(map(int, PIL.__version__.split(".")[:2])) >= (11, 3)
# Bytes that Pillow has for a pixel of RGB; the last is padding.
_STORED = 4


class _Array(ctypes.Structure):
    """``struct ArrowArray``, as far as it is read."""


_Array._fields_ = [
    *((name, ctypes.c_int64) for name in ("length", "nulls", "offset", "n_buffers", "n_children")),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_Array))),
]

_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


class _Shown:
    """Memory of Pillow's, for NumPy; it is kept as long as this is, which an array of it does."""

    __slots__ = ("__array_interface__", "_capsule")

    def __init__(self, capsule: object, address: int, shape: tuple[int, ...]) -> None:
        self._capsule = capsule
        self.__array_interface__: dict[str, Any] = {
            "version": 3, "typestr": "|u1", "shape": shape, "data": (address, True),
        }  # fmt: skip


def copied(image: Image.Image, out: np.ndarray | None = None) -> np.ndarray:
    """The pixels of an RGB picture.

    Args:
        image: of mode RGB, with its pixels loaded.
        out: (H, W, 3) uint8, C-contiguous, where they are to be; by default a new array.

    Returns:
        (H, W, 3) uint8, C-contiguous and writable: `out`, or memory of nobody else's.
    """
    shown = _shown(image)
    if out is None:
        if shown is None:
            return np.array(image)
        out = np.empty((*shown.shape[:2], 3), np.uint8)
    if shown is None:
        out[:] = image
        return out
    # Into an array that is there: OpenCV would take the lock again to make one.
    cv2.cvtColor(shown, cv2.COLOR_RGBA2RGB, dst=out)
    return out


def _shown(image: Image.Image) -> np.ndarray | None:
    """(H, W, 4) uint8, Pillow's own memory, not to be written to; None where it cannot be shown.

    That is so before Pillow 11.3, and of a picture that lies in several pieces: by default one of
    more than 16 MiB.
    """
    width, height = image.size
    try:
        # PILLOW_ALIGNMENT, where somebody set it, leaves gaps between the rows.
        if not _SHOWS or image.mode != "RGB" or Image.core.get_alignment() != 1:
            return None
        capsule = image.im.__arrow_c_array__()
        array = _Array.from_address(_pointer(capsule, b"arrow_array"))
        if array.n_children != 1 or array.length != width * height or array.offset:
            return None
        values = array.children[0].contents
        if values.n_buffers != 2 or values.length != _STORED * array.length or values.offset:
            return None
        address = values.buffers[1]
    except (AttributeError, ValueError, MemoryError):  # what Pillow says of several pieces
        return None
    return np.asarray(_Shown(capsule, address, (height, width, _STORED))) if address else None
