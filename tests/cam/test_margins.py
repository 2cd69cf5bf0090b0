"""``--fit pad``: what lies beyond the photograph is neither drawn nor counted."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from camcli.batch.explain import explain_batch, make_explanation, read
from camcli.cam.margins import trimmed, without_margins
from camcli.cam.postprocess import describe
from camcli.data.decode.images import Picture
from camcli.data.decode.preprocess import Preprocess
from camcli.data.sources.refs import ImageRef
from camcli.evaluate.measured.square_canvas import paint
from camcli.models.classifier import cut_classifier
from camcli.models.loading.builder import Provenance
from camcli.render.picture import annotate


def test_cells_beyond_the_photograph_hold_nothing():
    """A map of 4x4 over a photograph of 40x20 in a square of 40: rows 0 and 3 are margins."""
    view, size = (0.0, -10.0, 40.0, 30.0), (40, 20)
    heat = np.arange(1, 17, dtype=np.float32).reshape(4, 4)
    kept = without_margins(heat, view, size)
    assert kept[[0, 3]].max() == 0
    assert np.array_equal(kept[1:3], heat[1:3])
    part, seen = trimmed(heat, view, size)
    assert np.array_equal(part, heat[1:3])
    assert seen == (0, 0, 40, 20)
    # Of cells that lie half on it, the evidence stays.
    assert without_margins(heat, (0.0, -15.0, 40.0, 35.0), (40, 20))[[0, 3]].max() == 0
    assert np.array_equal(without_margins(heat, (0.0, -5.0, 40.0, 35.0), (40, 30)), heat)


def test_a_view_within_the_photograph_leaves_a_map_as_it_is():
    heat = np.ones((3, 3), np.float32)
    assert without_margins(heat, (5.0, 0.0, 15.0, 10.0), (20, 10)) is heat
    assert trimmed(heat, (0.0, 0.0, 20.0, 10.0), (20, 10))[0] is heat


@pytest.mark.parametrize("size", [(1, 500), (500, 1), (3, 7)])
def test_photographs_of_any_shape_keep_a_cell(size):
    own = Preprocess(size=64, fit="pad")
    heat = np.ones((2, 2), np.float32)
    heat[0, 0] = 2
    view = own.view(*size)
    assert trimmed(heat, view, size)[0].size
    assert without_margins(heat, view, size).any()
    found = describe(heat, view, size, target="x", index=0, prob=1)
    x0, y0, x1, y1 = found.box
    assert 0 <= x0 < x1 <= size[0]
    assert 0 <= y0 < y1 <= size[1]
    assert 0 <= found.x <= 1
    assert 0 <= found.y <= 1


@pytest.fixture(scope="module")
def brightness():
    """The map is the brightness of the input in cells of 8x8; margins are white, the brightest."""
    module = nn.Sequential(
        nn.Conv2d(3, 2, 8, 8, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(2, 2, bias=False),
    )  # fmt: skip
    with torch.no_grad():
        module[0].weight.fill_(1 / 192)
        module[4].weight.copy_(torch.eye(2) + torch.tensor([[0.1, 0], [0, 0]]))
    return cut_classifier(
        module, classes=("a", "b"),
        preprocess=Preprocess(size=64, fit="pad", mean=(0.0,) * 3, std=(1.0,) * 3, pad=(255,) * 3),
        provenance=Provenance("by hand", "none", None, "user"), device=torch.device("cpu"),
    )  # fmt: skip


@pytest.mark.parametrize("turned", [False, True], ids=["wide", "tall"])
def test_the_heat_of_a_bright_spot_is_where_the_spot_is(brightness, turned):
    """Not on the margins, although they are brighter; by hand, in the photograph's pixels."""
    rgb = np.zeros((160, 320, 3), np.uint8)
    rgb[80:120, 200:240] = 200
    rgb = np.ascontiguousarray(rgb.transpose(1, 0, 2)) if turned else rgb
    height, width = rgb.shape[:2]
    ref = ImageRef(Path("/x.png"), "x.png")
    image = read(ref, brightness, lambda p: p, lambda r: Picture(rgb, width, height))
    (result,) = explain_batch(brightness, [image], make_explanation(brightness, target="a"))
    heat = result.heats[0]
    spot = (80, 200, 120, 240) if turned else (200, 80, 240, 120)
    assert (heat.x * width, heat.y * height) == pytest.approx(
        ((spot[0] + spot[2]) / 2, (spot[1] + spot[3]) / 2), abs=1.5
    )
    x0, y0, x1, y1 = heat.box  # bilinear: half a cell of 40 pixels more at the most
    assert (x0 + x1) / 2 == pytest.approx((spot[0] + spot[2]) / 2, abs=3)
    assert (y0 + y1) / 2 == pytest.approx((spot[1] + spot[3]) / 2, abs=3)
    assert max(x1 - x0, y1 - y0) <= 81
    assert heat.border == pytest.approx(0, abs=0.02)
    canvas = paint(heat.heatmap, result.view, (width, height))
    y, x = np.unravel_index(canvas.argmax(), canvas.shape)
    assert spot[0] <= x * width / 224 <= spot[2]
    assert spot[1] <= y * height / 224 <= spot[3]
    # Of the picture nothing is grey: all of the photograph was seen.
    drawn = annotate(rgb, result, strip=False, alpha=1.0)
    assert drawn.shape == rgb.shape
    assert (drawn[5, 5] == (0, 0, drawn[5, 5, 2])).all()
    middle = drawn[(spot[1] + spot[3]) // 2, (spot[0] + spot[2]) // 2]
    assert middle[0] > 100 > middle[2]
