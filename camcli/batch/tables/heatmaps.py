"""``heatmaps.jsonl``: the maps of a run, small, so that a page can draw and compare them.

One line an image, appended before the image's row in the table: a row in the table therefore has
its maps. A resumed run may append a line twice; the last one counts.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from camcli.batch.tables.appending import Appender
from camcli.errors import CamcliError
from camcli.result import Heat, Result

# Maps of early layers are averaged down to so many cells a side: 2 kB an image at most.
LARGEST = 32
# Numbers that say what a photograph is to the network, at most: `camcli.batch.features`.
FEATURES = 128


class Heatmaps(Appender):
    """Appends the maps of Results, one write a line.

    Example:
        >>> with Heatmaps(path) as heatmaps:
        ...     heatmaps.append(result)
    """

    def __init__(self, path: Path) -> None:
        """Open `path`; a half-written last line, as a killed run may leave one, is ended.

        Raises:
            CamcliError: it cannot be written.
        """
        super().__init__(path)
        if self._file.tell() and not _ends_a_line(path):
            self._append(b"\n")

    def append(self, result: Result) -> None:
        """Add one Result's maps; a failed one has none.

        Raises:
            CamcliError: the file cannot be written.
        """
        self.write(line(result) if result.heats else "")

    def write(self, line: str) -> None:
        """Add what `line` made.

        Raises:
            CamcliError: the file cannot be written.
        """
        if line:
            self._append(line.encode("ascii"))


def line(result: Result) -> str:
    """A Result's maps as one line of JSON, ASCII.

    ``values`` are float16, row by row, little-endian, base64; the map is ``values * max``, where
    ``max`` is the largest absolute value. ``features``, where they were asked for, are float16.
    ``difference`` is signed, of the prediction minus ``against``; both are missing where there is
    none, as in files of before there were any.

    Args:
        result: with one map or more.

    Raises:
        ValueError: a number is not finite, for which JSON has no word.
    """
    truth = result.truth
    record = {
        "path": result.ref.rel,
        "view": [round(v, 3) for v in result.view or ()],
        "maps": [_record(heat) for heat in result.heats],
        "truth": None if truth is None else _record(truth),
        **_features_told(result.features),
    }
    if result.difference is not None:
        record |= {"difference": _record(result.difference), "against": result.against}
    return json.dumps(record, separators=(",", ":"), allow_nan=False) + "\n"


def read_heatmaps(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file as `line` wrote them, with ``values`` as (h, w) float32 arrays.

    ``features`` are (n,) float16, or None: a run of an older version has none.

    A line that holds no maps, as a killed run may leave one, is skipped: its image is then shown
    without.

    Raises:
        CamcliError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for text in file:
                try:
                    record = json.loads(text)
                    maps = [_map(one) for one in record["maps"]]
                    truth = None if record["truth"] is None else _map(record["truth"])
                    difference, against = _difference(record)
                    name, view = record["path"], [float(edge) for edge in record["view"]]
                except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
                    continue
                known = len(view) == 4 and view[0] < view[2] and view[1] < view[3]
                if isinstance(name, str) and maps and (known or not view) and _finite(view):
                    yield {
                        "path": name, "view": view, "maps": maps, "truth": truth,
                        "difference": difference, "against": against,
                        "features": _features(record.get("features")),
                    }  # fmt: skip
    except OSError as error:
        raise CamcliError(f"Cannot read {path}: {error.strerror}.") from error


def _features_told(features: np.ndarray | None) -> dict[str, str]:
    if features is None:
        return {}
    return {"features": base64.b64encode(features.astype("<f2").tobytes()).decode()}


def _features(told: Any) -> np.ndarray | None:
    """Features as `line` wrote them; None where there are none, or something else is there."""
    try:
        found = np.frombuffer(base64.b64decode(told, validate=True), "<f2")
    except (TypeError, ValueError):
        return None
    good = 0 < len(found) <= FEATURES and np.isfinite(found).all()
    return found.astype(np.float16) if good else None


def _finite(values: list[float]) -> bool:
    return all(math.isfinite(value) for value in values)


def _difference(record: dict[str, Any]) -> tuple[dict[str, Any] | None, str | None]:
    """The map of a difference and the class that it compares with; None where there is none.

    Raises:
        ValueError: as `_map`.
    """
    one, against = record.get("difference"), record.get("against")
    if one is None:
        return None, None
    if not isinstance(against, str):
        raise ValueError("not a difference")
    return _map(one), against


def _map(one: Any) -> dict[str, Any]:
    """A map as `_record` wrote it, with its ``values`` as an array.

    Raises:
        ValueError: it is none; TypeError and KeyError likewise.
    """
    if not isinstance(one, dict):
        raise ValueError("not a map")
    # A map of a value has no probability.
    value = None if one.get("value") is None else float(one["value"])
    prob, shape = None if one["prob"] is None else float(one["prob"]), one["shape"]
    if prob is None and (value is None or not math.isfinite(value)):
        raise ValueError("not a map")
    if not isinstance(one["target"], str) or len(shape) != 2 or not 0 <= (prob or 0) <= 1.000001:
        raise ValueError("not a map")
    values = _values(one)
    if not np.isfinite(values).all() or not values.size or max(shape) > 4 * LARGEST:
        raise ValueError("not a map")
    return {**one, "prob": prob, "value": value, "empty": bool(one["empty"]), "values": values}


def _record(heat: Heat) -> dict[str, Any]:
    small = heat.heatmap
    h, w = small.shape
    if max(h, w) > LARGEST:
        ratio = LARGEST / max(h, w)
        size = max(1, round(w * ratio)), max(1, round(h * ratio))
        small = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
    high = float(np.abs(small).max())
    halves = (small / high if high > 0 else small).astype("<f2")
    return {
        "target": heat.target,
        "prob": None if heat.prob is None else float(f"{heat.prob:.5g}"),
        **({} if heat.value is None else {"value": float(f"{heat.value:.5g}")}),
        "max": float(f"{high:.7g}"),
        "empty": heat.empty,
        "shape": list(small.shape),
        "values": base64.b64encode(halves.tobytes()).decode(),
    }


def _values(one: dict[str, Any]) -> np.ndarray:
    halves = np.frombuffer(base64.b64decode(one["values"]), "<f2").astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is no map
        return halves.reshape(one["shape"]) * np.float32(one["max"])


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
