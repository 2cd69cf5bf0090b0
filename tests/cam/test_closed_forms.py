"""Every closed form against float64 autograd through a real GAP + linear head.

The papers' formulas are written out here a second time, from the papers and on autograd's
gradients, so that nothing of `camcli.cam` is its own judge.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from camcli.cam.map_options import Effort
from camcli.cam.methods import METHODS, find_method, heatmaps
from camcli.cam.scores import SCORES
from camcli.cam.target import class_score, head_weights
from camcli.models.cutting.cut import LinearHead


def truth_score(logits: torch.Tensor, index: torch.Tensor, score: str) -> torch.Tensor:
    """The explained number, one image at a time."""
    out = []
    for row, c in zip(logits, index.tolist(), strict=True):
        if score == "logit":
            out.append(row[c])
        elif score == "probability":
            out.append(torch.exp(row[c]) / torch.exp(row).sum())
        else:
            out.append(row[c] - row.sum() / len(row))
    return torch.stack(out)


def truth_gradient(A, module, index, score):
    A = A.clone().requires_grad_(True)
    S = truth_score(module(A), index, score)
    (g,) = torch.autograd.grad(S.sum(), A)
    return S.detach(), g


def paper_gradcam(A, g):
    Z = A.shape[2] * A.shape[3]
    alpha = g.sum((2, 3)) / Z  # eq. 1
    return (alpha[:, :, None, None] * A).sum(1)  # eq. 2, before the ReLU


def paper_hirescam(A, g):
    return (g * A).sum(1)


def paper_xgradcam(A, g):
    total = A.sum((2, 3), keepdim=True)
    total[total == 0] = 1  # a channel that is zero everywhere adds nothing, whatever its weight
    weight = ((A / total) * g).sum((2, 3))  # eq. 7
    return (weight[:, :, None, None] * A).sum(1)


def paper_gradcam_plus_plus(A, g):
    alpha = g**2 / (2 * g**2 + A.sum((2, 3), keepdim=True) * g**3)  # eq. 19
    weight = (alpha * g.clamp(min=0)).sum((2, 3))  # eq. 5 with the derivatives of S
    return (weight[:, :, None, None] * A).sum(1)


def paper_layercam(A, g):
    return (g.clamp(min=0) * A).sum(1)


PAPER = {
    "gradcam": paper_gradcam,
    "hirescam": paper_hirescam,
    "xgradcam": paper_xgradcam,
    "gradcam++": paper_gradcam_plus_plus,
    "layercam": paper_layercam,
}


def relative(got: torch.Tensor, truth: torch.Tensor) -> float:
    """Largest difference over the truth's largest value, the worst image of the batch."""
    size = truth.abs().amax((1, 2)).clamp(min=1e-300)  # where truth is zero, zero is asked for
    return float(((got.double() - truth).abs().amax((1, 2)) / size).max())


def run(method, A, head, index, score="logit", linear=True, rows=slice(None)):
    module = copy.deepcopy(head.module).to(A.dtype)
    logits = module(A).detach()
    return heatmaps(
        find_method(method), A, logits, index,
        head=LinearHead(head.linear.weight.to(A.dtype), head.linear.bias.to(A.dtype))
        if linear else None,
        tail=module, score=score, images=head.images(A)[rows], see=head.see(module),
        forward=lambda images: module(head.stemmed(images)),
        effort=Effort(samples=2, chunk=50),
    )  # fmt: skip


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("method", PAPER)
@pytest.mark.parametrize("linear", [True, False], ids=["closed", "autograd"])
def test_equals_the_paper_on_float64_autograd(case, method, score, linear):
    A, head, index = case
    _, g = truth_gradient(A, head.module, index, score)
    truth = PAPER[method](A, g)
    assert relative(run(method, A, head, index, score, linear), truth) < 1e-10
    # In float32, as it runs.
    got = run(method, A.float(), head, index, score, linear)
    assert got.dtype == torch.float32
    assert relative(got, truth) < 1e-5


