"""Patches taken away one by one: by hand, and by scipy's rank correlation."""

import numpy as np
import pytest
import scipy.stats
import torch

from camcli.evaluate.metrics.single_deletion import (
    deletion_score,
    edges,
    patch_sums,
    without_each,
)


def test_each_patch_is_missing_from_one_image():
    x = torch.rand(3, 10, 13) + 1
    images = without_each(x)
    assert images.shape == (16, 3, 10, 13)
    gone = (images == 0).all(1)
    assert (gone.sum(0) == 1).all(), "together they take all away, each pixel once"
    assert gone[5, 2:5, 3:6].all(), "second row, second column"
    assert gone[5].sum() == 9
    torch.testing.assert_close(images.sum(0), 15 * x)


@pytest.mark.parametrize(("side", "cells"), [(224, 4), (10, 4), (7, 7), (32, 14)])
def test_patches_cover_the_side(side, cells):
    ends = edges(side, cells)
    assert (ends[0], ends[-1], len(ends)) == (0, side, cells + 1)
    widths = np.diff(ends)
    assert widths.max() - widths.min() <= 1


def test_sums_are_signed_and_add_up_to_the_map():
    heatmap = np.random.default_rng(0).normal(size=(7, 7)).astype(np.float32)
    sums = patch_sums(heatmap, (56, 84))
    fine = torch.nn.functional.interpolate(
        torch.from_numpy(heatmap)[None, None], (56, 84), mode="bilinear"
    )[0, 0].numpy()
    by_hand = fine.reshape(4, 14, 4, 21).sum((1, 3)).ravel()
    np.testing.assert_allclose(sums, by_hand, rtol=1e-4, atol=1e-3)
    assert (sums < 0).any()


def test_the_score_is_spearmans():
    rng = np.random.default_rng(1)
    heatmap, falls = rng.normal(size=(4, 4)), rng.normal(size=16)
    expected = scipy.stats.spearmanr(patch_sums(heatmap, (64, 64)), falls).statistic
    assert deletion_score(heatmap, falls, (64, 64)) == pytest.approx(expected)


def test_the_network_itself_is_the_best_map():
    """A linear network, whose loss without a patch is the sum of the products there."""
    x, weight = torch.randn(3, 16, 16), torch.randn(3, 16, 16)
    S = (torch.cat([x[None], without_each(x)]) * weight).sum((1, 2, 3))
    falls = (S[0] - S[1:]).numpy()
    products = (x * weight).sum(0).numpy()
    assert deletion_score(products, falls, (16, 16)) == pytest.approx(1)
    assert deletion_score(-products, falls, (16, 16)) == pytest.approx(-1)
    assert deletion_score(products * 0, falls, (16, 16)) == 0
    assert deletion_score(products * 0 + 0.1, falls, (16, 16)) == 0, "even: no order"
