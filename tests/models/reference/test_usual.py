"""How different photographs are from references: held against the definitions in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from camcli.errors import UsageError
from camcli.models.reference.usual import FOLDS, SHRINK, distances, fit_usual


def features(count, channels=6, shape=(3, 4), seed=0):
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(channels, channels, generator=generator, dtype=torch.float64)
    noise = torch.randn(count, channels, *shape, generator=generator, dtype=torch.float64)
    own = torch.randn(count, channels, 1, 1, generator=generator, dtype=torch.float64)
    return torch.einsum("kl,blhw->bkhw", mix, noise + 0.5 * own) + 3


def by_hand(A, others):
    """u and v of one photograph (K, h, w) by the definitions."""
    rows = np.concatenate([one.flatten(1).T.numpy() for one in others])
    mean, cov = rows.mean(0), np.cov(rows.T, ddof=0)
    size = np.trace(cov) / len(cov)
    P = np.linalg.inv((1 - SHRINK) * cov + SHRINK * size * np.eye(len(cov)))
    z = A.flatten(1).T.numpy() - mean
    return z.mean(0) @ P @ z.mean(0), np.mean([one @ P @ one for one in z])


@pytest.mark.parametrize("count", [3, 4, 5, 12, 23])
def test_each_reference_is_held_against_the_other_fifths(count):
    refs = features(count)
    usual = fit_usual(iter(refs), iter(refs))
    folds = min(FOLDS, count)
    own = np.array(
        [
            by_hand(refs[i], [refs[j] for j in range(count) if j % folds != i % folds])
            for i in range(count)
        ]
    )
    np.testing.assert_allclose(usual.centre.numpy(), own.mean(0), rtol=1e-9)
    np.testing.assert_allclose(usual.spread.numpy(), own.std(0, ddof=1), rtol=1e-9)
    S = ((own - own.mean(0)) / own.std(0, ddof=1)).sum(1)
    np.testing.assert_allclose(usual.scores.numpy(), np.sort(S), atol=1e-9)


def test_another_photograph_is_held_against_all_of_them():
    refs, new = features(9), features(1, seed=5)[0]
    usual = fit_usual(iter(refs), iter(refs))
    got = distances((new - usual.mean[:, None, None])[None], usual.factor)[0]
    np.testing.assert_allclose(got.numpy(), by_hand(new, list(refs)), rtol=1e-9)


def test_references_of_several_shapes_count_by_their_positions():
    refs = [features(1, shape=shape, seed=n)[0] for n, shape in enumerate([(2, 3), (4, 4), (5, 1)])]
    usual = fit_usual(iter(refs), iter(refs))
    rows = np.concatenate([one.flatten(1).T.numpy() for one in refs])
    np.testing.assert_allclose(usual.mean.numpy(), rows.mean(0), rtol=1e-12)


def test_more_channels_than_positions_are_no_obstacle():
    refs = features(3, channels=200, shape=(2, 2))
    usual = fit_usual(iter(refs), iter(refs))
    assert all(value.isfinite().all() for value in usual.tensors().values())


def test_features_far_from_zero_lose_nothing():
    refs = features(8)
    near, far = (fit_usual(iter(some), iter(some)) for some in (refs.float(), (refs + 500).float()))
    torch.testing.assert_close(far.scores, near.scores, atol=0.02, rtol=0.02)


def test_the_place_of_what_is_like_the_references_is_one_half_on_average():
    everything = features(600)
    refs, new = everything[:200], everything[200:]
    usual = fit_usual(iter(refs), iter(refs))
    uv = distances(new - usual.mean[:, None, None], usual.factor)
    S = ((uv - usual.centre) / usual.spread).sum(1)
    places = torch.searchsorted(usual.scores, S).double() / usual.count
    assert 0.42 < float(places.mean()) < 0.58
    assert 0.03 < float((places > 0.9).double().mean()) < 0.2


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_references_are_refused(count):
    refs = features(3)[:count]
    with pytest.raises(UsageError, match=f"needs 3 photographs or more, and has {count}"):
        fit_usual(iter(refs), iter(refs))


def test_references_that_are_all_the_same_are_refused():
    refs = torch.full((5, 4, 3, 3), 0.7)
    with pytest.raises(UsageError, match="are the same, everywhere"):
        fit_usual(iter(refs), iter(refs))
