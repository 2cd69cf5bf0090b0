from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from camcli.data.decode.preprocess import Preprocess
from camcli.data.sources.refs import ImageRef
from camcli.errors import ImageError, UsageError
from camcli.render.colormaps import AGAINST, FOR, get_colormap
from camcli.render.contact_sheet import Tile, contact_sheet
from camcli.render.method_grid import method_grid
from camcli.render.overlay import overlay
from camcli.render.picture import annotate, encode_jpeg, encode_png, side_by_side
from camcli.render.sizes import shrink
from camcli.render.theme import MAT, PAPER, RIGHT, WRONG
from camcli.result import Heat, Result


def photograph(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def result(width, height, maps=None, fit="squash", **changes) -> Result:
    if maps is None:
        maps = [np.arange(-10, 39, dtype=np.float32).reshape(7, 7)]
    names = ["cat", "dog", "fox"]
    heats = tuple(
        Heat(names[i], i, 0.5 / (i + 1), m, empty=not (m > 0).any()) for i, m in enumerate(maps)
    )
    values = {
        "pred": "cat",
        "prob": 0.5,
        "top": (("cat", 0.5), ("dog", 0.25)),
        "method": "gradcam",
        "heats": heats,
        "view": Preprocess(fit=fit).view(width, height),
        "width": width,
        "height": height,
    }
    return Result(ImageRef(Path("/x.jpg"), "x.jpg"), **(values | changes))


def test_the_strip_hides_no_pixel():
    rgb, about = photograph(200, 150), result(200, 150)
    bare = annotate(rgb, about, strip=False)
    full = annotate(rgb, about)
    assert bare.shape == rgb.shape
    assert full.shape[0] > 150
    assert np.array_equal(full[:150], bare)
    heat01 = np.clip(about.heats[0].heatmap, 0, None) / about.heats[0].heatmap.max()
    assert np.array_equal(bare, overlay(rgb, heat01, (0, 0, 200, 150)))


def test_a_scale_makes_pictures_comparable():
    rgb = np.zeros((50, 50, 3), np.uint8)
    about = result(50, 50, [np.full((7, 7), 2, np.float32) + np.eye(7, dtype=np.float32)])
    got = annotate(rgb, about, alpha=1, strip=False, scale=(0.0, 12.0))
    # 3/12 of the scale at the hottest cell, the first one: level 63.75.
    assert (got[0, 0] == get_colormap("jet")[64]).all()
    own = annotate(rgb, about, alpha=1, strip=False)
    assert (own[0, 0] == get_colormap("jet")[255]).all()
    lifted = annotate(rgb, about, alpha=1, strip=False, scale=(2.0, 3.0))
    assert (lifted[0, -1] == get_colormap("jet")[0]).all()


def test_a_shrunken_photograph_keeps_the_view_in_place():
    large, about = photograph(800, 600), result(800, 600, fit="crop")
    small = shrink(large, 200)
    assert small.shape == (150, 200, 3)
    got = annotate(small, about, strip=False)
    heat01 = np.clip(about.heats[0].heatmap, 0, None) / about.heats[0].heatmap.max()
    view = tuple(v / 4 for v in about.view)
    assert np.array_equal(got, overlay(small, heat01, view))


def test_an_empty_map_shows_the_photograph_and_says_so():
    rgb = photograph(300, 200)
    empty = result(300, 200, [-np.ones((7, 7), np.float32)])
    got = annotate(rgb, empty)
    assert np.array_equal(got[:200], rgb)
    below = got[200:].astype(int)
    assert (np.abs(below - WRONG).sum(-1) < 40).sum() > 50  # the note is in the warning colour
    assert annotate(rgb, empty, panel=True).shape[1] > 900
    assert np.array_equal(annotate(rgb, empty, strip=False, scale=(0.0, 0.0)), rgb)


def test_a_panel_holds_photograph_heatmap_and_overlay():
    rgb, about = photograph(120, 90), result(120, 90)
    got = annotate(rgb, about, panel=True, strip=False, alpha=0.4)
    assert contains(got, rgb)
    assert contains(got, annotate(rgb, about, strip=False, alpha=0.4))
    assert contains(got, annotate(rgb, about, strip=False, alpha=1))


def contains(picture: np.ndarray, part: np.ndarray) -> bool:
    h, w = part.shape[:2]
    return any(
        np.array_equal(picture[y : y + h, x : x + w], part)
        for y in range(picture.shape[0] - h + 1)
        for x in range(picture.shape[1] - w + 1)
        if (picture[y, x] == part[0, 0]).all()
    )


def test_several_classes_stand_side_by_side():
    maps = [np.roll(np.eye(7, dtype=np.float32), i, 0) for i in range(3)]
    rgb, about = photograph(120, 90), result(120, 90, maps)
    got = side_by_side(rgb, about)
    assert got.shape[1] >= 3 * 120
    for i in range(3):
        assert contains(got[:90], annotate(rgb, about, heat_index=i, strip=False))
    assert side_by_side(rgb, about, strip=False).shape[0] == 90


@pytest.mark.parametrize("panel", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (7, 5)])
def test_the_smallest_photographs_work(size, panel):
    about = result(*size, fit="crop", correct=False)
    picture = annotate(photograph(*size), about, panel=panel)
    assert cv2.imdecode(np.frombuffer(encode_jpeg(picture), np.uint8), 1) is not None
    assert side_by_side(photograph(*size), about).shape[1] == size[0]


