"""What an audit and a check found, on the page of a run in a real browser."""

import json

import numpy as np
import pytest

from camcli.evaluate.findings.files import as_dicts, finding_files
from camcli.evaluate.findings.finding import (
    Effect,
    Finding,
    HeatShare,
    Measured,
    Retried,
    Sighting,
)
from camcli.jobs.report import ReportJob

pytestmark = pytest.mark.slow  # a browser

EVIL = "</script><img src=x onerror=alert(1)>"
SHARE = Measured(0.86, 0.74, 0.93)
EFFECT = Effect("inpainted", "a patch beside it", 50, SHARE, SHARE, SHARE, SHARE, SHARE)
RGB = np.full((22, 120, 3), 200, np.uint8)


@pytest.fixture(scope="module")
def written(make_run, items, tmp_path_factory):
    """A page of a run with an audit and a check beside it, which nobody pointed at."""
    folder = tmp_path_factory.mktemp("flagged")
    run = make_run("run", items, folder=folder)
    seen = (
        Sighting("cats/2.jpg", (0.5, 0.5, 0.75, 1.0), "no longer cat without it"),
        Sighting("cats/1.jpg", (0.0, 0.0, 0.5, 0.5)), Sighting("../../secret.jpg", None, EVIL),
    )  # fmt: skip
    audit = [
        Finding("frame", "dog", "not used", EVIL * 9, "It is there.", "", seen[:1]),
        Finding("mark", "cat", "used", "cat rests on a mark", "In 51 of 60.", "Crop it.", seen,
                51, 60, 2, 60, remove=EFFECT, add=EFFECT, heat=HeatShare(0.4, 0.03, 50),
                picture=RGB, retried=(
                    Retried("cats/2.jpg", "inpainted", RGB, RGB, "cat 0.98", "dog 0.7"),)),
    ]  # fmt: skip
    check = [
        Finding("suspect label", None, "data", "2 labels that are probably wrong", "", "", (
            Sighting("dogs/2.jpg", None, "labelled dog, looks like cat"),
            Sighting("cats/3.jpg", None, "labelled cat, looks like dog"))),
        Finding("exact duplicate", None, "data", "1 exact duplicate", "", "",
                (Sighting("cats/1.jpg", None, "the same file", 1.0, "dogs/1.jpg"),)),
    ]  # fmt: skip
    clusters = {"cat": [{"images": 2, "probability": 0.8, "typical": ["cats/2.jpg"]}]}
    table = "path,pred,cluster\ncats/2.jpg,cat,0\ncats/1.jpg,cat,0\n"
    for kind, source, found in (("audit", run, audit), ("check", folder / "photos", check)):
        out = folder / f"camcli-{kind}"
        out.mkdir()
        for name, content in {**finding_files(found), "images.csv": table}.items():
            if kind == "audit":
                (out / name).parent.mkdir(exist_ok=True)
                (out / name).write_bytes(
                    content if isinstance(content, bytes) else content.encode()
                )
        record = {
            "kind": kind, "source": str(source.resolve()), "findings": as_dicts(found),
            "clusters": clusters, "not_looked": ["Frames."], "looked_for": [EVIL],
            "classes": [{"label": "cat", "right": 3, "count": 5, "border": 0.2, "corner": 0.5,
                         "stray": None, "flags": ["mark"]}],
        }  # fmt: skip
        (out / f"{kind}.json").write_text(json.dumps(record))
    (folder / "camcli-check" / "check.csv").write_text(
        "kind,path,other,suggestion,note\n"
        'suspect label,dogs/2.jpg,,cat,"labelled dog, looks like cat"\n'
        'suspect label,cats/3.jpg,,dog,"labelled cat, looks like dog"\n'
        "exact duplicate,cats/1.jpg,dogs/1.jpg,,the same file\n"
    )
    return ReportJob([run]).run()


def cards(page):
    return page.js("return [...document.querySelectorAll('.finding h3')].map(e => e.innerText)")


