"""Where marks are in their photographs, in words for a person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from camcli.evaluate.findings.suspect import Region

_MOSTLY = 0.75  # of the photographs have it there
_BESIDE = 0.14  # of a side, between the mark and the photograph's edge
_LONG = 0.4  # of a side, from which on something lies along it


def place_words(regions: Sequence[Region]) -> str:
    """``bottom right corner``, ``along the left side``, ``at the bottom``, ``anywhere`` ...

    Args:
        regions: of one mark, one a photograph.
    """
    if not regions:
        return "nowhere"
    boxes = np.array(regions)
    gaps = np.stack([boxes[:, 0], boxes[:, 1], 1 - boxes[:, 2], 1 - boxes[:, 3]], 1)
    wide = np.median(boxes[:, 2] - boxes[:, 0])
    tall = np.median(boxes[:, 3] - boxes[:, 1])
    left, top, right, bottom = (bool(b) for b in (gaps <= _BESIDE).mean(0) >= _MOSTLY)
    if left and top and right and bottom:
        return "all over the picture"
    vertical = "top" if top and not bottom else "bottom" if bottom and not top else ""
    horizontal = "left" if left and not right else "right" if right and not left else ""
    if horizontal and (tall >= 2 * _LONG or (tall >= _LONG and tall > 2 * wide)):
        return f"along the {horizontal} side"
    if vertical and wide >= 2 * _LONG:
        return f"along the {vertical}"
    if vertical and wide >= _LONG:
        return f"at the {vertical}"
    if vertical and horizontal:
        return f"{vertical} {horizontal} corner"
    if vertical:
        return f"at the {vertical}"
    if horizontal:
        return f"at the {horizontal}"
    centres = np.stack([boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]], 1) / 2
    off = np.abs(centres - np.median(centres, axis=0)).max(1)
    return "at the same place" if (off < 0.06).mean() >= _MOSTLY else "anywhere"


def size_words(sizes: Sequence[tuple[float, float]]) -> str:
    """``about 60 x 40 pixels``.

    Args:
        sizes: (width, height) in the photographs' own pixels.
    """
    if not sizes:
        return "no size"
    width, height = np.median(np.array(sizes), axis=0)
    return f"about {max(1, round(width))} x {max(1, round(height))} pixels"
