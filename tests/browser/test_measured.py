"""What was measured, on the page: evaluation, training, boxes and masks, in a real browser."""

import json
from dataclasses import replace

import pytest

from camcli.evaluate.measured.annotations import Annotations
from camcli.jobs.beside.objects import Annotated
from camcli.jobs.report import read_run
from camcli.render.report import write_report
from camcli.render.report.rows.beside import Beside

pytestmark = pytest.mark.slow  # a browser for each

EVIL = "<img src=x onerror=alert(3)>"
ARABIC = "قطة"

EVALUATION = {
    "folder": "results", "data": "photos", "photographs": 12, "same": True, "others": ["older"],
    "unreadable": [EVIL], "settings": [["scale", "relu"]], "verdicts": [f"cam: kept {EVIL}"],
    "tables": [
        {
            "title": "Heat", "hint": "Share of the heat.", "sentence": "By energy, cam wins.",
            "metrics": [["top5", False], ["energy", False], ["kl", True]],
            "best": [1.0, 0.8, None],
            "rows": [
                ["centre-box", "control", [[1.0], [0.5, 0.4, 0.6], [1.5]]],
                [f"cam {EVIL}", "", [[1.0], [0.8, 0.7, 0.9], None]],
            ],
        }
    ],
    "sanity": [],
    "predictions": [
        {
            "network": "net", "numbers": [["count", "photographs judged", 12],
                                          ["top1", "accuracy", 0.75]],
            "pairs": [["cat", "dog", 2, 0.4], [ARABIC, EVIL, 1, None]], "labels": [],
        }
    ],
}  # fmt: skip

TRAINING = {
    "folder": "T", "status": "finished", "same": False, "facts": [["Backbone", EVIL]],
    "settings": [["epochs", "3"]], "notes": [EVIL],
    "tried": [
        {"backbone": "lite0", "input_size": "320", "fit": "squash", "pooling": "mean+max",
         "head": "", "channels": 64.0, "l2": 0.00316, "images": 1500.0, "log_loss": 0.4,
         "accuracy": 0.85, "seconds": 2.5, "won": True},
        {"backbone": EVIL, "input_size": "", "fit": "", "pooling": EVIL, "head": "",
         "channels": None, "l2": None, "images": None, "log_loss": 0.6, "accuracy": None,
         "seconds": None, "won": False},
    ],
    "epochs": [
        {"stage": 1, "epoch": 1, "train_loss": 0.9, "val_loss": 0.8, "val_acc": 0.5},
        {"stage": 1, "epoch": 2, "train_loss": 0.5, "val_acc": 0.75},
        {"stage": 2, "epoch": 1, "train_loss": 0.3, "val_loss": 0.4, "val_acc": 1.0},
    ],
    "splits": [
        {
            "split": "val", "name": "validation", "scores": {"count": 8, "top1": 0.875},
            "classes": [["cat", 4, 1.0, 0.8, None, 1.0, None],
                        ["dog", 4, 0.75, 1.0, None, 0.9, None],
                        [EVIL, 0, None, None, None, None, None]],
            "confused": [["dog", "cat", 1]],
        }
    ],
    "commands": [["Train again", "camcli train --config T/config.toml --out T-2"]],
}  # fmt: skip


@pytest.fixture(scope="module")
def measured(make_run, items):
    """A page of a run with boxes, an evaluation and a training."""
    run = make_run("measured", items)
    boxes = {
        "cats/1.jpg": ((30.0, 0.0, 100.0, 120.0),),  # around the hot cell
        "cats/3.jpg": ((20.0, 0.0, 50.0, 30.0), (0.0, 0.0, 10.0, 10.0)),  # away from it
    }
    annotator = Annotated(Annotations(boxes), False, print)
    beside = Beside(evaluation=EVALUATION, training=TRAINING)
    data = replace(read_run(run), beside=beside, annotator=annotator)
    return write_report(data, run / "report")


