"""The page of a run in a real browser."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from camcli.jobs.report import read_run
from camcli.render.colormaps import get_colormap
from camcli.render.overlay import heat_to_canvas
from camcli.render.report import write_report

pytestmark = pytest.mark.slow  # a browser for each

keys = pytest.importorskip("selenium.webdriver.common.keys", reason="no selenium").Keys

EVIL_CLASS = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def report(make_run, items):
    run = make_run("run", items)
    return write_report(read_run(run), run / "report")


def type_into(page, name, text):
    field = page.one(f"#filters [name={name}]")
    if not field.is_displayed():
        page.one("#more-filters").click()
    field.clear()
    field.send_keys(text)


def test_the_most_confidently_wrong_come_first_and_numbers_agree(page, report):
    page.open(report)
    assert page.found() == "10 images"
    paths = page.paths()
    assert paths[:3] == ["dogs/2.jpg", "cats/3.jpg", 'dogs/"><img src=x onerror=alert(2)>.jpg']
    assert paths[3:] == [
        "dogs/4.jpg", "cats/2.jpg", "cats/käse 100%#1?.jpg", "evil/1.jpg", "dogs/1.jpg",
        "cats/1.jpg", "broken.jpg",
    ]  # fmt: skip
    tiles = {t.find_element("css selector", "span").text: t.find_element("css selector", "strong")
             .text for t in page.all(".tile")}  # fmt: skip
    assert tiles["accuracy"] == "66.7%"
    assert (tiles["right"], tiles["wrong"], tiles["could not be read"]) == ("6", "3", "1")


def test_nothing_asks_for_the_small_copy_of_what_could_not_be_read(page, report):
    """Neither the gallery nor what is kept for printing: the console would list it as an error."""
    page.driver.get("about:blank")
    page.driver.get_log("browser")
    page.open(report)  # with what is kept, as a page of few rows waits for it
    assert page.js("return camcli.settings.eager && camcli.settings.thumbs") == 10
    page.wait("return [...document.querySelectorAll('#gallery img')].every((img) => img.complete)")
    missing = [e["message"] for e in page.driver.get_log("browser") if "thumbs/" in e["message"]]
    assert not missing


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_the_usual_filters_are_in_sight_and_others_when_they_are_set(page, report, width):
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    usual = {"q", "is"} if width < 500 else {"q", "is", "true", "pred", "sort"}
    shown = (
        "return [...document.getElementById('filters').elements]"
        ".filter((e) => e.name && e.offsetParent).map((e) => e.name)"
    )
    try:
        page.open(report)
        assert set(page.js(shown)) == usual
        lines = "return new Set([...document.getElementById('filters').elements].filter((e) => "
        lines += "e.offsetParent).map((e) => Math.round(e.getBoundingClientRect().bottom))).size"
        assert page.js(lines) == (2 if width < 500 else 1)
        # What a link has set is seen, both ends of a range, and goes when it is cleared.
        page.open(report, "#min=50&marked=none&sort=border")
        assert set(page.js(shown)) == usual | {"min", "max", "marked", "sort"}
        page.one("#clear").click()
        assert set(page.js(shown)) == usual | {"sort"}
        every = set(page.js("return [...document.getElementById('filters').elements]"
                            ".map((e) => e.name).filter(Boolean)"))  # fmt: skip
        page.one("#more-filters").click()
        assert set(page.js(shown)) == every
        # What is being typed in does not go away when it is emptied.
        field = page.one("[name=min]")
        field.send_keys("5", keys.BACKSPACE)
        page.one("#more-filters").send_keys(keys.ENTER)
        assert set(page.js(shown)) == usual | {"sort"}
        # One line stays in sight on a phone, while one scrolls.
        sticks = page.js(
            "return [...document.querySelectorAll('#images *')].filter((e) => "
            "getComputedStyle(e).position === 'sticky' && getComputedStyle(e).display !== "
            "'contents').map((e) => e.offsetHeight)"
        )
        assert len(sticks) == 1
        assert sticks[0] < (60 if width < 500 else 100)
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_numbers_are_rounded_as_in_the_terminal(page, report):
    page.open(report)
    pairs = [(part, whole) for whole in (7, 8, 24, 40, 200, 400) for part in range(whole + 1)]
    for digits in (0, 1):
        told = page.js(
            f"return arguments[0].map(([a, b]) => camcli.fixed(100 * (a / b), {digits}))", pairs
        )
        assert told == [f"{100 * (a / b):.{digits}f}" for a, b in pairs]


def test_hostile_names_are_shown_as_text(page, report):
    page.open(report)
    cards = "\n".join(page.names())
    assert EVIL_CLASS in cards
    assert page.js("return document.querySelectorAll('[onerror], #gallery script').length") == 0
    for tab in ("mistakes", "classes", "failed", "about"):
        page.open(report, f"#tab={tab}")
        if tab in ("mistakes", "classes"):
            assert EVIL_CLASS in page.one(f"[data-panel={tab}]").text
        if tab == "failed":
            assert "empty <b>(0)</b>" in page.one("[data-panel=failed]").text
        assert page.js("return document.querySelectorAll('[onerror], td script').length") == 0
    page.open(report, "#q=onerror")
    assert page.found() == "1 of 10 images"
    page.one("#gallery .card").click()
    assert page.one("#view-title").text == 'dogs/"><img src=x onerror=alert(2)>.jpg'
    # Nothing ran: an alert would make every further command fail.
    assert page.js("return 1 + 1") == 2


def test_every_picture_loads_also_those_with_odd_names(page, report):
    page.open(report)
    page.wait("""return [...document.querySelectorAll('.frame > img')].length === 9
        && [...document.querySelectorAll('.frame > img')].every(i => i.naturalWidth === 160)""")
    # Without thumbnails, from the photographs themselves.
    page.js("camcli.settings.thumbs = 0; camcli.writeHash({q: 'käse'})")
    page.wait("""const i = document.querySelectorAll('.frame > img');
        return i.length === 1 && i[0].naturalWidth === 160 && i[0].src.includes('%23')""")
    alt = page.one(".frame > img").get_attribute("alt")
    assert alt == "cats/käse 100%#1?.jpg: cat at 72.0%"


@pytest.mark.parametrize(
    ("field", "text", "count"),
    [("true", "cat", 5), ("pred", "dog", 3), ("min", "90", 3), ("max", "60", 2), ("q", "dogs/", 4)],
)
def test_filters_narrow_and_live_in_the_url(page, report, field, text, count):
    page.open(report)
    type_into(page, field, text)
    page.wait("return document.querySelector('#found').textContent === arguments[0]",
              f"{count} of 10 images")  # fmt: skip
    url = page.driver.current_url
    page.driver.get("about:blank")
    page.driver.get(url)
    page.wait("return document.querySelector('#found').textContent.startsWith(arguments[0])",
              f"{count} of 10")  # fmt: skip
    assert page.one(f"#filters [name={field}]").get_attribute("value") == text
    page.one("#clear").click()
    page.wait("return document.querySelector('#found').textContent === '10 images'")


def test_a_class_name_that_contains_another_is_not_mixed_up(page, report):
    # Links are exact where a class has that very name; typing a part finds all that contain it.
    page.open(report, "#pred=script")
    assert sorted(page.paths()) == ["dogs/2.jpg", "evil/1.jpg"]


@pytest.mark.parametrize(
    ("order", "first", "last"),
    [
        ("unsure", "dogs/4.jpg", "broken.jpg"),
        ("sure", "cats/1.jpg", "broken.jpg"),
        ("border", "cats/2.jpg", "broken.jpg"),
        ("path", "cats/1.jpg", "broken.jpg"),
    ],
)
def test_orders(page, report, order, first, last):
    page.open(report)
    page.js("const s = document.querySelector('[name=sort]'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('input', {bubbles: true}))", order)  # fmt: skip
    page.wait("return location.hash.includes('sort=')")
    paths = page.paths()
    assert (paths[0], paths[-1]) == (first, last)


def test_back_button_undoes_a_click(page, report):
    page.open(report)
    page.one(".tile.wrong").click()
    page.wait("return document.querySelector('#found').textContent === '3 of 10 images'")
    page.driver.back()
    page.wait("return document.querySelector('#found').textContent === '10 images'")


def test_the_slider_fades_from_photograph_to_heatmap(page, report):
    page.open(report)
    page.wait("return document.querySelector('.seen canvas')")
    opacity = "return getComputedStyle(document.querySelector('.seen canvas')).opacity"
    assert page.js(opacity) == "0.5"
    page.one("#heat").send_keys(keys.END)
    assert page.js(opacity) == "1"
    page.one(".bar [data-heat='0']").click()
    assert page.js(opacity) == "0"
    page.keys("2")
    assert page.js(opacity) == "0.5"


def test_the_heat_is_drawn_where_the_map_has_it(page, report):
    # cats/1: one hot cell, (1, 1) of 4x4.
    page.open(report, "#q=cats/1.jpg")
    page.wait("return document.querySelector('.seen canvas')")
    drawn = page.js("""const c = document.querySelector('.seen canvas');
        return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]""")
    drawn = np.array(drawn, np.uint8).reshape(64, 64, 4)
    heat = np.zeros((4, 4), np.float32)
    heat[1, 1] = 1
    levels = heat_to_canvas(heat, (0, 0, 64, 64), (64, 64)).astype(int)
    # As overlays in these colours draw it, but for a level of rounding.
    colours = get_colormap("inferno").astype(int)
    near = [abs(colours[np.clip(levels + d, 0, 255)] - drawn[..., :3]).max(2) for d in (-1, 0, 1)]
    assert np.min(near, axis=0).max() == 0
    # By hand: the centre of pixel 24 is 1/32 of a cell from the centre of cell 1.
    assert drawn[24, 24, :3].tolist() == colours[round(255 * (31 / 32) ** 2)].tolist()
    # It covers the view and nothing else: 20 to 140 of 160 pixels.
    box = page.js("""const f = document.querySelector('.frame').getBoundingClientRect();
        const s = document.querySelector('.seen').getBoundingClientRect();
        return [(s.left - f.left) / f.width, (s.right - f.left) / f.width,
                (s.top - f.top) / f.height, (s.bottom - f.top) / f.height]""")
    assert box == pytest.approx([20 / 160, 140 / 160, 0, 1], abs=0.01)


def test_keyboard_alone_is_enough(page, report):
    page.open(report)
    page.one("body").send_keys("/")
    assert page.js("return document.activeElement.name") == "q"
    page.keys("cat")
    page.wait("return document.querySelector('#found').textContent === '6 of 10 images'")
    page.js("document.querySelector('#gallery .card').focus()")
    page.keys(keys.ARROW_RIGHT)
    place = "return document.activeElement.dataset.place"
    assert page.js(place) == "1"
    page.keys(keys.END)
    assert page.js(place) == "5"
    page.keys(keys.HOME)
    page.keys(keys.ENTER)
    page.wait("return document.querySelector('#view').open")
    assert page.one("#view-place").text == "1 of 6"
    first = page.one("#view-title").text
    page.keys(keys.ARROW_RIGHT)
    page.wait("return document.querySelector('#view-place').textContent === '2 of 6'")
    assert page.one("#view-title").text != first
    page.keys(keys.ARROW_LEFT)
    page.wait("return document.querySelector('#view-title').textContent === arguments[0]", first)
    page.keys(keys.ESCAPE)
    page.wait("return !document.querySelector('#view').open")
    # Back where the reader came from.
    page.wait("return document.activeElement.dataset.place === '0'")


def test_the_large_view_shows_both_maps_of_a_wrong_prediction(page, report):
    page.open(report, "#open=cats%2F3.jpg")
    page.wait("return document.querySelectorAll('#view .sight').length === 2")
    heads = [h.text for h in page.all("#view .sight h3")]
    assert heads[0].split("\n")[0].startswith("Predicted")
    assert "dog" in heads[0]
    assert "cat" in heads[1]
    guesses = [r.text for r in page.all("#view .guesses tr")]
    assert guesses[0].startswith("dog")
    assert "80.0%" in guesses[0]
    assert len(guesses) == 3
    # The maps are different pictures.
    drawn = page.js(
        "return [...document.querySelectorAll('#view .seen canvas')].map(c => c.toDataURL())"
    )
    assert drawn[0] != drawn[1]
    page.one("#view-box").click()
    assert page.one("#view .box").is_displayed()


def test_a_cell_of_the_matrix_leads_to_its_images(page, report):
    page.open(report, "#tab=mistakes")
    page.one("#matrix td.r a[aria-label='cat taken for cat: 3']").click()
    page.wait("return document.querySelector('#found').textContent === '3 of 10 images'")
    page.js("history.back()")
    page.wait("return document.querySelectorAll('#matrix td.w a').length > 0")
    page.one("#matrix td.w a[aria-label='cat taken for dog: 1']").click()
    page.wait("return document.querySelectorAll('#pair .pair-row').length > 0")
    page.one("#pair .in-gallery").click()
    page.wait("return document.querySelector('#found').textContent.startsWith('1 of 10 images')")
    assert page.paths() == ["cats/3.jpg"]


def test_classes_count_and_show_their_mean_heat(page, report):
    page.open(report, "#tab=classes")
    rows = {r.find_element("css selector", "th").text: r for r in page.all("#class-table tbody tr")}
    assert set(rows) == {"cat", "dog", EVIL_CLASS}
    cells = [c.text for c in rows["cat"].find_elements("css selector", "td")]
    assert cells[:4] == ["4", "75%", "75%", "4"]
    assert page.all("#class-table canvas.mean")


def test_the_class_table_is_sorted_and_searched(page, report):
    page.open(report, "#tab=classes")
    order = "return [...document.querySelectorAll('#class-table tbody th')].map(e => e.innerText)"
    heads = {h.text.split("\n")[0]: h for h in page.all("#class-table thead th")}
    assert page.js(order) == ["dog", "cat", EVIL_CLASS]  # the weakest first
    heads["Class"].find_element("css selector", "button").click()
    assert page.js(order) == [EVIL_CLASS, "cat", "dog"]
    assert heads["Class"].get_attribute("aria-sort") == "ascending"
    heads["Photographs"].find_element("css selector", "button").click()
    assert page.js(order)[-1] == EVIL_CLASS
    assert heads["Photographs"].get_attribute("aria-sort") == "descending"
    assert heads["Class"].get_attribute("aria-sort") is None
    heads["Photographs"].find_element("css selector", "button").click()
    assert page.js(order)[0] == EVIL_CLASS
    page.one("#class-search").send_keys("DO")
    page.wait("return document.querySelector('#classes-found').textContent === '1 of 3 classes'")
    assert page.js(order) == ["dog"]
    page.one("#class-search").send_keys("x")
    page.wait("return document.querySelector('#classes-found').textContent === '0 of 3 classes'")
    assert "None has that in its name" in page.one("#class-table").text


def test_dark_light_and_phone(page, report):
    driver = page.driver
    paper = "return getComputedStyle(document.body).backgroundColor"
    page.open(report)
    light = page.js(paper)
    page.one("#theme").click()
    assert page.js(paper) != light
    page.one("#theme").click()
    assert page.js(paper) == light
    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.open(report)
        wide = "return document.documentElement.scrollWidth <= innerWidth"
        assert page.js(wide), "the page is wider than the phone"
        assert not page.one("[name=sort]").is_displayed()
        page.one("#more-filters").click()
        assert page.one("[name=sort]").is_displayed()
        page.open(report, "#open=cats%2F3.jpg")
        page.wait("return document.querySelector('#view').open")
        assert page.js("const v = document.querySelector('#view');"
                       "return v.scrollWidth <= v.clientWidth")  # fmt: skip
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


CONTRAST = """
const parse = (text) => text.match(/[\\d.]+/g).map(Number)
  .map((v, i) => (text.startsWith('color(srgb') && i < 3 ? 255 * v : v));
