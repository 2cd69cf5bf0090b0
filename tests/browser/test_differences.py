"""Why this class and not that one: the page's maps of the difference of two classes."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from camcli.batch.tables.heatmaps import read_heatmaps
from camcli.jobs.report import read_run
from camcli.render.report import write_comparison, write_report

pytestmark = pytest.mark.slow  # a browser


@pytest.fixture(scope="module")
def run(make_run, items):
    return make_run("differences", items, differences=True)


@pytest.fixture(scope="module")
def report(run):
    return write_report(read_run(run), run / "report")


# One pixel of a canvas, at a share of its width and height.
PIXEL = """
const [canvas, x, y] = arguments;
return [...canvas.getContext("2d").getImageData(
  Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data]"""


def numbers(page, path, one, other):
    """What the page makes of the difference of two classes in one photograph."""
    found = page.js(
        """
        const [path, one, other] = arguments;
        const id = camcli.columns.path.indexOf(path);
        const [a, b] = [one, other].map((name) => camcli.settings.classes.indexOf(name));
        return camcli.differenceOf(camcli.rowOf(id), camcli.detailOf(id, () => {}), 0, a, b)""",
        path, one, other,
    )  # fmt: skip
    if found is None:
        return None
    h, w, cells = found[2].split(",")
    levels = np.frombuffer(base64.b64decode(cells), np.uint8).reshape(int(h), int(w))
    return (levels - 127.5) / 127.5 * found[3]


def opened(page, html, path="cats/3.jpg"):
    page.open(html, f"#open={path}")
    page.wait("return document.querySelectorAll('#view .sight canvas').length > 1")


def test_a_mistake_has_three_maps_beside_each_other(page, report, run):
    opened(page, report)
    heads = [each.text.split("\n") for each in page.all("#view .sight h3")]
    assert [" ".join(head[:2]) for head in heads] == [
        "Predicted dog", "True class cat", "Difference dog rather than cat",
    ]  # fmt: skip
    (record,) = (r for r in read_heatmaps(run / "heatmaps.jsonl") if r["path"] == "cats/3.jpg")
    wanted = record["difference"]["values"]
    np.testing.assert_allclose(numbers(page, "cats/3.jpg", "dog", "cat"), wanted, atol=0.02)
    np.testing.assert_allclose(numbers(page, "cats/3.jpg", "cat", "dog"), -wanted, atol=0.02)
    # For the prediction at (2, 2) of four, against it at (1, 2): the two ends of the colours.
    canvas = page.one("#view .difference .seen canvas")
    table = np.reshape(page.js("return [...camcli.colourTable(true)]"), (256, 4))
    for row, level in ((2, 255), (1, 64)):
        pixel = page.js(PIXEL, canvas, 2.5 / 4, (row + 0.5) / 4)
        assert np.abs(np.subtract(pixel, table[level])).max() < 30
    bar = page.one("#view .difference .colour-bar").text
    assert "for cat −2" in bar
    assert "2 for dog" in bar


def test_a_right_one_is_compared_with_the_second_best(page, report):
    opened(page, report, "cats/1.jpg")
    assert page.one("#view .difference h3").text.split("\n")[-1] == "cat rather than dog"


def test_the_gallery_shows_differences_and_the_link_says_so(page, report):
    page.open(report)
    assert not page.all("#gallery .frame.signed")
    page.js(
        "const s = document.querySelector('#show-maps select'); s.value = 'difference';"
        "s.dispatchEvent(new Event('change'))"
    )
    page.wait("return document.querySelectorAll('#gallery .frame.signed canvas').length === 9")
    assert page.js("return location.hash") == "#show=difference"
    assert page.found() == "10 images, with the difference to the true class, or to the second best"
    assert "for the predicted" in page.one("[data-look-place]").text
    page.js("history.back()")
    page.wait("return document.querySelectorAll('#gallery .frame.signed').length === 0")
    assert page.found() == "10 images"


def test_two_classes_photograph_by_photograph(page, report):
    page.open(report, "#tab=mistakes")
    page.one("#matrix td.w a[aria-label='cat taken for dog: 1']").click()
    page.wait("return document.querySelectorAll('#pair .pair-row .pair-cell').length > 0")
    assert not page.one("#confusions").is_displayed()
    assert page.js("return document.activeElement.textContent") == "cat and dog"
    heads = [each.text.split("\n")[0] for each in page.all("#pair .pair-group h3")]
    assert heads[0].startswith("cat taken for dog")
    assert heads[1].startswith("dog taken for cat")
    assert heads[2].startswith("cat recognised, dog second")
    rows = page.all("#pair .pair-row")
    cells = rows[0].find_elements("css selector", ".pair-cell")
    assert [cell.text.split("\n")[0] for cell in cells] == [
        "3.jpg", "Predicted", "True class", "Difference",
    ]  # fmt: skip
    drawn = [len(cell.find_elements("css selector", "canvas")) for cell in cells]
    assert drawn == [0, 1, 1, 1]
    cells[0].find_element("css selector", "a").click()
    page.wait("return document.querySelector('#view').open")
    assert "open=cats%2F3.jpg" in page.js("return location.hash")


def test_any_two_classes_can_be_named_and_no_others(page, report):
    page.open(report, "#tab=mistakes")
    first, second = page.all(".pair-form input")
    first.send_keys("cat")
    second.send_keys("no such class\n")
    assert page.js("return arguments[0].validationMessage", second) == (
        "There is no such class in this run."
    )
    second.clear()
    second.send_keys("dog\n")
    page.wait("return document.querySelectorAll('#pair .pair-row').length > 0")
    assert "a=cat&b=dog" in page.js("return location.hash")


def test_what_the_run_did_not_make_has_a_command(page, report):
    opened(page, report)
    page.one(".two-classes summary").click()
    page.js(
        "const s = document.querySelectorAll('.two-classes select')[1];"
        "s.value = camcli.settings.classes.findIndex((name) => name.startsWith('<'));"
        "s.dispatchEvent(new Event('change'))"
    )
    command = page.one(".difference-answer .command code").text
    assert command.startswith("camcli explain ")
    assert command.endswith(
        "photos/cats/3.jpg --target dog --versus '<script>alert(1)</script>' --signed"
    )


def test_two_explained_classes_are_compared_in_the_page(page, make_run, items):
    """Of a straight method the difference of two maps is the map of the difference."""
    run = make_run("topk", items, differences=True)
    path = run / "heatmaps.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for each in lines:
        if each["path"] == "cats/1.jpg":
            other = {**each["difference"], "target": "<script>alert(1)</script>", "prob": 0.005}
            each["maps"].append(other)
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    info = json.loads((run / "run.json").read_text())
    info["config"] |= {"topk": 2, "score": "logit"}
    (run / "run.json").write_text(json.dumps(info))
    html = write_report(read_run(run), run / "report")
    (record,) = (r for r in read_heatmaps(path) if r["path"] == "cats/1.jpg")
    wanted = record["maps"][0]["values"] - record["maps"][1]["values"]
    opened(page, html, "cats/1.jpg")
    found = numbers(page, "cats/1.jpg", "cat", "<script>alert(1)</script>")
    np.testing.assert_allclose(found, wanted, atol=0.05)
    assert numbers(page, "cats/1.jpg", "dog", "<script>alert(1)</script>") is None


def test_a_run_without_says_why(page, make_run, items):
    run = make_run("eigen", items, method="eigencam")
    page.open(write_report(read_run(run), run / "report"), "#tab=mistakes&a=cat&b=dog")
    page.wait("return document.querySelectorAll('#pair .pair-row').length > 0")
    assert "eigencam shows the same map for every class" in page.one("#pair").text
    assert not page.one("#show-maps").text


def test_two_runs_have_a_difference_each(page, make_run, items, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    runs = [make_run(name, items, folder=folder, differences=True) for name in ("one", "two")]
    html = write_comparison(*map(read_run, runs), folder / "page")
    opened(page, html)
    assert len(page.all("#view .difference canvas")) >= 2
    page.open(html, "#show=difference")
    page.wait("return document.querySelectorAll('#gallery .frame.signed canvas').length === 18")