@pytest.mark.parametrize("score", SCORES)
def test_effective_weights_equal_the_gradient(case, score):
    A, head, index = case
    _, g = truth_gradient(A, head.module, index, score)
    w = head_weights(head.linear, head.module(A).detach(), index, score)
    Z = A.shape[2] * A.shape[3]
    torch.testing.assert_close((w / Z)[:, :, None, None].expand_as(g), g, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("score", SCORES)
def test_class_score_is_the_number_it_says(case, score):
    A, head, index = case
    logits = head.module(A).detach()
    torch.testing.assert_close(
        class_score(logits, index, score), truth_score(logits, index, score), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("score", SCORES)
def test_equal_methods_are_equal(case, score):
    A, head, index = case
    cam = run("cam", A, head, index, score)
    Z = A.shape[2] * A.shape[3]
    equal = [name for name, method in METHODS.items() if method.equals == "cam"]
    if score == "probability":
        equal.remove("shapleycam")  # a softmax has a second derivative
    assert {"gradcam", "hirescam", "xgradcam"} <= set(equal)
    for name in equal:
        for linear in (True, False):
            assert relative(run(name, A, head, index, score, linear) * Z, cam) < 1e-10


def test_completeness(case):
    A, head, index = case
    logits = head.module(A).detach()
    total = run("cam", A, head, index).mean((1, 2)) + head.linear.bias[index]
    torch.testing.assert_close(total, logits.gather(1, index[:, None])[:, 0])


def test_completeness_of_the_contrast(case):
    A, head, index = case
    total = run("cam", A, head, index, "contrast").mean((1, 2))
    bias = head.linear.bias
    S = truth_score(head.module(A).detach(), index, "contrast")
    torch.testing.assert_close(total + bias[index] - bias.mean(), S)


def test_all_classes_at_once_are_one_convolution(case):
    A, head, index = case
    maps = torch.nn.functional.conv2d(A, head.linear.weight[:, :, None, None])
    got = run("cam", A, head, index)
    torch.testing.assert_close(got, maps[torch.arange(3), index])


def brute_force_ablation(A, head, index, score):
    """Each channel zeroed, the whole head run again, the score compared: (S - S_k)/|S|."""
    S = truth_score(head.module(A), index, score).detach()
    maps = torch.zeros(A.shape[0], *A.shape[2:], dtype=torch.float64)
    for k in range(A.shape[1]):
        without = A.clone()
        without[:, k] = 0
        S_k = truth_score(head.module(without), index, score).detach()
        maps += ((S - S_k) / S.abs())[:, None, None] * A[:, k]
    return S, maps


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("linear", [True, False], ids=["closed", "passes"])
def test_ablationcam_equals_brute_force(case, score, linear):
    A, head, index = case
    _, truth = brute_force_ablation(A, head, index, score)
    assert relative(run("ablationcam", A, head, index, score, linear), truth) < 1e-9


def test_ablationcam_keeps_its_sign_for_a_negative_score(case):
    """With S < 0 a channel whose removal lowers S is still evidence for the class."""
    A, head, _ = case
    index = head.module(A).argmin(1)
    S, truth = brute_force_ablation(A, head, index, "logit")
    assert (S < 0).all()
    got = run("ablationcam", A, head, index)
    assert relative(got, truth) < 1e-9
    Z = A.shape[2] * A.shape[3]
    w = head.linear.weight[index] * A.sum((2, 3)) / Z  # what channel k adds to S
    expected = (w[:, :, None, None] / S.abs()[:, None, None, None] * A).sum(1)
    assert relative(got, expected) < 1e-9


def test_eigencam_equals_numpys_svd(case):
    A, head, index = case
    got = run("eigencam", A, head, index)
    for b in range(len(A)):
        rows = A[b].reshape(A.shape[1], -1).T.numpy()  # positions x channels, not centred
        _, _, vt = np.linalg.svd(rows, full_matrices=False)
        truth = rows @ vt[0]
        truth *= np.sign(truth.sum())
        np.testing.assert_allclose(got[b].numpy().ravel(), truth, atol=1e-7 * abs(truth).max())


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("linear", [True, False], ids=["head", "tail"])
@pytest.mark.parametrize("method", [n for n, m in METHODS.items() if not m.attention])
def test_a_batch_equals_its_images_alone(case, method, score, linear):
    A, head, index = case
    if not linear and METHODS[method].closed and METHODS[method].gradient is None:
        pytest.skip("only for linear heads")
    together = run(method, A, head, index, score, linear)
    for b in range(len(A)):
        one = slice(b, b + 1)
        alone = run(method, A[one], head, index[one], score, linear, one)
        torch.testing.assert_close(alone[0], together[b], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["zero", "constant", "negative", "one-position", "huge", "tiny"])
@pytest.mark.parametrize("linear", [True, False], ids=["head", "tail"])
@pytest.mark.parametrize("score", ["logit", "probability"])
@pytest.mark.parametrize("method", [n for n, m in METHODS.items() if not m.attention])
def test_no_nan_whatever_the_features(case, method, score, linear, kind):
    A, head, index = case
    A = {
        "zero": torch.zeros_like(A),
        "constant": torch.full_like(A, 0.7),
        "negative": -A - 0.1,
        "one-position": torch.zeros_like(A).index_fill_(2, torch.tensor([0]), 1.0),
        "huge": A * 1e4,
        "tiny": A * 1e-12,
    }[kind].float()
    if not linear and METHODS[method].closed and METHODS[method].gradient is None:
        pytest.skip("only for linear heads")
    got = run(method, A, head, index, score, linear)
    assert torch.isfinite(got).all()
    size = tuple(2 * n for n in A.shape[2:]) if METHODS[method].network else A.shape[2:]
    assert got.shape == (A.shape[0], *size)
    if kind == "zero" and not METHODS[method].network:
        assert not got.any()


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("linear", [True, False], ids=["head", "tail"])
@pytest.mark.parametrize(
    "method",
    [n for n, m in METHODS.items() if (m.closed or m.gradient) or "gradcam" in n or "shapley" in n],
)
def test_a_constant_on_all_logits_changes_no_gradient(case, method, score, linear):
    """What is added to every class says nothing of any; Ablation-CAM divides by S and may move."""
    A, head, index = case
    if not linear and METHODS[method].closed and METHODS[method].gradient is None:
        pytest.skip("only for linear heads")
    shifted = copy.deepcopy(head)
    with torch.no_grad():
        shifted.module[2].bias += 7
    shifted.linear = LinearHead(head.linear.weight, head.linear.bias + 7)
    moved = shifted.module(A) - head.module(A)
    torch.testing.assert_close(moved, torch.full_like(moved, 7.0))
    before, after = (run(method, A, h, index, score, linear) for h in (head, shifted))
    assert before.abs().max() > 0
    torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-12)
