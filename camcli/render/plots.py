"""Charts of a training run, as PNG bytes.

matplotlib takes most of a second to import, so it is imported when a chart is drawn. Figures are
made without pyplot: no global state, no display.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRAIN, VAL, GREY = "#4477aa", "#cc6633", "#888888"
MAX_CLASSES = 60
"""Above, the cells of a confusion matrix are too small to see; a table of pairs says more."""
_NUMBERS = 20  # classes up to which counts are written into the cells


def learning_curves(rows: Sequence[Mapping[str, Any]], title: str = "") -> bytes:
    """Loss and accuracy by epoch, or by the strength of the L2 penalty.

    Args:
        rows: one an epoch, in order: ``train_loss``, ``train_acc`` and perhaps ``val_loss``,
            ``val_acc``; ``stage`` 2 begins where the backbone learns too; ``member`` tells the
            heads of an ensemble apart; ``l2`` makes it the horizontal axis.
        title: above the charts.

    Returns:
        A PNG file.

    Raises:
        ValueError: there are no rows.
    """
    if not rows:
        raise ValueError("no epochs to draw")
    from matplotlib.ticker import MaxNLocator

    figure = _figure(9, 3.6)
    first = [row for row in rows if row.get("stage", 1) == 1]
    by_l2 = len(first) == len(rows) and all("l2" in row for row in rows)
    x = [row["l2"] for row in rows] if by_l2 else list(range(1, len(rows) + 1))
    for place, (name, quantity) in enumerate(
        (("loss", "cross-entropy"), ("acc", "accuracy")), start=1
    ):
        axes = figure.add_subplot(1, 2, place)
        for split, colour in (("train", TRAIN), ("val", VAL)):
            key = f"{split}_{name}"
            label = _WORDS[split]
            for member in dict.fromkeys(row.get("member") for row in rows):
                points = [
                    (x[i], row[key])
                    for i, row in enumerate(rows)
                    if key in row and row.get("member") == member
                ]
                if points:
                    axes.plot(
                        *zip(*points, strict=True), "o-", ms=3.5, lw=1.6, color=colour, label=label
                    )  # fmt: skip
                    label = "_"  # one entry in the legend for all members
        if by_l2:
            axes.set_xscale("log")
            axes.set_xlabel("L2 strength")
        else:
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            if 0 < len(first) < len(rows):
                axes.axvline(len(first) + 0.5, color=GREY, lw=1, ls="--")
                axes.annotate(
                    "fine-tuning", (len(first) + 0.5, 1), xycoords=("data", "axes fraction"),
                    xytext=(4, -12), textcoords="offset points", color=GREY, fontsize=8,
                )  # fmt: skip
        axes.set_ylabel(quantity)
        _plain(axes)
        axes.grid(axis="y", color="#e5e5e5", lw=0.8)
        axes.set_axisbelow(True)
        axes.legend(frameon=False, fontsize=9)
    if title:
        figure.suptitle(_short(title, 90), fontsize=11)
    return _png(figure)


def confusion_matrix(counts: np.ndarray, classes: Sequence[str], title: str = "") -> bytes:
    """How often each true class was predicted as each other, as shares of the true class.

    Args:
        counts: (C, C) whole numbers; row: true, column: predicted. C is at most `MAX_CLASSES`.
        classes: the C names.
        title: above the chart, one line or more.

    Returns:
        A PNG file.

    Raises:
        ValueError: more classes than can be shown, or another number of names.
    """
    size = len(classes)
    if counts.shape != (size, size) or size > MAX_CLASSES:
        raise ValueError(f"{counts.shape} counts of {size} classes cannot be drawn")
    support = counts.sum(1, keepdims=True)
    shares = counts / np.maximum(support, 1)
    side = min(14.0, max(3.6, 1.6 + 0.42 * size if size <= _NUMBERS else 2 + 0.2 * size))
    figure = _figure(side + 1.2, side)
    axes = figure.add_subplot()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    font = 9 if size <= _NUMBERS else max(6.0, 9 - 0.06 * size)
    names = [_short(name, 24) for name in classes]
    axes.set_xticks(range(size), names, rotation=90 if size > 4 else 0, fontsize=font)
    axes.set_yticks(range(size), names, fontsize=font)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if size <= _NUMBERS:
        for t in range(size):
            for p in range(size):
                if counts[t, p]:
                    colour = "white" if shares[t, p] > 0.55 else "black"
                    axes.text(
                        p, t, f"{counts[t, p]}", ha="center", va="center", fontsize=font,
                        color=colour,
                    )  # fmt: skip
    bar = figure.colorbar(picture, ax=axes, fraction=0.046, pad=0.03)
    bar.set_label("share of the true class", fontsize=9)
    bar.outline.set_visible(False)
    if title:
        width = max(30, round(11 * side))
        lines = [x for line in title.splitlines() for x in textwrap.wrap(_short(line, 90), width)]
        figure.suptitle("\n".join(lines), fontsize=10)
    return _png(figure)


_WORDS = {"train": "training", "val": "validation"}


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    return Figure(figsize=(width, height), dpi=130, layout=layout)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)


def _short(name: str, most: int) -> str:
    """One line of at most so many letters, with nothing that matplotlib takes for a formula."""
    name = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    if len(name) > most:
        half = math.ceil((most - 1) / 2)
        name = f"{name[:half]}…{name[-(most - 1 - half) :]}"
    return name.replace("$", r"\$")


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
