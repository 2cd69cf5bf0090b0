"""The map of the data, and photographs that are alike, in a real browser."""

import base64
import json

import numpy as np
import pytest

from camcli.batch.tables.heatmaps import read_heatmaps
from camcli.jobs.report import read_run
from camcli.render.report import RunData, write_comparison, write_report

pytestmark = pytest.mark.slow  # a browser

CENTRES = np.random.default_rng(5).standard_normal((3, 40))


def give_features(run, group_of):
    """What the photographs of a run are to the network: alike within a group."""
    draw = np.random.default_rng(6)
    path = run / "heatmaps.jsonl"
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    for record in lines:
        features = CENTRES[group_of(record["path"])] + 0.1 * draw.standard_normal(40)
        halves = (features / np.linalg.norm(features)).astype("<f2")
        record["features"] = base64.b64encode(halves.tobytes()).decode()
    path.write_text("".join(json.dumps(record) + "\n" for record in lines))


@pytest.fixture(scope="module")
def run(make_run):
    items = [
        (f"{name}s/{n:02}.jpg", name, "dog" if (name, n) == ("cat", 3) else name, 0.5 + n / 60,
         (1, 1))
        for name in ("cat", "dog") for n in range(12)
    ] + [("broken.jpg", "cat", None, 0.0, None)]  # fmt: skip
    made = make_run("map", items)
    # Two groups of cats; the one cat that is taken for a dog is among the dogs.
    give_features(made, lambda path: 2 if path in DOGS else int(path[-6:-4]) % 2)
    return made


DOGS = {"cats/03.jpg", *(f"dogs/{n:02}.jpg" for n in range(12))}


@pytest.fixture(scope="module")
def report(run):
    return write_report(read_run(run), run / "report")


@pytest.fixture
def map_page(page, report):
    page.open(report, "#tab=map")
    page.wait("return document.querySelector('.points') && document.querySelector('.entry')")
    return page


def around(page, paths):
    """The box around photographs, in the map's own units."""
    return page.js(
        """const {x, y} = camcli.places(); const ids = arguments[0].map(
            (path) => camcli.columns.path.indexOf(path));
        return [Math.min(...ids.map(i => x[i])), Math.min(...ids.map(i => y[i])),
            Math.max(...ids.map(i => x[i])), Math.max(...ids.map(i => y[i]))];""",
        paths,
    )


def drag(page, *stops):
    """Press at the first place on the canvas, move over the others, let go at the last."""
    page.js(
        """const [stops] = arguments; const canvas = document.querySelector('.points');
        const box = canvas.getBoundingClientRect();
        const send = (type, [x, y]) => canvas.dispatchEvent(new PointerEvent(type, {pointerId: 1,
            clientX: box.left + x, clientY: box.top + y, bubbles: true, button: 0}));
        canvas.setPointerCapture = () => {};
        send('pointerdown', stops[0]);
        for (const stop of stops.slice(1)) send('pointermove', stop);
        send('pointerup', stops[stops.length - 1]);""",
        stops,
    )


def colour_at(page, path):
    """The pixel in the middle of a photograph's point."""
    return page.js(
        """const i = camcli.columns.path.indexOf(arguments[0]);
        const canvas = document.querySelector('.points');
        const {left, top, scale} = camcli.mapView;
        const {x, y} = camcli.places();
        const [u, v] = [x[i] * scale + left, y[i] * scale + top].map(
            (at) => Math.round(at * devicePixelRatio));
        const pixel = [...canvas.getContext('2d').getImageData(u, v, 1, 1).data].slice(0, 3);
        return '#' + pixel.map((value) => value.toString(16).padStart(2, '0')).join('');""",
        path,
    )


def on_screen(page, path):
    return page.js(
        """const i = camcli.columns.path.indexOf(arguments[0]);
        const {left, top, scale} = camcli.mapView; const {x, y} = camcli.places();
        return [x[i] * scale + left, y[i] * scale + top];""",
        path,
    )