const paper = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const [r, g, b, a = 1] = parse(getComputedStyle(e).backgroundColor);
    if (a === 1) return [r, g, b];
  }
  return [255, 255, 255];
};
const light = (colour) => {
  const [r, g, b] = colour.map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const bad = [];
for (const element of document.querySelectorAll('body *')) {
  if (element.closest('svg') || !element.getClientRects().length || element.disabled) continue;
  const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  const field = element.matches('input:not([type=range]):not([type=checkbox]), select');
  if (!own && !field) continue;
  const style = getComputedStyle(element);
  let [a, b] = [light(parse(style.color).slice(0, 3)), light(paper(element))];
  if (a < b) [a, b] = [b, a];
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < 4.5) {
    const text = element.textContent.slice(0, 30);
    bad.push(`${element.tagName} ${element.className} ${ratio}: ${text}`);
  }
}
return bad;
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "tab",
    [
        "gallery",
        "mistakes",
        "classes",
        "map",
        "audit",
        "check",
        "evaluation",
        "training",
        "failed",
        "about",
    ],
)
def test_text_has_contrast_and_everything_has_a_name(page, report, theme, tab):
    page.open(report, f"#tab={tab}" if tab != "gallery" else "")
    page.js("document.documentElement.dataset.theme = arguments[0]", theme)
    assert page.js(CONTRAST) == []  # WCAG 2.1 AA, 1.4.3
    nameless = page.js("""
        return [...document.querySelectorAll('button, a[href], input, select, canvas, img, svg a')]
          .filter((e) => !e.closest('[hidden]') && !e.closest('[aria-hidden=true]')
            && !e.classList.contains('over'))
          .filter((e) => !(e.getAttribute('aria-label') || e.alt || e.textContent.trim()
            || e.placeholder || (e.labels && e.labels.length)))
          .map((e) => e.outerHTML.slice(0, 120))""")
    assert nameless == []
    doubled = page.js("""const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
        return ids.filter((id, i) => ids.indexOf(id) !== i)""")
    assert doubled == []


