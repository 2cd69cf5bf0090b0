"""A page on paper: every picture of the selection once, and no empty sheet."""

import base64
import re
import zlib

import pytest

from camcli.jobs.report import read_run
from camcli.render.report import write_report

pytestmark = pytest.mark.slow  # a browser for each

ROWS = 260


@pytest.fixture(scope="module")
def run(make_run):
    """Photographs of which no two are alike, and more than a page of details holds."""
    spots = [(n // 4 % 4, n % 4) for n in range(ROWS)]
    return make_run(
        "paper", [(f"a/{n:03}.jpg", "cat", "cat", 0.9, spot) for n, spot in enumerate(spots)]
    )


def pdf(page):
    told = {"printBackground": True, "generateDocumentOutline": False, "generateTaggedPDF": False}
    return base64.b64decode(page.driver.execute_cdp_cmd("Page.printToPDF", told)["data"])


def objects(data):
    """Every object of a PDF: its number -> the dictionary as written, and its stream's bytes.

    Where each begins is told by the table at the end, and how long a stream is by its dictionary:
    what is packed may hold any bytes, line ends and words of the format among them.
    """
    table = int(data[data.rindex(b"startxref") + 9 :].split()[0])
    head = re.compile(rb"xref\s+0 (\d+)\s+").match(data, table)
    entries = [data[head.end() + 20 * n :][:20].split() for n in range(int(head[1]))]
    found = {}
    for number, (at, _, used) in enumerate(entries):
        if used != b"n":
            continue
        body = re.compile(rb"\d+ 0 obj\s*(.*?)\s*(?:endobj|stream\r?\n)", re.DOTALL)
        told = body.match(data, int(at))
        length = re.search(rb"/Length (\d+)", told[1])
        stream = data[told.end() : told.end() + int(length[1])] if length else b""
        found[number] = (told[1], stream)
    return found


def sheets(data):
    """Of each sheet what is drawn on it."""
    known = objects(data)
    own = [text for text, _ in known.values() if re.search(rb"/Type\s*/Page\b", text)]
    streams = [known[int(re.search(rb"/Contents (\d+) 0 R", text)[1])][1] for text in own]
    return [zlib.decompress(stream) for stream in streams]


def photographs(data):
    """How many pictures are in it as the files that they were."""
    return sum(b"/DCTDecode" in text for text, _ in objects(data).values())


@pytest.mark.parametrize("form", ["thumbnails", "one file"])
def test_every_picture_is_printed_once_and_no_sheet_is_empty(page, run, tmp_path, form):
    made = write_report(read_run(run), tmp_path / "report", self_contained=form == "one file")
    if form == "one file":
        assert made.read_text("utf-8").count("data:image/jpeg;base64,") == ROWS
    page.driver.get(made.as_uri())
    # The browser's own command, at once.
    data = pdf(page)
    assert photographs(data) == ROWS  # each photograph's own bytes
    drawn = sheets(data)
    assert 4 <= len(drawn) <= 20
    assert min(len(re.findall(rb" Do\b", sheet)) for sheet in drawn) > 5
    # And the screen is as it was.
    page.wait("return document.querySelectorAll('#gallery li').length < 100")


def test_a_selection_is_printed_as_selected_and_on_light_paper(page, run, tmp_path):
    page.open(write_report(read_run(run), tmp_path / "report"), "#q=a/00")
    page.js("document.documentElement.dataset.theme = 'dark'")
    data = pdf(page)
    assert photographs(data) == 10
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert page.js("return getComputedStyle(document.documentElement).colorScheme") == "light"
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_the_button_waits_for_all_pictures(page, run, tmp_path):
    page.open(write_report(read_run(run), tmp_path / "report", thumbnails=0))
    page.js("""window.print = () => {
        const pictures = [...document.querySelectorAll('#gallery .frame > img')];
        window.atPrint = [pictures.length, pictures.filter((i) => i.naturalWidth === 160).length,
            document.querySelectorAll('#gallery .seen canvas').length];
      };""")
    page.one("#print").click()
    page.wait("return window.atPrint")
    assert page.js("return window.atPrint") == [ROWS, ROWS, ROWS]


def test_what_is_open_is_what_is_printed(page, run, tmp_path):
    page.open(write_report(read_run(run), tmp_path / "report"), "#open=a%2F007.jpg")
    page.wait("return document.querySelector('#view .seen canvas')")
    data = pdf(page)
    assert photographs(data) == 1
    assert len(sheets(data)) == 1
