"""What anybody may write behind the # of the page: words that no filter, order or tab knows."""

import os

import pytest

from camcli.jobs.report import read_run
from camcli.render.report import write_report

pytestmark = pytest.mark.slow  # a browser

# What every object of JavaScript has, whatever was put into it; and what is no number or place.
INHERITED = ("constructor", "__proto__", "toString", "hasOwnProperty", "valueOf")
ODD = (*INHERITED, "NaN", "-1", "1e999", "%", "%ED%A0%80", "audit:99", "check:", "0,0,0,0", "1,2;3",
       "<script>", "a-b", "0" * 3000)  # fmt: skip


@pytest.fixture(scope="module")
def report(make_run, items):
    run = make_run("run", items, differences=True)
    return write_report(read_run(run), run / "report")


def test_words_that_nobody_knows_change_nothing(page, report):
    """They would else be found among what objects inherit, and called."""
    page.open(report)
    shown = page.paths()
    keys = ("is", "sort", "marked", "tab", "seen", "on", "in", "lasso", "show")
    found = page.js(
        "const [keys, odd] = arguments;"
        "return keys.flatMap((key) => odd.map((word) => {"
        "  history.replaceState(null, '', `#${key}=${word}`);"
        "  camcli.update();"
        "  return [key, word, [...camcli.selection()].map((i) => camcli.columns.path[i])];"
        "}))",
        keys, INHERITED,
    )  # fmt: skip
    assert len(found) == len(keys) * len(INHERITED)
    assert [each for each in found if each[2] != shown] == []
    assert page.found() == "10 images"


def test_no_word_behind_a_key_is_a_script_error(page, report):
    page.open(report)
    keys = page.js("return [...camcli.filterKeys, ...camcli.filters.flatMap(({keys}) => keys)]")
    assert {"finding", "cluster", "near", "lasso", "marked", "seen"} <= set(keys)
    page.js(
        "const [keys, odd] = arguments;"
        "const more = ['tab', 'open', 'show', 'a', 'b', 'tab=mistakes&a', 'tab=map&in'];"
        "for (const key of [...keys, ...more])"
        "  for (const word of odd) {"
        "    history.replaceState(null, '', `#${key}=${encodeURIComponent(word)}`);"
        "    camcli.update();"
        "  }",
        keys, ODD,
    )  # fmt: skip
    page.js("history.replaceState(null, '', '#'); camcli.update()")
    assert page.found() == "10 images"


@pytest.mark.posix
def test_a_name_whose_bytes_are_no_text_is_opened_by_its_url(page, make_run):
    """Half characters stand for such bytes, and URLs hold none."""
    names = [os.fsdecode(b"dog/\xff\xc3.jpg"), os.fsdecode(b"dog/\xff\xc4.jpg"), "dog/\ufffd.jpg"]
    run = make_run("bytes", [(name, "dog", "dog", 0.9, (1, 1)) for name in names])
    page.open(write_report(read_run(run), run / "report"))
    for place in range(len(names)):
        page.js("camcli.writeHash({open: camcli.columns.path[arguments[0]]})", place)
        assert page.one("#view").is_displayed()
        assert f"{place + 1} of 3" in page.one("#view").text
        url = page.js("return location.hash")
        assert "%ED" not in url  # a half character, which is no UTF-8
        # A link to it, and the URL as somebody was sent it.
        link = "return camcli.linkTo({open: camcli.columns.path[arguments[0]]})"
        assert page.js(link, place) == url
        page.open(run / "report" / "index.html", url)
        assert f"{place + 1} of 3" in page.one("#view").text
        same = "return camcli.readHash().get('open') === camcli.columns.path[arguments[0]]"
        assert page.js(same, place)
    page.js("camcli.writeHash({open: null, near: camcli.columns.path[0]})")
    assert page.found().startswith("3 images")
