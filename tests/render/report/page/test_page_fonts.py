"""The letters that a page carries: those of its names, and no others."""

import base64
import io
import re

import pytest
from fontTools.ttLib import TTFont

from camcli.render.report.page.fonts import font_faces, letters
from camcli.render.report.page.pages import contained


def fonts(css: str) -> list[tuple[TTFont, str]]:
    """The fonts in a style sheet, each with the characters that it is for."""
    faces = re.findall(r'base64,([^"]+)"\) format\("woff"\); unicode-range: ([^;]+);', css)
    return [(TTFont(io.BytesIO(base64.b64decode(data))), ranges) for data, ranges in faces]


def test_texts_are_looked_for_at_any_depth():
    value = {
        "猫": ["a", ("犬", {"x": {"고"}}), 3, None, b"\xff"],
        "n": [1.5] * 3,
        "long": "馬" * 9000,
    }
    assert letters(value, "é") == set("猫犬고é")


def test_what_every_browser_has_is_not_carried():
    assert font_faces("cat Käse кошка γάτα قطة חתול ✓ \udcff\n") == ""
    # Nor what no font of the package has.
    assert font_faces("แมว\U0010fff0") == ""


def test_a_page_carries_its_own_letters_only():
    css = font_faces("猫犬狗고양이" + "हिन्दी" + "abc")
    (lohit, hindi), (droid, han) = fonts(css)
    assert han == "U+72AC,U+72D7,U+732B,U+ACE0,U+C591,U+C774"
    assert set(map(ord, "猫犬狗고양이")) <= set(droid.getBestCmap())
    assert ord("馬") not in droid.getBestCmap()
    assert hindi == "U+926,U+928,U+939,U+93F-940,U+94D"
    # With the rules by which letters become one: n and d of "Hindi".
    assert lohit["GSUB"].table.FeatureList.FeatureRecord
    assert len(lohit.getGlyphOrder()) > len(lohit.getBestCmap())
    assert len(css) < 20_000
    assert font_faces("犬猫") == font_faces(["猫", "犬", "犬"])


@pytest.mark.parametrize("name", ["猫", "cat"])
def test_a_page_in_one_file_carries_them_too(name):
    context = dict.fromkeys(
        ("sections", "tiles", "labels", "left_out", "skipped", "strips", "about", "nothing"), ()
    )
    html = contained(
        "findings.html",
        {**context, "title": name, "lead": ""},
        ["findings.css"],
        ["findings/own_page.js"],
    )
    assert ("@font-face" in html) == (name == "猫")
    assert "font-src data:" in html
