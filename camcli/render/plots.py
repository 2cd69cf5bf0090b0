"""Charts of a training run, as PNG bytes.

matplotlib takes most of a second to import, so it is imported when a chart is drawn. Figures are
made without pyplot: no global state, no display.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from camcli.render.plot_fonts import families, quietly, written
from camcli.render.theme import CARD, LIGHT, RIGHT, STRENGTH, WRONG

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRAIN, VAL, GREY = LIGHT["link"], LIGHT["other"], LIGHT["neutral"]
MAX_CLASSES = 60
"""Above, the cells of a confusion matrix are too small to see; a table of pairs says more."""
_NUMBERS = 20  # classes up to which counts are written into the cells


def learning_curves(rows: Sequence[Mapping[str, Any]], title: str = "") -> bytes:
    """Loss and accuracy by epoch, or by the strength of the L2 penalty.

    Args:
        rows: one an epoch, in order: ``train_loss``, ``train_acc`` and perhaps ``val_loss``,
            ``val_acc``, of labels ``val_map``, of values ``val_r2``; ``stage`` 2 begins where the
            backbone learns too; ``member`` tells the heads of an ensemble apart; ``l2`` makes it
            the horizontal axis.
        title: above the charts.

    Returns:
        A PNG file.

    Raises:
        ValueError: there are no rows.
    """
    if not rows:
        raise ValueError("no epochs to draw")
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(9, 3.6)
    first = [row for row in rows if row.get("stage", 1) == 1]
    by_l2 = len(first) == len(rows) and all("l2" in row for row in rows)
    x = [row["l2"] for row in rows] if by_l2 else list(range(1, len(rows) + 1))
    for place, (name, quantity) in enumerate((("loss", _loss(rows)), _second(rows)), start=1):
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
            if all(value > 0 for value in x):
                axes.set_xscale("log")
            axes.set_xlabel("L2 strength")
        else:
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            if 0 < len(first) < len(rows):
                axes.axvline(len(first) + 0.5, color=GREY, lw=1, ls="--")
                axes.annotate(
                    # Where the curves are not: losses fall, accuracies rise.
                    "fine-tuning", (len(first) + 0.5, place % 2), fontsize=8, color=GREY,
                    xycoords=("data", "axes fraction"), textcoords="offset points",
                    xytext=(4, -12 if place % 2 else 6),
                )  # fmt: skip
        axes.set_ylabel(quantity)
        style(axes, grid="y")
        if axes.lines:
            axes.legend(frameon=False, fontsize=9, labelcolor=LIGHT["text"])
    if title:
        set_title(figure, [_short(title, 90)])
    return png(figure)


def size_curve(
    points: Sequence[tuple[int, float, float, float]],
    law: Sequence[tuple[float, float]],
    images: int,
    title: Sequence[str] = (),
) -> bytes:
    """Errors by the number of training images, with their intervals, and the law beyond them.

    Args:
        points: number of images, error, and the ends of its interval.
        law: numbers of images, and the error that is expected of each.
        images: that there are.
        title: lines above the chart.

    Returns:
        A PNG file.
    """
    figure = new_figure(6.4, 4.0)
    axes = figure.add_subplot(1, 1, 1)
    sizes, errors, lows, highs = (np.array(each, float) for each in zip(*points, strict=True))
    spread = 100 * np.stack([errors - lows, highs - errors]).clip(min=0)
    axes.errorbar(
        sizes, 100 * errors, spread, fmt="o", ms=4, lw=1.2, capsize=2, color=TRAIN,
        label="held-out images, 95% interval",
    )  # fmt: skip
    x, y = zip(*law, strict=True)
    axes.plot(x, 100 * np.array(y), "-", lw=1.4, color=VAL, label="expected")
    axes.axvline(images, color=GREY, lw=1, ls="--", label="images that there are")
    axes.set_xscale("log")
    axes.set_xlabel("training images")
    axes.set_ylabel("wrong, percent")
    axes.set_ylim(bottom=0)
    ticks = sorted({int(size) for size in sizes} | {images, 2 * images})
    kept = [n for n in ticks if all(m <= n or m / n > 1.5 for m in ticks)]
    axes.set_xticks(kept, [f"{n:,}" for n in kept])
    axes.minorticks_off()
    style(axes, grid="y")
    axes.legend(frameon=False, fontsize=9, labelcolor=LIGHT["text"])
    if title:
        set_title(figure, [_short(line, 90) for line in title])
    return png(figure)


def _second(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """What is drawn beside the loss: what the best epoch is chosen by."""
    if any("val_map" in row for row in rows):
        return "map", "mean average precision"
    if any("val_r2" in row for row in rows):
        return "r2", "R²"
    return "acc", "accuracy"


def _loss(rows: Sequence[Mapping[str, Any]]) -> str:
    values = any("val_r2" in row for row in rows) or not any("train_acc" in row for row in rows)
    return "error (standardised)" if values else "cross-entropy"


def label_bars(labels: Sequence[tuple[str, int, float | None, float]], title: str = "") -> bytes:
    """How well each label is found: its average precision, and its F1 at its threshold.

    Args:
        labels: name, images that have it, average precision (None without images) and F1 of each;
            at most `MAX_CLASSES`.
        title: above the chart, one line or more.

    Returns:
        A PNG file.

    Raises:
        ValueError: more labels than can be shown, or none.
    """
    if not 0 < len(labels) <= MAX_CLASSES:
        raise ValueError(f"{len(labels)} labels cannot be drawn")
    figure = new_figure(8, min(18.0, 1.8 + 0.36 * len(labels)))
    axes = figure.add_subplot()
    place = np.arange(len(labels))
    axes.barh(place, [ap or 0.0 for _, _, ap, _ in labels], 0.7, color=TRAIN, alpha=0.75,
              label="average precision")  # fmt: skip
    axes.plot([f1 for *_, f1 in labels], place, "D", ms=5, color=VAL, label="F1")
    axes.set_yticks(place, [f"{_short(name, 24)} ({count})" for name, count, _, _ in labels])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    style(axes, grid="x")
    axes.legend(
        frameon=False, fontsize=9, labelcolor=LIGHT["text"], loc="lower left",
        bbox_to_anchor=(0, 1), ncols=2,
    )  # fmt: skip
    if title:
        set_title(
            figure, [x for line in title.splitlines() for x in textwrap.wrap(_short(line, 90), 80)]
        )
    return png(figure)


def confusion_matrix(counts: np.ndarray, classes: Sequence[str], title: str = "") -> bytes:
    """How often each true class was predicted as each other, coloured as on the report's page.

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
    side = min(14.0, max(3.6, 1.6 + 0.42 * size if size <= _NUMBERS else 2 + 0.2 * size))
    figure = new_figure(side + 0.6, side + 0.5)
    axes = figure.add_subplot()
    axes.imshow(_cells(counts))
    font = 9 if size <= _NUMBERS else max(6.0, 9 - 0.06 * size)
    names = [_short(name, 24) for name in classes]
    style(axes, grid=None)
    axes.set_xticks(range(size), names, rotation=90 if size > 4 else 0, fontsize=font)
    axes.set_yticks(range(size), names, fontsize=font)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    # The lines between the cells, as on the page.
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=LIGHT["line"], lw=0.8 if size <= _NUMBERS else 0.4)
    axes.tick_params(which="minor", length=0)
    if size <= _NUMBERS:
        for t in range(size):
            for p in range(size):
                if counts[t, p]:
                    axes.text(
                        p, t, f"{counts[t, p]}", ha="center", va="center", fontsize=font,
                        color=LIGHT["text"],
                    )  # fmt: skip
    if title:
        width = max(30, round(10 * side))
        lines = [x for line in title.splitlines() for x in textwrap.wrap(_short(line, 90), width)]
        set_title(figure, lines)
    return png(figure)


