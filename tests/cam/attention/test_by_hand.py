"""LeGrad, Chefer's relevance and rollout against their papers, in float64."""

import pytest
import torch

from camcli.cam.attention.legrad import legrad
from camcli.cam.attention.rollout import chefer, rollout


def on_grid(row):
    return row[:, 1:].reshape(-1, 4, 4)


def legrad_by_hand(by_hand, images, index):
    z, total = by_hand.tokens(images), 0
    for layer in by_hand.net.encoder.layers:
        P, v = by_hand.attention(layer, z.detach())
        P = P.detach().requires_grad_(True)
        with torch.enable_grad():
            z = by_hand.after(layer, z.detach(), P, v)
            s = by_hand.end(z.mean(1)).gather(1, index[:, None]).sum()
        (G,) = torch.autograd.grad(s, P)
        total = total + G.clamp(min=0).mean((1, 2))
    return on_grid(total / len(by_hand.net.encoder.layers))


def test_legrad(network, by_hand, evidence, images, index):
    got = legrad(evidence(network, images, index))
    want = legrad_by_hand(by_hand, images, index)
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12)
    assert want.std() > 1e-3, "it can fail"


def test_legrad_of_another_score(network, by_hand, evidence, images, index):
    """Of a difference the gradients differ before they are cut off at zero."""
    other = torch.tensor([[1], [1], [4]])
    got = legrad(evidence(network, images, index, against=other))
    z, total = by_hand.tokens(images), 0
    for layer in by_hand.net.encoder.layers:
        P, v = by_hand.attention(layer, z.detach())
        P = P.detach().requires_grad_(True)
        z = by_hand.after(layer, z.detach(), P, v)
        S = by_hand.end(z.mean(1))
        s = (S.gather(1, index[:, None]) - S.gather(1, other)).sum()
        total = total + torch.autograd.grad(s, P)[0].clamp(min=0).mean((1, 2)) / 3
    torch.testing.assert_close(got, on_grid(total), rtol=1e-9, atol=1e-12)


def test_chefer(network, by_hand, evidence, images, index):
    z, kept = by_hand.tokens(images), []
    for layer in by_hand.net.encoder.layers:
        P, v = by_hand.attention(layer, z)
        kept.append(P if P.requires_grad else P.requires_grad_(True))
        z = by_hand.after(layer, z, P, v)
    S = by_hand.end(z[:, 0]).gather(1, index[:, None]).sum()
    R = torch.eye(17, dtype=torch.float64).expand(3, -1, -1)
    for P, g in zip(kept, torch.autograd.grad(S, kept), strict=True):
        R = R + (P * g).clamp(min=0).mean(1).detach() @ R
    got = chefer(evidence(network, images, index))
    torch.testing.assert_close(got, on_grid(R[:, 0]), rtol=1e-9, atol=1e-12)


def test_rollout(network, by_hand, evidence, images, index):
    z, R = by_hand.tokens(images), torch.eye(17, dtype=torch.float64)
    for layer in by_hand.net.encoder.layers:
        P, v = by_hand.attention(layer, z)
        z = by_hand.after(layer, z, P, v)
        R = (0.5 * P.mean(1) + 0.5 * torch.eye(17, dtype=torch.float64)) @ R
    torch.testing.assert_close(R.sum(2), torch.ones(3, 17, dtype=torch.float64))
    got = rollout(evidence(network, images, index))
    torch.testing.assert_close(got, on_grid(R[:, 0]), rtol=1e-9, atol=1e-12)


def test_legrad_is_torchcams(network, evidence, images, index):
    """torchcam divides by the maximum and takes one class for all."""
    peer = pytest.importorskip("torchcam.methods")
    if not hasattr(peer, "LeGrad"):
        pytest.skip("this torchcam has no LeGrad")
    with peer.LeGrad(network, list(network.encoder.layers)) as theirs:
        logits = network(images)
        (want,) = theirs(2, logits, normalized=False)
    got = legrad(evidence(network, images, torch.full((3,), 2)))
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", [legrad, chefer, rollout])
def test_rows_do_not_mix(method, network, evidence, images, index):
    """Neither with as many images as tokens, where no shape tells one from the other."""
    alone = torch.cat(
        [method(evidence(network, images[n : n + 1], index[n : n + 1])) for n in range(3)]
    )
    torch.testing.assert_close(method(evidence(network, images, index)), alone)
    of = torch.arange(17) % 3
    many = method(evidence(network, images[of], index[of]))
    torch.testing.assert_close(many, alone[of])
