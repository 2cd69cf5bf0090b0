"""Class folders that are numbers: which output of a network each one stands for.

``0 ... 11`` may be the indices of the outputs, as they count. But a network that was trained on
these very folders by torchvision's ImageFolder has them in the order of their text, 0, 1, 10, 11,
2 ...: its output 2 is the folder ``10``. Nothing in the names tells the two apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from camcli.errors import UsageError
from camcli.printable import counted

FolderOrder = Literal["index", "imagefolder"]
ORDERS: tuple[FolderOrder, ...] = ("index", "imagefolder")
_MOST_DIGITS = 8


@dataclass(frozen=True)
class FolderOrders:
    """What number folders may stand for.

    Attributes:
        index: the output of each folder as they count, from 0 or from 1.
        imagefolder: as ImageFolder sorts their names.
        first: what `index` counts from.
    """

    index: Mapping[str, int]
    imagefolder: Mapping[str, int]
    first: int

    @property
    def differ(self) -> bool:
        """Whether it makes a difference."""
        return self.index != self.imagefolder


def folder_orders(folders: Iterable[str], classes: tuple[str, ...]) -> FolderOrders | None:
    """Which outputs folders can be, if their names can only be numbers of outputs.

    All must be numbers below C, written as numbers are (``007`` is a name, unless they are 000 to
    C-1 altogether); or 1 to C. None may be the name of a class, other than where the network's
    outputs have no names but numbers.

    Args:
        folders: names of class folders.
        classes: the C class names of a network.
    """
    names, count = sorted(folders), len(classes)
    if not names or not all(n.isdecimal() and n.isascii() for n in names):
        return None
    if any(len(name) > _MOST_DIGITS for name in names):
        return None
    if set(names) & set(classes) and classes != tuple(map(str, range(count))):
        return None
    numbers = [int(name) for name in names]
    first = int(count in numbers and 0 not in numbers)
    if max(numbers) >= first + count:
        return None
    everything = names
    if all(str(number) == name for number, name in zip(numbers, names, strict=True)):
        everything = sorted(map(str, range(first, first + count)))
    elif sorted(numbers) != list(range(first, first + count)):
        return None
    return FolderOrders(
        {name: number - first for number, name in zip(numbers, names, strict=True)},
        {name: rank for rank, name in enumerate(everything) if name in set(names)},
        first,
    )


def asked_order(
    order: FolderOrder, folders: Iterable[str], classes: tuple[str, ...]
) -> Mapping[str, int]:
    """The output of each folder, as the user says that they are ordered.

    Args:
        order: ``index`` or ``imagefolder``.
        folders: names of class folders.
        classes: the C class names.

    Raises:
        UsageError: they cannot be.
    """
    names, count = sorted(folders), len(classes)
    numbers = folder_orders(names, classes) or folder_orders(names, tuple(f"#{n}" for n in classes))
    if order == "imagefolder":
        if len(names) == count:
            return {name: rank for rank, name in enumerate(names)}
        if numbers:
            return numbers.imagefolder
        raise UsageError(
            f"--labels imagefolder takes the class folders in their order for the outputs of the "
            f"network, and there are {counted(len(names), 'folder')} for "
            f"{counted(count, 'output')}."
        )
    if numbers is None:
        raise UsageError(
            f"--labels index takes folders 0 to {count - 1} for the outputs of the network, and "
            f"{names[-1]!r} is among their names."
        )
    return numbers.index
