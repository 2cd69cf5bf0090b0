"""Photographs of two runs that are the same, though their paths are not.

Whoever mends a data set moves a photograph of a class folder into another one: its label is another
then, and it is not a photograph less and a photograph more.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from camcli.data.sources.refs import is_url
from camcli.files import open_regular
from camcli.ours import Inside
from camcli.render.report.rows.image_rows import ImageRow, RunData

MOST = 5000
"""So many photographs of a run are opened at most."""
_BLOCK = 1 << 20

Rows = Sequence[ImageRow]


def find_moved(a: RunData, b: RunData, before: Rows, after: Rows) -> dict[str, str]:
    """Which photographs of the second run are photographs of the first one under another path.

    Those whose bytes are the same, where both can be read; else those of one name and one size in
    pixels. Where several are alike none is taken for another.

    Args:
        a: the run before.
        b: the run after.
        before: rows of the first run without a row of their path in the second one.
        after: likewise the other way round.

    Returns:
        Path before -> path after.
    """
    if not before or not after:
        return {}
    found: dict[str, str] = {}
    lengths = _lengths(a, before), _lengths(b, after)
    if len(before) <= MOST and len(after) <= MOST:
        common = set(lengths[0].values()) & set(lengths[1].values())
        one, other = _digests(a, lengths[0], common), _digests(b, lengths[1], common)
        found = _alike(
            before, after, lambda row: one.get(row.path), lambda row: other.get(row.path)
        )
        # Of a photograph that is there twice, the one that kept its name.
        found |= _alike(
            *_left(before, after, found),
            lambda row: _named(one.get(row.path), row),
            lambda row: _named(other.get(row.path), row),
        )
    likely = _alike(*_left(before, after, found), *[lambda row: _named(row.size, row)] * 2)
    # What can be read on both sides, and differs, is another one.
    return found | {x: y for x, y in likely.items() if x not in lengths[0] or y not in lengths[1]}


def _left(before: Rows, after: Rows, found: Mapping[str, str]) -> tuple[Rows, Rows]:
    taken = set(found.values())
    return (
        [row for row in before if row.path not in found],
        [row for row in after if row.path not in taken],
    )


def _named(key: Hashable | None, row: ImageRow) -> Hashable | None:
    return None if key is None else (key, PurePosixPath(row.path).name)


def _alike(
    before: Rows,
    after: Rows,
    one: Callable[[ImageRow], Hashable | None],
    other: Callable[[ImageRow], Hashable | None],
) -> dict[str, str]:
    """Pairs with equal keys, each of which occurs once on each side."""
    places: dict[Hashable, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for rows, key, side in ((before, one, 0), (after, other, 1)):
        for row in rows:
            if (value := key(row)) is not None:
                places[value][side].append(row.path)
    return {a[0]: b[0] for a, b in places.values() if len(a) == len(b) == 1}


def _lengths(run: RunData, rows: Rows) -> dict[str, int]:
    """How many bytes the photographs have that are files of the run's source, by path."""
    source, inside = str(run.source), Inside(run.source)
    found: dict[str, int] = {}
    if is_url(source):
        return found
    for row in rows:
        file = Path(source, row.path)
        with suppress(OSError, ValueError):
            if row.size and inside.holds(row.path) and file.is_file():
                found[row.path] = file.stat().st_size
    return found


def _digests(run: RunData, lengths: Mapping[str, int], wanted: set[int]) -> dict[str, bytes]:
    """Digests of the photographs of these lengths, by path."""
    found = {}
    for path, length in lengths.items():
        if length in wanted:
            digest = hashlib.blake2b(digest_size=16)
            with suppress(OSError, ValueError), open_regular(Path(run.source, path)) as stream:
                while block := stream.read(_BLOCK):
                    digest.update(block)
                found[path] = digest.digest()
    return found