def test_points_are_coloured_by_what_is_asked(map_page):
    page = map_page
    assert {entry.text.split("\n")[0] for entry in page.all(".entry")} == {"cat", "dog"}
    page.wait("return camcli.mapView")
    first, second = colour_at(page, "cats/01.jpg"), colour_at(page, "dogs/05.jpg")
    assert {first, second} == {"#1f4fbf", "#b83800"}
    assert colour_at(page, "cats/03.jpg") == first  # in truth a cat, among the dogs
    page.js("camcli.writeHash({colour: 'verdict'})")
    page.wait("return document.querySelectorAll('.entry')[1].innerText.includes('wrong')")
    page.js("return new Promise(requestAnimationFrame)")
    assert colour_at(page, "cats/03.jpg") == "#b83800"
    assert colour_at(page, "dogs/05.jpg") == colour_at(page, "cats/01.jpg") == "#007556"


def test_a_box_selects_what_lies_in_it_here_and_in_the_gallery(map_page):
    page = map_page
    x0, y0, x1, y1 = around(page, sorted(DOGS))
    view = page.js("return camcli.mapView")
    scale, left, top = (view[name] for name in ("scale", "left", "top"))
    first = [x0 * scale + left - 8, y0 * scale + top - 8]
    drag(page, first, [x1 * scale + left + 8, y1 * scale + top + 8])
    assert set(page.paths()) == DOGS
    assert page.one(".map-side h3").text.startswith("13 of 25")
    assert "dog 12, cat 1" in page.one(".map-side").text
    page.one(".map-side a[href]:not(.entry)").click()
    page.wait("return !document.getElementById('images').hidden")
    assert "13 of 25 images, in a part of the map" in page.found()
    assert set(page.paths()) == DOGS
    page.one("#clear").click()
    assert len(page.paths()) == 25


def test_a_lasso_selects_what_lies_within_it(map_page):
    page = map_page
    page.js(
        "[...document.querySelectorAll('.tool button')].find(b => b.innerText === 'Lasso').click()"
    )
    x, y = on_screen(page, "cats/03.jpg")
    near = [[x - 9, y - 9], [x + 9, y - 9], [x + 9, y + 9], [x - 9, y + 9], [x - 9, y]]
    drag(page, *near)
    assert "cats/03.jpg" in page.paths()
    assert len(page.paths()) < 8
    assert "lasso=" in page.js("return location.hash")
    # What the URL says is what is selected again.
    link = page.js("return location.hash")
    found = page.paths()
    page.js("camcli.writeHash({lasso: null})")
    assert len(page.paths()) == 25
    page.js("location.hash = arguments[0]", link)
    page.wait("return camcli.selection().length < 25")
    assert page.paths() == found


@pytest.mark.parametrize("value", ["in=1,2,3", "in=a,b,c,d", "lasso=1,2;3,4", "lasso=x", "in="])
def test_a_selection_that_is_none_selects_everything(page, report, value):
    page.open(report, f"#{value}")
    assert len(page.paths()) == 25


def test_the_keyboard_goes_from_point_to_point(map_page):
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    page = map_page
    page.js("document.querySelector('.points').focus()")
    page.keys(keys.ARROW_RIGHT)
    said = page.one(".field + .status").text
    assert ".jpg: " in said
    places = set()
    for key in (keys.ARROW_LEFT, keys.ARROW_UP, keys.ARROW_RIGHT, keys.ARROW_DOWN, "+", "-", "0"):
        page.keys(key)
        places.add(page.one(".field + .status").text)
    assert len(places) > 1
    page.keys(keys.ARROW_RIGHT)
    path = page.one(".field + .status").text.split(": ")[0]
    page.keys(keys.ENTER)
    page.wait("return document.getElementById('view').open")
    assert page.one("#view-title").text == path
    page.keys(keys.ESCAPE)
    page.wait("return !document.getElementById('view').open")
    assert page.js("return document.activeElement.className").startswith("points")


