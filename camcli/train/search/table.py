"""What a search tried, as a table: for people, and for ``search.csv``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from camcli.models.pooling.pooling import Pooling
from camcli.train.search.choice import Contender
from camcli.train.search.looks import ImageLook
from camcli.train.search.views import AS_IT_IS

HEAD = "  {:<22}{:<20}{:>7}{:>9}{:>8}{:>9}".format(
    "look", "head on", "images", "loss", "right", "seconds"
)
"""Above the lines of the candidates."""


def line(tried: Contender, took: float) -> str:
    """A candidate in a line of at most 80 columns, below `HEAD`."""
    judged = tried.judged
    on = short(tried.pooling) if tried.head == "linear" else f"{tried.head}: {short(tried.pooling)}"
    # What is tried of views is tried on what is the best so far.
    look = f"best, {tried.seen}" if tried.seen != AS_IT_IS else _look(tried.look)
    words = f"  {_cut(look, 21):<22}{_cut(on, 19):<20}"
    numbers = f"{tried.images:>7}{judged.loss:>9.4f}{judged.accuracy:>8.4f}{took:>9.1f}"
    return words + numbers


def _look(look: ImageLook) -> str:
    """A look, of which the name of the network is cut: the looks at one differ in the rest."""
    name, *rest = str(look).rsplit(" ", sum(map(bool, (look.input_size, look.fit))))
    return " ".join([_cut(name, 21 - sum(len(word) + 1 for word in rest)), *rest])


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
            "views": str(each.seen),
            "head": each.head,
            "channels": each.channels,
            "l2": each.judged.l2 or "",
            "images": each.images,
            "log_loss": each.judged.loss,
            "accuracy": each.judged.accuracy,
            "seconds": round(each.seconds, 3),
            "won": "yes" if each is won else "",
        }
        for each in tried
    ]
    alike = [each for each in tried if each.images == won.images]
    rivals = [x for x in alike if x.explained or not won.explained]
    rivals = [x for x in rivals if x.seen.number >= won.seen.number]  # views can be asked for
    best = min(rivals, key=lambda x: x.judged.loss)
    strength = f"L2 {won.judged.l2:.2g}" if won.head == "linear" else f"{won.head} head"
    views = f", {won.seen}" if won.seen != AS_IT_IS else ""
    lines = [f"Chosen: {won.look}, {short(won.pooling)}{views}, {strength}"]
    if best is not won:
        named = f"{best.look}, {short(best.pooling)}" if best.look != won.look else "the best one"
        if best.seen != won.seen:
            named = f"with views ({best.seen})"
        lines = [f"{lines[0]},", f"  as good as {named} within one standard error"]
    lines[-1] += "."
    hidden = [each for each in alike if not each.explained]
    if won.explained and hidden:
        other = min(hidden, key=lambda x: x.judged.loss)
        gain = 100 * (other.judged.accuracy - won.judged.accuracy)
        loss = other.judged.loss - won.judged.loss
        if loss >= 0:
            lines.append("  Its maps add up to its scores; nearest neighbours have no less loss.")
        else:
            lines.append(
                f"  Its maps add up to its scores. Those of neighbours do not, of {-loss:.4f} less"
            )
            lines.append(
                f"  loss and {gain:+.1f} points right: --no-explainable takes what is better."
            )
    told = {
        "candidates": len(tried),
        "images": won.images,
        "seconds": round(took, 3),
        "log_loss": won.judged.loss,
        "accuracy": won.judged.accuracy,
        "left_out": list(left_out),
    }
    return {**told, "rows": rows, "lines": lines}
