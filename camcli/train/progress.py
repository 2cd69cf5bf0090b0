"""How work tells what it is doing; the command line draws bars, Python has it in its log."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

log = logging.getLogger("camcli")


class Bar:
    """A count that grows."""

    def advance(self, count: int) -> None:
        """`count` more are done."""

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


class LogListener(Listener):
    """Tells the logger ``camcli``: warnings are seen in a notebook, news where it is asked for."""

    def say(self, text: str) -> None:
        """One line of news, as INFO."""
        log.info(text)

    def warn(self, text: str) -> None:
        """What should be known before the result is believed, as WARNING."""
        log.warning(text)


def epoch_line(row: Mapping[str, float], count: int, *, best: bool = False, title: str = "") -> str:
    """What an epoch reached, in a line.

    Args:
        row: its numbers, as ``metrics.csv`` has them.
        count: how many epochs there will be at most, or strengths that are tried.
        best: whether it is the best one so far, by the validation images.
        title: whose epoch it is, in front of it.

    Example:
        >>> epoch_line({"epoch": 2, "train_loss": 0.25, "train_acc": 0.9}, 5)
        'epoch 2/5: loss 0.2500, accuracy 0.9000'
    """
    number = f"{row['epoch']:.0f}/{count}"
    name = f"strength {number}, L2 {row['l2']:g}" if "l2" in row else f"epoch {number}"
    words = f"{title}{name}: loss {row['train_loss']:.4f}, accuracy {row['train_acc']:.4f}"
    if "val_loss" not in row:
        return words
    words += f"; validation {row['val_loss']:.4f}, {row['val_acc']:.4f}"
    if "val_map" in row:
        words += f", mAP {row['val_map']:.4f}"
    return f"{words}, best so far" if best else words
