"""Boxes that were drawn on a picture of another size than the photograph has, or reach out of it.

VOC and COCO files say how large the picture was. A photograph that was made smaller since has the
same things in other pixels: its boxes go with it. Where the shape differs too, nothing can be told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from PIL import Image

from camcli.data.decode.images import read_bytes
from camcli.data.decode.pillow import opened
from camcli.data.sources.refs import ImageRef
from camcli.evaluate.measured.box_files import Box, NamedBox
from camcli.printable import counted, printable

_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
_PIXELS = 1.0
"""So far a side or an edge may be off by rounding."""


def fitted(
    boxes: Mapping[str, tuple[Box, ...]], refs: Iterable[ImageRef], warn: Callable[[str], object]
) -> dict[str, tuple[Box, ...]]:
    """The boxes in the pixels that the photographs have now.

    Only photographs whose annotation tells a size are looked into, at their header.

    Args:
        boxes: by relative path.
        refs: the photographs.
        warn: told of how many the boxes were scaled, and of which they do not fit.
    """
    found = dict(boxes)
    scaled, odd = [], []
    for ref in refs:
        own = boxes.get(ref.rel, ())
        told = next((box.of for box in own if isinstance(box, NamedBox) and box.of), None)
        if told is None or (size := _size(ref)) is None or size == told:
            continue
        if _same_shape(size, told):
            found[ref.rel] = tuple(_scaled(box, size, told) for box in own)
            scaled.append(ref.rel)
        else:
            odd.append((ref.rel, told, size))
    if scaled:
        warn(
            f"The boxes of {counted(len(scaled), 'photograph')} ({printable(scaled[0])}"
            f"{', ...' if len(scaled) > 1 else ''}) were drawn on pictures of another size: they "
            "are taken for the same parts."
        )
    if odd:
        rel, told, size = odd[0]
        more = f", and {len(odd) - 1} more are likewise" if len(odd) > 1 else ""
        warn(
            f"{printable(rel)} is {size[0]}x{size[1]} pixels, and its annotation is of a picture "
            f"of {told[0]}x{told[1]}{more}: its boxes are taken as they are. Are they right?"
        )
    return found


def cut_box(boxes: Iterable[Box], size: tuple[int, int]) -> str | None:
    """The first box that is cut at the edges of its picture, in words; None where none is.

    A pixel outside is how programs round, and is not told.

    Args:
        boxes: of one picture, in its pixels.
        size: (width, height) of the picture.
    """
    for box in boxes:
        x0, y0, x1, y1 = box
        if min(x0, y0) < -_PIXELS or x1 > size[0] + _PIXELS or y1 > size[1] + _PIXELS:
            return f"{','.join(f'{edge:g}' for edge in box)} in {size[0]}x{size[1]} pixels"
    return None


def _size(ref: ImageRef) -> tuple[int, int] | None:
    """(width, height) of a photograph as it is shown; None where it cannot be read."""
    try:
        with opened(read_bytes(ref)[1], "") as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION) in _TURNED
    except (Exception, Image.DecompressionBombError):  # decoders raise what they like
        return None
    return (height, width) if turned else (width, height)


def _same_shape(size: tuple[int, int], told: tuple[int, int]) -> bool:
    """Whether one is the other scaled, and its sides rounded."""
    (w, h), (W, H) = sorted([size, told])
    return abs(w * H / W - h) <= _PIXELS or abs(h * W / H - w) <= _PIXELS


def _scaled(box: Box, size: tuple[int, int], told: tuple[int, int]) -> Box:
    x, y = size[0] / told[0], size[1] / told[1]
    edges = box[0] * x, box[1] * y, box[2] * x, box[3] * y
    return NamedBox(edges, box.name, size) if isinstance(box, NamedBox) else edges
