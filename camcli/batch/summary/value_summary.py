"""How far a run's values are from what its labels say, from the run's table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from camcli.batch.tables.reading import header, read_rows
from camcli.data.sources.label_tables import split_values
from camcli.ours import finite_number
from camcli.printable import counted
from camcli.render.verdict import number

_OF = "value_"
MOST = 10
"""Values whose errors are told."""
VALUES = "value_metrics"
"""What ``run.json`` calls it."""


def value_summary(table: Path) -> dict[str, Any] | None:
    """The errors of a network's values, for ``run.json``.

    Args:
        table: ``predictions.csv``.

    Returns:
        ``images`` (those with a value and a label that is a number), ``mae``, the mean absolute
        error, ``rmse``, the root of the mean squared one, ``bias``, the mean of value minus label,
        and ``r2``, the share of the labels' variance that the values explain (None where they do
        not vary). Of a network with several values ``images``, those with a label of one, and
        ``values``, these numbers of each by its name. Or None: the network returns something else,
        or no label is a number.
    """
    columns = header(table) if table.exists() else []
    if "value" not in columns:
        return None
    names = [name.removeprefix(_OF) for name in columns if name.startswith(_OF)]
    pairs: dict[str, list[tuple[float, float]]] = {}
    images = 0
    for row in read_rows(table, ("label", "value")):
        if names:
            true = split_values(row["label"], names)
            said = [finite_number(row[_OF + name]) for name in names]
        else:
            number = finite_number(row["label"])
            true, said = (math.nan if number is None else number,), [finite_number(row["value"])]
        known = [
            (name, (first, second))
            for name, first, second in zip(names or [""], said, true, strict=True)
            if first is not None and not math.isnan(second)
        ]
        images += bool(known)
        for name, pair in known:
            pairs.setdefault(name, []).append(pair)
    if not pairs:
        return None
    if not names:
        return _errors(pairs[""])
    return {"images": images, "values": {n: _errors(pairs[n]) for n in names if n in pairs}}


def _errors(pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """The numbers of one value, of which it was said what is true."""
    said, true = np.array(pairs, np.float64).T
    with np.errstate(all="ignore"):
        off = said - true
        spread = float(((true - true.mean()) ** 2).sum())
        found = {
            "mae": float(np.abs(off).mean()),
            "rmse": float(np.sqrt((off**2).mean())),
            "bias": float(off.mean()),
            "r2": 1 - float((off**2).sum()) / spread if spread > 0 else math.nan,
        }
    kept = {key: float(f"{x:.6g}") if math.isfinite(x) else None for key, x in found.items()}
    return {"images": len(pairs), **kept}


def told(record: Mapping[str, Any]) -> str:
    """A line of what `value_summary` found, for a person; of several values one of each."""
    if "values" in record:
        lines = [f"{name}: {_told(each)}" for name, each in list(record["values"].items())[:MOST]]
        return f"Against the labels of {counted(record['images'], 'image')}:\n" + "\n".join(lines)
    return f"Against the labels of {counted(record['images'], 'image')}: {_told(record)}."


def _told(record: Mapping[str, Any]) -> str:
    """The numbers of one value."""

    def shown(key: str) -> str:
        return "unknown" if record[key] is None else number(record[key])

    r2 = "" if record["r2"] is None else f", R² {record['r2']:.4f}"
    return (
        f"mean absolute error {shown('mae')}, root mean square {shown('rmse')}, bias "
        f"{shown('bias')}{r2}"
    )
