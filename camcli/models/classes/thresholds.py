"""From which probability on a class is predicted: ``--threshold``, one number or one a class."""

from __future__ import annotations

import math
from pathlib import Path

from camcli.data.sources.csv_text import read_csv
from camcli.errors import UsageError
from camcli.models.classes.label_index import label_index
from camcli.printable import counted, printable, some

USUAL = 0.5
_TAKES = (
    "--threshold takes a probability such as 0.5, or a CSV file with the columns class and "
    "threshold, one row a class"
)


def check_threshold(asked: float | str | Path | None) -> None:
    """Refuse, before a network is loaded, what can be no threshold.

    Args:
        asked: a probability, or a CSV file of them.

    Raises:
        UsageError: a number out of (0, 1), or no such file, or none of this form.
    """
    if asked is None or _number(asked) is not None:
        return
    _rows(Path(str(asked)))


def read_thresholds(
    asked: float | str | Path, classes: tuple[str, ...], *, exclusive: bool = False
) -> tuple[tuple[float, ...], str]:
    """The threshold of each class.

    Args:
        asked: one for all, or a CSV file with ``class,threshold``, where a class is named as
            labels are, or by its index.
        classes: of the network.
        exclusive: whether these are two that exclude each other: the first is predicted where the
            second is below its threshold, so that one threshold says both.

    Returns:
        One a class; and a sentence about classes that the file leaves out, which have the usual
        one; empty for none.

    Raises:
        UsageError: as `check_threshold`; or the file names a class twice, or one that there is
            not.
    """
    number = _number(asked)
    if number is not None:
        return ((1 - number, number) if exclusive else (number,) * len(classes)), ""
    path = Path(str(asked))
    found: dict[int, float] = {}
    for line, (name, least) in _rows(path).items():
        index = label_index(name, classes)
        if index is None and name.isascii() and name.isdecimal() and int(name) < len(classes):
            index = int(name)
        if index is None:
            raise UsageError(
                f"{path}, line {line}: {printable(name)!r} is none of the network's "
                f"{counted(len(classes), 'class', 'classes')}: {some(classes)}."
            )
        if index in found:
            raise UsageError(
                f"{path}, line {line}: a second threshold of {printable(classes[index])!r}; "
                "remove one."
            )
        found[index] = least
    if exclusive:
        if len(found) == 2 and abs(found[0] + found[1] - 1) > 1e-9:
            raise UsageError(
                f"{path}: {some(classes)} exclude each other, so one is predicted where the other "
                "is not: give the threshold of one of them."
            )
        second = found.get(1, 1 - found[0] if 0 in found else USUAL)
        return (1 - second, second), ""
    missing = [name for index, name in enumerate(classes) if index not in found]
    told = f"{path} has no threshold of {some(missing)}: {USUAL:g} is taken." if missing else ""
    return tuple(found.get(index, USUAL) for index in range(len(classes))), told


def _number(asked: float | str | Path) -> float | None:
    """`asked` as a probability; None where it is written as a file."""
    try:
        number = float(asked)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return _checked(number, "--threshold")


def _checked(number: float, where: str) -> float:
    if not 0 < number < 1:
        raise UsageError(
            f"{where}: {number:g} is no threshold: a probability between 0 and 1 is, 0.5 say."
        )
    return number


def _rows(path: Path) -> dict[int, tuple[str, float]]:
    """Class and threshold by line.

    Raises:
        UsageError: the file is not there, or of another form.
    """
    found: dict[int, tuple[str, float]] = {}
    columns = 0, 1
    for number, (line, cells) in enumerate(read_csv(path, _TAKES)):
        if number == 0 and (named := _header(cells)):
            columns = named
            continue
        if len(cells) <= max(columns):
            raise UsageError(f"{path}, line {line}: {counted(len(cells), 'cell')} only. {_TAKES}.")
        name, text = cells[columns[0]], cells[columns[1]]
        try:
            least = float(text.replace(",", "."))
        except ValueError:
            least = math.nan
        if math.isnan(least):
            raise UsageError(f"{path}, line {line}: {printable(text)!r} is no number. {_TAKES}.")
        found[line] = name, _checked(least, f"{path}, line {line}")
    if not found:
        raise UsageError(f"{path} has no thresholds. {_TAKES}.")
    return found


def _header(cells: list[str]) -> tuple[int, int] | None:
    """Where class and threshold stand, if a first line names its columns."""
    names = [cell.lower() for cell in cells]
    who = next((names.index(n) for n in ("class", "label", "name", "index") if n in names), None)
    what = next((names.index(n) for n in ("threshold", "thr", "value") if n in names), None)
    return None if who is None or what is None else (who, what)