def test_heat_on_the_object_is_filtered_and_ordered(page, measured):
    page.open(measured, "#sort=off")
    assert page.paths()[:2] == ["cats/3.jpg", "cats/1.jpg"]
    shares = page.js("return [...camcli.columns.sides[0].on_object].filter((s) => s >= 0)")
    assert len(shares) == 2
    assert min(shares) < 10_000
    assert max(shares) > 80_000
    page.open(measured, "#sort=object")
    assert page.paths()[:2] == ["cats/1.jpg", "cats/3.jpg"]
    page.open(measured, "#on=80-100")
    assert page.paths() == ["cats/1.jpg"]
    assert "80 to 100% of the heat on the object" in page.found()
    assert page.one("[name=on]").get_attribute("value") == "80-100"
    for text, paths in [("-50", ["cats/3.jpg"]), ("0-100", 2), ("50", ["cats/1.jpg"]), ("x", 10)]:
        page.js("camcli.writeHash({on: arguments[0]})", text)
        assert page.paths() == paths or len(page.paths()) == paths


def test_boxes_are_drawn_in_the_large_view_and_can_be_hidden(page, measured):
    page.open(measured, "#open=cats%2F1.jpg")
    page.wait("return document.querySelector('#view .objects')")
    assert "Heat on the object" in page.one("#view").text
    box, frame = page.js("""
        const r = (e) => { const b = e.getBoundingClientRect(); return [b.left, b.width]; };
        const f = document.querySelector('#view .frame');
        return [r(f.querySelector('.objects .line')), r(f)]""")
    assert (box[0] - frame[0]) / frame[1] == pytest.approx(30 / 160, abs=0.01)
    assert box[1] / frame[1] == pytest.approx(70 / 160, abs=0.01)
    assert page.one("#view .objects").is_displayed()
    page.one("#view-objects").click()
    assert not page.one("#view .objects").is_displayed()
    page.open(measured, "#open=dogs%2F1.jpg")
    page.wait("return document.querySelector('#view .frame')")
    assert not page.all("#view .objects")


def test_the_evaluation_tab_shows_numbers_and_leads_to_photographs(page, measured):
    page.open(measured, "#tab=evaluation")
    page.wait("return document.querySelector('.metrics')")
    text = page.one("[data-panel=evaluation]").text
    for words in ("heat on the object", "0.800", "0.70–0.90", "By energy, cam wins.", EVIL, "0.750",
                  "less is better", "2 photographs"):  # fmt: skip
        assert words in text
    assert "first five" not in text  # of three classes
    assert [e.text for e in page.all(".metrics strong")] == ["0.800"]  # the best
    assert "control" in page.one(".metrics tbody tr").text
    # The dot lies where the number is, on a line from 0 to 1.
    dots = page.js("return [...document.querySelectorAll('.metrics .dot')].map(e => e.style.left)")
    assert dots[0] == "50%"
    assert page.js("return document.querySelectorAll('[onerror]').length") == 0
    # A bar of the histogram leads to its photographs.
    page.one(".object-bars a[aria-label^='0 to 5%']").click()
    page.wait("return location.hash.includes('on=0-5')")
    assert page.paths() == ["cats/3.jpg"]
    page.open(measured, "#tab=evaluation")
    page.wait("return document.querySelector('[data-panel=evaluation] .list a')")
    page.one("[data-panel=evaluation] .list:not(.metrics) a").click()
    page.wait("return document.querySelector('#found').textContent === '1 of 10 images'")


def test_the_training_tab_shows_curves_numbers_and_what_next(page, measured):
    page.open(measured, "#tab=training")
    page.wait("return document.querySelectorAll('.curves').length === 2")
    text = page.one("[data-panel=training]").text
    for words in ("not the one that the run used", "87.5%", "fine-tuning", "validation", EVIL,
                  "camcli train --config T/config.toml --out T-2"):  # fmt: skip
        assert words in text
    labels = [e.get_attribute("aria-label") for e in page.all(".curves")]
    assert "training 0.9 to 0.3, validation 0.8 to 0.4" in labels[0]
    # A curve falls where its numbers do, by as much.
    ys = page.js("""return document.querySelector('.curve.train').getAttribute('points').split(' ')
        .map((p) => Number(p.split(',')[1]))""")
    assert (ys[1] - ys[0]) / (ys[2] - ys[1]) == pytest.approx(2, rel=0.01)
    rows = [e.text for e in page.all("[aria-label^='Classes, '] tbody th")]
    assert rows[:2] == ["dog", "cat"]  # the weakest first
    assert page.js("return document.querySelectorAll('[onerror]').length") == 0


