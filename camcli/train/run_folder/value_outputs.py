"""What a run of values leaves in its folder: tables, and charts of said against true."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from camcli.data.datasets.load import Item
from camcli.data.sources.splits import Split
from camcli.printable import counted
from camcli.render.plots import learning_curves
from camcli.render.value_plots import MAX_VALUES, value_scatter
from camcli.train.run_folder.rundir import SPLIT_WORDS, TrainDirectory, decimal
from camcli.train.run_folder.value_scores import SplitValueScores, score_values


def write_value_results(
    directory: TrainDirectory,
    judged: Mapping[Split, tuple[list[Item], Tensor]],
    names: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    title: str,
) -> dict[str, SplitValueScores]:
    """Judge each split and write down what there is to see; as `write_results` does for classes.

    Args:
        directory: where to.
        judged: by split: N items and what was said of them (N, C), in the values' own units.
        names: of the C values.
        rows: the epochs.
        title: of the charts.
    """
    results: dict[str, SplitValueScores] = {}
    predictions: list[dict[str, Any]] = []
    for split, (items, values) in judged.items():
        if not items:
            continue
        said = values.cpu().double().numpy()
        true = np.array([item.values for item in items], np.float64)
        groups = [f"g{item.group}" if item.group else f"i{n}" for n, item in enumerate(items)]
        results[split] = found = score_values(said, true, names, groups)
        predictions += _predictions(split, items, said, names)
        _write_split(directory, split, found, said, true, title)
    if predictions:
        directory.write_csv("predictions.csv", predictions)
    directory.write("curves.png", learning_curves(rows, title))
    return results


def _write_split(
    directory: TrainDirectory,
    split: str,
    found: SplitValueScores,
    said: np.ndarray,
    true: np.ndarray,
    title: str,
) -> None:
    directory.write_csv(
        f"per_value-{split}.csv",
        (
            {
                "value": each.name,
                "count": each.count,
                "r2": decimal(each.r2),
                "r2_low": decimal(each.intervals.get("r2", (None, None))[0]),
                "r2_high": decimal(each.intervals.get("r2", (None, None))[1]),
                "mae": short(each.mae),
                "mae_low": short(each.intervals.get("mae", (None, None))[0]),
                "mae_high": short(each.intervals.get("mae", (None, None))[1]),
                "rmse": short(each.rmse),
                "bias": short(each.bias),
                "spread": short(each.spread),
            }
            for each in found.values
        ),
    )
    if len(found.values) <= MAX_VALUES:
        shown = "" if found.r2 is None else f"R² {found.r2:.3f} of "
        words = f"{title}\n{SPLIT_WORDS[split]}: {shown}{counted(found.count, 'image')}"
        pairs = [(each.name, true[:, c], said[:, c]) for c, each in enumerate(found.values)]
        directory.write(f"values-{split}.png", value_scatter(pairs, words))


def _predictions(
    split: str, items: Sequence[Item], said: np.ndarray, names: Sequence[str]
) -> list[dict[str, Any]]:
    """Rows as those of a run of the network: ``value``, or ``value_NAME`` of several."""
    rows = []
    for item, own in zip(items, said.tolist(), strict=True):
        row: dict[str, Any] = {"path": item.ref.rel, "split": split}
        for name, true, value in zip(names, item.values, own, strict=True):
            end = "" if len(names) == 1 else f"_{name}"
            row[f"label{end}"] = "" if math.isnan(true) else f"{true:.9g}"
            row[f"value{end}"] = f"{value:.9g}"
        rows.append(row)
    return rows


def short(value: float | None) -> str:
    """A number of any size in a table; empty where there is none."""
    return "" if value is None else f"{value:.6g}"
