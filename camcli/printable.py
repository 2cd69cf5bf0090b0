"""Names in messages: a few of many, on one line of any terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence


def printable(name: object) -> str:
    """A file name as it can be shown on one line of any terminal: controls are escaped."""
    text = str(name)
    if text.isprintable():  # as nearly all are, and this is asked for every image
        return text
    text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def harmless(text: str) -> str:
    """A message of several lines, in which nothing controls a terminal.

    Letters that stand for bytes of a name that is not UTF-8 stay: whoever writes them knows how.
    """
    if text.isprintable():
        return text
    return "".join(
        c
        if c.isprintable() or c in "\n\t" or "\ud800" <= c <= "\udfff"
        else c.encode("unicode_escape").decode()
        for c in text
    )


def some(names: Sequence[object], most: int = 5) -> str:
    """The first names with commas between, and how many more there are."""
    shown = ", ".join(printable(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number and what it counts: ``1 image``, ``2 images``.

    Args:
        number: how many.
        noun: for one of them.
        plural: for none or several; by default with an s.
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def shortened(text: str, most: int = 200) -> str:
    """The beginning of a long text up to the end of a word, with dots after it.

    Args:
        text: on one line.
        most: characters of it.

    Example:
        >>> shortened("Expected int but aten::floordiv", 24), shortened("short", 24)
        ('Expected int but ...', 'short')
    """
    if len(text) <= most:
        return text
    head, tail = text[: most + 1].rpartition(" ")[::2]
    # What has no words, such as a path, is cut where it is.
    return f"{head.rstrip() if head.strip() and len(tail) < most // 2 else text[:most]} ..."


def decimals(value: float, digits: int) -> str:
    """A number with so many decimals; what rounds to 0 has no sign.

    Example:
        >>> decimals(-0.001, 2), decimals(-0.01, 2)
        ('0.00', '-0.01')
    """
    return f"{round(value, digits) or 0.0:.{digits}f}"


def percent(share: float, digits: int = 0) -> str:
    """A share in percent, in which what is not all is not 100% and what is not nothing is not 0%.

    Args:
        share: in [0, 1].
        digits: after the point.

    Example:
        >>> percent(0.004), percent(0.0), percent(0.9996), percent(0.9996, 1), percent(1.0)
        ('<1%', '0%', '>99%', '>99.9%', '100%')
    """
    step = 10.0**-digits
    said = f"{share:.{digits}%}"
    if 0 < share < 1:
        if said == f"{0:.{digits}%}":
            return f"<{step:.{digits}f}%"
        if said == f"{1:.{digits}%}":
            return f">{100 - step:.{digits}f}%"
    return said


def in_markdown(text: str) -> str:
    """A text of which Markdown makes nothing: no emphasis, no link, no HTML, no cell's end."""
    return re.sub(r"([\\`*_\[\]<>|#!])", r"\\\1", printable(text))
