"""Charts of values that a network says, as PNG bytes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from camcli.render.plots import GREY, TRAIN, new_figure, png, set_title, style

MAX_VALUES = 12
"""Above, the charts are too small to see; a table says more."""
_POINTS = 5000


def value_scatter(values: Sequence[tuple[str, np.ndarray, np.ndarray]], title: str = "") -> bytes:
    """What was said of each value over what is true; right is on the line.

    Args:
        values: name, true (N,), NaN for unknown, and said (N,) of each; at most `MAX_VALUES`.
        title: above the charts, one line or more.

    Returns:
        A PNG file.

    Raises:
        ValueError: more values than can be shown, or none.
    """
    if not 0 < len(values) <= MAX_VALUES:
        raise ValueError(f"{len(values)} values cannot be drawn")
    across = min(3, len(values))
    down = -(-len(values) // across)
    figure = new_figure(4.2 * across, 4.0 * down)
    for place, (name, true, said) in enumerate(values, 1):
        axes = figure.add_subplot(down, across, place)
        known = np.isfinite(true) & np.isfinite(said)
        x, y = true[known], said[known]
        if len(x) > _POINTS:  # the same ones in each run
            kept = np.random.default_rng(0).choice(len(x), _POINTS, replace=False)
            x, y = x[kept], y[kept]
        if len(x):
            ends = [float(min(x.min(), y.min())), float(max(x.max(), y.max()))]
            axes.plot(ends, ends, color=GREY, lw=1, ls="--")
        axes.plot(x, y, "o", ms=3.5, color=TRAIN, alpha=0.5 if len(x) > 50 else 0.9, mew=0)
        label = textwrap.shorten(name, 30, placeholder="...")
        axes.set_xlabel(f"{label}, true")
        axes.set_ylabel(f"{label}, said")
        style(axes, grid="y")
    if title:
        set_title(figure, [x for line in title.splitlines() for x in textwrap.wrap(line, 80)])
    return png(figure)
