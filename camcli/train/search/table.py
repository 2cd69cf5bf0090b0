"""What a search tried, as a table: for people, and for ``search.csv``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from camcli.models.pooling.pooling import Pooling
from camcli.train.search.choice import Contender

HEAD = "  {:<22}{:<20}{:>7}{:>9}{:>8}{:>9}".format(
    "look", "head on", "images", "loss", "right", "seconds"
)
"""Above the lines of the candidates."""


def line(tried: Contender, took: float) -> str:
    """A candidate in a line of at most 80 columns, below `HEAD`."""
    judged = tried.judged
    words = f"  {_cut(str(tried.look), 21):<22}{_cut(short(tried.pooling), 19):<20}"
    numbers = f"{tried.images:>7}{judged.loss:>9.4f}{judged.accuracy:>8.4f}{took:>9.1f}"
    return words + numbers


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def short(pooling: Pooling) -> str:
    """A pooling in a few words: ``mean+max, 4 layers``.

    Example:
        >>> short(Pooling.read("mean+max@blocks.1+std@blocks.2"))
        'mean+max+std@3'
    """
    kinds = dict.fromkeys(each.kind for each in pooling.statistics)
    layers = len(pooling.layers)
    text = "+".join(kinds) + (f"@{layers}" if layers > 1 else "")
    return f"|{text}|" if pooling.unit else text


def summary(
    tried: Sequence[Contender], won: Contender, left_out: Sequence[str], took: float
) -> dict[str, Any]:
    """Rows, lines and numbers.

    Args:
        tried: all, best first.
        won: the one that is taken.
        left_out: looks that there was no time for.
        took: seconds.
    """
    rows = [
        {
            "backbone": each.look.backbone,
            "input_size": each.look.input_size or "",
            "fit": each.look.fit or "",
            "pooling": str(each.pooling),
            "channels": each.channels,
            "l2": each.judged.l2,
            "images": each.images,
            "log_loss": each.judged.loss,
            "accuracy": each.judged.accuracy,
            "seconds": round(each.seconds, 3),
            "won": "yes" if each is won else "",
        }
        for each in tried
    ]
    best = min((x for x in tried if x.images == won.images), key=lambda x: x.judged.loss)
    text = f"Chosen: {won.look}, {short(won.pooling)}, L2 {won.judged.l2:.2g}"
    if best is not won:
        text += f": as good as {best.look}, {short(best.pooling)}, within one standard error"
    told = {
        "candidates": len(tried),
        "images": won.images,
        "seconds": round(took, 3),
        "log_loss": won.judged.loss,
        "accuracy": won.judged.accuracy,
        "left_out": list(left_out),
    }
    return {**told, "rows": rows, "lines": [text + "."]}
