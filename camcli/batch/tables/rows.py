"""A Result as one flat row: stable names, scalars only."""

from __future__ import annotations

import numpy as np

from camcli.batch.tables.columns import Value, columns_of
from camcli.result import Heat, Result

# What a failed image has instead of a map: nothing to say in any column.
_NO_HEAT = Heat("", -1, 0.0, np.empty((0, 0), np.float32))


def columns(top: int) -> list[str]:
    """The names of the columns when `top` predictions are listed."""
    return [column.name for column in columns_of(top)]


def row(result: Result, top: int) -> dict[str, Value]:
    """A Result's values under the names of `columns`; None where there is nothing to say.

    Args:
        result: any Result, failed ones included.
        top: how many predictions to list.
    """
    heat = result.heats[0] if result.heats else _NO_HEAT
    return {column.name: column.of(result, heat) for column in columns_of(top)}
