"""Maps of heads on statistics, against autograd through the statistics."""

import pytest
import torch

from camcli.cam.methods import METHODS, heatmaps
from camcli.models.cutting.types import LinearHead
from camcli.models.pooling.nearest import NearestHead
from camcli.models.pooling.pooling import Pooling
from camcli.models.pooling.statistics import pool, pooled_maps, shares


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(3, 6, 4, 5, generator=generator, dtype=torch.float64) - 0.3).clamp(min=0)


def on(K, seed=2):
    generator = torch.Generator().manual_seed(seed)
    return LinearHead(
        torch.randn(4, K, generator=generator, dtype=torch.float64),
        torch.randn(4, generator=generator, dtype=torch.float64),
    )


INDEX = torch.tensor([0, 3, 1])


@pytest.mark.parametrize("text", ["mean", "max", "gem", "mean+max+gem"])
def test_the_map_is_gradient_times_features_of_the_network_itself(features, text):
    """HiResCAM at the layer below, by autograd, is Grad-CAM on the pooled maps, in closed form."""
    pooling = Pooling.read(text)
    a = pooled_maps(pooling, {"last": features})
    head = on(a.shape[1])
    logits = head(a)

    def below(A):
        return pool(pooling, {"last": A}) @ head.weight.T + head.bias

    theirs = heatmaps(METHODS["hirescam"], features, logits, INDEX, head=None, tail=below)
    ours = heatmaps(METHODS["gradcam"], a, logits, INDEX, head=head, tail=head)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_the_map_of_a_deviation_is_gradient_times_what_deviates(features):
    A = features.clone().requires_grad_(True)
    s = ((A - A.mean((2, 3), keepdim=True)).square().mean((2, 3)) + 1e-6).sqrt()
    (g,) = torch.autograd.grad(s.sum(), A)
    deviates = features - features.mean((2, 3), keepdim=True)
    Z = 4 * 5
    torch.testing.assert_close(shares("std", features), Z * g * deviates, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("text", ["mean+max+std", "|mean+std|"])
@pytest.mark.parametrize("name", ["gradcam", "gradcam++", "layercam", "hirescam", "ablationcam"])
@pytest.mark.parametrize("score", ["logit", "probability"])
def test_closed_forms_on_pooled_maps_are_autograd(features, text, name, score):
    a = pooled_maps(Pooling.read(text), {"last": features})
    head = on(a.shape[1])
    logits = head(a)
    closed = heatmaps(METHODS[name], a, logits, INDEX, head=head, tail=head, score=score)
    other = heatmaps(METHODS[name], a, logits, INDEX, head=None, tail=head, score=score)
    torch.testing.assert_close(closed, other, rtol=1e-6, atol=1e-9)


def test_the_maps_of_all_classes_add_up_to_their_logits(features):
    a = pooled_maps(Pooling.read("gem+std+max+mean"), {"last": features})
    head = on(a.shape[1])
    for c in range(4):
        index = torch.full((3,), c)
        M = heatmaps(METHODS["cam"], a, head(a), index, head=head, tail=head)
        torch.testing.assert_close(M.mean((1, 2)) + head.bias[c], head(a)[:, c])


def test_a_head_that_asks_its_neighbours_is_explained_by_autograd(features):
    """One neighbour a class: the map shows what makes the picture like this one."""
    s = features.mean((2, 3))
    head = NearestHead(s, torch.tensor([0, 1, 2]), 3, k=3).double()
    logits = head(features)
    assert logits.argmax(1).tolist() == [0, 1, 2]
    M = heatmaps(METHODS["hirescam"], features, logits, INDEX % 3, head=None, tail=head)
    A = features.clone().requires_grad_(True)
    unit = torch.nn.functional.normalize(A.mean((2, 3)), dim=1)
    votes = (50 * unit @ torch.nn.functional.normalize(s, dim=1).half().double().T).softmax(1)
    wanted = (0.99 * votes + 0.01 / 3).log()[torch.arange(3), INDEX % 3].sum()
    (g,) = torch.autograd.grad(wanted, A)
    torch.testing.assert_close(M, (g * features).sum(1), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(M.sum((1, 2)), torch.zeros(3, dtype=M.dtype), rtol=0, atol=1e-6)
