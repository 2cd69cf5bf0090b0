"""F-Fidelity, with networks whose falls can be worked out."""

import pytest
import torch

from camcli.evaluate.metrics.fidelity import (
    BETA,
    DRAWS,
    PATCHES,
    SIZES,
    at_random,
    fidelity,
    patch_means,
    spread,
)

SIDE = PATCHES * 2


def test_patches_are_spread_and_their_means_are_back():
    patches = torch.rand(2, PATCHES, PATCHES)
    fine = spread(patches, (SIDE, SIDE + 5))
    assert fine.shape == (2, SIDE, SIDE + 5)
    torch.testing.assert_close(patch_means(fine[1]), patches[1])
    heat = torch.rand(SIDE, SIDE)
    by_hand = heat.reshape(PATCHES, 2, PATCHES, 2).mean((1, 3))
    torch.testing.assert_close(patch_means(heat), by_hand)


def test_never_more_than_a_tenth_is_gone_on_average():
    x = torch.ones(3, SIDE, SIDE)
    seen = []
    fidelity(x, torch.rand(SIDE, SIDE), lambda images: seen.append(images) or images[:, 0, 0, 0])
    changed = seen[1]
    assert changed.shape[0] == 2 * len(SIZES) * DRAWS
    gone = (changed[:, 0] == 0).float().mean((1, 2)).reshape(2, len(SIZES), DRAWS).mean(2)
    # At the smallest size half of the explanation goes, else a tenth of the photograph.
    expected = torch.tensor([min(0.5 * s, BETA) for s in SIZES])
    torch.testing.assert_close(gone, expected.expand(2, -1), atol=0.02, rtol=0)
    random = at_random(x, draws=64)
    assert float((random[:, 0] == 0).float().mean()) == pytest.approx(BETA, abs=0.01)


def test_a_map_that_is_right_loses_more_than_one_that_is_wrong():
    """A network that looks at the left half alone, and says how much of it is there."""
    x = torch.ones(3, SIDE, SIDE)
    left = torch.zeros(SIDE, SIDE)
    left[:, : SIDE // 2] = 1
    ask = lambda images: images[:, 0, :, : SIDE // 2].mean((1, 2))  # noqa: E731
    plus, minus = fidelity(x, left, ask)
    wrong_plus, wrong_minus = fidelity(x, 1 - left, ask)
    # Of the hottest s <= 1/2 all are on the left, each gone with min(1/2, 0.1 / s).
    shares = [min(s, 0.5) * min(0.5, BETA / s) / 0.5 for s in SIZES]
    assert plus == pytest.approx(sum(shares) / len(SIZES), abs=0.02)
    # Above one half the coldest reach the left, too.
    shares = [max(s - 0.5, 0) * BETA / s / 0.5 for s in SIZES]
    assert minus == pytest.approx(sum(shares) / len(SIZES), abs=0.02)
    assert (wrong_plus, wrong_minus) == (
        pytest.approx(minus, abs=0.02), pytest.approx(plus, abs=0.02),
    )  # fmt: skip


def test_the_same_draws_for_all_maps():
    x = torch.rand(3, SIDE, SIDE)
    ask = lambda images: images.mean((1, 2, 3))  # noqa: E731
    heat = torch.rand(SIDE, SIDE)
    assert fidelity(x, heat, ask) == fidelity(x, heat * 0.3, ask)
    assert fidelity(x, heat, ask, seed=1) != fidelity(x, heat, ask)
