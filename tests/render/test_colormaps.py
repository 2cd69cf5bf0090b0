"""Colour maps: red is red, hot is hot, and matplotlib's are matplotlib's."""

import numpy as np
import pytest

from camcli.errors import UsageError
from camcli.render.colormaps import AGAINST, FOR, get_colormap, signed_colormap
from camcli.render.ranges import COLORMAPS

matplotlib = pytest.importorskip("matplotlib")


@pytest.mark.parametrize(("name", "levels"), [("viridis", 3), ("magma", 3), ("inferno", 3),
                                              ("turbo", 3), ("jet", 36)])  # fmt: skip
def test_colours_are_matplotlibs(name, levels):
    """RGB, from cold to hot; rounding apart and, for jet, where its ramps begin."""
    theirs = matplotlib.colormaps[name](np.arange(256), bytes=True)[:, :3].astype(int)
    away = np.abs(get_colormap(name).astype(int) - theirs)
    assert away.max() <= levels
    assert away.mean() <= 6


def test_jet_is_blue_where_it_is_cold_and_red_where_it_is_hot():
    cold, hot = get_colormap("jet")[[0, 255]].astype(int)
    assert cold[2] > 100
    assert cold[0] == cold[1] == 0
    assert hot[0] > 100
    assert hot[1] == hot[2] == 0


@pytest.mark.parametrize("name", COLORMAPS)
def test_a_table_cannot_be_changed(name):
    table = get_colormap(name)
    assert table.shape == (256, 3)
    assert table.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 0


def test_evidence_against_is_blue_and_for_is_red():
    table, weight = signed_colormap()
    assert (table[:128] == AGAINST).all()
    assert (table[128:] == FOR).all()
    assert FOR[0] > FOR[2]
    assert AGAINST[2] > AGAINST[0]
    assert weight[[0, 127, 128, 255]] == pytest.approx([1, 0, 0, 1], abs=1e-6)
    assert (np.diff(weight[128:]) > 0).all()
    assert weight == pytest.approx(weight[::-1], abs=1e-6)


def test_there_is_no_other():
    with pytest.raises(UsageError, match="viridis"):
        get_colormap("rainbow")
