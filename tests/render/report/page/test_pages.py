"""What the page's scripts are told in numbers, and what the numbers stand for."""

import json
import re

import numpy as np
import pytest

from camcli.batch.run_files.overlay_names import Namer
from camcli.data.sources.refs import ImageRef
from camcli.ours import OVERLAYS
from camcli.render.report.page.data import DETAIL_PAGE, INDEX_PAGE, _overlay, averaged
from camcli.render.report.page.pages import SCRIPTS, STYLES, TEMPLATES, _settings
from camcli.render.report.rows.heat import PageMap
from camcli.render.report.rows.image_rows import ImageRow, Side
from camcli.result import Result

SCRIPT = (TEMPLATES / "js" / "page" / "store.js").read_text("utf-8")


def side(overlay):
    return Side(verdict="right", overlay=overlay)


def told():
    text = _settings({"rows": 1})
    return json.loads(text.removeprefix("camcli.settings=").removesuffix(";\n"))


@pytest.mark.parametrize("path", ["a.jpg", "deep/b c.png", "x.jpg.jpg"])
def test_the_usual_names_are_those_that_runs_give(tmp_path, path):
    name = Namer().name(Result(ImageRef(tmp_path / path, path)))
    row = ImageRow(path, 0, 0, (9, 9), [side(f"{OVERLAYS}/{name}")])
    number = _overlay(row, row.sides[0])
    assert number in (1, 2)
    before, after = told()["overlays"][number - 1]  # as overlayOf in store.js does
    assert before + path + after == f"{OVERLAYS}/{name}"


def test_other_names_are_told_and_none_is_nothing():
    row = ImageRow("a.jpg", 0, 0, (9, 9), [side(f"{OVERLAYS}/a_pred_cat.jpg"), side(None)])
    assert [_overlay(row, each) for each in row.sides] == [f"{OVERLAYS}/a_pred_cat.jpg", 0]


def test_maps_are_averaged_only_where_there_are_too_many_for_their_size():
    large, small = np.ones((32, 20), np.uint8), np.ones((7, 7), np.uint8)
    for cells, count, side in ((large, 9, 0), (large, 20_000, 28), (small, 20_000, 0)):
        one = Side("r", maps=[PageMap(0, 0.5, cells)])
        assert averaged([ImageRow("a", 0, 0, (9, 9), [one])] * count) == side


def test_the_script_has_names_and_sizes_from_the_page():
    assert told()["page"] == {"index": INDEX_PAGE, "detail": DETAIL_PAGE}
    assert "settings.page.index" in SCRIPT
    assert "settings.page.detail" in SCRIPT
    for said_twice in (f"{OVERLAYS}/", str(INDEX_PAGE), str(DETAIL_PAGE)):
        assert said_twice not in SCRIPT


def test_every_script_and_style_is_part_of_a_page():
    js, styles = TEMPLATES / "js", TEMPLATES / "css"
    scripts = {path.relative_to(js).as_posix() for path in js.rglob("*.js")}
    assert scripts == {*SCRIPTS, "findings/own_page.js"}
    assert {path.name for path in styles.iterdir()} == set(STYLES)


@pytest.mark.parametrize("name", STYLES)
def test_the_style_of_a_tab_reaches_nothing_that_it_does_not_name(name):
    text = re.sub(r"/\*.*?\*/", "", (TEMPLATES / "css" / name).read_text("utf-8"), flags=re.DOTALL)
    for prelude in re.findall(r"([^{};]+)\{", text):
        if prelude.strip().startswith("@") or name == "print.css":  # paper has all of a page
            continue
        for selector in re.split(r",(?![^(]*\))", prelude):
            assert re.search(r"[.#\[]", selector), f"{selector.strip()} is every such element"