def test_from_the_first_screen_to_each_finding_in_three_clicks(page, written):
    page.open(written)
    assert [a.text for a in page.all(".flags a")] == [
        "audit cat rests on a mark 51 of 60", "check 2 labels that are probably wrong",
        "check 1 exact duplicate",
    ]  # fmt: skip
    page.all(".flags a")[1].click()
    page.wait("return document.querySelectorAll('#check-body .pick img').length === 4")
    assert page.js("return document.activeElement.id") == "finding-check-1"
    page.one("#finding-check-1 a.all").click()
    page.wait("return camcli.selection().length === 2")
    assert page.paths() == ["dogs/2.jpg", "cats/3.jpg"], "in the order of the finding"
    assert page.found() == "2 of 10 images, in “2 labels that are probably wrong”"
    page.one("#gallery a.card").click()
    page.wait("return document.querySelector('#view').open")
    assert "labelled dog, looks like cat" in page.one(".findings-of").text


def test_a_card_has_the_mark_the_words_the_effects_and_its_photographs(page, written):
    page.open(written, "#tab=audit")
    page.wait("return document.querySelectorAll('#finding-audit-2 .pick .outline').length === 2")
    card = page.one("#finding-audit-2")
    for words in ("cat rests on a mark", "Crop it.", "51 of 60", "86% [74, 93]",
                  "Log-odds +0.9", "no longer cat without it",
                  "Before and after", "cat 0.98", "dog 0.7",
                  "1 more are not among the photographs"):  # fmt: skip
        assert words in card.text
    for picture in (".likeness img", ".retried img"):
        size = f"return document.querySelector('#finding-audit-2 {picture}').naturalWidth"
        assert page.js(size) == 120
    image, outline = page.js(
        "const shot = document.querySelector('#finding-audit-2 .frame');"
        "const box = (e) => { const r = e.getBoundingClientRect();"
        "  return [r.left, r.top, r.width, r.height]; };"
        "return [box(shot.querySelector('img')), box(shot.querySelector('.line'))];"
    )
    x, y, width, height = image
    assert outline == pytest.approx([x + width / 2, y + height / 2, width / 4, height / 2], abs=3)
    assert cards(page) == ["cat rests on a mark", EVIL * 9], "what is used comes first"
    # Heat covers what is to be seen, until it is asked for.
    hidden = "return getComputedStyle(document.querySelector('#finding-audit-2 .seen')).display"
    assert page.js(hidden) == "none"
    page.all("#audit-body .bar input")[1].click()
    assert page.js(hidden) != "none"
    assert page.js("return document.documentElement.scrollWidth <= innerWidth")


def test_findings_and_clusters_are_filters_of_the_gallery(page, written):
    page.open(written, "#cluster=cat:0")
    page.wait("return camcli.selection().length === 2")
    assert page.found() == "2 of 10 images, in cluster 0 of cat"
    page.one("#clear").click()
    assert len(page.paths()) == 10
    page.js("const s = document.querySelector('[name=finding]'); s.value = 'check';"
            "s.dispatchEvent(new Event('input', {bubbles: true}));")  # fmt: skip
    page.wait("return camcli.selection().length === 4")
    for gone in ("audit:99", "x:1", "__proto__", "check:2:3"):
        page.js("camcli.writeHash({finding: arguments[0]})", gone)
        assert page.paths() == []


def test_badges_lead_to_the_card_and_the_large_view_says_and_outlines_it(page, written):
    page.open(written, "#q=cats/1.jpg")
    badge = "return document.querySelector('#gallery .badge')?.innerText"
    assert page.wait(badge) == "⚑ mark +1"
    page.one("#gallery .badge").click()
    page.wait("return document.activeElement.id === 'finding-audit-2'")
    page.open(written, "#open=cats/1.jpg")
    page.wait("return document.querySelector('#view .sight .outline')")
    assert [a.text for a in page.all(".found-in > li > a")] == [
        "cat rests on a mark", "1 exact duplicate",
    ]  # fmt: skip
    page.one(".findings-of .check input").click()
    shown = "return getComputedStyle(document.querySelector('#view .sight .outline')).display"
    assert page.js(shown) == "none"
    page.one(".findings-of .pick").click()
    page.wait("return document.querySelector('#view-title').textContent === 'dogs/1.jpg'")


