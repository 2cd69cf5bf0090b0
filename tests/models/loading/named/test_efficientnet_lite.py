"""The bundled networks against timm's, which they must equal to the bit."""

from __future__ import annotations

import copy

import pytest
import timm
import torch

from camcli.models.cutting.cut import cut
from camcli.models.cutting.listing import list_layers
from camcli.models.loading.named import bundled
from camcli.models.loading.named.efficientnet_lite import EfficientNetLite
from camcli.models.weights.bundled_file import BUNDLED
from camcli.models.weights.files import read_state

NAMES = tuple(BUNDLED)


@pytest.fixture(scope="module", params=NAMES)
def pair(request):
    """(ours, timm's) with the bundled weights; without its package, with weights that are drawn."""
    name, carried = request.param, BUNDLED[request.param]
    ours, theirs = EfficientNetLite(name=name), timm.create_model(f"tf_{name}")
    if carried.is_here():
        state = bundled.rename(read_state(carried.path(), carried.sha256)[0], name)
    else:
        state = theirs.state_dict()
    for network in (ours, theirs):
        network.load_state_dict(state, strict=False)
        network.eval().requires_grad_(False)
    return ours, theirs


@pytest.mark.parametrize("size", [(224, 224), (225, 225), (97, 160), (33, 250), (8, 3)])
def test_it_answers_as_timm_does(pair, size):
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    ours, theirs = (network(images.clone()) for network in pair)
    assert torch.equal(ours, theirs)


def test_tensors_modules_and_layers_have_timms_names_in_timms_order(pair):
    ours, theirs = pair
    tensors = [[(n, t.shape) for n, t in network.state_dict().items()] for network in pair]
    assert tensors[0] == tensors[1]
    assert [n for n, _ in ours.named_modules()] == [n for n, _ in theirs.named_modules()]
    assert list_layers(ours, 96) == list_layers(theirs, 96)


@pytest.mark.parametrize("layer", ["last", "blocks.4", "blocks.5.2.drop_path", "conv_stem"])
def test_it_is_cut_where_timms_is_and_its_gradients_are_the_same(pair, layer):
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    found = []
    for network in pair:
        made = cut(network, 96, (layer,))
        ((A, tail),) = made.split(images)
        A = A.detach().requires_grad_()
        logits = tail(A)
        (gradient,) = torch.autograd.grad(logits[:, 281].sum(), A)
        found.append((made.layer, A, logits, gradient, made.head is None))
    ours, theirs = found
    assert ours[0] == theirs[0]
    assert all(torch.equal(a, b) for a, b in zip(ours[1:4], theirs[1:4], strict=True))
    assert ours[4] == theirs[4] == (layer != "last")


def test_it_trains_as_timms_does(pair):
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    steps = []
    for network in pair:
        bare = copy.deepcopy(network).requires_grad_(True)
        torch.nn.functional.cross_entropy(bare.train()(images), torch.arange(4)).backward()
        steps.append(
            [*(p.grad for p in bare.parameters()), *(b.double() for b in bare.buffers())]
        )  # fmt: skip
    for ours, theirs in zip(*steps, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


def test_a_seed_decides_the_initial_weights():
    drawn = []
    for seed in (3, 3, 4):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            drawn.append(EfficientNetLite(7).state_dict())
    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])
    assert not torch.equal(drawn[0]["conv_stem.weight"], drawn[2]["conv_stem.weight"])
    # He et al.: what leaves the stem has a variance of 2 over its 9 x 32 weights.
    assert drawn[0]["conv_stem.weight"].std() == pytest.approx((2 / 288) ** 0.5, rel=0.1)
    assert drawn[0]["classifier.weight"].shape == (7, 1280)
