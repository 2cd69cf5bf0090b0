"""Which classes a network mistakes for which, or how it finds labels, as Markdown and a picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from camcli.printable import percent


def confusion_markdown(predictions: dict[str, Any]) -> str:
    """The worst pairs of each network; nothing where all was right. Of labels, each one's numbers.

    Args:
        predictions: `Predictions.record` by network.
    """
    parts = []
    for name, found in predictions.items():
        if "labels" in found:  # which do not exclude each other: none is mistaken for another
            parts.append(_labels_markdown(name, found["labels"]))
            continue
        if "values" in found:
            parts.append(_values_markdown(name, found["values"]))
            continue
        lines = [
            f"| {_cell(pair['true'])} | {_cell(pair['predicted'])} | {pair['count']} "
            f"({percent(pair['share'])}) |"
            for pair in found["most_confused"]
        ]
        if lines:
            heading = f"\n### Most often mistaken, {_cell(name)}\n\n"
            parts.append(
                heading
                + "| true | predicted | photographs (of the class) |\n| --- | --- | --- |\n"
                + "\n".join(lines)
                + "\n"
            )
    return "".join(parts)


def _values_markdown(name: str, values: list[dict[str, Any]]) -> str:
    """Each value's errors."""
    lines = [
        f"| {_cell(each['value'])} | {each['count']} | "
        + " | ".join(_error(each.get(key)) for key in ("r2", "mae", "rmse", "bias"))
        + " |"
        for each in values
    ]
    heading = f"\n### Each value, {_cell(name)}\n\n"
    table = "| value | photographs | R² | mean error | root mean square | bias |\n| --- "
    return heading + table + "| --- " * 5 + "|\n" + "\n".join(lines) + "\n"


def _error(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _labels_markdown(name: str, labels: list[dict[str, Any]]) -> str:
    """Each label's numbers."""
    lines = [
        f"| {_cell(each['label'])} | {each['count']} | {_number(each['average_precision'])} | "
        f"{_number(each['f1'])} | {_number(each['threshold'])} |"
        for each in labels
    ]
    heading = f"\n### Each label, {_cell(name)}\n\n"
    table = "| label | photographs | average precision | F1 | from |\n| --- " + "| --- " * 4 + "|\n"
    return heading + table + "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def confusion_pictures(predictions: dict[str, Any]) -> dict[str, bytes]:
    """A confusion matrix of each network, or bars of its labels; PNG by file name.

    Only classes that occur are drawn, as label or as prediction; a network with more of them than
    can be seen has no picture.

    Args:
        predictions: `Predictions.record` by network.
    """
    from camcli.render.plots import MAX_CLASSES, confusion_matrix, label_bars

    pictures = {}
    for number, (name, found) in enumerate(predictions.items(), 1):
        if "values" in found:
            continue
        if "labels" in found:
            bars = [
                (each["label"], each["count"], each["average_precision"], each["f1"])
                for each in found["labels"]
            ]
            if len(bars) <= MAX_CLASSES:
                file = "labels.png" if number == 1 else f"labels-{number}.png"
                pictures[file] = label_bars(bars, name)
            continue
        cells = found["confusion"]
        own = {cell["true"] for cell in cells}
        other = {cell["predicted"] for cell in cells} - own
        classes = [*sorted(own), *sorted(other)]
        if len(classes) > MAX_CLASSES:
            continue
        place = {label: n for n, label in enumerate(classes)}
        counts = np.zeros((len(classes), len(classes)), np.int64)
        for cell in cells:
            counts[place[cell["true"]], place[cell["predicted"]]] = cell["count"]
        file = "confusion.png" if number == 1 else f"confusion-{number}.png"
        pictures[file] = confusion_matrix(counts, classes, name)
    return pictures