def test_what_the_pointer_is_at_is_shown_and_a_click_opens_it(map_page):
    page = map_page
    x, y = on_screen(page, "dogs/07.jpg")
    page.js(
        """const canvas = document.querySelector('.points');
        const box = canvas.getBoundingClientRect();
        canvas.dispatchEvent(new PointerEvent('pointermove', {bubbles: true,
            clientX: box.left + arguments[0], clientY: box.top + arguments[1]}));""",
        x,
        y,
    )
    tip = page.one(".tip")
    assert tip.is_displayed()
    assert "dogs/07.jpg" in tip.text
    page.wait("return document.querySelector('.tip img') && document.querySelector('.tip canvas')")
    drag(page, [x, y])
    page.wait("return document.getElementById('view').open")
    assert page.one("#view-title").text == "dogs/07.jpg"


def test_more_like_this_are_the_nearest(page, report, run):
    page.open(report, "#open=cats%2F03.jpg")
    page.wait("return document.querySelectorAll('#view .alike li').length === 8")
    shown = page.js("return [...document.querySelectorAll('#view .alike a')].map("
                    "(a) => new URLSearchParams(a.hash.slice(1)).get('open'))")  # fmt: skip
    features = {
        r["path"]: r["features"].astype(float) for r in read_heatmaps(run / "heatmaps.jsonl")
    }
    own = features.pop("cats/03.jpg")
    exact = sorted(features, key=lambda path: np.linalg.norm(features[path] - own))
    assert set(shown) <= DOGS
    assert len(set(shown[:5]) & set(exact[:6])) >= 4
    page.one("#view .more-like p a").click()
    page.wait("return !document.getElementById('view').open")
    assert page.paths()[:9] == ["cats/03.jpg", *shown]
    assert len(page.paths()) == 24  # what could not be read is like nothing
    assert "those most like 03.jpg first" in page.found()
    assert (
        page.js("return document.querySelector('[name=sort]').selectedOptions[0].text")
        == "most alike"
    )
    # It goes together with the other filters, and another order.
    page.js("camcli.writeHash({is: 'wrong'})")
    assert page.paths() == ["cats/03.jpg"]
    page.js("camcli.writeHash({is: null, sort: 'path'})")
    assert page.paths()[0] == "cats/00.jpg"


def test_runs_without_features_say_how_to_get_a_map(page, make_run, items):
    older = make_run("older", items)
    html = write_report(read_run(older), older / "report")
    page.open(html, "#tab=map&in=0,0,1,1&near=cats%2F1.jpg")
    assert "has not kept" in page.one("[data-panel=map]").text
    assert "camcli batch photos" in page.one("[data-panel=map] code").text
    assert len(page.paths()) == len(items)
    page.js("camcli.writeHash({open: 'cats/1.jpg', tab: null})")
    page.wait("return document.querySelector('#view .sight')")
    assert not page.all("#view .more-like")


def test_the_page_of_two_runs_has_no_map(page, run, tmp_path):
    html = write_comparison(read_run(run), read_run(run), tmp_path / "two")
    page.open(html, "#in=0,0,1,1")
    assert len(page.paths()) == 25
    assert not page.all("[data-tab=map]")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_accessible(page, report, theme):
    page.open(report, "#tab=map&in=0,0,1000,500")
    page.wait("return document.querySelector('.map-side .alike')")
    page.js("document.documentElement.dataset.theme = arguments[0]", theme)
    assert "\n".join(page.axe()) == ""
    page.js("camcli.writeHash({tab: null, in: null, open: 'cats/03.jpg'})")
    page.wait("return document.querySelectorAll('#view .alike li').length === 8")
    assert "\n".join(page.axe()) == ""


