"""Deep feature factorization: by hand, against scikit-learn's, and what it adds to the logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from camcli.cam.concepts import factorise, shares
from camcli.models.cutting.types import LinearHead


def features(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def test_by_hand():
    """Two things in two places, with features (3, 4, 0) twice as strong, and (0, 0, 2)."""
    A = torch.zeros(1, 3, 2, 2)
    A[0, :, 0, 0] = torch.tensor([3.0, 4, 0])
    A[0, :, 0, 1] = torch.tensor([6.0, 8, 0])
    A[0, :, 1, 1] = torch.tensor([0, 0, 2.0])
    found = factorise([A], 2)
    torch.testing.assert_close(found.vectors, torch.tensor([[0.6, 0.8, 0], [0, 0, 1]]))
    torch.testing.assert_close(
        found.maps[0], torch.tensor([[[[5.0, 10], [0, 0]], [[0, 0], [0, 2]]]])
    )
    assert found.explained == pytest.approx(1)
    # S = w · mean(A): 15/4 (0.6 - 0.8 · 2) and 2/4 · 10, by class.
    head = LinearHead(torch.tensor([[1.0, -2, 0], [0, 0, 10]]), torch.tensor([7.0, 8]))
    torch.testing.assert_close(
        shares(found.maps[0], found.vectors, head), torch.tensor([[[-3.75, 0], [0, 5]]])
    )


@pytest.mark.filterwarnings("ignore:Maximum number of iterations")
@pytest.mark.parametrize("shape", [(1, 40, 5, 5), (6, 12, 4, 4)])
def test_as_good_as_scikit_learns(shape):
    decomposition = pytest.importorskip("sklearn.decomposition", reason="scikit-learn is compared")
    B, K, h, w = shape
    places, things = features(B, 4, h, w) ** 3, features(4, K, seed=1) ** 3
    A = torch.einsum("bjhw,jk->bkhw", places, things) + 0.1 * features(*shape, seed=2)
    V = A.movedim(1, 3).flatten(0, 2).numpy()
    truth = decomposition.NMF(4, init="nndsvd", max_iter=1000, tol=1e-5, random_state=0)
    H = truth.fit_transform(V)
    error = np.square(V - H @ truth.components_).sum()
    found = factorise([A], 4)
    assert (1 - found.explained) * np.square(V).sum() <= 1.01 * error
    theirs = truth.components_ / np.linalg.norm(truth.components_, axis=1, keepdims=True)
    best = (found.vectors.numpy() @ theirs.T).max(1)
    assert (best > 0.99).all(), best


def test_the_shares_and_what_is_left_over_sum_to_the_logit():
    A = features(2, 8, 3, 3)
    head = LinearHead(features(5, 8, seed=1) - 0.5, features(5, seed=2))
    found = factorise([A[:1], A[1:]], 3)
    for b, H in enumerate(found.maps):
        rest = A[b : b + 1] - torch.einsum("bjhw,jk->bkhw", H, found.vectors)
        total = shares(H, found.vectors, head).sum(1) + head(rest)
        torch.testing.assert_close(total, head(A[b : b + 1]))


def test_any_tail():
    tail = nn.Sequential(
        nn.Conv2d(8, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6, 4)
    ).double()  # fmt: skip
    A = features(2, 8, 3, 3)
    found = factorise([A], 2)
    with torch.no_grad():
        got = shares(found.maps[0], found.vectors, tail)
        for j in range(2):
            alone = found.maps[0][:, j, None] * found.vectors[j, :, None, None]
            torch.testing.assert_close(got[:, j], tail(alone) - tail(torch.zeros_like(A)))


def test_images_of_different_shapes_share_their_concepts():
    """A strip of one thing and a square of two: the thing has one number in both."""
    things = torch.eye(3)[:2]
    first = things[0][None, :, None, None].expand(1, 3, 1, 4)
    second = things[1][None, :, None, None].repeat(1, 1, 2, 2)
    second[0, :, 0, 0] = things[0]
    found = factorise([first, second], 2)
    assert [tuple(m.shape) for m in found.maps] == [(1, 2, 1, 4), (1, 2, 2, 2)]
    here = found.maps[0][0, :, 0, 0].argmax()
    assert found.maps[1][0, here, 0, 0] == pytest.approx(1, abs=1e-3)
    assert found.maps[1][0, here, 1, 1] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("kind", ["zero", "constant", "negative", "one"])
def test_degenerate_features(kind):
    A = {
        "zero": torch.zeros(2, 5, 3, 3), "constant": torch.ones(2, 5, 3, 3),
        "negative": -torch.ones(2, 5, 3, 3), "one": torch.ones(1, 5, 1, 1),
    }[kind]  # fmt: skip
    found = factorise([A], 3)
    assert all(torch.isfinite(m).all() and (m >= 0).all() for m in found.maps)
    assert len(found.vectors) == (0 if kind in ("zero", "negative") else 1)
    assert found.explained == pytest.approx(0 if kind in ("zero", "negative") else 1, abs=1e-5)


def test_negative_features_count_as_unexplained():
    A = torch.tensor([3.0, -4]).view(1, 2, 1, 1)
    assert factorise([A], 1).explained == pytest.approx(9 / 25)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_the_gpu_finds_the_same():
    A = features(3, 16, 5, 5).float()
    here, there = factorise([A], 3), factorise([A.cuda()], 3)
    torch.testing.assert_close(there.vectors.cpu(), here.vectors, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(there.maps[0].cpu(), here.maps[0], rtol=1e-3, atol=1e-3)
