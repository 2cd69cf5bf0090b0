"""What colours and numbers a page's maps have."""

import base64
from pathlib import Path

import numpy as np
import pytest

from camcli.cam.method_facts import NAMED
from camcli.render.colormaps import SIGNED, get_colormap, signed_colormap
from camcli.render.report.rows.heat import PageMap
from camcli.render.report.rows.image_rows import ImageRow, RunData, Side
from camcli.render.report.settings.looks import (
    _UNITS,
    PAGE,
    one_scale,
    page_look,
    shared_scale,
    unit,
)

# Machado, Oliveira, Fernandes 2009, table of severity 1.0, for linear RGB.
DEUTERANOPIA = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                         [-0.011820, 0.042940, 0.968881]])  # fmt: skip
PROTANOPIA = np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                       [-0.003882, -0.048116, 1.051998]])  # fmt: skip
TRITANOPIA = np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                       [0.004733, 0.691367, 0.303900]])  # fmt: skip
EYES = {"usual": np.eye(3), "deuteranopia": DEUTERANOPIA, "protanopia": PROTANOPIA,
        "tritanopia": TRITANOPIA}  # fmt: skip


def linear(colours):
    share = np.asarray(colours, float) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def lightness(colours, eyes):
    """CIE L* of (n, 3) sRGB as these eyes see them."""
    y = np.clip(linear(colours) @ EYES[eyes].T, 0, 1) @ [0.2126729, 0.7151522, 0.0721750]
    return np.where(y > (6 / 29) ** 3, 116 * np.cbrt(y) - 16, y * (29 / 3) ** 3)


def run(config=None, path=Path("run")):
    return RunData("run", path, {"config": config or {}}, [])


def rows(*highs, prob=0.5):
    return [
        ImageRow(
            f"{n}.jpg", -1, n, (9, 9),
            [Side("r", maps=[PageMap(0, prob, np.ones((1, 1), np.uint8), high=high)] * (high > 0))],
        )
        for n, high in enumerate(highs)
    ]  # fmt: skip


@pytest.mark.parametrize("eyes", EYES)
def test_the_pages_colours_get_lighter_with_the_heat_for_all_eyes(eyes):
    seen = lightness(get_colormap(PAGE), eyes)
    # A level of rounding apart, no step goes down, and no part of the scale stands still.
    assert np.diff(seen).min() > -0.3
    assert np.diff(seen[::32]).min() > 5
    assert seen[-1] - seen[0] > 90


def test_jet_does_not():
    seen = lightness(get_colormap("jet"), "usual")
    assert np.diff(seen[::32]).min() < -5


@pytest.mark.parametrize("eyes", EYES)
def test_evidence_against_is_darker_than_the_photograph_and_for_is_lighter(eyes):
    """On paper without colours, and for all eyes: over a grey that is neither light nor dark."""
    table, weight = signed_colormap(next(iter(SIGNED)))
    over = 128 + (table.astype(float) - 128) * weight[:, None]
    seen = lightness(over, eyes)
    assert np.diff(seen).min() > -0.3
    assert seen[128] - seen[0] > 20
    assert seen[255] - seen[128] > 20


def test_pages_have_their_own_colours_unless_the_run_was_told_others():
    assert page_look(run(), False)["colours"] == PAGE
    assert page_look(run({"style": {"colormap": "jet"}}), False)["colours"] == PAGE
    told = page_look(run({"style": {"colormap": "viridis", "alpha": 0.3}}), False)
    assert (told["colours"], told["fileColours"], told["alpha"]) == ("viridis", "viridis", 0.3)
    for odd in ("rainbow", 7, None):
        assert page_look(run({"style": {"colormap": odd, "alpha": 9}}), False)["colours"] == PAGE


def test_all_tables_are_there_with_their_opacity():
    assert page_look(run(), False)["firstScale"] == "own"
    assert page_look(run({"against": {"source": "good", "count": 9}}), False)["firstScale"] == "run"
    look = page_look(run(), True)
    tables = {**look["colormaps"], **look["signedColormaps"]}
    assert {"jet", "viridis", "cividis", PAGE, *SIGNED} <= set(tables)
    for name, text in tables.items():
        table = np.frombuffer(base64.b64decode(text), np.uint8).reshape(256, 4)
        colours, weight = signed_colormap(name) if name in SIGNED else (get_colormap(name), 1)
        assert (table[:, :3] == colours).all()
        assert (table[:, 3] == np.rint(255 * weight)).all()


def test_one_scale_ends_at_the_highest_map_of_few():
    found = shared_scale(rows(1, 4, 2.5, 0))
    assert found == {
        "top": 4, "least": 1, "median": 2.5, "most": 4, "beyond": 0, "weak": 0,
    }  # fmt: skip
    assert shared_scale(rows(0, 0)) is None
    assert [shared_scale(rows(1, prob=p))["weak"] for p in (0.19, 0.2, None)] == [1, 0, 0]


def test_one_odd_map_of_many_does_not_make_the_others_look_cold():
    found = shared_scale(rows(*([2.0] * 150), 1000.0))
    assert found["top"] == 2
    assert (found["most"], found["beyond"]) == (1000, 1)


def test_only_runs_that_count_the_same_share_a_scale():
    def tops(two, other=None):
        scales = ({"top": 2}, other or {"top": 5})
        one_scale((run({"method": "gradcam", "preprocess": {"fit": "crop"}}), run(two)), scales)
        return [scale["top"] for scale in scales]

    same = {"method": "gradcam", "preprocess": {"fit": "crop"}}
    assert tops(same) == [5, 5]
    assert tops(same, {"top": 1}) == [2, 2]
    assert tops({**same, "method": "layercam"}) == [2, 5]
    assert tops({**same, "preprocess": {"fit": "whole"}}) == [2, 5]  # another number of cells
    one_scale((run(same), run(same)), ({"top": 2}, None))


def test_units():
    assert unit(run({"method": "gradcam", "score": "logit"})) == "logits"
    assert unit(run({"method": "gradcam", "score": "probability"})) == "probability"
    assert unit(run({"method": "gradcam", "output": "probabilities"})) == "probability"
    assert unit(run({"method": "eigencam"})) == "activation"
    assert "value" in unit(run({"method": "gradcam", "output": "none"}))
    assert set(_UNITS) <= set(NAMED)
