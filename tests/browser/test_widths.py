"""On a desk, a small window and a phone: no page is wider than it, and no table is cut off."""

from dataclasses import replace
from pathlib import Path

import pytest

from camcli.evaluate.comparison.rows.columns import CONTROLS, GROUPS
from camcli.jobs.beside.evaluation import read_evaluation
from camcli.jobs.report import read_run
from camcli.render.report import write_comparison, write_report
from camcli.render.report.rows.beside import Beside

pytestmark = pytest.mark.slow  # a browser for each

TABS = ("gallery", "classes", "mistakes", "map", "evaluation", "failed", "about")
METRICS = [name for _, metrics, _ in GROUPS for name in metrics]
METHODS = [*CONTROLS, "random", "gradcam", "layercam"]
LONG = "a_network_with_a_name_that_is_far_longer_than_a_phone_is_wide.safetensors"


def record(*models):
    rows = [
        {
            "model": "" if method in CONTROLS else model, "method": method, "photographs": 9,
            "metrics": dict.fromkeys(METRICS, 0.5),
            "intervals": {metric: [0.25, 0.75] for metric in METRICS},
        }
        for model in models for method in METHODS
    ]  # fmt: skip
    return {"data": "photos", "photographs": 9, "rows": rows, "sanity": [],
            "partial": ["net was stopped after 9 of 12 photographs."], "lost": [],
            "predictions": {}}  # fmt: skip


@pytest.fixture(scope="module")
def pages(make_run, items, tmp_path_factory):
    folder = tmp_path_factory.mktemp("widths")
    before = make_run("before", items, folder=folder, differences=True)
    after = make_run("after", [(*items[2][:2], "cat", *items[2][3:]), *items[3:]], folder=folder)
    found = {"comparison": write_comparison(read_run(before), read_run(after), folder / "page")}
    for name, models in (("run", ("resnet50",)), ("several", ("resnet50", LONG))):
        beside = Beside(evaluation=read_evaluation(Path("results"), record(*models)))
        data = replace(read_run(before), beside=beside)
        found[name] = write_report(data, folder / name)
    return found


@pytest.fixture(params=[1280, 800, 380])
def screen(request, page):
    page.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": request.param, "height": 800, "deviceScaleFactor": 1, "mobile": False},
    )
    yield page
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


# Of each table that is in sight: whether it ends on the screen, or in a box that does and scrolls;
# of such a box, whether it says so, and the names stay where they are when it is scrolled.
LOOK = """
const wide = document.documentElement.clientWidth, faults = [];
if (document.documentElement.scrollWidth > wide) faults.push("the page scrolls sideways");
let scrolling = 0;
for (const table of document.querySelectorAll("table")) {
  if (!table.getClientRects().length) continue;
  const name = `${table.id} ${table.className} ${table.innerText.slice(0, 40)}`;
  if (table.getBoundingClientRect().right <= wide + 1) continue;
  const box = table.closest(".scroll");
  if (!box || box.getBoundingClientRect().right > wide + 1) {
    faults.push(`cut off: ${name}`);
    continue;
  }
  scrolling += 1;
  if (!box.matches(".wide") || getComputedStyle(box, "::before").content === "none") {
    faults.push(`says nothing: ${name}`);
  }
  if (!table.matches(".list")) continue;
  box.scrollLeft = 1e5;
  const first = table.tBodies[0].rows[0].cells[0].getBoundingClientRect();
  if (Math.abs(first.left - box.getBoundingClientRect().left) > 2) faults.push(`no names: ${name}`);
  if (first.width > 0.62 * wide) faults.push(`no room beside the names: ${name}`);
  const last = table.tBodies[0].rows[0].cells[table.tBodies[0].rows[0].cells.length - 1];
  if (last.getBoundingClientRect().right > wide + 1) faults.push(`never seen: ${name}`);
  box.scrollLeft = 0;
}
return [scrolling, faults];
"""


@pytest.mark.parametrize(
    ("kind", "tab"),
    [*(("run", tab) for tab in TABS), ("several", "evaluation"),
     *(("comparison", tab) for tab in ("gallery", "classes", "mistakes", "about"))],
)  # fmt: skip
def test_no_table_is_cut_off(screen, pages, kind, tab):
    screen.open(pages[kind], "" if tab == "gallery" else f"#tab={tab}")
    if tab == "evaluation":
        screen.wait("return document.querySelectorAll('.metrics').length > 3")
        screen.wait(
            "return document.documentElement.clientWidth > 1000 || document.querySelector('.wide')"
        )
    scrolling, faults = screen.js(LOOK)
    assert faults == []
    if tab == "evaluation" and screen.js("return innerWidth") < 1000:
        assert scrolling > 3


# Words of names that are on more than one line.
BROKEN = """
const found = [];
for (const head of document.querySelectorAll(".metrics .row-name")) {
  const text = head.firstChild;
  for (const { index, 0: word } of text.data.matchAll(/[^\\s-]+/g)) {
    const range = document.createRange();
    range.setStart(text, index); range.setEnd(text, index + word.length);
    if (range.getClientRects().length > 1) found.push(word);
  }
}
return found;
"""


def test_names_are_whole_and_the_only_network_is_told_once(screen, pages):
    screen.open(pages["run"], "#tab=evaluation")
    screen.wait("return document.querySelectorAll('.metrics').length > 3")
    assert screen.js(BROKEN) == []
    heads = screen.js(
        "return [...document.querySelectorAll('.metrics tbody th')].map(h => h.innerText)"
    )
    assert {"gradcam", "layercam"} <= set(heads)
    text = screen.one("#evaluation-body").text
    assert text.count("resnet50") == 1, "above the tables"
    assert "Not everything was measured." in text
    assert "stopped after 9 of 12" in text
    screen.open(pages["several"], "#tab=evaluation")
    screen.wait("return document.querySelectorAll('.metrics').length > 3")
    assert "gradcam (resnet50)" in screen.one("#evaluation-body").text
