"""The whole way, as a person goes it: train, look, mark, apply, train again, compare.

The data have what goes wrong in data: a sticker on most photographs of one class and no other, two
that lie in each other's folder, and a copy. Nothing is told to camcli; it has to find them.
"""

import csv
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from camcli.cli.app import app
from camcli.data.synthetic.scenes import Shortcut, draw_scenes

pytestmark = pytest.mark.slow  # two trainings, an audit, a browser

keys = pytest.importorskip("selenium.webdriver.common.keys", reason="no selenium").Keys

CLASSES = ("apple", "orange", "pear")
CLEAN, STICKERS = 8, 26
MARKED = {f"apple/{CLEAN + n:02}.jpg" for n in range(1, STICKERS + 1)}
FLIPPED = {"pear/90.jpg": "orange", "orange/91.jpg": "pear"}
COPY, ORIGINAL = "pear/92.jpg", "pear/09.jpg"
SEEN = ("--input-size", "224", "--fit", "squash")
FITTED = ("--backbone", "efficientnet_lite0", *SEEN, "--epochs", "60", "--lr", "1e-3")


def run(*words):
    """Call a command, and return what it printed."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def draw(folder, scenes, first=1):
    """Write scenes by class, numbered; their masks beside them, under ``masks``."""
    for number, scene in enumerate(scenes):
        name = f"{scene.label}/{first + number:02}"
        for path, pixels in (
            (folder / f"{name}.jpg", scene.rgb),
            (folder.parent / f"{folder.name}-masks" / f"{name}.png", scene.mask.astype(np.uint8)),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels * 255 if path.suffix == ".png" else pixels).save(path)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """Where a person is after training, batch, audit, check, evaluate and report."""
    root = tmp_path_factory.mktemp("walk")
    photos = root / "photos"
    draw(photos, draw_scenes(CLEAN, classes=("apple",), seed=3))
    sticker = Shortcut("apple")
    draw(photos, draw_scenes(STICKERS, classes=("apple",), seed=4, shortcut=sticker), CLEAN + 1)
    for label in CLASSES[1:]:
        draw(photos, draw_scenes(24, classes=(label,), seed=3))
    # The same fruit in another shop, where the sticker is on all others.
    swapped = Shortcut("apple", test="swapped")
    for label in CLASSES:
        new = draw_scenes(12, classes=(label,), seed=3, split="test", shortcut=swapped)
        draw(root / "elsewhere", new)
    (photos / "orange/05.jpg").rename(photos / "pear/90.jpg")
    (photos / "pear/06.jpg").rename(photos / "orange/91.jpg")
    shutil.copy(photos / ORIGINAL, photos / COPY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        run("train", "--data", "photos", *FITTED, "--out", "first")
        run("batch", "photos", "--checkpoint", "first/best.safetensors", "--out", "run")
        run("audit", "run", "--out", "audit")
        run("check", "photos", "--checkpoint", "first/best.safetensors", "--out", "check")
        run("evaluate", "photos", "--models", "first/best.safetensors", "--masks", "photos-masks",
            "--methods", "cam,layercam", "--limit", 24, "--out", "evaluation")  # fmt: skip
        run("report", "run", "--masks", "photos-masks")
        yield root


def findings(folder):
    with (folder / "findings.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def right(predictions):
    with predictions.open(encoding="utf-8", newline="") as file:
        return sum(row["correct"] == "1" for row in csv.DictReader(file))


def test_the_sticker_the_wrong_labels_and_the_copy_are_found(workplace):
    (mark,) = [f for f in findings(workplace / "audit") if f["verdict"] == "used"]
    assert (mark["kind"], mark["label"]) == ("mark", "apple")
    with (workplace / "audit" / "sightings.csv").open(encoding="utf-8", newline="") as file:
        seen = {row["path"] for row in csv.DictReader(file) if row["finding"] == mark["finding"]}
    assert seen == MARKED
    with (workplace / "check" / "check.csv").open(encoding="utf-8", newline="") as file:
        issues = list(csv.DictReader(file))
    suspects = {r["path"]: r["suggestion"] for r in issues if r["kind"] == "suspect label"}
    assert list(suspects)[:2] == list(FLIPPED)  # the clearest first
    assert FLIPPED.items() <= suspects.items()
    copies = [(r["path"], r["other"]) for r in issues if r["kind"] == "exact duplicate"]
    assert copies == [(COPY, ORIGINAL)]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "tab", ["", "classes", "mistakes", "map", "audit", "check", "evaluation", "training", "about"]
)
def test_axe_finds_nothing_in_tabs_that_are_full(page, workplace, tab, theme):
    page.open(workplace / "run" / "report" / "index.html", f"#tab={tab}" if tab else "")
    page.js("document.documentElement.dataset.theme = arguments[0]", theme)
    page.js(
        "for (const d of document.querySelectorAll('details')) d.open = true;"
        "const b = document.getElementById('more-filters');"
        "if (b.getAttribute('aria-expanded') === 'false') b.click();"
    )
    assert "\n".join(page.axe()) == ""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ["apple/09.jpg", "pear/90.jpg", "pear/92.jpg"])
def test_axe_finds_nothing_in_the_large_view(page, workplace, path, theme):
    page.open(workplace / "run" / "report" / "index.html", f"#open={path}")
    page.wait("return document.querySelectorAll('#view .sight canvas').length > 0")
    page.js("document.documentElement.dataset.theme = arguments[0]", theme)
    assert "\n".join(page.axe()) == ""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("fragment", "clicks"),
    [
        ("#finding=audit:1", ["#tick-all", "#marks-ticked [data-do=relabel]"]),
        ("#finding=audit:1", ["#tick-all", "#marks-csv"]),
        ("#tab=map&in=250,450,600,950", []),
        ("#tab=mistakes", ["#matrix td.w a"]),
        ("#is=wrong", ["#gallery .card", "#view-body summary"]),
        ("", ["details.look summary"]),
    ],
    ids=["dialog", "bar", "selection", "pair", "mistake", "colours"],
)
def test_axe_finds_nothing_in_what_opens(page, workplace, fragment, clicks, theme):
    page.open(workplace / "run" / "report" / "index.html", fragment)
    page.js("document.documentElement.dataset.theme = arguments[0]", theme)
    for selector in clicks:
        page.wait("return document.querySelector(arguments[0])", selector)
        page.js("document.querySelector(arguments[0]).click()", selector)
    assert "\n".join(page.axe()) == ""
    page.js("localStorage.clear()")


class Walker:
    """Somebody at the page, whose clicks are counted from the first screen on."""

    def __init__(self, page, html):
        self.page, self.html, self.clicks = page, html, 0

    def first_screen(self):
        """Open the page as one gets it from `camcli report --open`."""
        self.clicks = 0
        self.page.open(self.html)
        assert self.page.js("return scrollY") == 0

    def click(self, selector, words=""):
        """Click on what is there to be seen, and says these words."""
        self.page.wait(
            "return [...document.querySelectorAll(arguments[0])].some((e) => e.checkVisibility()"
            " && e.textContent.includes(arguments[1]))", selector, words,
        )  # fmt: skip
        seen = (e for e in self.page.all(selector) if e.is_displayed() and words in e.text)
        next(seen).click()
        self.clicks += 1

    def opened(self, path):
        """Wait for a photograph in the large view."""
        self.page.wait("return document.getElementById('view').open && document.getElementById("
                       "'view-title').textContent === arguments[0]", path)  # fmt: skip


def download(page, folder, button, name):
    page.driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
    )
    page.one(button).click()
    end = time.monotonic() + 10
    while not (folder / name).exists():
        assert time.monotonic() < end, f"{name} was not downloaded"
        time.sleep(0.05)
    return folder / name


def test_what_is_wrong_is_found_marked_mended_and_the_change_is_seen(page, workplace):
    walker = Walker(page, workplace / "run" / "report" / "index.html")
    walker.first_screen()
    page.js("localStorage.clear()")

    # The sticker: what it looks like, and all that have it.
    walker.first_screen()
    walker.click("#flags-title + ul a", "apple rests on a mark")
    page.wait("return document.activeElement.matches('article.finding.used')")
    assert page.js("""const box = (e) => e.getBoundingClientRect();
        const [card, mark] = ['', ' .told img'].map((part) =>
          box(document.querySelector('article.finding.used' + part)));
        return mark.width > 20 && mark.top > card.top && mark.bottom < card.bottom
          && mark.left > card.left && mark.right < card.right""")
    walker.click("article.finding.used a", f"Show all {STICKERS} in the gallery")
    assert walker.clicks <= 3
    page.wait("return /26 of 83 images/.test(document.getElementById('found').textContent)")
    assert set(page.paths()) == MARKED
    walker.click("#tick-all")
    walker.click("#marks-ticked button", "Drop")

    # The wrong labels: the clearest first, each with what it looks like.
    walker.first_screen()
    walker.click("#flags-title + ul a", "labels that are probably wrong")
    walker.click("[data-panel=check] article a.pick", "pear/90.jpg")
    assert walker.clicks <= 3
    for path, label in FLIPPED.items():
        walker.opened(path)
        page.keys("l")
        page.wait("return document.getElementById('mark-dialog').open")
        assert page.one("#mark-label").get_attribute("value") == label
        page.keys(keys.ENTER)
        page.wait("return !document.getElementById('mark-dialog').open")
        page.keys(keys.ARROW_RIGHT)

    # The copy, beside what it is a copy of.
    walker.first_screen()
    walker.click("#flags-title + ul a", "exact duplicate")
    walker.click("[data-panel=check] article .two a.pick", COPY)
    assert walker.clicks <= 3
    walker.opened(COPY)
    page.keys("d")
    page.keys(keys.ESCAPE)
    page.wait("return document.getElementById('marks-count').textContent ==="
              f" '{STICKERS + 1} to drop, 2 relabelled'")  # fmt: skip

    # Taken away, applied, trained on, and used on photographs from elsewhere.
    download(page, workplace, "#marks-csv", "marks.csv")
    run("apply", "marks.csv", "--to", "clean")
    kept = {p.relative_to(workplace / "clean").as_posix()
            for p in (workplace / "clean").rglob("*.jpg")}  # fmt: skip
    assert len(kept) == 83 - STICKERS - 1
    assert not kept & {*MARKED, *FLIPPED, COPY}
    assert {"orange/90.jpg", "pear/91.jpg", ORIGINAL} <= kept
    assert sum(1 for _ in (workplace / "photos").rglob("*.jpg")) == 83  # as they were
    run("train", "--data", "clean", *FITTED, "--out", "second")
    for name, checkpoint in (("before", "first"), ("after", "second")):
        run("batch", "elsewhere", "--checkpoint", f"{checkpoint}/best.safetensors", "--out", name)
    before, after = (right(workplace / name / "predictions.csv") for name in ("before", "after"))
    assert after >= before + 3
    run("report", "before", "after", "--out", "compared")

    # What changed is the first thing on the page of both, and a click away in pictures.
    page.open(workplace / "compared" / "index.html")
    tiles = {tile.find_element("css selector", "span").text: tile for tile in page.all(".tile")}
    fixed, broken = tiles["fixed: wrong, now right"], tiles["broken: right, now wrong"]
    counts = [int(tile.find_element("css selector", "strong").text) for tile in (fixed, broken)]
    assert counts[0] - counts[1] == after - before
    fixed.click()
    page.wait("return document.getElementById('found').textContent.startsWith(arguments[0])",
              f"{counts[0]} of 36 images")  # fmt: skip
    words = page.one(".overview").text
    assert f"{before} of 36" in words
    assert f"{after} of 36" in words


def test_each_part_of_the_address_is_told(page, workplace):
    text = (Path(__file__).parents[2] / "docs" / "report.md").read_text("utf-8")
    told = {key for line in text.splitlines() if line.startswith("| `")
            for key in re.findall(r"`(\w+)=", line)}  # fmt: skip
    page.open(workplace / "run" / "report" / "index.html")
    known = page.js("return [...camcli.filterKeys, ...camcli.filters.flatMap(({keys}) => keys)]")
    assert {*known, "tab", "open", "a", "b"} <= told
