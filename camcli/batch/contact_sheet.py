"""The contact sheet: one picture of some of a run's results."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

from camcli.batch.contact_grid import SheetGrid
from camcli.batch.engine import stream
from camcli.batch.run_files.run_paths import SHEET
from camcli.data.decode.images import load_image
from camcli.errors import ImageError
from camcli.render.contact_sheet import Tile, contact_sheet
from camcli.render.picture import annotate, encode_jpeg
from camcli.render.sizes import MOST_PIXELS, shrink
from camcli.render.verdict import title, truth

if TYPE_CHECKING:
    from camcli.batch.run import Run
    from camcli.result import Result

SIDE = 240  # of a tile, in pixels
# A tile with its caption and gap takes as much as so many squares of its side.
_WITH_CAPTION = 1.6
TILE = 480  # pixels kept of a photograph's longer side: more than a tile shows


def draw_sheet(run: Run, grid: SheetGrid) -> None:
    """Draw ``contact_sheet.jpg`` into a finished run's directory.

    The table says which images; these few are explained once more, so that a resumed run gets the
    same sheet as one that was never stopped.
    """
    chosen = set(_choose(run.directory.rows(), grid))
    if not chosen:
        return
    found = {ref.rel: ref for ref in run.source if ref.rel in chosen}
    results = {r.ref.rel: r for r in stream(found.values(), run.classifier, run.what)}
    order = [rel for rel in _choose(run.directory.rows(), grid) if rel in results]
    tiles = (_tile(run, results[rel]) for rel in order)
    side = _side(len(order))
    sheet = contact_sheet((tile for tile in tiles if tile), grid.rows, grid.cols, tile=(side, side))
    run.directory.write(run.directory.path / SHEET, encode_jpeg(sheet, run.style.quality))
    run.directory.finish()


def _side(tiles: int) -> int:
    """Pixels of a tile's side: fewer where 2500 of them would be more than can be drawn."""
    return min(SIDE, int(math.sqrt(MOST_PIXELS / (_WITH_CAPTION * max(1, tiles)))))


def _choose(rows: Iterable[dict[str, str]], grid: SheetGrid) -> list[str]:
    """Relative paths of the results to show."""
    good = (row for row in rows if row["status"] != "error")
    count = grid.rows * grid.cols
    if grid.order == "first":
        return [row["path"] for row in islice(good, count)]
    if grid.order == "worst":
        # Most confidently wrong first; where nothing is known to be wrong, the least confident.
        return [row["path"] for row in heapq.nsmallest(count, good, key=_goodness)]
    draw = random.Random(0)  # the same sheet for the same run
    kept: list[str] = []
    for seen, row in enumerate(good):
        if seen < count:
            kept.append(row["path"])
        elif (slot := draw.randrange(seen + 1)) < count:
            kept[slot] = row["path"]
    return kept


def _goodness(row: dict[str, str]) -> tuple[int, float]:
    prob = float(row["prob"] or 0)  # values have none
    return (0, -prob) if row["correct"] == "0" else (1, prob)


def _tile(run: Run, result: Result) -> Tile | None:
    if result.status == "error":
        return None
    try:
        rgb = shrink(load_image(result.ref), TILE)
    except ImageError:
        return None
    style = run.style
    picture = annotate(
        rgb, result, colormap=style.colormap, alpha=style.alpha, strip=False, signed=style.signed,
        draw_box=style.draw_box,
    )  # fmt: skip
    what, sure = title(result)
    below = [] if truth(result) is None else [f"true: {truth(result)}"]
    return Tile(picture, [what, *below], result.correct, sure)
