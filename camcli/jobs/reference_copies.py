"""Photographs that are there twice: a reference saved again, and one that is held against itself.

Either makes photographs look more usual than they are. Files of the same bytes among the references
are counted once; what only looks like a copy is told, for a person to take away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camcli.printable import counted, printable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from camcli.data.sources.find import ImageRef
    from camcli.models.classifier import Classifier

FileKey = tuple[int, str]
"""A file's bytes in number, and their SHA-256 in hex."""
MOST = 4000
"""So many references at most are compared with each other: their small pictures take 100 MB."""
_NAMED = 3
_LESS = 0.25  # of how much the fine structures of two references usually differ, copies do


def members_of(refs: Iterable[ImageRef], contents: Iterable[str]) -> frozenset[FileKey]:
    """What photographs on the disk are known by.

    Args:
        refs: the references.
        contents: SHA-256 of each in hex.
    """
    found = set()
    for ref, content in zip(refs, contents, strict=True):
        size = _bytes(ref)
        if size is not None:
            found.add((size, content))
    return frozenset(found)


def tell_members(
    classifier: Classifier, refs: Iterable[ImageRef], warn: Callable[[str], None]
) -> None:
    """Say which photographs are among the references that they are going to be held against.

    Only files as long as one of the references are read.

    Args:
        classifier: the network; of one that compares with nothing there is nothing to say.
        refs: the photographs that are going to be explained.
        warn: hears it.
    """
    from camcli.models.reference.compared import references_of
    from camcli.train.feature_pass.features import hash_files

    references = references_of(classifier)
    if references is None or not references.members:
        return
    sizes = {size for size, _ in references.members}
    contents = {content for _, content in references.members}
    some, total = [], 0
    for ref in refs:
        total += 1
        if _bytes(ref) in sizes:
            some.append(ref)
    known = [ref for ref, own in zip(some, hash_files(some), strict=True) if own in contents]
    if not known:
        return
    names = ", ".join(printable(ref.rel) for ref in known[:_NAMED])
    more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    one = len(known) == 1
    whose = "The photograph is" if one and total == 1 else f"{len(known)} of {total} photographs "
    whose += "" if one and total == 1 else "is" if one else "are"
    warn(
        f"{whose} among those of --against ({names}{more}): held against "
        f"{'itself it looks' if one else 'themselves they look'} more usual than "
        f"{'it is' if one else 'they are'}."
    )


def _bytes(ref: ImageRef) -> int | None:
    """A file's length; None of what is no file on the disk."""
    try:
        path = Path(ref.path)
        return path.stat().st_size if path.is_file() else None
    except (OSError, ValueError):  # a name that no disk can have
        return None


class SavedAgain:
    """Which of some photographs is another one saved again, as it is or in another size.

    Each is compared with the one whose features are nearest.
    """

    def __init__(self, refs: list[ImageRef]) -> None:
        """`refs` are going to be looked at."""
        self._asked = len(refs) <= MOST
        self._refs = refs
        self._pictures: dict[int, np.ndarray] = {}
        self._points: list[np.ndarray] = []
        self.copies: list[tuple[str, str]] = []
        """Relative paths of copies, and of what they are copies of."""

    def note(self, number: int, rgb: np.ndarray) -> None:
        """Keep what is needed of a photograph's pixels (H, W, 3), from any thread."""
        from camcli.data.decode.same_picture import FINE, grey

        if self._asked:
            self._pictures[number] = grey(rgb, FINE)

    def through(self, features: Iterable[Tensor]) -> Any:
        """The same features A (K, h, w), one photograph after another; their means are kept."""
        for A in features:
            if self._asked:
                self._points.append(A.mean((1, 2)).numpy())
            yield A

    def look(self, failed: Iterable[int]) -> None:
        """Find the `copies`, once all features have come through.

        Args:
            failed: numbers of the photographs that no features came of.
        """
        import numpy as np

        from camcli.train.judging.neighbours import nearest

        gone = set(failed)
        numbers = [n for n in range(len(self._refs)) if n not in gone]
        if len(self._points) < 2 or len(self._points) != len(numbers):
            return
        points = np.stack(self._points).astype(np.float32)
        neighbours = nearest(points - points.mean(0), 1)
        if neighbours is None:
            return
        pairs = {tuple(sorted((i, int(j)))) for i, (j,) in enumerate(neighbours[0])}
        alike = {}
        for i, j in sorted(pairs):
            one, other = numbers[i], numbers[j]
            if {one, other} <= self._pictures.keys():
                alike[one, other] = self._stands_out(one, other)
        # What looks like a copy of two, which are no copies of each other, is one of the better.
        best: dict[int, float] = {}
        for pair, value in alike.items():
            for n in pair:
                best[n] = max(best.get(n, 0.0), value)
        for pair, value in alike.items():
            if value and all(1 - value <= 2 * (1 - best[n]) for n in pair):
                one, other = pair
                self.copies.append((self._refs[other].rel, self._refs[one].rel))

    def _stands_out(self, one: int, other: int) -> float:
        """How alike two are, and 0 where others are nearly so: one camera's pictures may be."""
        import numpy as np

        from camcli.data.decode.same_picture import SAME, alike_in_place

        pictures = self._pictures
        alike = alike_in_place(pictures[one], pictures[other])
        if alike < SAME:
            return 0.0
        rest = [n for n in pictures if n not in (one, other)]
        usual = [alike_in_place(pictures[one], pictures[n]) for n in rest[:: len(rest) // 8 or 1]]
        return alike if not usual or 1 - alike <= _LESS * (1 - float(np.median(usual))) else 0.0


def tell_copies(found: list[tuple[str, str]], warn: Callable[[str], None]) -> None:
    """Say which references look like copies of others."""
    if not found:
        return
    some = ", ".join(f"{printable(a)} of {printable(b)}" for a, b in found[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    one = len(found) == 1
    warn(
        f"--against has {counted(len(found), 'photograph')} that {'looks' if one else 'look'} like "
        f"another one saved again ({some}{more}): {'it counts' if one else 'they count'} twice. If "
        f"so, take {'it' if one else 'them'} away."
    )
