from types import SimpleNamespace

import numpy as np
import pytest
import torch

from camcli.cam.map_options import make_map_options
from camcli.data.sources.find import find_images
from camcli.errors import UsageError
from camcli.evaluate.measured.seen import see_photographs
from camcli.evaluate.metrics.grid import cell_shares, choose_cells, grid_game, mosaic


def sure_of(index, p=0.99, classes=8):
    probs = torch.full((classes,), (1 - p) / (classes - 1))
    probs[index] = p
    return SimpleNamespace(probs=probs, index=index)


def test_cell_shares_by_hand():
    heatmap = np.array([[2, 2, 0, 0], [2, 2, 0, 0], [-9, -9, 0, 0], [-9, -9, 0, 0]], np.float32)
    # Bilinear spreading leaks a little over the cell's edge.
    shares = cell_shares(heatmap, 2)
    assert shares[0] > 0.75
    assert shares.sum() == pytest.approx(1)
    assert shares[1] == pytest.approx(shares[2])
    np.testing.assert_allclose(cell_shares(np.ones((6, 6), np.float32), 3), np.full(9, 1 / 9))
    assert not cell_shares(-np.ones((4, 4), np.float32), 2).any()


def test_mosaic_is_row_by_row():
    cells = [torch.full((3, 2, 2), float(i)) for i in range(4)]
    assert mosaic(cells, 2)[0].tolist() == [
        [0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3],
    ]  # fmt: skip


def test_cells_are_sure_and_of_different_classes():
    photographs = [sure_of(i % 6) for i in range(20)] + [sure_of(7, 0.3)] * 9
    mosaics = choose_cells(photographs, 2)
    used = [id(s) for cells in mosaics for s in cells]
    assert len(used) == len(set(used)) >= 16
    for cells in mosaics:
        assert len({s.index for s in cells}) == 4
        assert 7 not in {s.index for s in cells}
    with pytest.raises(UsageError, match="9 classes"):
        choose_cells(photographs, 3)


def test_cam_finds_its_cell_and_random_is_at_chance(bundled, test_data):
    """A small run of what docs/evaluation.md reports."""
    refs = list(find_images(test_data / "imagenet-samples"))[::8]
    hows = {name: make_map_options(name) for name in ("cam", "random")}
    seen = list(see_photographs(bundled, refs, {}))
    mosaics = choose_cells(seen, 2)[:3]
    games = grid_game(bundled, mosaics, hows, 2)
    assert games["cam"].compute()["grid_2x2"] > 0.6
    assert 0.1 < games["random"].compute()["grid_2x2"] < 0.4
    assert games["centre-gaussian"].compute()["grid_2x2"] == pytest.approx(0.25)
