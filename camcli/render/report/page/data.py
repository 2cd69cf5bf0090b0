"""A page's data: columns of numbers and short texts for some rows at a time, as scripts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from camcli.data.decode.images import printable
from camcli.ours import OVERLAYS
from camcli.render.picture_files import KINDS
from camcli.render.report.rows.heat import PageMap, affordable_side
from camcli.render.report.rows.image_rows import ImageRow, Side

INDEX_PAGE, DETAIL_PAGE = 5000, 250
# Attributes of a `Side` that every row's index has, as shares: filters and orders use them.
SHARES = ("prob", "border", "area", "seen", "on_object")
# A letter for each change from one run to the other; "" where nobody compares.
CHANGES = {
    "": "-", "broken": "b", "fixed": "f", "relabelled": "l", "changed": "c", "same": "s",
    "dropped": "d", "added": "a", "failed": "e",
}  # fmt: skip
# How overlays are usually called: what stands before and after the photograph's path.
USUAL_OVERLAYS = tuple((f"{OVERLAYS}/", s) for s in ("", *(k.suffix for k in KINDS.values())))


def as_script(value: Any) -> str:
    """A value as JavaScript that is safe inside a ``<script>`` element: pure ASCII, no ``<``."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def index_page(rows: Sequence[ImageRow]) -> dict[str, Any]:
    """What filters and orders need to know of some rows, by column."""
    sides = range(len(rows[0].sides))
    return {
        "path": [row.path for row in rows],
        "label": [row.label for row in rows],
        "seq": [row.seq for row in rows],
        **(
            {"labels": [0 if row.labels is None else row.labels for row in rows]}
            if any(side.positives is not None for row in rows for side in row.sides)
            else {}
        ),
        "sides": [
            {
                **_beside(rows, s),
                "verdict": "".join(row.sides[s].verdict for row in rows),
                "pred": [row.sides[s].pred for row in rows],
                **{name: [_share(getattr(row.sides[s], name)) for row in rows] for name in SHARES},
            }
            for s in sides
        ],
        "similarity": [_share(row.similarity) for row in rows] if len(sides) > 1 else None,
        **(_changes(rows) if len(sides) > 1 else {}),
    }


def _changes(rows: Sequence[ImageRow]) -> dict[str, Any]:
    """What became of each row from the first run to the second; what is rare, by its place."""
    return {
        "change": "".join(CHANGES[row.change] for row in rows),
        "was": {
            n: row.was if row.were is None else row.were
            for n, row in enumerate(rows)
            if row.was is not None or row.were is not None
        },
        "moved": {n: row.moved for n, row in enumerate(rows) if row.moved is not None},
    }


def _beside(rows: Sequence[ImageRow], s: int) -> dict[str, Any]:
    """What only networks of labels, or of values, say; and of classes that exclude each other."""
    sides = [row.sides[s] for row in rows]
    found: dict[str, Any] = {}
    if any(side.against >= 0 for side in sides):
        found["against"] = [side.against for side in sides]
    if any(side.positives is not None for side in sides):
        found["positives"] = [0 if side.positives is None else side.positives for side in sides]
    if any(side.value is not None for side in sides):
        found["value"] = [side.value or 0 for side in sides]
        found["number"] = [side.number for side in sides]
    return found


def detail_page(rows: Sequence[ImageRow], most: int, signed: bool = False) -> dict[str, Any]:
    """What a card and the large view show beyond that.

    Args:
        rows: of the page.
        most: cells a side of a map.
        signed: maps with negative evidence.
    """
    return {
        "size": [row.size for row in rows],
        **(
            {"objects": [_objects(row) for row in rows]} if any(row.objects for row in rows) else {}
        ),
        "sides": [
            {
                "top": [[n for c, p in side.top for n in (c, _share(p))] for side in column],
                "view": [_view(row, side) for row, side in zip(rows, column, strict=True)],
                "maps": [[_map(one, most, signed) for one in side.maps] for side in column],
                "truth": [_map(side.truth, most, signed) if side.truth else 0 for side in column],
                **_differences(column, most),
                "box": [side.box or 0 for side in column],
                "overlay": [_overlay(row, side) for row, side in zip(rows, column, strict=True)],
                "error": [printable(side.error) if side.error else 0 for side in column],
                "outside": [int(side.outside) for side in column],
            }
            for column in ([row.sides[s] for row in rows] for s in range(len(rows[0].sides)))
        ],
    }


def _differences(column: Sequence[Side], most: int) -> dict[str, Any]:
    """Maps of either sign: cells, and the number that the strongest level stands for."""

    def told(one: PageMap) -> list[Any]:
        return _map(one, most, signed=True)[2:]

    found: dict[str, Any] = {}
    if any(side.difference for side in column):
        found["difference"] = [told(side.difference) if side.difference else 0 for side in column]
    if any(side.either for side in column):
        found["either"] = [[told(one) for one in side.either] or 0 for side in column]
    return found


def _share(value: float | None) -> int:
    """A share in hundred-thousandths; -1 for none: a third of the text of a float."""
    return -1 if value is None else round(value * 100_000)


def _map(one: PageMap, most: int, signed: bool) -> list[Any]:
    """Class, probability, cells, and the number that the highest level stands for."""
    return [one.target, _share(one.prob), one.text(most, signed), float(f"{one.high:.3g}")]


def _view(row: ImageRow, side: Side) -> list[float] | int:
    """0 for the whole photograph, which is common."""
    if side.view is None or (row.size and side.view == [0, 0, *row.size]):
        return 0
    return [round(v, 1) for v in side.view]


def _objects(row: ImageRow) -> list[Any] | int:
    """Boxes and outlines in thousandths; 0 where there are none."""
    found = row.objects
    return [found.boxes, found.outlines] if found and (found.boxes or found.outlines) else 0


def _overlay(row: ImageRow, side: Side) -> str | int:
    """The usual names, from the path, are told by a number (`USUAL_OVERLAYS`); 0 is none."""
    if side.overlay is None:
        return 0
    usual = {
        before + row.path + after: n for n, (before, after) in enumerate(USUAL_OVERLAYS, start=1)
    }
    return usual.get(side.overlay, side.overlay)


def _most(rows: Sequence[ImageRow]) -> int:
    """How many cells a side the maps of a page may have."""
    return affordable_side(
        sum(
            one.drawn
            for row in rows
            for side in row.sides
            for one in (*side.maps, *side.either, side.truth, side.difference)
            if one is not None
        )
    )


def averaged(rows: Sequence[ImageRow]) -> int:
    """How many cells a side maps have been averaged down to; 0 where all are as they are."""
    most = _most(rows)
    shapes = (
        cells.shape
        for row in rows
        for side in row.sides
        for one in side.maps
        if (cells := one.cells if one.cells is not None else one.against) is not None
    )
    return most if any(max(shape) > most for shape in shapes) else 0


def data_scripts(rows: Sequence[ImageRow], signed: bool = False) -> Iterator[tuple[str, str]]:
    """All data pages of a report as (name, text)."""
    most = _most(rows)
    for kind, size, make in (
        ("index", INDEX_PAGE, index_page),
        ("detail", DETAIL_PAGE, lambda page: detail_page(page, most, signed)),
    ):
        for number, start in enumerate(range(0, len(rows), size)):
            page = make(rows[start : start + size])
            yield f"data/{kind}-{number}.js", f"camcli.{kind}({number},{as_script(page)});\n"


def part_scripts(parts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What single tabs need, as (name, text)."""
    for name, value in parts.items():
        yield f"data/{name}.js", f"camcli.part({as_script(name)},{as_script(value)});\n"
