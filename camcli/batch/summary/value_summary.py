"""How far a run's values are from what its labels say, from the run's table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from camcli.batch.tables.reading import header, read_rows
from camcli.ours import finite_number
from camcli.render.verdict import number

VALUES = "value_metrics"
"""What ``run.json`` calls it."""


def value_summary(table: Path) -> dict[str, Any] | None:
    """The errors of a network with one value, for ``run.json``.

    Args:
        table: ``predictions.csv``.

    Returns:
        ``images`` (those with a value and a label that is a number), ``mae``, the mean absolute
        error, ``rmse``, the root of the mean squared one, ``bias``, the mean of value minus label,
        and ``r2``, the share of the labels' variance that the values explain (None where they do
        not vary); or None: the network returns something else or several values, or no label is a
        number.
    """
    columns = header(table) if table.exists() else []
    if "value" not in columns or any(name.startswith("value_") for name in columns):
        return None
    pairs = [
        pair
        for row in read_rows(table, ("label", "value"))
        if (pair := (finite_number(row["value"]), finite_number(row["label"]))) and None not in pair
    ]
    if not pairs:
        return None
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
    """One line of what `value_summary` found, for a person."""

    def shown(key: str) -> str:
        return "unknown" if record[key] is None else number(record[key])

    r2 = "" if record["r2"] is None else f", R² {record['r2']:.4f}"
    images = record["images"]
    return (
        f"Against the labels of {images} image{'s' * (images != 1)}: mean absolute error "
        f"{shown('mae')}, root mean square {shown('rmse')}, bias {shown('bias')}{r2}."
    )
