"""A Result as one flat row: stable names, scalars only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from camcli.batch.tables.columns import Value, columns_of
from camcli.result import Heat, Result

if TYPE_CHECKING:
    from camcli.models.classifier import Classifier

# What a failed image has instead of a map: nothing to say in any column.
_NO_HEAT = Heat("", -1, 0.0, np.empty((0, 0), np.float32))


def columns(top: int, labels: tuple[str, ...] = (), values: tuple[str, ...] = ()) -> list[str]:
    """The names of the columns when `top` predictions are listed; see `columns_of`."""
    return [column.name for column in columns_of(top, labels, values)]


def of_network(classifier: Classifier) -> dict[str, tuple[str, ...]]:
    """What `columns` is told of a network, beside how many predictions are listed."""
    output = classifier.output
    if output.measures:
        return {"values": classifier.classes}
    return {"labels": classifier.classes} if output.multi_label else {}


def row(
    result: Result, top: int, labels: tuple[str, ...] = (), values: tuple[str, ...] = ()
) -> dict[str, Value]:
    """A Result's values under the names of `columns`; None where there is nothing to say.

    Args:
        result: any Result, failed ones included.
        top: how many predictions to list.
        labels: as for `columns`.
        values: likewise.
    """
    heat = result.heats[0] if result.heats else _NO_HEAT
    return {column.name: column.of(result, heat) for column in columns_of(top, labels, values)}