def test_one_file_holds_everything(page, make_run, items, tmp_path):
    run = make_run("alone", items)
    made = write_report(read_run(run), run / "report", self_contained=True)
    assert [p.name for p in (run / "report").iterdir()] == ["index.html"]
    moved = tmp_path / "mailed.html"
    made.rename(moved)
    page.open(moved)
    page.wait("""const i = [...document.querySelectorAll('.frame > img')];
        return i.length === 9 && i.every((one) => one.naturalWidth === 160)""")
    page.wait("return document.querySelectorAll('.seen canvas').length === 9")
    assert EVIL_CLASS in "\n".join(page.names())
    page.open(moved, "#open=cats%2F3.jpg")
    page.wait("return document.querySelectorAll('#view .sight').length === 2")


def test_a_run_without_maps_shows_its_overlays(page, make_run, items, tmp_path):
    run = make_run("old", items, maps=False)
    text = (run / "predictions.csv").read_text("utf-8")
    for path, _, pred, *_ in items:
        if pred:
            picture = run / "overlays" / path
            picture.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (160, 150), (0, 90, 200)).save(picture, "JPEG")
    # The column says where a picture is.
    rows = list(csv.DictReader(io.StringIO(text)))
    with (run / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        for r in rows:
            if r["status"] != "error":
                r["overlay"] = "overlays/" + r["path"]
            writer.writerow(r)
    (run / "heatmaps.jsonl").unlink()
    page.open(write_report(read_run(run), run / "report"))
    page.wait("""const o = [...document.querySelectorAll('.frame > img.over')];
        return o.length === 9 && o.every((one) => one.naturalHeight === 150)""")
    # Where the photographs are gone, too, the overlay alone is shown.
    info = json.loads((run / "run.json").read_text())
    info["config"]["source"] = str(tmp_path / "gone")
    (run / "run.json").write_text(json.dumps(info))
    page.open(write_report(read_run(run), run / "report"))
    page.wait("return document.querySelectorAll('.frame.baked').length === 9")


def test_another_thousand_rows_are_not_in_the_document(page, make_run):
    many = [(f"n/{n:05}.jpg", "cat", None, 0.0, None) for n in range(12_000)]
    run = make_run("many", [("a.jpg", "cat", "cat", 0.9, (0, 0)), *many])
    page.open(write_report(read_run(run), run / "report"))
    page.wait("return camcli.loaded === 12001")
    assert page.found() == "12,001 images"
    assert page.js("return document.querySelectorAll('#gallery li').length") < 150
    page.js("scrollTo(0, document.body.scrollHeight)")
    page.wait("""return [...document.querySelectorAll('#gallery .card')]
        .some((c) => c.dataset.place === '12000')""")
    assert page.js("return document.querySelectorAll('#gallery li').length") < 150