def table(kind):
    """Rows of a network that has labels, or that measures a value."""
    for n in range(16):
        path = f"{n:02}.jpg"
        if kind == "values":
            yield {"path": path, "status": "ok", "target": "age", "value": str(n / 2)}
        else:
            positives = "cat;dog" if n % 3 else ""
            yield {
                "path": path, "status": "ok", "pred": "cat", "prob": "0.6", "labels": "cat",
                "correct": str(n % 2), "positives": positives,
            }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("values", ["value"]),
        ("labels", ["likeliest label", "right or wrong", "probability of the likeliest label"]),
    ],
)
def test_networks_of_values_and_of_labels_have_a_map(page, tmp_path, kind, options):
    draw = np.random.default_rng(2)
    one = {"prob": 0.5, "empty": False, "values": np.ones((2, 2))}
    if kind == "values":
        one = {**one, "prob": None, "value": 2.0}
    maps = [
        {"path": f"{n:02}.jpg", "view": [], "maps": [{**one, "target": "age"}], "truth": None,
         "features": draw.standard_normal(20).astype(np.float16)}
        for n in range(16)
    ]  # fmt: skip
    run = RunData("odd", tmp_path, {"config": {"source": str(tmp_path)}}, list(table(kind)), maps)
    page.open(write_report(run, tmp_path / "page"), "#tab=map")
    page.wait("return document.querySelector('.map-side h3')")
    found = page.js("return [...document.querySelectorAll('.by option')].map((o) => o.text)")
    assert found[: len(options)] == options
    for value in page.js("return [...document.querySelectorAll('.by option')].map(o => o.value)"):
        page.js("camcli.writeHash({colour: arguments[0], in: '0,0,1000,1000'})", value)
        assert page.one(".map-side h3").text


def test_findings_and_clusters_colour_the_map(page, run):
    data = read_run(run)
    card = {"number": 3, "kind": "mark", "verdict": "used", "title": "cats rest on <b>a mark</b>"}
    page.open(write_report(data, run.parent / "with-findings"), "#tab=map")
    page.wait("return document.querySelector('.map-side h3')")
    page.js(
        """const [card] = arguments; const ids = [0, 1, 2];
        camcli.settings.parts.push('audit');
        camcli.part('audit', {findings: [{...card, rows: ids, others: 0}],
            clusters: [{class: 'cat', number: 1, rows: [4, 5]}]});
        camcli.writeHash({colour: 'finding'});""",
        card,
    )
    assert page.one(".entries").text.split("\n")[:2] == ["cats rest on <b>a mark</b>", "3"]
    assert "finding=audit%3A3" in page.one(".entry[href]").get_attribute("href")
    page.js("camcli.writeHash({colour: 'cluster'})")
    assert page.one(".entries").text.split("\n")[:2] == ["cat, cluster 1", "2"]
    assert "in no cluster" in page.one(".entries").text


def test_one_file_has_its_map_too(page, run, tmp_path):
    html = write_report(read_run(run), tmp_path / "one", self_contained=True)
    assert [path.name for path in html.parent.iterdir()] == ["index.html"]
    page.open(html, "#tab=map")
    page.wait("return document.querySelector('.map-side h3')")
    assert page.all(".entry")
    page.js("camcli.writeHash({tab: null, open: 'cats/03.jpg'})")
    page.wait("return document.querySelectorAll('#view .alike li').length === 8")


def test_it_fits_a_phone(page, report):
    page.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 800, "deviceScaleFactor": 2, "mobile": True},
    )
    try:
        page.open(report, "#tab=map")
        page.wait("return document.querySelector('.map-side h3')")
        wide = "return [document.documentElement.scrollWidth, document.querySelector('.field')"
        assert page.js(wide + ".getBoundingClientRect().right <= 390]") == [390, True]
        assert page.js("return document.querySelector('.points').width") > 600  # sharp
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_keyboard_keeps_its_place_beside_the_map(map_page):
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    page = map_page
    at = "return document.activeElement.innerText"
    page.js("document.querySelectorAll('.entry')[1].focus()")
    name = page.js(at)
    page.keys(keys.ENTER)
    page.wait("return camcli.selection().length < 20")
    assert page.js(at) == name
    assert page.js("return document.activeElement.getAttribute('aria-current')") == "true"
    page.keys(keys.ENTER)
    page.wait("return camcli.selection().length === 25")
    page.js("camcli.writeHash({is: 'wrong'}); document.querySelector('.map-side .small').focus()")
    page.keys(keys.ENTER)
    page.wait("return document.getElementById('view').open")
    page.keys(keys.ESCAPE)
    page.wait("return !document.getElementById('view').open")
    assert page.js("return document.activeElement.className") == "small"
