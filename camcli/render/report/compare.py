"""The page of two runs beside each other, image by image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import comb
from pathlib import Path
from typing import Any

from camcli.errors import UsageError
from camcli.models.classes.imagenet import plain
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
from camcli.render.report.page import pages
from camcli.render.report.rows.heat import similarity
from camcli.render.report.rows.image_rows import (
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
from camcli.render.report.rows.moved import find_moved
from camcli.render.report.rows.summary import for_page, summarise
from camcli.render.report.settings.looks import one_scale, page_look
from camcli.render.report.settings.marking import marking
from camcli.render.report.settings.whole import cropped

Pairs = Sequence[tuple[str, str]]

# What became of an image from A to B, the most interesting first.
BROKEN, FIXED, RELABELLED, CHANGED = "broken", "fixed", "relabelled", "changed"
SAME, DROPPED, ADDED, FAILED = "same", "dropped", "added", "failed"
_ORDER = {
    kind: place
    for place, kind in enumerate((BROKEN, FIXED, RELABELLED, CHANGED, SAME, DROPPED, ADDED, FAILED))
}
# Where so few predictions changed, the runs agree, and where they look is the news.
_AGREE = 0.02
OTHER_PLACES = 0.5
"""Heatmaps that are less alike than this (cosine) show other places."""


def write_comparison(
    a: RunData,
    b: RunData,
    out: Path,
    *,
    thumbnails: int = THUMBNAILS,
    self_contained: bool = False,
    tick: Tick | None = None,
    say: Callable[[str], object] | None = None,
) -> Path:
    """Write the page of two runs.

    Args:
        a: the run before; its rows and maps are consumed.
        b: the run after; likewise.
        out: see `camcli.render.report.write_report`.
        thumbnails: see there.
        self_contained: see there.
        tick: see there.
        say: told in a line what changed.

    Returns:
        The page, ``out/index.html``.

    Raises:
        UsageError: as `write_report`.
        CamcliError: the runs have no image in common.
    """
    names = Names()
    signed = a.signed and b.signed  # both are drawn in one way
    before, after = read_rows(a, names, signed), read_rows(b, names, signed)
    ours, theirs = {row.path for row in before}, {row.path for row in after}
    moved = find_moved(
        a, b,
        [row for row in before if row.path not in theirs],
        [row for row in after if row.path not in ours],
    )  # fmt: skip
    rows = pair(before, after, names.list, moved)
    if not rows:
        raise UsageError(f"{a.path} and {b.path} have no rows yet, so there is nothing to compare.")
    if self_contained:
        pages.check_self_contained(len(rows))
    changes = Counter(row.change for row in rows)
    check_same_source(a, b, len(rows) - changes[DROPPED] - changes[ADDED] - changes[FAILED])
    one, two = name_pair(a, b)
    summaries = [summarise(rows, side) for side in (0, 1)]
    similar = [row.similarity for row in rows if row.similarity is not None]
    runs = [
        run_settings(run, out, rows, side) | {"name": name}
        for side, (run, name) in enumerate(((a, one), (b, two)))
    ]
    one_scale((a, b), (runs[0]["scale"], runs[1]["scale"]))
    one_scale((a, b), (runs[0]["differenceScale"], runs[1]["differenceScale"]))
    settings = {
        "rows": len(rows),
        "classes": names.list,
        "runs": runs,
        "summaries": [for_page(summary, signed) for summary in summaries],
        "marking": marking([a, b], rows),
        "mapped": any(side.maps for row in rows for side in row.sides),
        **kinds(rows),
        "similarities": _bins(similar),
        "otherPlaces": OTHER_PLACES,
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
        "agree": agree(rows),
        "differ": sum(_differs(row) for row in rows),
        "elsewhere": sum(_elsewhere(row) for row in rows),
        "kept": kept(rows),
        "alike": sum(_answered(row) and not _differs(row) for row in rows),
        # What was relabelled mostly lies in another folder.
        "renamed": sum(row.moved is not None and row.change != RELABELLED for row in rows),
        "chance": sign_test(changes[FIXED], changes[BROKEN]),
        "cropped": cropped(rows),
        "similarity": sum(similar) / len(similar) if similar else None,
    }
    first = rows if self_contained else rows[:thumbnails]
    photos = [photo(b if row.sides[0].verdict == MISSING else a, row) for row in first]
    if say is not None:
        say(in_words(changes, context))
    write(out, "compare.html", context, settings, rows, photos, {}, self_contained, tick)
    return out / "index.html"


def pair(
    before: Sequence[ImageRow],
    after: Sequence[ImageRow],
    names: Sequence[str] = (),
    moved: Mapping[str, str] | None = None,
) -> list[ImageRow]:
    """Rows with two sides, the most interesting first.

    That is what broke, was fixed, or changed, where predictions changed; else whose heat moved
    most. Within one kind those come first whose heat moved most, then whose probability did.

    Args:
        before: rows with one side.
        after: likewise; images are matched by path.
        names: of the classes.
        moved: path before -> path after, of images that have another one in the second run.
    """
    others = {row.path: row for row in after}
    rows = []
    for row in before:
        path = (moved or {}).get(row.path, row.path)
        other = others.pop(path, None)
        sides = [row.sides[0], other.sides[0] if other else Side(MISSING)]
        new = replace(row, sides=sides)
        if other is not None:
            new.moved = None if path == row.path else path
            new.size = row.size or other.size
            new.objects = row.objects or other.objects
            _add_labels(new, other, names)
        rows.append(new)
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
        row.change = change(row)
    by_heat = agree(rows)

    def key(row: ImageRow) -> tuple[int, float, float, int]:
        one, two = row.sides
        still = 1.0 if row.similarity is None else row.similarity
        shift = abs(one.prob - two.prob)
        if one.number is not None and two.number is not None:
            shift = abs(one.number / 2 - two.number / 2)
        kind = _ORDER[row.change]
        if by_heat and kind < _ORDER[SAME]:
            kind = _ORDER[SAME]
        return kind, still, -shift, row.seq

    return sorted(rows, key=key)


def _add_labels(row: ImageRow, other: ImageRow, names: Sequence[str]) -> None:
    """What the second run calls an image, and where that is something else, what the first did."""

    def plainly(numbers: Sequence[int]) -> list[str]:
        return sorted(plain(names[n]) if n < len(names) else str(n) for n in numbers)

    if row.labels is not None and other.labels is not None:
        if plainly(row.labels) != plainly(other.labels):
            row.were, row.labels = row.labels, other.labels
    elif row.labels is None and row.label < 0:
        row.label, row.labels = other.label, other.labels
    elif row.label >= 0 and other.label >= 0 and plainly([row.label]) != plainly([other.label]):
        row.was, row.label = row.label, other.label


def change(row: ImageRow) -> str:
    """What became of an image from the first side to the second.

    Where its label became another one, right and wrong mean something else than before: it is
    `RELABELLED`, and neither fixed nor broken by the network.
    """
    one, two = row.sides
    if MISSING in (one.verdict, two.verdict):
        return DROPPED if two.verdict == MISSING else ADDED
    if ERROR in (one.verdict, two.verdict):
        return SAME if one.verdict == two.verdict else FAILED
    if row.was is not None or row.were is not None:
        return RELABELLED
    if (one.verdict, two.verdict) == (RIGHT, WRONG):
        return BROKEN
    if (one.verdict, two.verdict) == (WRONG, RIGHT):
        return FIXED
    return SAME if _same_answer(one, two) else CHANGED


def _same_answer(one: Side, two: Side) -> bool:
    if one.positives is not None and two.positives is not None:
        return set(one.positives) == set(two.positives)
    return one.pred == two.pred


def _answered(row: ImageRow) -> bool:
    """Whether both runs say something of an image."""
    return not {side.verdict for side in row.sides} & {ERROR, MISSING}


def _differs(row: ImageRow) -> bool:
    return _answered(row) and not _same_answer(*row.sides)


def _elsewhere(row: ImageRow) -> bool:
    """Whether both say the same of an image, and for other reasons."""
    near = row.similarity is None or row.similarity >= OTHER_PLACES
    return not near and _answered(row) and _same_answer(*row.sides)


def agree(rows: Sequence[ImageRow]) -> bool:
    """Whether the predictions are the same, but for a few: then where they look is the news."""
    both = sum(map(_answered, rows))
    return both > 0 and sum(map(_differs, rows)) <= _AGREE * both


def kept(rows: Sequence[ImageRow]) -> tuple[int, int, int]:
    """How the runs compare on what is the same in both: the photographs, and their labels.

    Returns:
        How many of them there are, and how many of these each of the two runs has right.
    """
    judged = [
        [side.verdict for side in row.sides]
        for row in rows
        if row.change != RELABELLED and {side.verdict for side in row.sides} <= {RIGHT, WRONG}
    ]
    one, two = (sum(verdicts[side] == RIGHT for verdicts in judged) for side in (0, 1))
    return len(judged), one, two


def in_words(changes: Mapping[str, int], found: Mapping[str, Any]) -> str:
    """What changed, in a line: first where the heat is if the predictions agree.

    Args:
        changes: how many rows became what.
        found: what the page shows besides.
    """
    heat = []
    if found["similarity"] is not None:
        heat.append(f"heatmaps {found['similarity']:.2f} alike (cosine)")
        if found["elsewhere"]:
            heat.append(f"{found['elsewhere']} the same prediction with its heat elsewhere")
    answers = []
    if not found["values"]:
        answers.append(
            f"{found['differ']} of {found['alike'] + found['differ']} predictions changed"
        )
        if found["labelled"]:
            answers.append(f"{changes[FIXED]} fixed, {changes[BROKEN]} broken")
    parts = heat + answers if found["agree"] else answers + heat
    parts += [f"{changes[kind]} {kind}" for kind in (RELABELLED, DROPPED, ADDED) if changes[kind]]
    text = ", ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


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
