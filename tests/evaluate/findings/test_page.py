"""The page of findings: one file, nothing of which is fetched, and no name of which is run."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camcli.evaluate.findings import page as pages
from camcli.evaluate.findings.finding import Finding, Sighting
from camcli.evaluate.findings.page import Strip, findings_page

RGB = np.full((300, 400, 3), 128, np.uint8)


class Read(HTMLParser):
    """Elements with their attributes, and the text outside of styles and scripts."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.words, self._inside = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("style", "script"):
            self._inside.append(tag)

    def handle_endtag(self, tag):
        if self._inside and tag == self._inside[-1]:
            self._inside.pop()

    def handle_data(self, data):
        if not self._inside:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag, **attrs):
        return [
            found for name, found in self.elements
            if name == tag and all(found.get(key) == value for key, value in attrs.items())
        ]  # fmt: skip


def pixels(rel):
    return None if "gone" in rel else RGB


def made(findings, **how):
    return Read(findings_page(findings, title="Audit", pixels=pixels, **how))


def safe(read):
    """What may not be in a page that is sent around, whatever the names are."""
    assert [set(found) for found in read.all("script")] == [set(), set()]
    assert len(read.all("style")) == 1
    for tag, attrs in read.elements:
        assert not any(name.startswith("on") or name in ("style", "srcset") for name in attrs), tag
        for name in ("src", "href", "action", "data"):
            if value := attrs.get(name):
                assert value.startswith(("data:image/", "data:,", "#")), (tag, value)


def test_everything_is_said_and_nothing_is_fetched_or_run(findings):
    read = made(
        findings, skipped=["Frames <b>"],
        about=[("Network", "</dl><script>"), ("For", ("a", "b")), ("For", "c")],
        strips=[Strip("alpha <i>", "18", (("mean", RGB[:20, :20]),))], strips_title="Alike",
    )  # fmt: skip
    safe(read)
    titles = re.findall(r"alpha rests|be/ta carries|onerror=", read.text)
    assert titles[:2] == ["alpha rests", "be/ta carries"], "what is used comes first"
    assert "Frames <b>" in read.text
    assert "Network </dl><script> For a b c" in read.text
    assert "[74, 93]" in read.text
    assert "86% [74, 93]" in read.text
    assert "control 3% [0, 10]" in read.text
    assert "51 of 60" in read.text
    assert "evidence on it 41%" in read.text
    assert "and 39 more in sightings.csv" in read.text
    assert "Log-odds −3.2, control −0.1. Control: a patch beside it." in read.text
    assert "Log-odds +2.2, control –." in read.text, "what is not known is not a number"
    policy = read.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    assert policy.startswith(
        "default-src 'none'; img-src data:; font-src data:; style-src 'sha256-"
    )
    assert "unsafe" not in policy


@pytest.mark.parametrize("of", [slice(0, 3), slice(0, 0), None])
def test_headings_and_names_are_there_for_those_who_do_not_see(findings, of):
    data = [replace(findings[1], kind="blurred", verdict="data", label=None)]
    read = made(
        data if of is None else findings[of], skipped=["Frames."],
        strips=[Strip("alpha", "", (("mean", RGB[:20, :20]),))], strips_title="Alike",
    )  # fmt: skip
    levels = [int(tag[1]) for tag, _ in read.elements if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels)), levels
    ids = [attrs["id"] for _, attrs in read.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in read.elements:
        for name in ("aria-labelledby", "data-copy"):
            assert attrs.get(name, ids[0]) in ids
    assert all("alt" in image for image in read.all("img"))
    assert all("aria-hidden" in svg for svg in read.all("svg")), (
        "what a drawing says is said in words beside it"
    )
    assert read.all("html", lang="en")
    assert read.all("main")
    assert read.all("a", href="#findings")


def test_regions_are_outlined_where_they_are(findings):
    read = made(findings[1:2])
    lines = read.all("rect", **{"class": "line"})
    assert len(lines) == pages.A_FINDING
    assert {key: lines[0][key] for key in ("x", "y", "width", "height")} == {
        "x": "700", "y": "900", "width": "240", "height": "60",
    }  # fmt: skip
    images = read.all("img")
    assert images[0]["width"] == "240", "a small mark is enlarged by a whole number"
    assert images[0]["height"] == "44"
    assert (images[3]["width"], images[3]["height"]) == ("240", "180")
    assert all(image["alt"] for image in images)


def test_what_cannot_be_read_is_said(findings):
    gone = replace(findings[1], sightings=(Sighting("gone.jpg"), Sighting("a.jpg", None)))
    read = made([gone])
    assert "not readable" in read.text
    assert not read.all("rect", **{"class": "line"})
    assert made([], nothing="Nothing <at all>.").text.count("Nothing <at all>.") == 1


def test_its_size_is_bounded():
    own = tuple(Sighting(f"{n}.jpg") for n in range(1000))
    findings = [
        Finding("blurred", f"class {n}", "data", f"finding {n}", "", "", own) for n in range(150)
    ]
    read = made(findings, photographs="check.csv", table="check.csv")
    assert len(read.all("article")) == pages.MOST_FINDINGS
    assert len(read.all("img")) <= pages.MOST_PHOTOGRAPHS
    assert "50 more" in read.text
    assert "finding 149" in read.text
    assert "and 994 more in check.csv" in read.text
    assert f"and {1000 - pages.PATHS} more in check.csv" in read.text


def test_pairs_stand_side_by_side():
    pair = Finding(
        "near duplicate", None, "data", "1 pair", "", "Keep one.",
        (Sighting("a.jpg", None, "alike", 1.0, "b.jpg"),),
    )  # fmt: skip
    read = made([pair])
    assert len(read.all("img")) == 2
    assert "Pairs 1" in read.text
    assert [b["data-key"] for b in read.all("button") if "data-key" in b] == ["near duplicate"]
    assert "a.jpg b.jpg" in read.text


@settings(max_examples=15, deadline=None)
@given(st.text(max_size=12), st.text(min_size=1, max_size=12))
def test_any_name_is_a_text(text, path):
    evil = text + '"></pre></script><svg onload=x>' + "\udce9"
    finding = Finding(
        "mark", evil, "used", evil, evil, evil, (Sighting(path + evil, None, evil, 0.5, evil),)
    )
    html = findings_page([finding], title=evil, lead=evil, pixels=lambda rel: None,
                         about=[("a", evil)], skipped=[evil], nothing=evil,
                         strips=[Strip(evil, evil, ((evil, RGB[:4, :4]),))])  # fmt: skip
    html.encode()
    read = Read(html)
    safe(read)
    assert len(read.all("svg")) == 1, "the sign of the theme's button"


def test_it_is_a_whole_page(findings):
    html = findings_page(findings, title="Audit", pixels=pixels)
    assert html.startswith("<!doctype html>")