def test_the_training_tab_shows_what_a_search_tried(page, measured):
    page.open(measured, "#tab=training")
    page.wait("return document.querySelector('[aria-label=\"What the search tried\"] tbody th')")
    table = "[aria-label='What the search tried']"
    rows = [e.text for e in page.all(f"{table} tbody tr")]
    words = ["lite0, 320 pixels, squash (taken)", "mean+max", "0.0032 1,500 0.4000 85.0% 2.5"]
    assert rows[0] == " ".join(words)
    assert rows[1].endswith("– – 0.6000 – –")
    assert "1,500 photographs" in page.one("[data-panel=training]").text
    # Sorted by what a column says, as all tables are.
    next(e for e in page.all(f"{table} thead button") if e.text.startswith("Log-loss")).click()
    assert page.one(f"{table} tbody th").text.startswith("lite0")


def test_names_from_right_to_left_do_not_turn_the_numbers_beside_them(page, measured):
    page.open(measured)
    isolated = page.js("return camcli.isolated(arguments[0])", ARABIC)
    assert isolated == f"\u2068{ARABIC}\u2069"
    assert page.js("return camcli.isolated('cat')") == "cat"


def test_tabs_that_know_nothing_say_which_command_fills_them(page, make_run, items):
    run = make_run("bare", items)
    report = write_report(read_run(run), run / "report")
    for tab, words in (("evaluation", "camcli evaluate"), ("training", "--training DIR")):
        page.open(report, f"#tab={tab}")
        page.wait("return document.querySelector(`[data-panel=${arguments[0]}] .command`)", tab)
        assert words in page.one(f"[data-panel={tab}]").text
    assert not page.all("[name=on]")
    # In one file, too.
    made = write_report(read_run(run), run / "one", self_contained=True)
    page.open(made, "#tab=evaluation")
    page.wait("return document.querySelector('[data-panel=evaluation] .command')")


def test_one_file_holds_what_was_measured(page, make_run, items):
    run = make_run("mailed", items)
    data = replace(read_run(run), beside=Beside(evaluation=EVALUATION, training=TRAINING))
    made = write_report(data, run / "report", self_contained=True)
    page.open(made, "#tab=training")
    page.wait("return document.querySelectorAll('.curves').length === 2")
    assert json.dumps(EVALUATION["folder"])[1:-1] in made.read_text("utf-8")


@pytest.mark.parametrize("tab", ["evaluation", "training", "classes"])
def test_measured_tabs_fit_a_phone(page, measured, tab):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.open(measured, f"#tab={tab}")
        page.wait("return document.querySelector(`[data-panel=${arguments[0]}] .list`)", tab)
        assert page.js("return document.documentElement.scrollWidth <= innerWidth")
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


DRAWN = """
const ink = (text) => {
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d');
  context.font = `30px ${getComputedStyle(document.body).fontFamily}`;
  context.fillText(text, 4, 60);
  return canvas.toDataURL();
};
return new Set(arguments[0].map(ink)).size === arguments[0].length;
"""


@pytest.mark.parametrize("contained", [False, True])
def test_a_browser_without_chinese_letters_draws_them(page, make_run, contained):
    names = ["猫.jpg", "犬.jpg", "고.jpg", "ह.jpg"]
    run = make_run(f"letters-{contained}", [(n, "cat", "cat", 0.9, (1, 1)) for n in names])
    made = write_report(read_run(run), run / "report", self_contained=contained)
    page.open(made)
    page.wait("return document.querySelectorAll('#gallery li').length === 4")
    # Where there is no letter, all are drawn as the same box.
    page.wait(DRAWN, ["猫", "犬", "고", "ह"])
    faces = page.js("return [...document.fonts].map((face) => face.status)")
    assert faces == ["loaded", "loaded"]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("fragment", "there"),
    [
        ("#tab=evaluation", ".metrics"),
        ("#tab=training", ".curves"),
        ("#sort=off", "[name=on]"),
        ("#open=cats%2F1.jpg", "#view .objects"),
    ],
)
def test_axe_finds_nothing_against_what_was_measured(page, measured, fragment, there, theme):
    page.open(measured, fragment)
    page.wait("return document.querySelector(arguments[0])", there)
    page.js("for (const one of document.querySelectorAll('details')) one.open = true")
    page.js("document.documentElement.dataset.theme = arguments[0]", theme)
    assert "\n".join(page.axe()) == ""
