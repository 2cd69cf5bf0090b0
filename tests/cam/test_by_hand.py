"""Maps worked out on paper for a network with two channels of 2x2 and two classes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from camcli.cam import masking
from camcli.cam.map_options import Effort
from camcli.cam.method_input import Evidence
from camcli.cam.methods import explain, find_method, heatmaps
from camcli.models.cutting.cut import LinearHead, Tail

# A_1 lights up the top left, A_2 the bottom row. Z = 4, mean(A) = (1, 1).
A = torch.tensor([[[[4.0, 0], [0, 0]], [[0, 0], [2, 2]]]])
WEIGHT = torch.tensor([[2.0, -1.0], [0.0, 3.0]])
BIAS = torch.tensor([1.0, -2.0])
# S_0 = 2·1 - 1·1 + 1 = 2, S_1 = 0·1 + 3·1 - 2 = 1

HEAD = LinearHead(WEIGHT, BIAS)


def tail() -> nn.Module:
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        net[2].weight.copy_(WEIGHT)
        net[2].bias.copy_(BIAS)
    return net


def run(method: str, c: int, linear: bool = True, score: str = "logit") -> torch.Tensor:
    logits = HEAD(A)
    assert logits.tolist() == [[2.0, 1.0]]
    return heatmaps(
        find_method(method), A, logits, torch.tensor([c]), head=HEAD if linear else None,
        tail=tail(), score=score,
    )[0]  # fmt: skip


# fmt: off
CASES = [
    # M = 2 A_1 - A_2; its mean 1 and the bias 1 are the score 2
    ("cam", 0, [[8, 0], [-2, -2]]),
    ("cam", 1, [[0, 0], [6, 6]]),
    # the same over Z = 4
    ("gradcam", 0, [[2, 0], [-0.5, -0.5]]),
    ("hirescam", 0, [[2, 0], [-0.5, -0.5]]),
    ("xgradcam", 0, [[2, 0], [-0.5, -0.5]]),
    # g_1 = 2/4, g_2 < 0: α_1 = 0.25 / (2·0.25 + 4·0.125) = 1/4 at each of 4 positions,
    # weight 4 · 1/4 · 1/2 = 1/2
    ("gradcam++", 0, [[2, 0], [0, 0]]),
    # g_2 = 3/4: α = (9/16) / (18/16 + 4·27/64) = (9/16) / (45/16) = 1/5, weight 4 · 1/5 · 3/4
    ("gradcam++", 1, [[0, 0], [1.2, 1.2]]),
    ("layercam", 0, [[2, 0], [0, 0]]),
    ("layercam", 1, [[0, 0], [1.5, 1.5]]),
    # without A_1 the score falls from 2 to 0: weight 1; without A_2 it rises to 3: weight -1/2
    ("ablationcam", 0, [[4, 0], [-1, -1]]),
    # A Aᵀ = diag(16, 8): the first component is A_1 alone
    ("eigencam", 0, [[4, 0], [0, 0]]),
    # g_1 A_1 = (2/4) 4 = 2, g_2 A_2 = -2/4 is left out
    ("elementwise", 0, [[2, 0], [0, 0]]),
    # the only other class: w_0 - w_1 = (2, -4), over 4
    ("finercam", 0, [[2, 0], [-2, -2]]),
    ("shapleycam", 0, [[2, 0], [-0.5, -0.5]]),
    # g ⊙ A has rows (2, 0, 0, 0) and (0, 0, -1/2, -1/2): the first alone is the longer one
    ("eigengradcam", 0, [[2, 0], [0, 0]]),
    # Grad-CAM under the window (1 2 1, 2 4 2, 1 2 1) / 16: top left 4·2 - 2/2 - 1/2 = 6.5,
    # then 2·2 - 2/2 - 1/2, 2·2 - 4/2 - 2/2 and 2 - 4/2 - 2/2
    ("reciprocam", 0, [[6.5 / 16, 2.5 / 16], [1 / 16, -1 / 16]]),
]
# fmt: on


@pytest.mark.parametrize(("method", "c", "truth"), CASES)
@pytest.mark.parametrize("linear", [True, False], ids=["head", "tail"])
def test_by_hand(method, c, truth, linear):
    if method == "cam" and not linear:
        pytest.skip("CAM is defined by a linear head")
    torch.testing.assert_close(run(method, c, linear), torch.tensor(truth, dtype=torch.float32))


def test_contrast_by_hand():
    # w_0 - mean(w) = (2, -1) - (1, 1) = (1, -2); with two classes half of w_0 - w_1
    torch.testing.assert_close(run("cam", 0, score="contrast"), torch.tensor([[4.0, 0], [-4, -4]]))


def test_probability_by_hand():
    # p_0 = 1/(1 + e⁻¹); p_0 (w_0 - p_0 w_0 - p_1 w_1) = p_0 p_1 (w_0 - w_1) = p_0 p_1 (2, -4)
    p = 1 / (1 + torch.exp(torch.tensor(-1.0)))
    truth = p * (1 - p) * torch.tensor([[8.0, 0], [-8, -8]])
    torch.testing.assert_close(run("cam", 0, score="probability"), truth)


# A single channel that is its own mask: [[0, 1], [0, 0]]. The network adds the pixels of the
# masked image, all ones, up to s and answers p = 1 / (1 + e⁻ˢ).
LIT = torch.tensor([[[[0.0, 1], [0, 0]]]])
NOISE = torch.tensor([[[0.5, 0], [0, 0]], [[0, 0], [-0.25, 0]]])


@pytest.mark.parametrize(
    ("method", "sums"),
    [
        ("scorecam", [1]),
        # mask + 2 · noise adds up to 1 + 2·0.5 and 1 - 2·0.25
        ("sscam", [2, 0.5]),
        # half of the mask, and all of it
        ("iscam", [0.5, 1]),
    ],
)
def test_masks_by_hand(method, sums, monkeypatch):
    monkeypatch.setattr(
        masking, "_noise", lambda masks, channels, seed, sample: NOISE[sample].expand_as(masks)
    )

    def see(images):
        s = images[:, 0].sum((1, 2))
        return torch.stack([s, torch.zeros_like(s)], 1), images[:, :1], None

    e = Evidence(
        LIT, torch.zeros(1, 2), torch.tensor([0]), Tail(lambda A: A), None, "probability", None,
        torch.ones(1, 3, 2, 2), see, Effort(samples=2),
    )  # fmt: skip
    p = sum(1 / (1 + math.exp(-s)) for s in sums) / len(sums)
    truth = torch.tensor([[[0, p], [0, 0]]])
    torch.testing.assert_close(explain(find_method(method), e), truth)


def test_the_noise_of_masks_is_standard_normal():
    masks = torch.zeros(2, 1, 100, 100)
    one, again = (masking._noise(masks, torch.tensor([3, 4]), 0, 5) for _ in range(2))
    assert torch.equal(one, again)
    assert abs(float(one.mean())) < 0.03
    assert abs(float(one.std()) - 1) < 0.03
    others = [one[1], masking._noise(masks, torch.tensor([3]), 0, 6)[0]]
    others.append(masking._noise(masks, torch.tensor([3]), 1, 5)[0])
    for other in others:  # another channel, sample, seed
        both = torch.stack([one[0].flatten(), other.flatten()])
        assert abs(float(torch.corrcoef(both)[0, 1])) < 0.05
