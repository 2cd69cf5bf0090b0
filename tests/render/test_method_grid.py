from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from camcli.cam.postprocess import likeness
from camcli.data.sources.refs import ImageRef
from camcli.render.colormaps import get_colormap
from camcli.render.method_grid import cells, columns, like, method_grid
from camcli.render.overlay import overlay
from camcli.render.style import Style
from camcli.result import Heat, Result

RISING = np.arange(49, dtype=np.float32).reshape(7, 7)
NAMES = ("cat", "dog")


def photograph(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def one(method: str, *maps: np.ndarray, size=(200, 150)) -> Result:
    heats = tuple(
        Heat(name, n, 0.5, m, empty=not (m > 0).any())
        for n, (name, m) in enumerate(zip(NAMES, maps, strict=False))
    )
    width, height = size
    return Result(
        ImageRef(Path("/x.jpg"), "x.jpg"), pred="cat", prob=0.5, top=(("cat", 0.5), ("dog", 0.5)),
        method=method, heats=heats, view=(0, 0, width, height), width=width, height=height,
    )  # fmt: skip


def several(first: Result, *others: Result) -> Result:
    return replace(first, beside=others)


def places(picture: np.ndarray, part: np.ndarray) -> list[tuple[int, int]]:
    """Where (row, column) a picture holds another one, exactly."""
    h, w = part.shape[:2]
    starts = np.argwhere((picture[: 1 - h or None, : 1 - w or None] == part[0, 0]).all(2))
    return [
        (y, x) for y, x in starts.tolist() if np.array_equal(picture[y : y + h, x : x + w], part)
    ]


def test_each_method_has_its_overlay_beside_the_photograph():
    rgb = photograph(200, 150)
    about = several(one("cam", RISING), one("layercam", RISING.T), one("scorecam", RISING[::-1]))
    grid = method_grid(rgb, about)
    found = [places(grid, rgb)]
    for each in (about, *about.beside):
        heat01 = each.heats[0].heatmap / 48
        found.append(places(grid, overlay(rgb, heat01, (0, 0, 200, 150))))
    assert [len(where) for where in found] == [1, 1, 1, 1]
    (rows, beside) = zip(*(where[0] for where in found), strict=True)
    assert len(set(rows)) == 1  # in one row, in the order in which they were asked for
    assert list(beside) == sorted(beside)


def test_rows_are_even_and_no_wider_than_can_be_seen():
    square, wide, tall = photograph(100, 100), photograph(300, 100), photograph(60, 100)
    five = several(one("cam", RISING), *[one(str(n), RISING) for n in range(4)])
    assert (columns(square, five), columns(wide, five), columns(tall, five)) == (6, 2, 6)
    assert columns(photograph(400, 300), five) == 3  # of two rows of three, not four and two
    assert cells(wide, five, panel=True) == (2, 6)


def test_a_panel_has_the_map_itself_above_its_overlay():
    rgb = photograph(200, 150)
    about = several(one("cam", RISING), one("layercam", RISING.T))
    grid = method_grid(rgb, about, panel=True)
    (y, x), *_ = places(grid, overlay(rgb, RISING / 48, (0, 0, 200, 150)))
    above = grid[y - 160 : y, x : x + 200]
    hottest = (above == get_colormap("jet")[255]).all(2)
    assert hottest.any()  # at the lower right, as the map is
    assert np.argwhere(hottest).min(0).tolist() > [100, 150]


def test_several_classes_stand_below_each_other():
    rgb = photograph(200, 150)
    about = several(one("cam", RISING, RISING.T), one("layercam", RISING.T, RISING[::-1]))
    grid = method_grid(rgb, about)
    (first, _), *_ = places(grid, overlay(rgb, RISING / 48, (0, 0, 200, 150)))
    (second, _), *_ = places(grid, overlay(rgb, RISING[::-1] / 48, (0, 0, 200, 150)))
    assert second > first + 150


def test_a_method_without_a_map_leaves_the_others_theirs():
    rgb = photograph(200, 150)
    failed = Result(ImageRef(Path("/x.jpg"), "x.jpg"), status="error", error="no", method="fem")
    about = several(one("cam", RISING), one("layercam", np.zeros((7, 7), np.float32)), failed)
    grid = method_grid(rgb, about)
    assert len(places(grid, overlay(rgb, RISING / 48, (0, 0, 200, 150)))) == 1
    assert len(places(grid, rgb)) == 2  # the photograph, and under an empty map it is bare
    assert [like(about, other) for other in (about, *about.beside)] == ["", "", ""]


@pytest.mark.parametrize("size", [(1, 1), (3, 400), (900, 2)])
@pytest.mark.parametrize("panel", [False, True])
def test_any_photograph_has_a_picture_that_can_be_written(size, panel):
    style = Style(panel=panel)
    about = several(one("cam", RISING, size=size), one("layercam", RISING.T, size=size))
    picture = style.draw(photograph(*size), about)
    assert max(picture.shape) <= style.kind.side
    assert picture.dtype == np.uint8


def test_maps_are_compared_by_where_they_are_positive():
    left, right = np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32)
    left[:, 0], right[:, 1] = 3, 5
    both = left + right
    assert likeness(left, 7 * left - right) == pytest.approx(1)
    assert likeness(left, right) == 0
    assert likeness(left, both) == pytest.approx(3 / 34**0.5)
    assert likeness(left, -left) is None
    about = several(one("cam", left), one("gradcam", 2 * left), one("layercam", both))
    words = [like(about, other) for other in (about, *about.beside)]
    assert words == ["", "same as cam", "0.51 like cam"]
