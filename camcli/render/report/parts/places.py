"""What the page's map is drawn from, and what "more like this" is found by."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from camcli import __version__
from camcli.render.places.layout import HOW, Working, compact, lay_out
from camcli.render.report.rows.image_rows import ImageRow

# Bytes of all features together: 128 numbers of 50,000 photographs, 64 of 100,000.
NEAR_BYTES = 6_400_000
NO_PLACE = 65_535


def places_parts(
    rows: Sequence[ImageRow], working: Working | None = None, before: Path | None = None
) -> dict[str, Any]:
    """The parts ``places`` and ``near`` of a page.

    Args:
        rows: in the page's order; those of the page of one run.
        working: hears about what takes longer than a moment.
        before: where an earlier page of the run keeps its part ``places``: as long as the
            photographs are the same ones they stay where they are, and nobody waits again.

    Returns:
        None of both where no two photographs have features, as in runs of older versions.
    """
    features = [row.sides[0].features for row in rows]
    found = compact(features, NEAR_BYTES)
    if found is None:
        return {}
    ids, numbers = found
    own = _digest(features)
    places = _kept(before, own, len(rows)) or _laid_out(features, own, working)
    return {
        "places": places,
        "near": {
            # Numbers of the rows, where not all of them have features.
            "ids": None if len(ids) == len(rows) else _text(ids.astype("<u4")),
            "width": numbers.shape[1],
            "numbers": _text(numbers),
        },
    }


def _laid_out(
    features: Sequence[np.ndarray | None], own: str, working: Working | None
) -> dict[str, Any]:
    layout = lay_out(features, working=working)
    assert layout is not None  # there are features
    places = np.concatenate([layout.x, layout.y])
    return {
        "places": _text(np.where(places < 0, NO_PLACE, places).astype("<u2")),
        "how": layout.how,
        "drawn": layout.drawn,
        "placed": layout.placed,
        "unknown": layout.unknown,
        "of": own,
    }


def _digest(features: Sequence[np.ndarray | None]) -> str:
    """Of everything that decides the places: the features, and how they are laid out."""
    digest = hashlib.sha256(f"{__version__}, UMAP {find_spec('umap') is not None}".encode())
    for each in features:
        digest.update(b"-" if each is None else each.tobytes() + b"+")
    return digest.hexdigest()[:32]


def _kept(before: Path | None, own: str, rows: int) -> dict[str, Any] | None:
    """The places of an earlier page, if they are of the very same photographs."""
    start, end = 'camcli.part("places",', ");\n"
    try:
        text = before.read_text("ascii") if before else ""
        told = json.loads(text[len(start) : -len(end)]) if text.startswith(start) else {}
        if told.get("of") != own or told["how"] not in HOW:
            return None
        counts = {name: int(told[name]) for name in ("drawn", "placed", "unknown")}
        if len(base64.b64decode(told["places"], validate=True)) != 4 * rows:
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # somebody else's, or torn
    return {"places": told["places"], "how": told["how"], **counts, "of": own}


def _text(numbers: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers).tobytes()).decode()
