"""How maps are drawn on a page: what a colour stands for, and what the reader may change."""

import numpy as np
import pytest

from camcli.jobs.report import read_run
from camcli.render.colormaps import get_colormap
from camcli.render.report import write_report

pytestmark = pytest.mark.slow  # a browser for each

keys = pytest.importorskip("selenium.webdriver.common.keys", reason="no selenium").Keys


@pytest.fixture(scope="module")
def report(make_run, items):
    """The maps of all have 2.0 as their highest value."""
    run = make_run("look", items)
    return write_report(read_run(run), run / "report")


@pytest.fixture
def page(page, report):
    """Without what an earlier test has chosen."""
    page.open(report)
    page.js("localStorage.removeItem('camcli-look')")
    return page


def look(page, **changes):
    page.js("camcli.setLook(arguments[0])", changes)


def hottest(page, selector):
    """The colour of the strongest pixel of a map: each has one hot cell."""
    drawn = page.js(
        """const c = document.querySelector(arguments[0]);
        return [c.width, c.height, ...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]
        """, selector,
    )  # fmt: skip
    pixels = np.array(drawn[2:]).reshape(-1, 4)[:, :3]
    return tuple(pixels[pixels.sum(1).argmax()]), drawn[:2]


def level(colour, name="inferno"):
    """Where in a colour map a colour is."""
    return int(abs(get_colormap(name).astype(int) - colour).sum(1).argmin())


def test_the_bar_says_what_the_colours_stand_for(page, report):
    page.open(report)
    assert page.one("#images .colour-bar").text.replace("\n", " ") == (
        "0 each map's highest (2 logits)"
    )
    look(page, scale="run")
    assert page.one("#images .colour-bar").text.replace("\n", " ") == "0 2 logits"
    page.open(report, "#open=cats%2F1.jpg")
    page.wait("return document.querySelector('#view .sight .colour-bar')")
    assert page.one("#view .sight .colour-bar").text.replace("\n", " ") == "0 2 logits"


def test_a_class_that_is_hardly_believed_is_paler_and_says_so(page, report):
    """cats/3 was taken for a dog at 80%; cat, with 1%, has a map as high as that of dog."""
    page.open(report, "#open=cats%2F3.jpg")
    page.wait("return document.querySelectorAll('#view .seen canvas').length === 2")
    look(page, cells="cells")
    strong, weak = (f"#view .sight:nth-child({n}) .seen canvas" for n in (1, 2))
    assert level(hottest(page, strong)[0]) == 255
    assert level(hottest(page, weak)[0]) == round(255 * (0.4 + 0.6 * 1 / 20))
    text = page.one("#view .sight:nth-child(2)").text
    assert "paler" in text
    assert "1.0%" in text
    # The end of its bar is further off by as much: 2 / 0.43.
    assert "4.7 logits" in text
    assert "highest here 2" in text
    assert "paler" not in page.one("#view .sight:nth-child(1)").text
    look(page, scale="full")
    assert level(hottest(page, weak)[0]) == 255
    text = page.one("#view .sight:nth-child(2)").text
    assert "As strong as a sure one's" in text
    assert "1.0%" in text


def test_cells_are_shown_as_they_are_and_remembered(page, report):
    page.open(report, "#q=cats/1.jpg")
    page.wait("return document.querySelector('#gallery .seen canvas')")
    page.one("body").send_keys("c")
    assert hottest(page, "#gallery .seen canvas")[1] == [4, 4]
    drawn = page.js("""const c = document.querySelector('#gallery .seen canvas');
        return [...c.getContext('2d').getImageData(0, 0, 4, 4).data]""")
    levels = [level(one) for one in np.array(drawn).reshape(16, 4)[:, :3]]
    assert levels == [0] * 5 + [255] + [0] * 10
    style = (
        "return getComputedStyle(document.querySelector('#gallery .seen canvas')).imageRendering"
    )
    assert page.js(style) == "pixelated"
    page.open(report, "#q=cats/1.jpg")
    page.wait("return document.querySelector('#gallery .seen canvas.cells')")


def test_colours_and_scale_are_chosen_by_keyboard(page, report):
    page.open(report, "#q=cats/1.jpg")
    page.wait("return document.querySelector('#gallery .seen canvas')")
    page.js("document.querySelector('#images details.look summary').focus()")
    page.keys(keys.ENTER)
    panel = page.one("#images .look-panel")
    assert panel.is_displayed()
    select = panel.find_element("css selector", "select")
    select.send_keys("viridis")
    assert page.js("return camcli.look.colours") == "viridis"
    assert level(hottest(page, "#gallery .seen canvas")[0], "viridis") == 239  # between two cells
    # The other place where it can be chosen follows.
    assert page.js("return document.querySelector('#view .look-panel select').value") == "viridis"
    select.send_keys(keys.ESCAPE)
    assert not panel.is_displayed()
    page.keys("s")
    assert page.js("return camcli.look.scale") == "full"


