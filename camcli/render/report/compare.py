"""The page of two runs beside each other, image by image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import comb
from pathlib import Path

from camcli.errors import UsageError
from camcli.render.report import pages
from camcli.render.report.build import (
    FAILURES,
    THUMBNAILS,
    Tick,
    about,
    check_same_source,
    kinds,
    photo,
    run_settings,
    write,
)
from camcli.render.report.heat import similarity
from camcli.render.report.looks import one_scale, page_look
from camcli.render.report.marking import marking
from camcli.render.report.rows import (
    ERROR,
    MISSING,
    RIGHT,
    WRONG,
    ImageRow,
    Names,
    RunData,
    Side,
    read_rows,
    view_or_all,
)
from camcli.render.report.summary import for_page, summarise
from camcli.render.report.whole import cropped

Pairs = Sequence[tuple[str, str]]

# What became of an image from A to B, the most interesting first.
BROKEN, FIXED, CHANGED, SAME, ONLY = "broken", "fixed", "changed", "same", "only"
_ORDER = {BROKEN: 0, FIXED: 1, CHANGED: 2, SAME: 3, ONLY: 4}


def write_comparison(
    a: RunData,
    b: RunData,
    out: Path,
    *,
    thumbnails: int = THUMBNAILS,
    self_contained: bool = False,
    tick: Tick | None = None,
) -> Path:
    """Write the page of two runs.

    Args:
        a: the run before; its rows and maps are consumed.
        b: the run after; likewise.
        out: see `camcli.render.report.write_report`.
        thumbnails: see there.
        self_contained: see there.
        tick: see there.

    Returns:
        The page, ``out/index.html``.

    Raises:
        UsageError: as `write_report`.
        CamcliError: the runs have no image in common.
    """
    names = Names()
    signed = a.signed and b.signed  # both are drawn in one way
    rows = pair(read_rows(a, names, signed), read_rows(b, names, signed))
    if not rows:
        raise UsageError(f"{a.path} and {b.path} have no rows yet, so there is nothing to compare.")
    if self_contained:
        pages.check_self_contained(len(rows))
    changes = Counter(change(row) for row in rows)
    check_same_source(a, b, len(rows) - changes[ONLY])
    one, two = name_pair(a, b)
    summaries = [summarise(rows, side) for side in (0, 1)]
    similar = [row.similarity for row in rows if row.similarity is not None]
    runs = [
        run_settings(run, out, rows, side) | {"name": name}
        for side, (run, name) in enumerate(((a, one), (b, two)))
    ]
    one_scale(*runs)
    settings = {
        "rows": len(rows),
        "classes": names.list,
        "runs": runs,
        "summaries": [for_page(summary, signed) for summary in summaries],
        "marking": marking([a, b], rows),
        "mapped": any(side.maps for row in rows for side in row.sides),
        **kinds(rows),
        "similarities": _bins(similar),
        **page_look(b, signed),
    }
    failed = [row for row in rows if ERROR in (row.sides[0].verdict, row.sides[1].verdict)]
    context = {
        "title": f"{one} → {two}",
        "names": (one, two),
        "summaries": summaries,
        "about": (about(a), about(b)),
        "signed": signed,
        **kinds(rows),
        "versus": versus(about(a), about(b)),
        "failed": [
            (row.path, next((side.error for side in row.sides if side.error), ""))
            for row in failed[:FAILURES]
        ],
        "failures": len(failed),
        "labelled": any(summary.judged for summary in summaries),
        "measured": any(row.objects for row in rows),
        "changes": changes,
        "chance": sign_test(changes[FIXED], changes[BROKEN]),
        "cropped": cropped(rows),
        "similarity": sum(similar) / len(similar) if similar else None,
    }
    first = rows if self_contained else rows[:thumbnails]
    photos = [photo(b if row.sides[0].verdict == MISSING else a, row) for row in first]
    write(out, "compare.html", context, settings, rows, photos, {}, self_contained, tick)
    return out / "index.html"


def pair(before: Sequence[ImageRow], after: Sequence[ImageRow]) -> list[ImageRow]:
    """Rows with two sides, the most interesting first: what broke, was fixed, or changed.

    Within one kind those come first whose heat moved most, then whose probability did.

    Args:
        before: rows with one side.
        after: likewise; images are matched by path.
    """
    others = {row.path: row for row in after}
    rows = []
    for row in before:
        other = others.pop(row.path, None)
        sides = [row.sides[0], other.sides[0] if other else Side(MISSING)]
        label = row.label if row.label >= 0 or other is None else other.label
        size = row.size or (other.size if other else None)
        labels = row.labels if row.labels is not None or other is None else other.labels
        objects = row.objects or (other.objects if other else None)
        rows.append(ImageRow(row.path, label, row.seq, size, sides, labels=labels, objects=objects))
    start = len(rows)
    for n, row in enumerate(others.values(), start):
        rows.append(replace(row, seq=n, sides=[Side(MISSING), row.sides[0]]))
    for row in rows:
        one, two = row.sides
        if one.maps and two.maps and one.maps[0].cells is not None:
            cells = two.maps[0].cells
            if cells is not None:
                row.similarity = similarity(
                    one.maps[0].cells, cells, view_or_all(row, one), view_or_all(row, two)
                )

    def key(row: ImageRow) -> tuple[int, float, float, int]:
        one, two = row.sides
        moved = 1.0 if row.similarity is None else row.similarity
        shift = abs(one.prob - two.prob)
        if one.number is not None and two.number is not None:
            shift = abs(one.number / 2 - two.number / 2)
        return _ORDER[change(row)], moved, -shift, row.seq

    return sorted(rows, key=key)


def change(row: ImageRow) -> str:
    """What became of an image from the first side to the second."""
    one, two = row.sides
    if {one.verdict, two.verdict} & {ERROR, MISSING}:
        return SAME if one.verdict == two.verdict else ONLY
    if (one.verdict, two.verdict) == (RIGHT, WRONG):
        return BROKEN
    if (one.verdict, two.verdict) == (WRONG, RIGHT):
        return FIXED
    if one.positives is not None and two.positives is not None:
        return SAME if set(one.positives) == set(two.positives) else CHANGED
    return SAME if one.pred == two.pred else CHANGED


def sign_test(fixed: int, broken: int) -> float | None:
    """How often chance alone would give a difference as large (McNemar's exact test, two-sided).

    Args:
        fixed: images that were wrong and became right.
        broken: images that were right and became wrong.

    Returns:
        In [0, 1]; None when nothing changed.
    """
    total = fixed + broken
    if not total:
        return None
    tail = sum(comb(total, k) for k in range(min(fixed, broken) + 1))
    return min(1.0, 2 * tail / 2**total)


# Facts that differ between any two runs, or follow from another one.
_OF_THE_DAY = {"SHA-256 of the weights", "Photographs", "Run directory", "Finished", "Seconds",
               "Images a second", "Device", "camcli", "Command", "torch", "torchvision", "timm",
               }  # fmt: skip


def versus(one: Pairs, two: Pairs) -> list[tuple[str, str, str]]:
    """What was done in both runs: network and method, and whatever else differs."""
    before, after = dict(one), dict(two)
    rows = []
    for fact in dict.fromkeys([*before, *after]):
        if fact in _OF_THE_DAY:
            continue
        values = before.get(fact, "not recorded"), after.get(fact, "not recorded")
        if fact in ("Network", "Method") or values[0] != values[1]:
            rows.append((fact, *values))
    return rows


def name_pair(a: RunData, b: RunData) -> tuple[str, str]:
    """What to call the two runs: their folders' names, with what tells them apart if equal."""
    if a.name != b.name:
        return a.name, b.name
    one, two = (f"{run.path.absolute().parent.name}/{run.name}" for run in (a, b))
    return (one, two) if one != two else (f"{a.name} (A)", f"{b.name} (B)")


def _bins(similar: Sequence[float], count: int = 20) -> list[int]:
    bins = [0] * count
    for value in similar:
        bins[min(count - 1, int(value * count))] += 1
    return bins
