"""Why a file's tensors are not a network's, and what is the likely cause."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from torch import Tensor

from camcli.printable import counted


class Compared(Protocol):
    """A file's tensors beside a network's (`camcli.models.weights.state_dict`)."""

    @property
    def key(self) -> str:
        """Where they are in the file."""

    @property
    def added(self) -> str:
        """What stands before the network's names and not before the file's."""

    @property
    def own(self) -> Mapping[str, Tensor]:
        """The network's, by name."""

    @property
    def mapped(self) -> Mapping[str, Tensor]:
        """The file's, by the network's names."""

    @property
    def missing(self) -> list[str]:
        """The network's names that the file lacks."""

    @property
    def wrong(self) -> list[str]:
        """Names of another shape."""

    @property
    def surplus(self) -> list[str]:
        """Names that the network lacks."""

    @property
    def named(self) -> int:
        """How many of the network's tensors are there by name."""


def listed(names: Collection[str], most: int = 3) -> str:
    """The first few of some names."""
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(list(names)[:most]) + more


def differences(view: Compared, origin: str, model: str) -> str:
    """Why a file is not a network's, with the likely cause."""
    full = view.added + "{}"
    wrong = [
        f"{full.format(n)} is {shape_of(view.mapped[n])} and should be {shape_of(view.own[n])}"
        for n in view.wrong
    ]
    problems = [
        f"{len(names)} {what}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
        for what, names in (
            ("missing", [full.format(n) for n in view.missing]),
            (
                "unknown",
                [n for n in view.mapped if n not in view.own] if view.missing else view.surplus,
            ),
            ("of another shape", wrong),
        )
        if names
    ]
    under = f" (under {view.key!r})" if view.key else ""
    cause = _cause(view)
    way = f" --model {origin}, without --weights, finds out whose." if cause == _ANOTHER else ""
    return f"{origin}{under} does not fit {model}: {cause}. Tensors {'; '.join(problems)}.{way}"


_ANOTHER = "it is another architecture's"


def _cause(view: Compared) -> str:
    """The likely reason, from what differs."""
    if not view.named:
        return _ANOTHER
    rows = other_classes(view)
    if rows is not None:
        found, wanted = rows
        trained = counted(found, "class", "classes")
        return f"it was trained for {trained}, and the network is built for {wanted}"
    if view.missing and not (view.wrong or view.surplus):
        last = list(view.own)[-1].rpartition(".")[0]
        if all(name.rpartition(".")[0] == last for name in view.missing):
            return "it has no head, so it gives features and no classes"
    if view.wrong and not (view.missing or view.surplus):
        return "the names agree and the sizes do not, so it is a wider or narrower variant's"
    if view.surplus and not (view.missing or view.wrong):
        return "it has more layers, so it is a deeper variant's"
    if view.missing and not (view.surplus or view.wrong):
        return "it lacks layers, so it is a smaller variant's, or not whole"
    return _ANOTHER


def other_classes(view: Compared) -> tuple[int, int] | None:
    """The rows of the head in the file and in the network, if only these differ."""
    if view.missing or view.surplus or not view.wrong:
        return None
    parent = {name.rpartition(".")[0] for name in view.wrong}
    pairs = [(view.mapped[n].shape, view.own[n].shape) for n in view.wrong]
    if len(parent) > 1 or any(len(a) != len(b) or not a or a[1:] != b[1:] for a, b in pairs):
        return None
    counts = {(a[0], b[0]) for a, b in pairs}
    last = {name.rpartition(".")[0] for name in list(view.own)[-1:]}
    return counts.pop() if len(counts) == 1 and parent == last else None


def shape_of(tensor: Tensor) -> str:
    """Such as ``64x3x7x7``."""
    return "x".join(map(str, tensor.shape)) or "a scalar"
