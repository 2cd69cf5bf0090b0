"""Photographs that are there twice: a reference saved again, and one that is held against itself.

Either makes photographs look more usual than they are. Files of the same bytes among the references
are counted once; what only looks like a copy is told, for a person to take away. Copies are looked
for and proved as `camcli check` does it, with one thing beside: pieces of one kind, before one
camera, are alike without being copies, so that a copy has to stand out from what is usual there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camcli.data.sources.refs import is_url
from camcli.printable import counted, printable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from camcli.data.sources.refs import ImageRef
    from camcli.evaluate.check.copies import GreyPictures
    from camcli.models.classifier import Classifier

FileKey = tuple[int, str]
"""A file's bytes in number, and their SHA-256 in hex."""
MOST = 500
"""So many photographs that are explained are looked at before, or up to twice as many: they are
decoded once more for it."""
LONGEST = 60.0
"""Seconds after which references are not compared with each other any further."""
_NAMED = 3
_LESS = 0.25  # of how much the fine structures of two references usually differ, copies do
_OTHERS = 8  # by which it is found how much that is


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
    classifier: Classifier,
    refs: Iterable[ImageRef],
    warn: Callable[[str], None],
    say: Callable[[str], None],
) -> None:
    """Say which photographs are among the references that they are going to be held against.

    Of files, those as long as one of the references are read and known by their bytes. Of the
    others, evenly spaced ones are decoded and compared with the references by their pixels.

    Args:
        classifier: the network; of one that compares with nothing there is nothing to say.
        refs: the photographs that are going to be explained.
        warn: hears it.
        say: hears which were not looked at.
    """
    from camcli.models.reference.compared import references_of
    from camcli.train.feature_pass.features import hash_files

    references = references_of(classifier)
    if references is None:
        return
    sizes = {size for size, _ in references.members}
    contents = {content for _, content in references.members}
    some, total, rest = [], 0, _Spaced()
    for ref in refs:
        total += 1
        if _bytes(ref) in sizes:
            some.append(ref)
        elif ref.blob is None or not is_url(ref.blob.place):  # nothing is fetched twice
            rest.add(ref)
    known = []
    for ref, own in zip(some, hash_files(some), strict=True):
        if own in contents:
            known.append(ref)
        else:
            rest.add(ref)
    if known:
        names = ", ".join(printable(ref.rel) for ref in known[:_NAMED])
        _tell(known, total, "among those of --against", names, warn)
    copies = _copies_of(references.photos, references.smalls, rest.kept)
    if copies:
        names = ", ".join(f"{printable(a.rel)} of {printable(b.rel)}" for a, b in copies[:_NAMED])
        _tell(copies, total, "by its pixels a copy of one of --against", names, warn)
    if rest.every > 1:
        say(
            f"Whether copies of references are explained was looked for in "
            f"{counted(len(rest.kept), 'photograph')} of {total:,}, evenly spaced: what is a file "
            "of the same bytes is known in all."
        )


def _tell(
    known: Sequence[object], total: int, what: str, names: str, warn: Callable[[str], None]
) -> None:
    more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    one = len(known) == 1
    if not one:
        what = what.replace("by its pixels a copy", "by their pixels copies")
    whose = "The photograph is" if one and total == 1 else f"{len(known)} of {total} photographs "
    whose += "" if one and total == 1 else "is" if one else "are"
    warn(
        f"{whose} {what} ({names}{more}): held against "
        f"{'itself it looks' if one else 'themselves they look'} more usual than "
        f"{'it is' if one else 'they are'}."
    )


class _Spaced:
    """Some of a row of photographs whose length is not known before, evenly spaced."""

    def __init__(self) -> None:
        self.kept: list[ImageRef] = []
        self.every, self._seen = 1, 0

    def add(self, ref: ImageRef) -> None:
        """One more."""
        if self._seen % self.every == 0:
            self.kept.append(ref)
        self._seen += 1
        if len(self.kept) > 2 * MOST:
            self.every *= 2
            self.kept = self.kept[::2]


def _copies_of(
    references: Sequence[ImageRef], smalls: np.ndarray | None, refs: Sequence[ImageRef]
) -> list[tuple[ImageRef, ImageRef]]:
    """Which photographs are copies of references, and of which; their own bytes differ."""
    import numpy as np

    from camcli.data.decode.same_picture import laid
    from camcli.evaluate.check.copies import TRIES, alike

    if smalls is None or not len(smalls) or not refs:
        return []
    small = dict(_smalls(refs))
    asked = list(small)
    if not asked:
        return []
    n = len(references)
    both = [*references, *(refs[i] for i in asked)]
    own = np.stack([small[i] for i in asked])
    pictures = _standing_out(both, n)
    pairs = [(j, n + i) for i, j in alike(own, smalls)]
    # Not in groups: of two photographs of one reference each is compared with it.
    found: dict[int, int] = {}
    tries: Counter[int] = Counter()
    for j, i in pairs:
        if i in found or max(tries[i], tries[j]) >= TRIES:
            continue
        how = laid(smalls[j], own[i - n])
        if how and pictures.same(j, i, how):
            found[i] = j
        else:
            tries.update((i, j))
    return [(both[i], both[j]) for i, j in sorted(found.items())]


