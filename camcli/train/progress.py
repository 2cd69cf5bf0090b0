"""How work tells what it is doing; the command line draws bars, Python has it in its log."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

log = logging.getLogger("camcli")

WIDTH = 80
"""Columns that a line of an epoch, or of what is tried, fits into."""


class Bar:
    """A count that grows."""

    def advance(self, count: int) -> None:
        """`count` more are done."""

    def skip(self, count: int) -> None:
        """`count` more were done before: they say nothing of how long the rest takes."""
        self.advance(count)

    def show(self, **numbers: float) -> None:
        """The latest numbers, such as the loss."""


class Listener:
    """Silent; override what should be seen."""

    def say(self, text: str) -> None:
        """One line of news."""

    def warn(self, text: str) -> None:
        """Something that a person should know before believing the result."""

    @contextmanager
    def slow(self, text: str) -> Iterator[None]:
        """Wrap what may take a while; `text` is for those who are still waiting then."""
        yield

    @contextmanager
    def bar(self, title: str, total: int | None, unit: str) -> Iterator[Bar]:
        """Wrap a piece of work that counts up to `total`; None where that is not known."""
        yield Bar()

    @contextmanager
    def passing(self, title: str, total: int | None, unit: str) -> Iterator[Bar]:
        """As `bar`, of work that a line of its own tells of when it is over, so that none stays."""
        with self.bar(title, total, unit) as bar:
            yield bar


class LogListener(Listener):
    """Tells the logger ``camcli``: warnings are seen in a notebook, news where it is asked for."""

    def say(self, text: str) -> None:
        """One line of news, as INFO."""
        log.info(text)

    def warn(self, text: str) -> None:
        """What should be known before the result is believed, as WARNING."""
        log.warning(text)


_SCORES = {"val_acc": "", "val_map": "mAP ", "val_r2": "R² ", "val_mae": "error "}
_BEST = ", best"


def epoch_line(row: Mapping[str, float], count: int, *, best: bool = False, title: str = "") -> str:
    """What an epoch reached, in a line of `WIDTH` columns.

    Where that is too narrow for all of it, what was measured on the training images is left out, as
    it decides nothing; in all lines of a stage alike, so that they can be compared.

    Args:
        row: its numbers, as ``metrics.csv`` has them.
        count: how many epochs there will be at most, or strengths that are tried.
        best: whether it is the best one so far, by the validation images.
        title: what learns, in front of it: ``head 2``.

    Example:
        >>> epoch_line({"epoch": 2, "train_loss": 0.25, "train_acc": 0.9}, 5)
        'epoch 2/5: loss 0.2500, accuracy 0.9000'
    """
    number = f"{row['epoch']:.0f}/{count}"
    name = f"epoch {number}"
    if "l2" in row:
        name = f"L2 {row['l2']:.2g}" + (f" ({number})" if count > 1 else "")
        best = best and count > 1  # of one nothing else could be
    begins = f"{title}, {name}: " if title else f"{name}: "
    learnt = [f"loss {row['train_loss']:.4f}"]
    if "train_acc" in row:
        learnt.append(f"accuracy {row['train_acc']:.4f}")
    if "val_loss" not in row:
        return begins + ", ".join(learnt)
    held = [f"validation {row['val_loss']:.4f}"]
    held += [f"{word}{row[key]:.4f}" for key, word in _SCORES.items() if key in row]
    # The room that the longest line of the stage takes, whichever this one is.
    spare = 2 * len(str(count)) + 1 - len(number) + (0 if best else len(_BEST))
    while True:
        line = begins + "; ".join([", ".join(learnt)] * bool(learnt) + [", ".join(held)])
        line += _BEST * best
        if len(line) + spare <= WIDTH or not learnt:
            return line
        learnt.pop()
