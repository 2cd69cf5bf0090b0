import copy

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity
from torch import nn

from camcli.evaluate.comparison.result.table import sanity_markdown, verdicts
from camcli.evaluate.comparison.rows.columns import UNRELATED, MetricRow
from camcli.evaluate.metrics.sanity import (
    cascade,
    is_kept,
    layers_from_the_top,
    randomise,
    rank_correlation,
    ssim,
)


def test_rank_correlation_is_scipys():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 5, (7, 9)).astype(np.float32)  # many ties
    b = a + rng.normal(size=a.shape).astype(np.float32)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a.ravel(), b.ravel()).statistic)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    assert rank_correlation(a, a * 0) == 0


def test_ssim_is_scikit_images():
    rng = np.random.default_rng(0)
    a = rng.random((40, 50))
    b = np.clip(a + rng.normal(size=a.shape) * 0.2, 0, 1)
    expected = structural_similarity(
        a, b, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(a, b) == pytest.approx(expected, abs=1e-6)
    assert ssim(a, a) == 1


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 5),
    )  # fmt: skip


def test_the_cascade_goes_from_the_logits_down():
    net = network()
    before = copy.deepcopy(net.state_dict())
    layers = layers_from_the_top(net)
    assert [name for name, _ in layers] == ["5", "1", "0"]
    seen = []
    for name in cascade(layers, stops=3):
        changed = {k for k, v in net.state_dict().items() if not torch.equal(v, before[k])}
        seen.append((name, "0.weight" in changed, "5.weight" in changed))
    assert seen == [("5", False, True), ("1", False, True), ("0", True, True)]


def test_members_of_an_ensemble_are_randomised_together():
    one, two = network(), network()
    before = copy.deepcopy(one.state_dict())
    assert next(cascade(layers_from_the_top(one, two))) == "5"
    for net in (one, two):
        assert not torch.equal(net[5].weight, before["5.weight"])
        assert torch.equal(net[0].weight, before["0.weight"])
    assert not torch.equal(one[5].weight, two[5].weight)


def test_verdicts_by_hand():
    metrics = [
        ("cam", 0.4), ("layercam", 0.71), ("eigencam", 1.0), ("random", 1.0), (UNRELATED, 0.4),
    ]  # fmt: skip
    checks = [
        MetricRow("net", name, 9, {"rank@fc": v, "rank@conv": 0.1}, {}) for name, v in metrics
    ]
    cam, layercam, eigencam = verdicts(checks)  # midway between 0.4 and 1 is 0.7
    assert cam == "cam (net): destroyed by a random head (0.40; unrelated maps: 0.40)."
    assert layercam.startswith("layercam (net): NOT destroyed by a random head (0.71;")
    assert "does not show what speaks for one class" in eigencam
    assert "- cam (net): destroyed" in sanity_markdown(checks)
    assert verdicts([]) == []


def test_random_weights_are_those_that_training_starts_from():
    """He et al. 2015: variance 2 / fan-in; scales 1, shifts 0, statistics as at the beginning."""
    conv, linear, norm = nn.Conv2d(8, 64, 5), nn.Linear(300, 200), nn.BatchNorm2d(4)
    norm(torch.randn(8, 4, 3, 3) * 5 + 3)
    with torch.no_grad():
        norm.weight.fill_(7)
        norm.bias.fill_(7)
    for part in (conv, linear, norm):
        randomise(part, torch.Generator().manual_seed(0))
    assert float(conv.weight.detach().std()) == pytest.approx((2 / 200) ** 0.5, rel=0.03)
    assert float(linear.weight.detach().std()) == pytest.approx((2 / 300) ** 0.5, rel=0.03)
    assert float(linear.weight.detach().mean()) == pytest.approx(0, abs=0.002)
    assert not conv.bias.any()
    assert not linear.bias.any()
    assert norm.weight.tolist() == [1] * 4
    assert norm.bias.tolist() == norm.running_mean.tolist() == [0] * 4
    assert norm.running_var.tolist() == [1] * 4


@pytest.mark.parametrize(
    ("likeness", "unrelated", "kept"),
    [(0.76, 0.5, True), (0.74, 0.5, False), (0.95, 0.95, False), (0.6, 0.1, True)],
)
def test_a_map_is_kept_if_it_is_nearer_to_itself_than_to_an_unrelated_one(
    likeness, unrelated, kept
):
    assert is_kept(likeness, unrelated) is kept


def test_equal_seeds_equal_weights():
    one, two = network(), network()
    for net in (one, two):
        list(cascade(layers_from_the_top(net), seed=3, stops=2))
    assert all(
        torch.equal(a, b)
        for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    )
