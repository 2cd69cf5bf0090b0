import concurrent.futures

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camcli.printable import percent
from camcli.render.label import font_size, paste, strip
from camcli.render.theme import CARD, RIGHT, WRONG

NASTY = [
    "",
    " ",
    "\n",
    "\t\r\n",
    "\x00",
    "\x1b[31mred",
    "a" * 300,
    "word " * 60,
    "x" * 100_000,
    "犬" * 300,
    "é" * 300,
    "e\u0301" * 300,
    "n02085620 Chihuahua",
    "black and gold garden spider, Argiope aurantia",
    "Ελληνικός ποιμενικός",
    "Среднеазиатская овчарка",
    "金毛寻回犬",
    "ゴールデン・レトリバー",
    "골든 리트리버",
    "كلب ذهبي",
    "כלב זהוב",
    "कुत्ता",
    "หมา",
    "🐶",
    "🐶🐱🐭",
    "👩‍👩‍👧‍👦",
    "❤️",
    "🇩🇪",
    "dog\u202egod",
    "\u200b\u200b",
    "\ufeffbom",
    "\udc80\udcff",
    "\ud83d",
    "Z\u0351\u036b\u0343a\u0305l\u033fg\u0312o\u035c",
    "\u0301",
    "…",
    "a/b\\c:d*e?f",
    "<script>alert(1)</script>",
    "%s %d {} {0}",
    "\ue000\U0010ffff",
    "1" * 60,
    "Ｆｕｌｌｗｉｄｔｈ",
    "ﷺ",
]


def inked(picture: np.ndarray) -> int:
    """Pixels that are neither card nor badge."""
    far = [np.abs(picture.astype(int) - colour).sum(-1) > 60 for colour in (CARD, RIGHT, WRONG)]
    return int(np.logical_and.reduce(far).sum())


@pytest.mark.parametrize("name", NASTY, ids=[ascii(n)[:24] for n in NASTY])
@pytest.mark.parametrize("width", [100, 500])
def test_nasty_names_are_visible(name, width):
    got = strip(width, pred=name, prob=None)
    assert got.shape[1:] == (width, 3)
    assert got.dtype == np.uint8
    assert inked(got) >= 3
    # A long name never becomes a poster.
    assert got.shape[0] <= 5 * font_size(width, width)
    with_everything = strip(
        width,
        pred=name,
        prob=0.5,
        label=name,
        correct=False,
        target=name,
        target_prob=0.1,
        note=name,
        method=name,
    )
    assert with_everything.shape[1:] == (width, 3)


@given(
    st.integers(1, 5000),
    st.text(max_size=80),
    st.one_of(st.none(), st.floats(0, 1)),
    st.one_of(st.none(), st.text(max_size=40)),
    st.sampled_from([None, True, False]),
)
@settings(max_examples=100, deadline=None)
def test_any_width_and_any_text(width, pred, prob, label, correct):
    got = strip(width, pred=pred, prob=prob, label=label, correct=correct, method="gradcam")
    assert got.shape[1:] == (width, 3)
    assert got.dtype == np.uint8
    assert got.shape[0] > 10


@pytest.mark.parametrize(
    ("prob", "shown"),
    [
        (0.9734, "97.3%"),
        (1.0, "100.0%"),
        (0.99996, ">99.9%"),
        (0.9994, "99.9%"),
        (0.0004, "<0.1%"),
        (0.0, "0.0%"),
        (0.05, "5.0%"),
    ],
)
def test_percentages_never_claim_too_much(prob, shown):
    assert percent(prob, 1) == shown


def test_right_and_wrong_differ_in_colour_and_in_sign():
    kwargs = {"pred": "cat", "prob": 0.5, "label": "cat"}
    right = strip(400, correct=True, **kwargs)
    wrong = strip(400, correct=False, **kwargs)
    unknown = strip(400, correct=None, **kwargs)
    assert (right[-1, 0] == RIGHT).all()
    assert (wrong[-1, 0] == WRONG).all()
    assert (unknown[-1, 0] == CARD).all()
    # Without its colour the badge still differs: the signs are not the same shape.
    badge = slice(0, 20)
    signs = [(p[:, badge] == 255).all(-1) for p in (right, wrong)]
    assert signs[0].any()
    assert signs[1].any()
    assert not np.array_equal(*signs)


def test_the_probability_survives_a_long_name():
    short = strip(500, pred="cat", prob=0.873, size=16)
    long = strip(500, pred="cat " * 80, prob=0.873, size=16)
    # The right 60 pixels of the first line hold the number, in both.
    assert np.array_equal(short[6:26, -60:], long[6:26, -60:])


def test_every_part_changes_the_picture():
    base = {"pred": "cat", "prob": 0.5}
    plain = strip(500, **base)
    for more in (
        {"label": "dog"},
        {"target": "dog", "target_prob": 0.1},
        {"note": "no positive evidence"},
        {"method": "gradcam"},
    ):
        assert inked(strip(500, **base, **more)) > inked(plain)


def test_the_text_grows_with_the_picture_and_stays_legible():
    assert font_size(1, 1) == 10
    assert font_size(100, 100) == 10
    assert 14 <= font_size(500, 375) <= 18
    assert 120 <= font_size(4000, 3000) <= 140
    assert font_size(4000, 100) < 30
    assert font_size(100_000, 100_000) == 160


def test_pasting_clips_at_every_side():
    tile = np.full((4, 4, 3), 9, np.uint8)
    for x, y, expected in ((-2, -2, 4), (3, 3, 4), (1, 1, 16), (9, 0, 0), (-4, 0, 0)):
        canvas = np.zeros((5, 5, 3), np.uint8)
        paste(canvas, tile, x, y)
        assert (canvas[..., 0] == 9).sum() == expected


def test_many_threads_draw_the_same():
    def draw(i: int) -> bytes:
        return strip(300, pred=f"clase ñ {i % 50} 犬", prob=i / 1000, method="cam").tobytes()

    alone = [draw(i) for i in range(200)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(draw, range(200))) == alone


def test_what_a_class_is_compared_with():
    plain, compared = (
        inked(strip(400, pred="cat", prob=0.5, versus=versus)) for versus in (None, "dog")
    )
    assert compared > plain
    both = strip(400, pred="cat", prob=0.5, target="lynx", target_prob=0.2, versus="dog")
    assert inked(both) > inked(strip(400, pred="cat", prob=0.5, target="lynx", target_prob=0.2))