def _smalls(refs: Sequence[ImageRef]) -> list[tuple[int, np.ndarray]]:
    """(SMALL, SMALL) of each that can be read, with its number."""
    from concurrent.futures import ThreadPoolExecutor

    from camcli.data.decode.images import load_image
    from camcli.data.decode.memory_budget import BUDGET
    from camcli.data.decode.same_picture import SMALL, grey
    from camcli.errors import ImageError
    from camcli.models.runtime.openvino import available_cores

    def small(ref: ImageRef) -> np.ndarray | None:
        try:
            with BUDGET.held():
                return grey(load_image(ref), SMALL)
        except ImageError:  # its row says so
            return None

    with ThreadPoolExecutor(available_cores()) as pool:
        found = enumerate(pool.map(small, refs))
        return [(i, each) for i, each in found if each is not None]


def _bytes(ref: ImageRef) -> int | None:
    """A file's length; None of what is no file on the disk."""
    try:
        path = Path(ref.path)
        return path.stat().st_size if path.is_file() else None
    except (OSError, ValueError):  # a name that no disk can have
        return None


class SavedAgain:
    """Which of some references are others saved again: as they are, smaller, cut or mirrored."""

    def __init__(self, refs: list[ImageRef]) -> None:
        """`refs` are going to be looked at."""
        self._refs = refs
        self._small: dict[int, np.ndarray] = {}
        self._points: list[np.ndarray] = []
        self._unit = 0.0
        self.photos: tuple[ImageRef, ...] = ()
        """Those that could be looked at."""

    def note(self, number: int, rgb: np.ndarray) -> None:
        """Keep what is needed of a photograph's pixels (H, W, 3), from any thread."""
        from camcli.data.decode.same_picture import SMALL, grey

        self._small[number] = grey(rgb, SMALL)

    def through(self, features: Iterable[Tensor]) -> Any:
        """The same features A (K, h, w), one photograph after another; their means are kept."""
        import numpy as np

        for A in features:
            mean = A.mean((1, 2)).numpy()
            self._unit = self._unit or float(np.abs(mean).max()) or 1.0
            # Half the memory; of a network's numbers nobody knows how large they are.
            self._points.append((mean / self._unit).clip(-6e4, 6e4).astype(np.float16))
            yield A

    def look(self, failed: Iterable[int]) -> tuple[Tensor, Tensor, bool]:
        """Find copies, once all features have come through.

        Args:
            failed: numbers of the photographs that no features came of.

        Returns:
            (n, SMALL, SMALL) uint8 of the `photos`; (n,) int64, of which those of one number are
            copies of each other; and whether there was time to compare all.
        """
        import numpy as np
        import torch

        from camcli.data.decode.same_picture import SMALL
        from camcli.evaluate.check.copies import Groups, join_copies
        from camcli.evaluate.findings.clock import Clock
        from camcli.train.judging.neighbours import reduced
        from camcli.train.progress import Listener

        gone = set(failed)
        numbers = [n for n in range(len(self._refs)) if n not in gone]
        self.photos = tuple(self._refs[n] for n in numbers)
        blank = np.zeros((SMALL, SMALL), np.uint8)
        smalls = np.stack([self._small.get(n, blank) for n in numbers])
        clock = Clock(LONGEST)
        groups = Groups(len(numbers))
        join_copies(
            groups, np.arange(len(numbers)), smalls, reduced(np.stack(self._points)),
            _standing_out(self.photos, len(numbers)), clock, Listener(),
        )  # fmt: skip
        numbered = torch.from_numpy(groups.numbers())
        return torch.from_numpy(smalls), numbered, not clock.skipped


def _standing_out(refs: Sequence[ImageRef], references: int) -> GreyPictures:
    """Photographs whose copies stand out from what is usual among the first ones."""
    import numpy as np

    from camcli.data.decode.same_picture import Laid, alike_somewhere
    from camcli.evaluate.check.copies import GreyPictures

    class StandingOut(GreyPictures):
        def same(self, i: int, j: int, how: Laid) -> float:
            """How alike two are, and 0 where others are nearly so."""
            score, one = super().same(i, j, how), self(i)
            if not score or one is None:
                return 0.0
            rest = [n for n in range(references) if n not in (i, j)]
            others = (self(n) for n in rest[:: max(1, len(rest) // _OTHERS)])
            usual = [alike_somewhere(one, other) for other in others if other is not None]
            # Of the least alike ones: some of the others may be copies, too.
            least = float(np.quantile(usual, 0.25)) if usual else 0.0
            return score if 1 - score <= _LESS * (1 - least) else 0.0

    return StandingOut(refs)


def tell_copies(
    photos: Sequence[ImageRef],
    groups: Sequence[int],
    compared: bool,
    warn: Callable[[str], None],
) -> None:
    """Say which references look like copies of others.

    Args:
        photos: n references.
        groups: (n,) numbers; those of one are copies of each other.
        compared: whether there was time to compare all.
        warn: hears it.
    """
    if not compared:
        warn(
            "--against: which references are there twice was looked for no longer than "
            f"{LONGEST:.0f} seconds, and not in all of them; `camcli check` of their folder looks "
            "to the end."
        )
    together: dict[int, list[str]] = {}
    for ref, group in zip(photos, groups, strict=True):
        together.setdefault(int(group), []).append(ref.rel)
    found = [
        (copy, first)
        for first, *copies in sorted(sorted(names) for names in together.values())
        for copy in copies
    ]
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
