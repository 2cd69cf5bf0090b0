"""What axe-core, the usual checker of accessibility, finds against each page: nothing."""

import pytest

from camcli.jobs.report import read_run
from camcli.render.report import write_comparison, write_report

pytestmark = pytest.mark.slow  # a browser

TABS = ("gallery", "classes", "mistakes", "map", "audit", "check", "evaluation", "training",
        "failed", "about")  # fmt: skip
THEMES = pytest.mark.parametrize("theme", ["light", "dark"])


@pytest.fixture(scope="module")
def pages(make_run, items, tmp_path_factory):
    """The page of a run, and of two."""
    folder = tmp_path_factory.mktemp("accessible")
    before = make_run("before", items, folder=folder, differences=True)
    after = make_run("after", [(*items[2][:2], "cat", *items[2][3:]), *items[3:]], folder=folder)
    return {
        "run": write_report(read_run(before), before / "report"),
        "comparison": write_comparison(read_run(before), read_run(after), folder / "page"),
    }


def look(page, html, fragment, theme):
    page.open(html, fragment)
    page.js("document.documentElement.dataset.theme = arguments[0]", theme)
    return "\n".join(page.axe())


@THEMES
@pytest.mark.parametrize("tab", TABS)
def test_each_tab(page, pages, tab, theme):
    assert look(page, pages["run"], "" if tab == "gallery" else f"#tab={tab}", theme) == ""


@THEMES
@pytest.mark.parametrize("fragment", ["#tab=mistakes&a=cat&b=dog", "#show=difference"])
def test_two_classes_beside_each_other(page, pages, fragment, theme):
    assert look(page, pages["run"], fragment, theme) == ""


@THEMES
@pytest.mark.parametrize("tab", ["gallery", "classes", "mistakes", "about"])
def test_each_tab_of_two_runs(page, pages, tab, theme):
    assert look(page, pages["comparison"], "" if tab == "gallery" else f"#tab={tab}", theme) == ""


@THEMES
@pytest.mark.parametrize("kind", ["run", "comparison"])
def test_the_large_view(page, pages, kind, theme):
    page.open(pages[kind], "#open=cats%2F3.jpg")
    page.wait("return document.querySelectorAll('#view .sight canvas').length > 1")
    page.js("document.documentElement.dataset.theme = arguments[0]", theme)
    assert "\n".join(page.axe()) == ""


def test_a_fault_is_found(page, pages):
    page.open(pages["run"])
    page.js("document.querySelector('#gallery .frame img').removeAttribute('alt');"
            "document.querySelector('#found').style.color = 'silver'")  # fmt: skip
    found = "\n".join(page.axe())
    assert "image-alt" in found
    assert "color-contrast" in found
