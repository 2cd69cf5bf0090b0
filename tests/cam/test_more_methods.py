"""The methods that are more than a weight and a gradient, against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from camcli.cam.map_options import Effort
from camcli.cam.method_input import Evidence
from camcli.cam.methods import METHODS, explain
from camcli.models.cutting.cut import Tail


class Curved(nn.Module):
    """A tail with a second derivative, per image."""

    def __init__(self, K: int, C: int) -> None:
        super().__init__()
        torch.manual_seed(K)
        self.one, self.two = nn.Linear(K, 6).double(), nn.Linear(6, C).double()
        self.requires_grad_(False)

    def forward(self, A):
        return self.two(torch.tanh(self.one(A.amax((2, 3)) + A.mean((2, 3)))))


def curved(case, **changes):
    A, head, index = case
    tail = Curved(A.shape[1], head.linear.bias.numel())
    values = {"score": "logit"} | changes
    return Evidence(A, tail(A), index, Tail(tail), None, **values), tail


def linear(case, **changes):
    A, head, index = case
    values = {"score": "logit"} | changes
    return Evidence(
        A, head.module(A).detach(), index, Tail(head.module), head.linear, **values
    )  # fmt: skip


def close(got, truth, tolerance=1e-9):
    assert float((got - truth).abs().max()) < tolerance * max(float(truth.abs().max()), 1e-300)


def autograd(tail, A, index):
    leaf = A.clone().requires_grad_(True)
    (g,) = torch.autograd.grad(tail(leaf).gather(1, index[:, None]).sum(), leaf)
    return g


def test_elementwise(case):
    e, tail = curved(case)
    g = autograd(tail, e.A, e.index)
    close(explain(METHODS["elementwise"], e), (g * e.A).clamp(min=0).sum(1))
    e = linear(case)
    w = e.head.weight[e.index][:, :, None, None]
    Z = e.A.shape[2] * e.A.shape[3]
    close(explain(METHODS["elementwise"], e), (w * e.A).clamp(min=0).sum(1) / Z)


def test_eigengradcam_is_numpys_svd(case):
    for e in (curved(case)[0], linear(case)):
        got = explain(METHODS["eigengradcam"], e)
        parts = e.gradient() * e.A
        for b in range(3):
            rows = parts[b].flatten(1).T.numpy()
            _, _, vt = np.linalg.svd(rows, full_matrices=False)
            one = rows @ vt[0]
            one *= np.sign((one * rows.sum(1)).sum())
            np.testing.assert_allclose(got[b].numpy().ravel(), one, atol=1e-6 * abs(one).max())


def test_shapleycam_by_finite_differences(case):
    """(H A) is how the gradient changes along A."""
    e, tail = curved(case)
    step = 1e-5
    ahead = autograd(tail, e.A * (1 + step), e.index)
    behind = autograd(tail, e.A * (1 - step), e.index)
    g = autograd(tail, e.A, e.index)
    v = (g - (ahead - behind) / (2 * step) / 2).mean((2, 3))
    truth = (v[:, :, None, None] * e.A).sum(1)
    close(explain(METHODS["shapleycam"], e), truth, 1e-5)


def test_shapleycam_of_a_probability_through_a_linear_head(case):
    """The softmax is curved: the closed form would be wrong, and is not taken."""
    e = linear(case, score="probability")

    def score(A):
        return e.tail(A).softmax(1).gather(1, e.index[:, None]).sum()

    leaf = e.A.clone().requires_grad_(True)
    (g,) = torch.autograd.grad(score(leaf), leaf, create_graph=True)
    (curve,) = torch.autograd.grad((g * e.A).sum(), leaf)
    v = (g.detach() - curve / 2).mean((2, 3))
    close(explain(METHODS["shapleycam"], e), (v[:, :, None, None] * e.A).sum(1), 1e-8)


def test_kpcacam_is_scikit_learns():
    decomposition = pytest.importorskip("sklearn.decomposition")
    A = torch.rand(2, 12, 5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    e = Evidence(A, torch.zeros(2, 2), torch.zeros(2, dtype=torch.long), Tail(lambda A: A))
    got = explain(METHODS["kpcacam"], e)
    for b in range(2):
        rows = A[b].flatten(1).T.numpy()
        truth = decomposition.KernelPCA(1, kernel="sigmoid").fit_transform(rows)[:, 0]
        mine = got[b].numpy().ravel()
        np.testing.assert_allclose(mine * np.sign((mine * truth).sum()), truth, atol=1e-9)
        strength = np.linalg.norm(rows, axis=1)
        assert np.corrcoef(mine, strength)[0, 1] > 0


def test_fem_by_hand():
    """One channel with a peak of 9 in 16, one flat: the peak's share is 1/16."""
    A = torch.zeros(1, 2, 4, 4)
    A[0, 0, 1, 2] = 9
    A[0, 1] = 1
    e = Evidence(A, torch.zeros(1, 2), torch.zeros(1, dtype=torch.long), Tail(lambda A: A))
    truth = torch.zeros(4, 4)
    truth[1, 2] = 9 / 16
    torch.testing.assert_close(explain(METHODS["fem"], e)[0], truth)


