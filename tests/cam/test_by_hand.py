"""Maps worked out on paper for a network with two channels of 2x2 and two classes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from camcli.cam.methods import find_method, heatmaps
from camcli.models.cut import LinearHead

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