def test_an_error_row_still_makes_a_picture():
    about = Result(ImageRef(Path("/x"), "x"), status="error", error="It is half a JPEG.")
    assert annotate(photograph(100, 80), about).shape[0] > 80
    assert side_by_side(photograph(100, 80), about).shape[0] > 80


def test_encoding_keeps_red_red():
    rgb = np.zeros((40, 40, 3), np.uint8)
    rgb[..., 0] = 250
    png = cv2.imdecode(np.frombuffer(encode_png(rgb), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(png[..., ::-1], rgb)
    jpeg = cv2.imdecode(np.frombuffer(encode_jpeg(rgb), np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(jpeg[..., ::-1].astype(int) - rgb).max() <= 3
    noise = photograph(60, 60)
    assert len(encode_jpeg(noise, 30)) < len(encode_jpeg(noise, 95))


def test_a_picture_too_large_for_jpeg_is_named():
    with pytest.raises(ImageError, match=r"70000 x 1 pixels.*--max-size"):
        encode_jpeg(np.zeros((1, 70_000, 3), np.uint8))


def test_a_contact_sheet_marks_what_was_wrong():
    tiles = [Tile(photograph(90, 60), ["cat 90%", "true: dog"], i != 1) for i in range(3)]
    sheet = contact_sheet(tiles, 2, 2, title="Three of them", tile=(100, 100))
    colours = sheet.reshape(-1, 3)
    assert (colours == WRONG).all(-1).sum() > 100
    assert (colours == RIGHT).all(-1).sum() > 2 * (colours == WRONG).all(-1).sum() * 0.8


def test_a_contact_sheet_copes_with_fewer_and_more_pictures():
    def endless():
        yield from ((photograph(30, 80), []) for _ in range(4))
        raise AssertionError("looked at more pictures than there are cells")

    full = contact_sheet(endless(), 2, 2, tile=(60, 60))
    one = contact_sheet([(photograph(30, 80), ["犬 " * 50])], 5, 8, tile=(60, 60))
    assert full.shape[1] > one.shape[1] > 60
    with pytest.raises(UsageError, match="no picture"):
        contact_sheet([], 2, 2)
    with pytest.raises(UsageError, match="0x4"):
        contact_sheet([], 0, 4)


def test_a_contact_sheet_may_have_empty_cells():
    tile = Tile(photograph(60, 60), ["cat"])
    sheet = contact_sheet([tile, None, tile, tile], 2, 2, tile=(60, 60))
    assert sheet.shape == contact_sheet([tile] * 4, 2, 2, tile=(60, 60)).shape
    empty = (sheet == PAPER).all(-1)
    height, width = empty.shape
    assert empty[: height // 2, width // 2 + 2 :].all()
    assert not empty[: height // 2, : width // 2].all()
    assert not empty[height // 2 :, width // 2 + 2 :].all()
    with pytest.raises(UsageError, match="no picture"):
        contact_sheet([None], 1, 1)


def test_a_tile_shows_the_whole_picture_in_its_proportions():
    red = np.zeros((20, 80, 3), np.uint8)
    red[..., 0] = 255
    sheet = contact_sheet([(red, [])], 1, 1, tile=(100, 100))
    rows, columns = np.nonzero((sheet == (255, 0, 0)).all(-1))
    assert (np.ptp(columns) + 1, np.ptp(rows) + 1) == (100, 25)


def test_signed_pictures_tint_a_grey_photograph_red_and_blue():
    rgb = photograph(147, 147)
    values = np.zeros((7, 7), np.float32)
    values[1, 1], values[5, 5] = 2, -4  # the strongest speaks against: it sets the scale
    one = result(147, 147, [values])
    drawn = annotate(rgb, one, signed=True, strip=False, alpha=1).astype(int)
    assert (drawn[115, 115] == AGAINST).all()
    # Half as strong: a weight of 1 - (1 - 1/2)².
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(int)
    expected = 0.75 * np.array(FOR) + 0.25 * grey[31, 31]
    assert np.abs(drawn[31, 31] - expected).max() <= 2
    assert (abs(drawn[73, 73] - grey[73, 73]) <= 1).all(), "no evidence, no colour"
    # Only what speaks against is something to see, too, though there is no positive evidence.
    only = annotate(rgb, result(147, 147, [-abs(values)]), signed=True, strip=False)
    assert only[115, 115, 2] > only[115, 115, 0] + 50


def test_signed_pictures_say_what_the_colours_mean():
    rgb = photograph(300, 200)
    for draw, maps in ((annotate, 1), (side_by_side, 2)):
        one = result(300, 200, [np.eye(7, dtype=np.float32) - 0.2] * maps)
        plain, both = draw(rgb, one), draw(rgb, one, signed=True)
        assert both.shape[0] > plain.shape[0]
        strip = both[200:].reshape(-1, 3)
        for colour in (FOR, AGAINST):
            assert (strip == colour).all(1).any()
    panel = annotate(rgb, one, signed=True, panel=True)
    assert (panel == FOR).all(2).any()


def test_a_narrow_photograph_stands_on_a_mat():
    """Or its strip would read E / ... / t."""
    rgb, about = photograph(20, 300), result(20, 300, [np.eye(7, dtype=np.float32)] * 2)
    drawn = annotate(rgb, about, least=150)
    assert drawn.shape[1] == 150
    assert np.array_equal(drawn[:300, 65:85], annotate(rgb, about, strip=False))
    assert (drawn[:300, :65] == MAT).all()
    assert (drawn[:300, 85:] == MAT).all()
    assert side_by_side(rgb, about, least=150).shape[1] == 302
    assert annotate(rgb, about, panel=True, least=150).shape[1] > 3 * 150
    assert annotate(rgb, about, least=150, strip=False).shape == rgb.shape


@pytest.mark.parametrize("draw", [
    lambda rgb, one, **more: annotate(rgb, one, strip=False, **more),
    lambda rgb, one, **more: annotate(rgb, one, panel=True, **more),
    lambda rgb, one, **more: side_by_side(rgb, one, **more),
    lambda rgb, one, **more: method_grid(rgb, replace(one, beside=(one,)), **more),
], ids=["alone", "panel", "side by side", "grid"])  # fmt: skip
def test_a_box_is_drawn_where_it_is_asked_for(draw):
    rgb, one = photograph(200, 150), result(200, 150)
    heat = replace(one.heats[0], box=(20, 30, 180, 120))
    one = replace(one, heats=(heat,))
    plain, boxed = draw(rgb, one), draw(rgb, one, draw_box=True)
    assert plain.shape == boxed.shape
    assert (plain != boxed).any()
    without = replace(one, heats=(replace(heat, box=None),))
    assert np.array_equal(draw(rgb, without), draw(rgb, without, draw_box=True))