def test_one_scale_for_the_run_shows_which_maps_are_low(page, make_run, items):
    run = make_run("low", [*items[:2], ("cats/9.jpg", "cat", "cat", 0.1, (0, 0))])
    made = write_report(read_run(run), run / "report")
    page.open(made, "#q=cats/1.jpg")
    assert page.one("#images .colour-bar").text.endswith("paler below 20%")
    # As if this one's highest value were half of the run's.
    page.js("camcli.settings.runs[0].scale.top = 4; camcli.setLook({scale: 'run', cells: 'cells'})")
    page.wait("return document.querySelector('#gallery .seen canvas')")
    assert level(hottest(page, "#gallery .seen canvas")[0]) == 128


def test_what_was_kept_by_another_page_is_not_trusted(page, report):
    page.js('localStorage.setItem(\'camcli-look\', \'{"colours": "<b>", "cells": 7}\')')
    page.open(report)
    assert page.js("return [camcli.look.colours, camcli.look.cells]") == ["inferno", "smooth"]
    page.js("localStorage.setItem('camcli-look', 'null')")
    page.open(report)
    assert page.js("return camcli.look.colours") == "inferno"


def test_what_was_seen_is_a_filter_and_an_order(page, make_run, items):
    run = make_run("seen", items)
    text = (run / "heatmaps.jsonl").read_text()
    one = text.replace('"view":[20.0,0.0,140.0,120.0]', '"view":[60.0,0.0,100.0,120.0]', 1)
    (run / "heatmaps.jsonl").write_text(one)  # of cats/1 a quarter, of the others three
    made = write_report(read_run(run), run / "report")
    page.open(made, "#seen=70-80")
    assert page.found() == "8 of 10 images, 70 to 80% of the photograph seen"
    page.open(made, "#seen=-30")
    assert page.paths() == ["cats/1.jpg"]
    page.open(made, "#seen=75")
    assert len(page.paths()) == 8
    for odd in ("x", "", "-", "1-2-3"):
        page.open(made, f"#seen={odd}")
        assert len(page.paths()) == 10
    page.open(made, "#sort=seen")
    assert page.paths()[0] == "cats/1.jpg"
    assert page.paths()[-1] == "broken.jpg"
    assert "of a usual photograph seen" in page.one(".tiles").text
    assert not page.one("#filters [name=seen]").is_displayed()
    page.one("#more-filters").click()
    assert page.one("#filters [name=seen]").is_displayed()


def test_the_large_view_says_what_was_not_seen_and_how_to_show_it(page, report, make_run, items):
    page.open(report, "#open=cats%2Fk%C3%A4se+100%25%231%3F.jpg")
    note = page.wait("return document.querySelector('#view .seen-note')")
    assert "75.0% of this photograph was seen" in note.text
    one, every = (code.text for code in note.find_elements("css selector", "code"))
    photos = report.parents[2] / "photos"
    assert one == f"camcli explain --fit whole '{photos}/cats/käse 100%#1?.jpg'"
    assert every == f"camcli batch photos --fit whole --out {report.parents[1]}-whole"
    assert len(note.find_elements("css selector", "button")) == 2


def test_wrong_bars_are_hatched_and_right_ones_are_not(page, report):
    page.open(report)
    fill = "return [...document.querySelectorAll(arguments[0])].map(e => getComputedStyle(e).fill)"
    wrong, right = page.js(fill, "#histogram .part.w"), page.js(fill, "#histogram .part.r")
    assert wrong
    for one in wrong:
        lines = one.removeprefix("url(").removesuffix(")").strip('"') + " path"
        assert page.js("return !!document.querySelector(arguments[0])", lines)
    assert all(one.startswith("rgb") for one in right)


def test_signed_maps_say_which_end_is_which(page, make_run, items):
    run = make_run("signed", items)
    info = (
        (run / "run.json").read_text().replace('"panel": false', '"panel": false, "signed": true')
    )
    (run / "run.json").write_text(info)
    page.open(write_report(read_run(run), run / "report"))
    look(page, scale="run")
    assert page.one("#images .colour-bar").text.split("\n") == ["against −2", "2 for logits"]
    page.open(run / "report" / "index.html", "#open=cats%2F1.jpg")
    page.wait("return document.querySelector('#view .sight .colour-bar')")
    assert page.one("#view .sight .colour-bar").text.split("\n") == [
        "against −2",
        "2 for",
        "logits",
    ]


def test_the_colours_of_a_runs_own_pictures_are_told_where_there_are_no_maps(page, make_run, items):
    run = make_run("pictures", items, maps=False)
    page.open(write_report(read_run(run), run / "report"))
    assert page.one("#images .colour-bar").text.split("\n") == ["no heat", "the most"]
    assert not page.all("details.look")
    drawn = page.js("""const c = document.querySelector('#images .colour-bar canvas');
        return [...c.getContext('2d').getImageData(0, 0, 256, 1).data]""")
    assert (np.array(drawn).reshape(256, 4)[:, :3] == get_colormap("jet")).all()
