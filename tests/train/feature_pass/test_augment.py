"""Augmented views: inside the photograph, in the right geometry, and repeatable."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from camcli.data.decode.preprocess import Preprocess
from camcli.train.feature_pass.augment import (
    MIN_AREA,
    RATIO,
    _relit,
    augmented,
    random_box,
    view_rng,
)

SIDES = st.integers(1, 400)


@given(
    width=SIDES, height=SIDES, seed=st.integers(0, 2**32), fit=st.sampled_from(["crop", "squash"])
)
def test_a_view_lies_inside_any_photograph(width, height, seed, fit):
    box = random_box(width, height, Preprocess(fit=fit), np.random.default_rng(seed))
    x, y, w, h = box
    assert x >= 0
    assert y >= 0
    assert w >= 1
    assert h >= 1
    assert x + w <= width
    assert y + h <= height


@given(seed=st.integers(0, 2**32))
def test_squash_distorts_as_the_network_will_see_it(seed):
    # In a 2:1 photograph a view is 2:1 (within the jitter), so squashing it distorts alike.
    _, _, w, h = random_box(800, 400, Preprocess(fit="squash"), np.random.default_rng(seed))
    assert 2 / RATIO - 0.02 <= w / h <= 2 * RATIO + 0.02
    assert w * h >= 0.9 * MIN_AREA * 800 * 400 / RATIO


@given(seed=st.integers(0, 2**32))
def test_crop_keeps_things_undistorted(seed):
    _, _, w, h = random_box(800, 400, Preprocess(fit="crop"), np.random.default_rng(seed))
    assert 1 / RATIO - 0.02 <= w / h <= RATIO + 0.02
    assert h <= 400


def test_the_same_view_twice_and_another_for_another_number():
    rgb = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    preprocess = Preprocess(size=32)
    views = [augmented(rgb, preprocess, view_rng("abc", 0, n)) for n in (0, 0, 1)]
    assert views[0].shape == (3, 32, 32)
    assert views[0].dtype == torch.uint8
    assert torch.equal(views[0], views[1])
    assert not torch.equal(views[0], views[2])


def test_mirrored_in_half_of_the_views():
    rgb = np.zeros((32, 32, 3), np.uint8)
    rgb[:, 16:] = 255  # bright on the right
    flips = 0
    for n in range(200):
        view = augmented(rgb, Preprocess(size=32), view_rng("x", 0, n)).float().mean((0, 1))
        flips += bool(view[0] > view[-1])
    assert 60 < flips < 140


class Given:
    """Draws what is given."""

    def __init__(self, *factors: float) -> None:
        self.factors = np.array(factors)

    def uniform(self, low: float, high: float, count: int) -> np.ndarray:
        assert (low, high, count) == (0.7, 1.3, 3)
        return self.factors


@pytest.mark.parametrize(
    ("factors", "wanted"),
    [
        # Pixels (60, 90, 120) and (120, 150, 180): greys of 90 and 150, the middle is 120.
        ((1, 1, 1), [[60, 90, 120], [120, 150, 180]]),
        ((1.2, 1, 1), [[72, 108, 144], [144, 180, 216]]),
        # Half as far again from the middle of the picture, or from each pixel's grey.
        ((1, 1.5, 1), [[30, 75, 120], [120, 165, 210]]),
        ((1, 1, 1.5), [[45, 90, 135], [105, 150, 195]]),
        ((2, 1, 1), [[120, 180, 240], [240, 255, 255]]),
    ],
    ids=["as it is", "brightness", "contrast", "saturation", "no more than white"],
)
def test_the_light_by_hand(factors, wanted):
    pixels = torch.tensor([[60, 90, 120], [120, 150, 180]], dtype=torch.uint8)
    view = pixels.T[:, None]  # (3, 1, 2)
    assert _relit(view, Given(*factors))[:, 0].T.tolist() == wanted
