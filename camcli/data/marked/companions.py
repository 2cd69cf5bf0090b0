"""Masks, and whatever else lies beside photographs under their names: they go where those go.

``masks/train/pear/1.png`` belongs to ``train/pear/1.jpg``. If that is dropped, it is left out, too;
if that moves into another class, it follows, or it would be taken for the mask of what is there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from camcli.data.sources.layout import Layout


class Companion(NamedTuple):
    """How a picture that has no label belongs to a photograph that has one.

    Attributes:
        of: path of the photograph, by its layout.
        before: what stands before the part that they have in common, empty or with a slash at its
            end.
        base: what stands before it in the photograph's path, likewise.
        extension: its own.
    """

    of: str
    before: str
    base: str
    extension: str

    def beside(self, to: str) -> str:
        """Where it belongs when its photograph lies at another path."""
        return f"{self.before}{_stem(to)[len(self.base) :]}{self.extension}"


def companions(
    layout: Layout, labels: Mapping[str, str | None], outside: Sequence[str]
) -> dict[str, Companion]:
    """Which pictures belong to which photographs.

    Args:
        layout: of the class folders.
        labels: of all photographs, by their paths.
        outside: the paths of those that have none.

    Returns:
        By path, those of `outside` that belong to another one.
    """
    whole: dict[str, str] = {}
    parts: dict[str, tuple[str, str] | None] = {}
    for at, label in labels.items():
        if label is None:
            continue
        stem = _stem(at)
        whole.setdefault(stem, at)
        tree = next((tree for _, tree in layout.trees if at.startswith(tree.folder)), None)
        if tree and tree.folder:
            short = stem[len(tree.folder) :]
            # The same name in two splits: which is meant is not known.
            parts[short] = None if short in parts else (at, tree.folder)
    found = {}
    for at in outside:
        pieces = _stem(at).split("/")
        for start in range(1, len(pieces) - 1):  # at least a class folder and a name
            tail = "/".join(pieces[start:])
            before = "/".join(pieces[:start]) + "/"
            if tail in whole:
                found[at] = Companion(whole[tail], before, "", _extension(at))
                break
            if near := parts.get(tail):
                found[at] = Companion(near[0], before, near[1], _extension(at))
                break
    return found


def _stem(at: str) -> str:
    return os.path.splitext(at)[0]  # noqa: PTH122 - a path of a layout


def _extension(at: str) -> str:
    return os.path.splitext(at)[1]  # noqa: PTH122