def test_fem_takes_the_deviation_of_all_positions():
    """Mean 3.75, variance 49.5 / 8: 9 lies above 8.72, and would not above 9.07, by 49.5 / 7."""
    A = torch.tensor([4.0, 4, 4, 9, 1, 4, 0, 4]).view(1, 1, 2, 4)
    e = Evidence(A, torch.zeros(1, 2), torch.zeros(1, dtype=torch.long), Tail(lambda A: A))
    torch.testing.assert_close(explain(METHODS["fem"], e), A[0] / 8)


def test_elementwise_of_features_that_are_negative(case):
    """What is less than nothing, in a channel that speaks against the class, speaks for it."""
    A, head, index = case
    e, tail = curved((A - 0.2, head, index))
    g = autograd(tail, e.A, e.index)
    assert ((g < 0) & (e.A < 0)).any()
    close(explain(METHODS["elementwise"], e), (g * e.A).clamp(min=0).sum(1))


def test_finercam_by_hand(case):
    """The three classes whose logits are nearest, their mean weight taken off."""
    e = linear(case)
    got = explain(METHODS["finercam"], e)
    for b, c in enumerate(e.index.tolist()):
        others = sorted(
            (j for j in range(e.logits.shape[1]) if j != c),
            key=lambda j: abs(float(e.logits[b, j] - e.logits[b, c])),
        )[:3]
        w = e.head.weight[c] - e.head.weight[others].mean(0)
        truth = (w[:, None, None] * e.A[b]).sum(0) / (e.A.shape[2] * e.A.shape[3])
        close(got[b], truth)


@pytest.mark.parametrize("score", ["logit", "probability", "contrast"])
@pytest.mark.parametrize("method", ["gradcam", "layercam", "ablationcam", "hirescam"])
def test_against_another_class(case, score, method):
    """The closed forms with a reference class, against autograd and brute force."""
    A, head, index = case
    against = ((index + 1) % head.linear.bias.numel())[:, None]
    e = linear(case, score=score, against=against)
    plain = Evidence(A, e.logits, index, e.tail, None, score, against)
    close(explain(METHODS[method], e), explain(METHODS[method], plain), 1e-8)
    S = e.scored(e.logits)
    f = e.logits.softmax(1) if score == "probability" else e.logits
    truth = f.gather(1, index[:, None]) - f.gather(1, against)
    torch.testing.assert_close(S, truth[:, 0])


