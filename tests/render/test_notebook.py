"""Results in a notebook: what they say, and that nobody's names are taken for HTML."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import camcli
from camcli.batch.results import KEPT, BatchResults, ResultList
from camcli.data.sources.refs import ImageRef
from camcli.result import Heat, Result

EVIL = "<script>alert(1)</script>"
QUOTE = '"><img src=x onerror=alert(2)>'


class Elements(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data + "\n"


@pytest.fixture
def photo(tmp_path) -> Path:
    rgb = np.zeros((60, 90, 3), np.uint8)
    rgb[..., 1] = 200
    path = tmp_path / "meadow.png"
    Image.fromarray(rgb).save(path)
    return path


def result_of(path: Path, name: str = "meadow.png", **more) -> Result:
    heat = np.zeros((3, 3), np.float32)
    heat[0, 0] = 1
    usual = {
        "pred": "field", "pred_index": 0, "prob": 0.875,
        "top": (("field", 0.875), ("alp", 0.1), ("sea", 0.02), ("sky", 0.005)),
        "method": "gradcam", "layer": "layer4", "view": (0, 0, 90, 60), "width": 90, "height": 60,
        "heats": (Heat("field", 0, 0.875, heat),),
    }  # fmt: skip
    return Result(ImageRef(path, name, more.pop("label", None)), **(usual | more))


def test_a_result_shows_its_picture_and_its_predictions(photo):
    page = Elements(result_of(photo, label="field", correct=True)._repr_html_())
    (image,) = [attributes for tag, attributes in page.found if tag == "img"]
    data = base64.b64decode(image["src"].removeprefix("data:image/jpeg;base64,"))
    drawn = np.asarray(Image.open(io.BytesIO(data)))
    assert drawn.shape[1] == int(image["width"]) == 420
    assert drawn.shape[0] == int(image["height"]) == 280
    # The heat is in the upper left corner: red there, and the meadow's green under blue elsewhere.
    assert drawn[20, 20, 0] > 50
    assert drawn[250, 400, 0] < 20
    for words in ("meadow.png", "field 87.5%", "alp 10.0%", "sea 2.0%", "label: field (right)",
                  "gradcam at layer4"):  # fmt: skip
        assert words in page.text
    assert "sky" not in page.text


def test_names_are_no_html(photo):
    evil = result_of(
        photo, QUOTE, label=EVIL, pred=EVIL, top=((EVIL, 0.9), (QUOTE, 0.1)), method=EVIL,
        layer=QUOTE, versus=EVIL, correct=False,
    )  # fmt: skip
    broken = Result(ImageRef(Path("/x"), EVIL), status="error", error=QUOTE)
    lost = replace(evil, ref=ImageRef(Path(f"/{EVIL}"), EVIL))
    for text in (
        evil._repr_html_(), broken._repr_html_(), lost._repr_html_(),
        ResultList([evil, broken, lost])._repr_html_(),
    ):  # fmt: skip
        page = Elements(text)
        assert {tag for tag, _ in page.found} <= {"div", "b", "img"}
        for tag, attributes in page.found:
            assert not any(name.startswith("on") for name in attributes)
            if tag == "img":
                assert attributes["src"].startswith("data:image/jpeg;base64,")
        assert EVIL in page.text or QUOTE in page.text


def test_control_characters_and_long_names_are_shown_as_they_can_be(photo):
    text = result_of(photo, "a\x00\x1b[31m\u202eb.png", top=(("x" * 5000, 0.5),))._repr_html_()
    page = Elements(text).text
    assert not re.search(r"[\x00\x1b\u202e]", page)
    assert "x" * 300 not in page


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"status": "error", "error": "cut short", "heats": (), "pred": None}, "cut short"),
        ({"heats": (Heat("sea", 2, 0.02, np.ones((2, 2), np.float32), empty=True),)},
         "of sea at layer4 (no positive evidence)"),
        ({"heats": (Heat("sea", 2, 0.02, np.ones((2, 2), np.float32), empty=True),),
          "method": "trained-on-boxes"}, "-boxes at layer4 (nothing like what was boxed)"),
        ({"versus": "alp"}, "versus alp"),
        ({"positives": (("edema", 0.8), ("mass", 0.6))}, "mass 60.0%"),
        ({"label": "sea", "correct": False}, "label: sea (wrong)"),
        ({"label": "tree"}, "tree (not a class of this network)"),
        ({"value": 37.25, "top": (), "pred": None}, "37.25"),
        ({"heats": ()}, "no map"),
    ],
)  # fmt: skip
def test_what_there_is_is_said(photo, more, words):
    assert words in Elements(result_of(photo, **more)._repr_html_()).text


def test_a_photograph_that_is_gone_leaves_a_sentence(tmp_path):
    text = Elements(result_of(tmp_path / "gone.png")._repr_html_()).text
    assert "no picture" in text
    assert "field 87.5%" in text


def test_a_batch_shows_how_far_it_has_come(photo):
    results = BatchResults(
        result_of(photo, f"{n}.png", label="field", correct=n % 2 == 0) for n in range(20)
    )
    assert "Nothing is explained yet" in results._repr_html_()
    next(results)
    assert "1 image so far, accuracy 1.0000 (1 of 1)." in results._repr_html_()
    rest = results.all()
    assert len(rest) == 19
    assert f"20 images, accuracy 0.5000 (10 of 20); the first {KEPT}" in results._repr_html_()
    assert results._repr_html_().count("<img") == KEPT
    assert "19 images" in rest._repr_html_()
    assert rest[0].ref.rel == "1.png"
    done = BatchResults(iter(()))
    list(done)
    assert "No images were left" in done._repr_html_()


def test_a_batch_that_is_left_is_closed(photo):
    ended = []

    def made():
        try:
            for _ in range(3):
                yield result_of(photo)
        finally:
            ended.append(True)

    results = BatchResults(made())
    next(results)
    results.close()
    assert ended
    assert list(results) == []


@pytest.mark.slow
def test_both_come_from_the_functions(bundled, photo):
    shown = camcli.explain(photo, bundled)._repr_html_()
    assert "<img" in shown
    results = camcli.batch(photo.parent, classifier=bundled)
    assert isinstance(results, BatchResults)
    assert "1 image" in results.all()._repr_html_()


def test_labels_and_values_in_their_own_words(photo):
    labels = {"numbers": (0.9, 0.8, 0.1), "labels": ("mass",), "label": "mass", "correct": False}
    both = result_of(photo, positives=(("edema", 0.9), ("mass", 0.8)), **labels)
    text = Elements(both._repr_html_()).text
    assert "edema 90.0%" in text
    assert "mass 80.0%" in text
    assert "label: mass (wrong)" in text
    text = Elements(result_of(photo, **labels)._repr_html_()).text
    assert "no label best:" in text
    heat = Heat("age", 0, None, np.eye(3, dtype=np.float32), value=37.1)
    value = result_of(
        photo, pred=None, prob=None, top=(), numbers=(37.1,), value=37.1, heats=(heat,), label="37",
        correct=None,
    )  # fmt: skip
    text = Elements(value._repr_html_()).text
    assert "age 37.10" in text
    assert "%" not in text
    assert "not a class" not in text
