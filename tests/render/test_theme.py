"""One look: legible, and the same in pages, pictures and charts."""

from __future__ import annotations

import re

import pytest

from camcli.render.report.page.pages import STYLE, TEMPLATES
from camcli.render.theme import DARK, LIGHT, STRENGTH, css

GROUNDS = ("paper", "card", "mat")


def parts(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def luminance(rgb: list[float]) -> float:
    """WCAG 2.1's relative luminance."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a: list[float], b: list[float]) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_words_have_contrast_on_every_ground_and_lines_are_seen(theme):
    for ground in GROUNDS:
        for words in ("text", "quiet", "link", "right", "wrong"):
            assert contrast(parts(theme[words]), parts(theme[ground])) >= 4.5, (words, ground)
    for curve in ("link", "other", "neutral"):
        assert contrast(parts(theme[curve]), parts(theme["card"])) >= 3, curve


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_numbers_in_the_strongest_cells_have_contrast(theme):
    card = parts(theme["card"])
    for name in ("right", "wrong"):
        cell = [c + (x - c) * STRENGTH for c, x in zip(card, parts(theme[name]), strict=True)]
        assert contrast(parts(theme["text"]), cell) >= 4.5


def test_the_style_sheet_takes_its_colours_from_the_theme():
    style = (TEMPLATES / STYLE).read_text("utf-8")
    given = set(re.findall(r"^  --([a-z-]+):", css(), re.M))
    own = {"heat", "picture", "shape", "strength"}  # set by the page itself
    assert set(re.findall(r"var\(--([a-z-]+)", style)) - own <= given
    assert LIGHT.keys() == DARK.keys()
    # Only a photograph's frame lines are the same in light and dark, and the veils over it.
    assert set(re.findall(r"#[0-9a-f]{3,6}\b(?=[^{]*;)", style)) <= {"#fff", "#000"}
