"""The number that a map explains: by hand, and its slope against autograd."""

import pytest
import torch

from camcli.cam.target import class_score, head_weights, nearest_classes, top_classes
from camcli.models.cutting.types import LinearHead

LOGITS = torch.tensor([[2.0, 1.0, -1.0, 0.0], [0.0, 3.0, 1.0, -2.0]], dtype=torch.float64)
INDEX = torch.tensor([0, 2])


def test_a_logit_is_itself():
    assert class_score(LOGITS, INDEX, "logit").tolist() == [2, 1]


def test_contrast_is_to_the_mean_of_all_classes():
    """(2 + 1 - 1 + 0) / 4 = 0.5 and (0 + 3 + 1 - 2) / 4 = 0.5."""
    assert class_score(LOGITS, INDEX, "contrast").tolist() == [1.5, 0.5]


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "probabilities"])
def test_a_probability_is_the_networks_own(output):
    e, s = LOGITS.exp(), LOGITS.sigmoid()
    wanted = {
        "softmax": [(e[0, 0] / e[0].sum()).item(), (e[1, 2] / e[1].sum()).item()],
        "sigmoid": [s[0, 0].item(), s[1, 2].item()],
        "probabilities": [2.0, 1.0],
    }  # fmt: skip
    got = class_score(LOGITS, INDEX, "probability", output=output)
    assert got.tolist() == pytest.approx(wanted[output])


def test_other_classes_are_taken_off_by_their_mean():
    against = torch.tensor([[1, 2], [0, 1]])
    # 2 - (1 - 1) / 2 and 1 - (0 + 3) / 2.
    assert class_score(LOGITS, INDEX, "logit", against).tolist() == [2, -0.5]
    p = LOGITS.softmax(1)
    got = class_score(LOGITS, INDEX, "probability", against)
    assert got[0].item() == pytest.approx((p[0, 0] - (p[0, 1] + p[0, 2]) / 2).item())


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "binary", "probabilities"])
@pytest.mark.parametrize("score", ["logit", "probability", "contrast"])
@pytest.mark.parametrize("against", [None, torch.tensor([[1, 3], [0, 3]])], ids=["alone", "versus"])
def test_weights_are_the_slope_of_the_score(score, against, output):
    """dS/d mean(A), differentiated by autograd through the same head."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    bias = torch.randn(4, generator=generator, dtype=torch.float64)
    mean = torch.rand(2, 6, generator=generator, dtype=torch.float64).requires_grad_(True)
    logits = mean @ weight.T + bias
    (wanted,) = torch.autograd.grad(class_score(logits, INDEX, score, against, output).sum(), mean)
    head = LinearHead(weight, bias)
    got = head_weights(head, logits.detach(), INDEX, score, against, output)
    torch.testing.assert_close(got, wanted, atol=1e-12, rtol=1e-10)


def test_the_nearest_classes_are_those_with_the_nearest_logits():
    """From 2: 1 is 1 away, 0 two, -1 three. From 1: 0 is 1 away, 3 two, -2 three."""
    assert nearest_classes(LOGITS, INDEX, 2).tolist() == [[1, 3], [0, 1]]
    assert nearest_classes(LOGITS, INDEX, 9).tolist() == [[1, 3, 2], [0, 1, 3]]


def test_the_best_classes_come_first():
    assert top_classes(LOGITS, 3).tolist() == [[0, 1, 3], [1, 2, 0]]
    assert top_classes(LOGITS, 9).shape == (2, 4)
