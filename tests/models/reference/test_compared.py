"""A network whose number is how different a photograph is: its maps, by any method, by hand."""

from __future__ import annotations

import pytest
import torch

from camcli.batch.explain import make_explanation
from camcli.cam.explainer import maps_of
from camcli.errors import UsageError
from camcli.models.reference.compared import References, compared, references_of
from camcli.models.reference.usual import fit_usual, usual_of

SOME = References("good", 12, "abc")


@pytest.fixture(scope="module")
def pixels():
    generator = torch.Generator().manual_seed(4)
    return torch.randint(256, (16, 3, 32, 32), generator=generator).to(torch.uint8)


def made(classifier, pixels):
    A = classifier.look(pixels[:12]).parts[0].A
    usual = fit_usual(iter(A), iter(A))
    return compared(classifier, usual, SOME), usual


def maps(network, pixels, method="gradcam"):
    how = make_explanation(network, method).how
    return maps_of(
        network, network.look(pixels), torch.zeros(len(pixels), dtype=torch.int64), how
    ).double()


def by_hand(network, usual, pixels):
    """z (B, K, h, w) and Σ⁻¹ in double precision."""
    A = network.look(pixels).parts[0].A.double()
    return A - usual.mean[:, None, None], usual.factor @ usual.factor.T


def test_diffcam_is_the_spread_out_difference_of_the_means(tiny, convnet, pixels):
    """w = Σ⁻¹ (mean(A) - μ), M = Σ_k w_k (A_k - μ_k), whose mean over the map is u."""
    network, usual = made(tiny(convnet()), pixels)
    z, P = by_hand(network, usual, pixels[12:])
    w = torch.einsum("kl,bl->bk", P, z.mean((2, 3)))
    truth = torch.einsum("bk,bkhw->bhw", w, z)
    got = maps(network, pixels[12:])
    factor = 2 * (1 / usual.spread).sum() / (z.shape[2] * z.shape[3])
    torch.testing.assert_close(got, truth * factor, rtol=1e-3, atol=1e-4 * float(got.abs().max()))
    u = torch.einsum("bk,kl,bl->b", z.mean((2, 3)), P, z.mean((2, 3)))
    torch.testing.assert_close(
        got.sum((1, 2)), 2 * (1 / usual.spread).sum() * u, rtol=1e-3, atol=0.01
    )


def test_the_places_own_distances_add_up_to_the_value(tiny, convnet, pixels):
    """HiResCAM of a quadratic number is twice it: S without its centre, place by place."""
    network, usual = made(tiny(convnet()), pixels)
    value = network.look(pixels[12:]).logits[:, 0].double()
    zero = (usual.centre / usual.spread).sum()
    whole = maps(network, pixels[12:], "hirescam").sum((1, 2)) / 2
    torch.testing.assert_close(whole - zero, value, rtol=1e-3, atol=1e-2)


def test_to_ablate_a_channel_is_to_make_it_usual(tiny, convnet, pixels):
    network, usual = made(tiny(convnet()), pixels)
    one = pixels[12:13]
    z, _ = by_hand(network, usual, one)
    tail = network.tail
    S = network.look(one).logits[0, 0]
    without = []
    for k in range(z.shape[1]):
        changed = z.clone()
        changed[:, k] = 0
        without.append(tail.of_difference(changed.float())[0, 0])
    weights = (S - torch.stack(without)) / S.abs()
    truth = torch.einsum("k,bkhw->bhw", weights.double(), z)
    torch.testing.assert_close(maps(network, one, "ablationcam"), truth, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "layercam", "eigencam", "scorecam"])
def test_a_photograph_is_explained_as_it_is_alone(tiny, convnet, pixels, method):
    network, _ = made(tiny(convnet()), pixels)
    together = maps(network, pixels[12:], method)
    alone = torch.cat([maps(network, one[None], method) for one in pixels[12:]])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-4)


def test_what_passes_by_the_cut_is_left_out(tiny, vit, pixels):
    """Of a transformer the tokens of the grid are compared, whatever its class token says."""
    network, usual = made(tiny(vit()), pixels)
    assert network.cut.places[0].batched
    got = maps(network, pixels[12:])
    z, P = by_hand(network, usual, pixels[12:])
    truth = torch.einsum("bk,kl,blhw->bhw", z.mean((2, 3)), P, z)
    cosine = torch.nn.functional.cosine_similarity(got.flatten(1), truth.flatten(1))
    assert cosine.min() > 0.9999


def test_the_place_is_the_share_of_references_that_differ_less(tiny, convnet, pixels):
    network, usual = made(tiny(convnet()), pixels)
    S, place = network.look(pixels).logits.double().T
    for value, share in zip(S, place, strict=True):
        assert float(share) == pytest.approx(
            float((usual.scores < float(value)).double().mean()), abs=1 / 12 + 1e-6
        )
    assert float(network.look(255 - pixels[12:] // 8).logits[:, 1].min()) == 1


def test_it_has_two_values_and_no_classes(tiny, convnet, pixels):
    classifier = tiny(convnet())
    network, usual = made(classifier, pixels)
    assert network.classes == ("difference", "place")
    assert network.output.measures
    assert network.head is None
    assert references_of(network) == SOME
    assert references_of(classifier) is None
    again = usual_of(usual.tensors())
    assert all(torch.equal(getattr(again, name), t) for name, t in usual.tensors().items())


def test_several_layers_are_refused(tiny, convnet, pixels):
    classifier = tiny(convnet())
    _, usual = made(classifier, pixels)
    with pytest.raises(UsageError, match="compares at one layer"):
        compared(tiny(convnet(), layers=("0", "2")), usual, SOME)


def test_what_follows_attention_to_the_networks_answer_is_refused(tiny, vit, pixels):
    network, _ = made(tiny(vit()), pixels)
    with pytest.raises(UsageError, match="take diffcam"):
        make_explanation(network, "legrad")
    what = make_explanation(network)
    assert what.method.name == "gradcam"
    assert "DiffCAM" in what.how.chosen