def test_reciprocam_shows_one_neighbourhood_at_a_time(case):
    e, tail = curved(case)
    got = explain(METHODS["reciprocam"], e)
    window = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=torch.float64) / 16
    h, w = e.A.shape[2:]
    nothing = tail(torch.zeros_like(e.A))
    for i, j in ((0, 0), (h - 1, w - 1), (h // 2, w // 2)):
        mask = torch.zeros(h + 2, w + 2, dtype=torch.float64)
        mask[i : i + 3, j : j + 3] = window
        logits = tail(e.A * mask[1:-1, 1:-1]) - nothing
        close(got[:, i, j], logits.gather(1, e.index[:, None])[:, 0])


def test_reciprocam_of_a_linear_head_is_blurred_gradcam(case):
    e = linear(case)
    passes = Evidence(e.A, e.logits, e.index, e.tail, None)
    close(explain(METHODS["reciprocam"], e), explain(METHODS["reciprocam"], passes), 1e-8)


def test_smoothgradcam_plus_plus(case):
    """Derivatives averaged over the noisy images, in Grad-CAM++'s formula."""
    A, head, index = case
    module = head.module
    images = head.images(A)
    tail = Curved(A.shape[1], head.linear.bias.numel())
    seen = []

    def see(x):
        _, features, _ = head.see(module)(x)
        seen.append(features)
        return tail(features), features, Tail(tail)

    e = Evidence(A, tail(A), index, Tail(tail), None, "logit", None, images, see, Effort(samples=5))
    got = explain(METHODS["smoothgradcam++"], e)
    assert len(seen) == 5
    assert not torch.equal(seen[0], seen[1])
    gs = torch.stack([autograd(tail, features, index) for features in seen])
    g1, g2, g3 = gs.mean(0), (gs**2).mean(0), (gs**3).mean(0)
    alpha = g2 / (2 * g2 + A.sum((2, 3), keepdim=True) * g3)
    alpha[g2 == 0] = 0
    truth = ((alpha * g1.clamp(min=0)).sum((2, 3), keepdim=True) * A).sum(1)
    close(got, truth, 1e-8)


def test_smoothing_a_linear_heads_logit_changes_nothing(case):
    e = linear(case)
    close(explain(METHODS["smoothgradcam++"], e), explain(METHODS["gradcam++"], e))


def test_random_is_random_once(case):
    e = linear(case)
    got = explain(METHODS["random"], e)
    torch.testing.assert_close(got, explain(METHODS["random"], e))
    other = e.with_(effort=Effort(seed=1))
    assert not torch.allclose(got, explain(METHODS["random"], other))


@pytest.mark.parametrize(
    "method", [m for m in METHODS.values() if m.maps is None], ids=lambda method: method.name
)
def test_eigen_smoothing_is_the_weighted_channels_first_component(case, method):
    if method.images:
        pytest.skip("needs a network; the smoothing is the same")
    e = linear(case)
    got = explain(method, e, eigen=True)
    plain = explain(method, e)
    # One channel alone is its own component.
    one = e.with_(A=e.A * (torch.arange(e.A.shape[1]) == 1)[None, :, None, None])
    alone, truth = explain(method, one, eigen=True), explain(method, one)
    close(alone, truth, 1e-6)
    # It points where the sum points.
    assert ((got * plain).sum((1, 2)) >= 0).all()


@pytest.mark.parametrize(
    "name", [n for n, m in METHODS.items() if m.class_specific and not m.attention]
)
def test_a_random_head_changes_the_map(bundled, photos, name):
    """Sanity by randomisation (Adebayo 2018): a map of the class must depend on the classifier."""
    seen = torch.stack([bundled.preprocess.pixels(photos[0])])
    look = bundled.look(seen)
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(1280, generator=generator)
    from camcli.models.cutting.cut import LinearHead

    shuffled = LinearHead(bundled.head.weight[:, order], bundled.head.bias)
    index = look.logits.argmax(1)
    maps = []
    for head in (bundled.head, shuffled):

        def see(x, head=head):
            A = bundled.see(x).parts[0].A
            return head(A), A, Tail(head)

        e = Evidence(
            look.parts[0].A, head(look.parts[0].A), index, Tail(head), head,
            METHODS[name].score, None, look.images, see, Effort(samples=1, channels=8),
            lambda x, head=head: head(bundled.features(x)),
        )  # fmt: skip
        if name == "scorecam-softmax":  # every channel of it counts: a few are enough here
            e = e.with_(A=e.A[:, :8], images=e.images)
        maps.append(explain(METHODS[name], e).flatten(1).clamp(min=0))
    assert torch.cosine_similarity(maps[0], maps[1]) < 0.999
