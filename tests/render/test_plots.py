"""Charts: whole PNGs, whatever the names and numbers."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from camcli.render import plots
from camcli.render.plots import confusion_matrix, learning_curves
from camcli.render.theme import CARD, RIGHT, STRENGTH, WRONG


def picture(png: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def share_of(rgb: np.ndarray, colour: str) -> float:
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return float((np.abs(rgb - wanted).sum(2) < 12).mean())


def row(epoch, **more):
    return {
        "stage": 1,
        "epoch": epoch,
        "train_loss": 1 / epoch,
        "train_acc": 1 - 0.5 / epoch,
        **more,
    }


def test_curves_show_training_and_validation_in_two_colours():
    rows = [row(e, val_loss=1.2 / e, val_acc=0.9 - 0.5 / e) for e in range(1, 6)]
    both = picture(learning_curves(rows, "a run"))
    train_only = picture(learning_curves([row(e) for e in range(1, 6)]))
    assert share_of(both, plots.TRAIN) > 0.001
    assert share_of(both, plots.VAL) > 0.001
    assert share_of(train_only, plots.VAL) == 0


def test_fine_tuning_members_and_l2_have_charts():
    stages = [row(1), row(2), {**row(1), "stage": 2}]
    members = [row(e, member=m) for m in (1, 2) for e in (1, 2)]
    strengths = [row(e, l2=10.0**-e, val_loss=0.1, val_acc=0.9) for e in (1, 2, 3)]
    charts = [picture(learning_curves(rows)) for rows in (stages, members, strengths, [row(1)])]
    assert all(share_of(chart, plots.TRAIN) > 0.0002 for chart in charts)
    assert share_of(charts[0], plots.GREY) > share_of(charts[1], plots.GREY)  # the dividing line


def test_no_rows_and_wrong_counts_are_errors():
    with pytest.raises(ValueError, match="no epochs"):
        learning_curves([])
    with pytest.raises(ValueError, match="cannot be drawn"):
        confusion_matrix(np.zeros((2, 3), int), ["a", "b"])
    with pytest.raises(ValueError, match="cannot be drawn"):
        confusion_matrix(np.zeros((61, 61), int), [str(i) for i in range(61)])


def test_a_confusion_matrix_has_the_colours_of_right_and_wrong():
    counts = np.diag([9, 9, 9])
    counts[0] = [0, 9, 0]
    rgb = picture(confusion_matrix(counts, ["a", "b", "c"]))

    def share(colour):
        full = np.array(CARD) + (np.array(colour) - CARD) * STRENGTH
        return (np.abs(rgb - full).sum(2) < 6).mean()

    # Two cells are right, one is as wrong as any, six are empty; letters and lines take a little.
    assert 1.8 < share(RIGHT) / share(WRONG) < 2.2
    assert 5 < (np.abs(rgb - CARD).sum(2) < 6).mean() / share(WRONG) < 7


@pytest.mark.parametrize("size", [2, 20, 21, 60])
def test_matrices_of_many_classes_fit(size):
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 3, (size, size)) + 30 * np.eye(size, dtype=int)
    rgb = picture(confusion_matrix(counts, [f"class number {i}" for i in range(size)], "title"))
    assert max(rgb.shape) < 2600
    # Nothing touches the edge: no name is cut off.
    edge = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]])
    assert (edge > 240).all()


@pytest.mark.slow
@given(names=st.lists(st.text(max_size=40), min_size=2, max_size=3), title=st.text(max_size=80))
@settings(max_examples=8, deadline=None)
@pytest.mark.filterwarnings("error:Glyph")
def test_any_names_and_titles_are_drawn(names, title):
    assert picture(confusion_matrix(np.eye(len(names), dtype=int), names, title)).ndim == 3
    assert picture(learning_curves([row(1)], title)).ndim == 3


def test_matplotlib_is_imported_only_to_draw():
    import subprocess

    code = "import sys, camcli.render.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


SCRIPTS = ["猫と犬", "고양이", "кошка", "γάτα", "قطة سوداء", "חתול", "हिन्दी", "a$b", "x\x1b\ny"]


@pytest.mark.filterwarnings("error:Glyph")
def test_no_letter_of_any_script_is_a_box(caplog):
    size = len(SCRIPTS)
    confusion_matrix(np.eye(size, dtype=int), SCRIPTS, " ".join(SCRIPTS))
    plots.label_bars([(name, 3, 0.5, 0.6) for name in SCRIPTS], "قطة")
    learning_curves([row(1)], "猫 हिन्दी")
    assert not caplog.records  # nor is anything said of bold letters that a font has not


@pytest.mark.filterwarnings("error:Glyph")
def test_a_letter_that_no_font_has_is_written_out(monkeypatch):
    from camcli.render import plot_fonts, text

    assert plot_fonts.written("a \U0010fff0\n$") == r"a [U+10FFF0] \$"
    assert plot_fonts.written(" \n") == ""
    monkeypatch.setattr(text, "font_for", lambda character: None)
    text.printable.cache_clear()
    assert plot_fonts.written("แ") == "[U+0E41]"
    text.printable.cache_clear()


def inked(text: str) -> np.ndarray:
    """A name as a chart draws it, without the paper around it; True is ink."""
    figure = plots.new_figure(3, 1)
    figure.text(0.1, 0.5, plots.written(text), fontfamily=plots.families(), fontsize=20)
    ink = picture(plots.png(figure)).sum(2) < 400
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def test_arabic_letters_are_joined_and_hindi_ones_take_their_places():
    # Alone, the letters of "cat" are wider than joined; a zero-width non-joiner keeps them apart.
    assert inked("قطة").shape[1] < inked("ق\u200cط\u200cة").shape[1] - 5
    # From right to left: what stands first has its ink on the right.
    first, second = inked("اه"), inked("ها")
    assert first[:, -4:].mean() > 0.5  # an upright stroke
    assert second[:, -4:].mean() < 0.5
    # The vowel sign of "hi" is spoken after its consonant and drawn before it.
    assert not np.array_equal(inked("हि"), inked("ह\u200c ि"))
    assert inked("हि").shape[1] < inked("ह").shape[1] * 2
