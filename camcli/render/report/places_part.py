"""What the page's map is drawn from, and what "more like this" is found by."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from camcli.render.places.layout import Working, compact, lay_out
from camcli.render.report.rows import ImageRow

# Bytes of all features together: 128 numbers of 50,000 photographs, 64 of 100,000.
NEAR_BYTES = 6_400_000
NO_PLACE = 65_535


def places_parts(rows: Sequence[ImageRow], working: Working | None = None) -> dict[str, Any]:
    """The parts ``places`` and ``near`` of a page.

    Args:
        rows: in the page's order; those of the page of one run.
        working: hears about what takes longer than a moment.

    Returns:
        None of both where no two photographs have features, as in runs of older versions.
    """
    features = [row.sides[0].features for row in rows]
    layout = lay_out(features, working=working)
    found = compact(features, NEAR_BYTES)
    if layout is None or found is None:
        return {}
    places = np.concatenate([layout.x, layout.y])
    ids, numbers = found
    return {
        "places": {
            "places": _text(np.where(places < 0, NO_PLACE, places).astype("<u2")),
            "how": layout.how,
            "drawn": layout.drawn,
            "placed": layout.placed,
            "unknown": layout.unknown,
        },
        "near": {
            # Numbers of the rows, where not all of them have features.
            "ids": None if len(ids) == len(rows) else _text(ids.astype("<u4")),
            "width": numbers.shape[1],
            "numbers": _text(numbers),
        },
    }


def _text(numbers: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers).tobytes()).decode()