def test_without_them_the_tab_says_what_to_type(page, make_run, items):
    page.open(ReportJob([make_run("plain", items)]).run(), "#tab=audit")
    page.wait("return document.querySelectorAll('#audit-body code').length === 2")
    first, second = [code.text for code in page.all("#audit-body code")]
    assert first.startswith("camcli audit ")
    assert first.endswith("/plain")
    assert second == first.replace("audit", "report", 1)
    assert not page.all(".flags, [name=finding]")
    page.js("camcli.writeHash({finding: 'audit:1', tab: null})")
    assert page.paths() == []
    page.js("camcli.writeHash({finding: null, cluster: 'a:1'})")
    assert page.paths() == []


def test_in_one_file_all_of_it_is_there(page, written, tmp_path):
    run = written.parent.parent
    one = ReportJob([run], out=tmp_path / "one", self_contained=True).run()
    page.open(one, "#tab=audit&finding=audit:2")
    page.wait("return document.querySelectorAll('#finding-audit-2 .pick img').length === 2")
    assert not page.js("return document.querySelector('#audit-body a[href*=\"audit.html\"]')")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("fragment", "there"),
    [("", ".badge"), ("#tab=audit", ".outline"), ("#tab=check", ".pick img"),
     ("#open=cats%2F1.jpg", ".findings-of")],
)  # fmt: skip
def test_axe_finds_nothing(page, written, fragment, there, theme):
    page.open(written, fragment)
    page.js("document.documentElement.dataset.theme = arguments[0]", theme)
    page.wait("return document.querySelector(arguments[0])", there)
    assert "\n".join(page.axe()) == ""


@pytest.mark.parametrize("tab", ["gallery", "audit", "check"])
def test_on_a_phone_nothing_is_wider_than_the_screen(page, written, tab):
    page.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": False},
    )
    page.open(written, f"#tab={tab}")
    page.wait("return document.querySelector('.badge, .pick img')")
    assert page.js("return document.documentElement.scrollWidth <= innerWidth")
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_what_is_suggested_is_marked_by_a_button_under_the_photograph(page, written):
    page.open(written, "#tab=check")
    page.js("try { localStorage.clear(); } catch { /* none */ }")
    page.open(written, "#tab=check")
    page.wait("return document.querySelectorAll('#check-body .fix').length === 4")
    buttons = page.all("#check-body .fix")
    assert [b.text for b in buttons] == ["Relabel: cat", "Relabel: dog", "Drop", "Drop"]
    for number in (0, 2):
        page.js("arguments[0].click()", buttons[number])  # the bar of marks may lie over it
    marked = "return camcli.marks.all().map(({ path, mark, label }) => [path, mark, label])"
    assert page.js(marked) == [["dogs/2.jpg", "relabel", "cat"], ["cats/1.jpg", "drop", ""]]
    pressed = "return [...document.querySelectorAll('.fix')].map(b => b.ariaPressed)"
    assert page.js(pressed) == ["true", "false", "true", "false"]
    page.js("camcli.writeHash({tab: null, marked: 'any'})")
    assert sorted(page.paths()) == ["cats/1.jpg", "dogs/2.jpg"]
    page.js("camcli.writeHash({tab: 'check', marked: null})")
    page.js("arguments[0].click(); camcli.marks.undo(); camcli.marks.undo()", buttons[0])
    assert page.js(pressed) == ["true", "false", "false", "false"]
    page.js("try { localStorage.clear(); } catch { /* none */ }")
