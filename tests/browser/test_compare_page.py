"""The page of two runs in a real browser."""

import pytest

from camcli.jobs.report import read_run
from camcli.render.report import write_comparison

pytestmark = pytest.mark.slow  # a browser for each


@pytest.fixture(scope="module")
def comparison(make_run, items, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    before = make_run("before", items, folder=folder)
    after = [list(item) for item in items if item[0] != "dogs/1.jpg"]
    by_path = {item[0]: item for item in after}
    by_path["cats/3.jpg"][2:] = ["cat", 0.7, (2, 2)]  # fixed
    by_path["cats/1.jpg"][2:] = ["dog", 0.6, (1, 1)]  # broken
    by_path["cats/2.jpg"][4] = (3, 3)  # same prediction, another place
    other = make_run("after", map(tuple, after), method="layercam", folder=folder)
    return write_comparison(read_run(before), read_run(other), folder / "page")


def test_what_changed_comes_first(page, comparison):
    page.open(comparison)
    assert page.one("h1").text == "before → after"
    paths = page.paths()
    assert paths[:2] == ["cats/1.jpg", "cats/3.jpg"]
    assert paths[-1] == "dogs/1.jpg"  # in one run only
    card = page.one("#gallery .card")
    guesses = [g.text.split("\n") for g in card.find_elements("css selector", ".guess")]
    assert [g[1] for g in guesses] == ["cat", "dog"]
    assert [g[0] for g in guesses] == ["✓", "✗"]
    page.wait("return document.querySelectorAll('#gallery li:first-child .seen canvas').length > 1")


@pytest.mark.parametrize(
    ("kind", "paths"),
    [
        ("fixed", ["cats/3.jpg"]),
        ("broken", ["cats/1.jpg"]),
        ("differs", ["cats/1.jpg", "cats/3.jpg"]),
        ("only", ["dogs/1.jpg"]),
        ("dropped", ["dogs/1.jpg"]),
        ("reasons", ["cats/2.jpg"]),
    ],
)
def test_kinds_of_change(page, comparison, kind, paths):
    page.open(comparison, f"#is={kind}")
    assert page.paths() == paths


def test_order_by_how_far_the_heat_moved(page, comparison):
    page.open(comparison, "#sort=moved")
    assert page.paths()[0] == "cats/2.jpg"
    assert page.js("return camcli.columns.similarity[camcli.selection()[0]]") == 0


def test_the_large_view_has_both_runs(page, comparison):
    page.open(comparison, "#open=cats%2F1.jpg")
    page.wait("return document.querySelectorAll('#view .sight-side .seen canvas').length === 2")
    assert [p.text for p in page.all("#view .run-name")] == ["before", "after"]
    assert "Similarity of the two heatmaps: 1.00" in page.one("#view .across").text
    page.open(comparison, "#open=dogs%2F1.jpg")
    page.wait("return document.querySelector('#view').textContent.includes('not in this run')")


def test_changed_predictions_are_listed_and_lead_to_their_images(page, comparison):
    page.open(comparison, "#tab=mistakes")
    page.wait("return document.querySelectorAll('#pairs tbody tr').length === 2")
    for link in page.all("#pairs a"):
        if link.text == "dog":
            link.click()
            break
    page.wait("return document.querySelector('#found').textContent.includes('cat became dog')")
    assert page.paths() == ["cats/1.jpg"]
    page.open(comparison, "#tab=classes")
    assert page.all("#class-table canvas.mean")
    page.open(comparison, "#tab=about")
    assert "layercam" in page.one("[data-panel=about]").text


def test_a_relabelled_photograph_has_both_labels_and_both_paths(page, make_run, tmp_path):
    folder = tmp_path / "mended"
    before = make_run("before", [
        ("cats/1.jpg", "cat", "dog", 0.9, (1, 1)), ("dogs/2.jpg", "dog", "dog", 0.8, (1, 1)),
    ], folder=folder)  # fmt: skip
    after = make_run("after", [
        ("dogs/1.jpg", "dog", "dog", 0.9, (1, 1)), ("dogs/2.jpg", "dog", "dog", 0.8, (1, 1)),
    ], folder=folder)  # fmt: skip
    (folder / "photos/dogs/1.jpg").write_bytes((folder / "photos/cats/1.jpg").read_bytes())
    made = write_comparison(read_run(before), read_run(after), folder / "page")
    page.open(made, "#is=relabelled")
    assert page.paths() == ["cats/1.jpg"]
    assert page.one("#gallery .truth").text == "label cat became dog"
    assert "1 relabelled" in page.one("#other-data").text
    page.open(made, "#open=cats%2F1.jpg")
    page.wait("return document.querySelectorAll('#view .sight-side .facts').length === 2")
    left, right = (side.text for side in page.all("#view .sight-side"))
    assert "True class\ncat" in left
    assert "Path\ncats/1.jpg" in left
    assert "True class\ndog" in right
    assert "Path\ndogs/1.jpg" in right


def test_a_tab_that_there_is_not_is_the_gallery(page, comparison):
    for tab in ("map", "x", "'"):
        page.open(comparison, f"#tab={tab}")
        assert page.one("#gallery").is_displayed()
        assert page.one(".tabs [aria-current]").text.startswith("Gallery")
