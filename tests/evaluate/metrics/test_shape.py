"""Form and self-agreement of maps: by hand, by scipy, and by pip's grad-cam."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

from camcli.evaluate.metrics.faithfulness import average_drop, road
from camcli.evaluate.metrics.shape import (
    adcc,
    arcc,
    coherency,
    complexity,
    harmonic,
    mean_heat,
    pearson,
    sparseness,
)

H, W = 24, 32


@pytest.fixture
def heat():
    """Positive everywhere, with its maximum at 1."""
    drawn = torch.rand(H, W, generator=torch.Generator().manual_seed(1)) ** 3
    return drawn / drawn.max()


def test_an_even_map_and_a_single_pixel():
    even, point = torch.ones(H, W), torch.zeros(H, W)
    point[3, 5] = 1
    assert (mean_heat(even), sparseness(even), complexity(even)) == (1, 0, 1)
    assert sparseness(point) == pytest.approx(1 - 1 / (H * W))
    assert complexity(point) == 0
    assert mean_heat(point) == pytest.approx(1 / (H * W))
    empty = torch.zeros(H, W)
    assert mean_heat(empty) == 0
    assert math.isnan(sparseness(empty))
    assert math.isnan(complexity(empty))


def test_scale_and_size_do_not_matter(heat):
    large = heat.repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert sparseness(heat * 0.1) == pytest.approx(sparseness(heat))
    assert complexity(heat * 0.1) == pytest.approx(complexity(heat))
    assert sparseness(large) == pytest.approx(sparseness(heat))


def test_gini_is_half_the_mean_difference_and_entropy_is_scipys(heat):
    values = heat.flatten().double().numpy()
    gini = np.abs(values[:, None] - values).mean() / (2 * values.mean())
    assert sparseness(heat) == pytest.approx(gini)
    entropy = scipy.stats.entropy(values / values.sum())
    assert complexity(heat) * math.log(H * W) == pytest.approx(entropy)


def test_pearson_is_numpys(heat):
    other = heat.flip(0) + heat
    expected = np.corrcoef(heat.flatten().numpy(), other.flatten().numpy())[0, 1]
    assert pearson(heat, other) == pytest.approx(expected, rel=1e-5)
    assert pearson(heat, torch.ones(H, W)) == 0


def test_coherency_from_the_opposite_to_itself(heat):
    x = torch.randn(3, H, W)
    assert coherency(x, heat, lambda image: heat) == pytest.approx(1)
    assert coherency(x, heat, lambda image: 1 - heat) == pytest.approx(0, abs=1e-6)
    assert coherency(x, heat, lambda image: torch.ones(H, W)) == 0.5
    # It is asked of the image under its own map.
    seen = []
    coherency(x, heat, lambda image: seen.append(image) or heat)
    torch.testing.assert_close(seen[0], x * heat)


def test_harmonic_means_by_hand():
    assert adcc(0.5, 1.0, 0.75) == pytest.approx(3 / (1 + 4 + 2))
    assert arcc(0.25, 1.0, 0.75) == pytest.approx(3 / (1 + 4 + 2))
    assert arcc(0.5, 1.0, 0.0) == 1
    assert arcc(-0.3, 1.0, 0.2) == 0, "worse than the other way round"
    assert adcc(1.0, 1.0, 0.0) == 0
    assert adcc(0.0, 1.0, 1.0) == 0
    assert harmonic(0.2, 0.2) == pytest.approx(0.2)


class Doubtful(torch.nn.Module):
    """Probabilities of two classes: a bright square speaks for the first, noise for either."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.weight = torch.randn(3, H, W, generator=generator) / 1000
        self.weight[:, 6:14, 8:20] += 0.005

    def forward(self, images):
        logit = (images * self.weight).sum((1, 2, 3))
        return torch.stack([logit, -logit], 1).softmax(1)


@pytest.fixture
def square():
    """A picture of a bright square."""
    x = torch.randn(3, H, W, generator=torch.Generator().manual_seed(2)) * 0.1
    x[:, 6:14, 8:20] += 1
    return x


@pytest.mark.filterwarnings("ignore:__array_wrap__")
def test_arcc_and_its_parts_are_grad_cams(heat, square):
    reference = pytest.importorskip("pytorch_grad_cam.metrics.arcc", reason="the reference")
    network, x = Doubtful(), square
    heat[6:14, 8:20] = heat[6:14, 8:20] / 2 + 0.5

    def explain(image):
        return (image * network.weight).sum(0).clamp(min=0)

    def as_theirs(input_tensor, targets):
        return np.stack([explain(image).numpy() for image in input_tensor])

    cams, first = heat.numpy()[None], [lambda out: out[0]]
    assert mean_heat(heat) == pytest.approx(reference.Complexity()(cams)[0], rel=1e-5)
    theirs = reference.Coherency()(x[None], cams, first, network, as_theirs)[0]
    ours = coherency(x, heat, explain)
    assert ours == pytest.approx(theirs, abs=1e-5)
    shown = road(x, heat, lambda images: network(images)[:, 0])
    assert 0.05 < shown < 0.4, "else there is nothing to compare"
    score = reference.ARCC(as_theirs)(x[None], cams, first, network)[0]
    # Both fill with noise of their own.
    assert arcc(shown, ours, mean_heat(heat)) == pytest.approx(score, abs=0.01)


def test_adcc_is_its_paper(heat, square):
    """Equation 6 of Poppi et al., from the network's own answers."""
    network, x = Doubtful(), square
    ask = lambda images: network(images)[:, 0]  # noqa: E731
    explain = lambda image: (image * network.weight).sum(0).clamp(min=0)  # noqa: E731
    y, o = ask(x[None]).item(), ask((x * heat)[None]).item()
    drop = max(0, y - o) / y
    assert drop > 0.01
    coh = (np.corrcoef(explain(x * heat).flatten(), heat.flatten())[0, 1] + 1) / 2
    com = heat.mean().item()
    expected = 3 / (1 / coh + 1 / (1 - com) + 1 / (1 - drop))
    found = adcc(average_drop(x, heat, ask)[0], coherency(x, heat, explain), mean_heat(heat))
    assert found == pytest.approx(expected, rel=1e-4)
