"""Which classes a network mistakes for which, as Markdown and as a picture."""

from __future__ import annotations

from typing import Any

import numpy as np


def confusion_markdown(predictions: dict[str, Any]) -> str:
    """The worst pairs of each network; nothing where all was right.

    Args:
        predictions: `Predictions.record` by network.
    """
    parts = []
    for name, found in predictions.items():
        lines = [
            f"| {_cell(pair['true'])} | {_cell(pair['predicted'])} | {pair['count']} "
            f"({pair['share']:.0%}) |"
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


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def confusion_pictures(predictions: dict[str, Any]) -> dict[str, bytes]:
    """A confusion matrix of each network, PNG by file name.

    Only classes that occur are drawn, as label or as prediction; a network with more of them than
    can be seen has no picture.

    Args:
        predictions: `Predictions.record` by network.
    """
    from camcli.render.plots import MAX_CLASSES, confusion_matrix

    pictures = {}
    for number, (name, found) in enumerate(predictions.items(), 1):
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