def _cells(counts: np.ndarray) -> np.ndarray:
    """The colours of a confusion matrix: (C, C) counts to (C, C, 3) in [0, 1].

    Right is as strong as the share of its class, wrong as its share of the worst confusion, from a
    quarter up, so that a single mistake among thousands is seen.
    """
    right = np.eye(len(counts), dtype=bool)
    wrong = np.where(right, 0, counts)
    strength = np.where(
        right,
        counts / np.maximum(counts.sum(1, keepdims=True), 1),
        np.where(wrong > 0, 0.25 + 0.75 * wrong / max(1, wrong.max(initial=0)), 0),
    )[..., None]
    colour = np.where(right[..., None], RIGHT, WRONG)
    return (CARD + (colour - np.array(CARD)) * STRENGTH * strength) / 255


_WORDS = {"train": "training", "val": "validation"}


def new_figure(width: float, height: float) -> Figure:
    """An empty figure on paper.

    Args:
        width: in inches, of 130 pixels each.
        height: in inches.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    return Figure(figsize=(width, height), dpi=130, layout=layout, facecolor=LIGHT["paper"])


def style(axes: Axes, grid: Literal["x", "y"] | None) -> None:
    """Give axes the look of the pages: a white card, quiet words, hairlines.

    Args:
        axes: with its title and labels, which are changed.
        grid: across which axis lines are drawn.
    """
    axes.set_facecolor(LIGHT["card"])
    axes.spines[:].set_color(LIGHT["line"])
    axes.tick_params(labelsize=9, colors=LIGHT["quiet"], labelfontfamily=families())
    for words in (axes.xaxis.label, axes.yaxis.label):
        words.set(color=LIGHT["quiet"], fontfamily=families(), fontsize=9)
    axes.title.set(color=LIGHT["text"], fontfamily=families())
    if grid:
        axes.grid(axis=grid, color=LIGHT["line"], lw=0.8)
        axes.set_axisbelow(True)


def set_title(figure: Figure, lines: Sequence[str]) -> None:
    """Words at the top left, as a page has them."""
    figure.suptitle(
        "\n".join(lines), x=0.1 / figure.get_figwidth(), ha="left", fontsize=10,
        fontweight="bold", fontfamily=families(), color=LIGHT["text"],
    )  # fmt: skip


def _short(name: str, most: int) -> str:
    """One line of at most so many letters, with nothing that matplotlib takes for a formula."""
    name = " ".join(name.split())
    if len(name) > most:
        half = math.ceil((most - 1) / 2)
        name = f"{name[:half]}…{name[-(most - 1 - half) :]}"
    return written(name)


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    with quietly():
        figure.savefig(buffer, format="png")
    return buffer.getvalue()
