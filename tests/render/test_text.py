import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import ImageFont

from camcli.render import fonts, text
from camcli.render.text import Ink, ellipsised, printable, text_tile, text_width, wrapped

INK = Ink(16, (0, 0, 0), (255, 255, 255))


@pytest.mark.parametrize("path", fonts.BUNDLED, ids=lambda path: path.stem)
def test_coverage_agrees_with_freetype(path):
    # FreeType draws its "missing" glyph for what a font does not have.
    codes = fonts.coverage(path)
    # Letter by letter: a shaper takes an equivalent one where there is one.
    font = ImageFont.truetype(str(path), 24, layout_engine=ImageFont.Layout.BASIC)
    missing = bytes(font.getmask("\U0010fff0"))
    sample = [ord(c) for c in "aZ9éßØñΩЖשأ€✓✗…中日ゆ한글กहअ😀🐶"] + list(range(0x370, 0x400, 7))
    for code in sample:
        drawn = bytes(font.getmask(chr(code))) != missing
        assert drawn == (code in codes), hex(code)


def test_licences_travel_with_the_fonts():
    folder = fonts.BUNDLED[0].parent
    assert "Bitstream" in (folder / "LICENSE-DejaVu.txt").read_text()
    assert "Apache License" in (folder / "LICENSE-DroidSansFallback.txt").read_text()
    assert "SIL OPEN FONT" in (folder / "LICENSE-LohitDevanagari.txt").read_text()


def test_each_script_finds_its_bundled_font():
    dejavu, droid, lohit = fonts.BUNDLED
    for character in "Aé ßΩЖשأ✓✗…":
        assert fonts.font_for(character) == dejavu
    for character in "中文日本ゆカ한글":
        assert fonts.font_for(character) == droid
    for character in "हिन्दी":
        assert fonts.font_for(character) == lohit
    assert fonts.font_for("\U0010fff0") is None


def test_a_broken_font_file_is_an_error_value_not_a_crash(tmp_path):
    broken = tmp_path / "x.ttf"
    for data in (b"", b"\0\1\0\0", b"ttcf" + b"\xff" * 40, fonts.BUNDLED[0].read_bytes()[:3000]):
        broken.write_bytes(data)
        with pytest.raises(ValueError, match="not a TrueType font"):
            fonts.coverage(broken)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("tabby, tabby cat", "tabby, tabby cat"),
        ("a\nb\tc\x1b", r"a\nb\tc\x1b"),
        ("", "(blank)"),
        (" \u3000\u00a0", "(blank)"),
        ("cafe\u0301", "café"),
        ("dog\u202egod", "dog[U+202E]god"),
        ("\udcff.jpg", r"\xff.jpg"),
        ("\ud800", "[U+D800]"),
        ("\U0010fff0", "[U+10FFF0]"),
        ("❤\ufe0f", "❤"),
        ("\u1112\u1161\u11ab", "한"),
        ("a\u2028b", "a[U+2028]b"),
    ],
)
def test_every_character_can_be_seen(raw, shown):
    assert printable(raw) == shown


def test_characters_of_no_font_are_written_out(monkeypatch):
    monkeypatch.setattr(text, "font_for", lambda c: None)
    assert printable.__wrapped__("x🐶") == "x[U+1F436]"


@pytest.mark.parametrize(
    "name", ["dog", "Ωμέγα", "Кот", "猫", "ねこ", "고양이", "قطة", "חתול", "😀"]
)
def test_glyphs_are_drawn_and_are_not_the_missing_box(name):
    tile = text_tile(printable(name), INK)
    assert (tile < 128).any()
    box = ImageFont.truetype(str(fonts.BUNDLED[0]), 16).getmask("\U0010fff0")
    width = text_width(printable(name), 16)
    assert tile.shape == (text.line_height(16), width, 3)
    boxes = len(name) * (np.asarray(list(box)) > 127).sum()
    assert (tile[..., 0] < 128).sum() != boxes


def test_ink_and_paper_are_the_colours_asked_for():
    tile = text_tile("█", Ink(20, (200, 10, 30), (1, 2, 3)))
    colours = {tuple(pixel) for pixel in tile.reshape(-1, 3).tolist()}
    assert (200, 10, 30) in colours
    assert (1, 2, 3) in colours


def test_ellipsis_in_the_middle_keeps_both_ends():
    name = "black and gold garden spider, Argiope aurantia"
    short = ellipsised(name, 16, 200)
    head, tail = short.split("…")
    assert name.startswith(head)
    assert name.endswith(tail)
    assert head
    assert tail
    assert text_width(short, 16) <= 200
    assert ellipsised("cat", 16, 200) == "cat"
    assert ellipsised("abcdef", 16, 1) == "…"


def test_wrapping_breaks_at_spaces_and_loses_nothing_that_fits():
    name = "black and gold garden spider"
    lines = wrapped(name, 16, text_width("black and gold g", 16))
    assert lines == ("black and gold", "garden spider")
    assert wrapped("cat", 16, 300) == ("cat",)
    # A script without spaces breaks anywhere.
    assert "".join(wrapped("犬猫鳥魚" * 3, 16, 16 * 7)) == "犬猫鳥魚" * 3


@given(st.text(max_size=500), st.integers(1, 400), st.integers(10, 40))
@example("\uf400", 1, 10)  # for private use: a font's glyph there means nothing to anybody else
@settings(max_examples=150, deadline=None)
def test_any_text_fits_or_is_the_bare_ellipsis(raw, width, size):
    shown = printable(raw)
    assert shown.strip()
    assert shown.isprintable() or any(c in shown for c in "\u200c\u200d")
    lines = wrapped(shown, size, width)
    assert 1 <= len(lines) <= 2
    for line in lines:
        fits = text_width(line, size) <= width
        assert fits or len(line) <= 1
        tile = text_tile(line, Ink(size, (0, 0, 0), (255, 255, 255)))
        assert tile.shape[0] == text.line_height(size)
