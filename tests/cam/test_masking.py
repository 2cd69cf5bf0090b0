"""Score-CAM and its relatives against the authors' procedure, one masked image at a time."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from camcli.cam.evidence import Effort, Evidence
from camcli.cam.methods import METHODS, explain
from camcli.models.cut import Tail


class Net(nn.Module):
    """Eight channels of 6x6 from 24x24 pixels; channel 2 is dead, channel 5 constant."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.conv, self.fc = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 5)
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(torch.randn(p.shape, generator=generator) * 0.5)
            self.conv.weight[2], self.conv.bias[2] = 0, -1
            self.conv.weight[5], self.conv.bias[5] = 0, 0.7

    def features(self, x):
        return self.conv(x).relu()

    def tail(self, A):
        return self.fc(A.mean((2, 3)) ** 2)

    def forward(self, x):
        return self.tail(self.features(x))


class Counted:
    """How many images the network saw, and how many at once."""

    def __init__(self, net: Net) -> None:
        self.net, self.images, self.largest = net, 0, 0

    def __call__(self, x):
        self.images += len(x)
        self.largest = max(self.largest, len(x))
        A = self.net.features(x)
        return self.net.tail(A), A, Tail(self.net.tail)


@pytest.fixture
def evidence():
    net = Net()
    x = torch.rand(3, 3, 24, 24, generator=torch.Generator().manual_seed(3)) * 2 - 0.5
    with torch.no_grad():
        A = net.features(x)
        logits = net.tail(A)
    index = torch.tensor([0, 3, 3])
    seen = Counted(net)
    return Evidence(
        A, logits, index, Tail(net.tail), None, "probability", None, x, seen, Effort(chunk=5)
    ), net


def masks_of(A, size, aligned=False):
    """The authors' normalisation of one channel (h, w) at the image's size."""
    up = nn.functional.interpolate(
        A[None, None], (size, size), mode="bilinear", align_corners=aligned
    )[0, 0]
    # Asked of A itself: upsampling a constant makes rounding errors, which would be scaled up.
    return None if A.max() == A.min() else (up - up.min()) / (up.max() - up.min())


def authors(e, net):
    """Score-CAM as its authors' code does it: a loop over channels, a softmax, a sum."""
    maps = []
    with torch.no_grad():
        for b in range(len(e.A)):
            total = torch.zeros(e.A.shape[2:])
            for k in range(e.A.shape[1]):
                mask = masks_of(e.A[b, k], 24)
                if mask is None:
                    continue
                score = net(e.images[b : b + 1] * mask).softmax(1)[0, e.index[b]]
                total += score * e.A[b, k]
            maps.append(total)
    return torch.stack(maps)


def test_scorecam_is_the_authors(evidence):
    e, net = evidence
    torch.testing.assert_close(explain(METHODS["scorecam"], e), authors(e, net))


def test_channels_that_mask_nothing_cost_nothing(evidence):
    e, _ = evidence
    explain(METHODS["scorecam"], e)
    varying = int((e.A.flatten(2).std(2) > 0).sum())
    assert varying <= 3 * 6
    assert e.see.images == varying
    assert e.see.largest <= 5


def test_the_package_variant_is_the_packages(evidence):
    """Softmax over channels of the masked logits, aligned corners, constant channels too."""
    e, net = evidence
    e = dataclasses.replace(e, score="logit")
    got = explain(METHODS["scorecam-softmax"], e)
    with torch.no_grad():
        for b in range(3):
            scores = []
            for k in range(8):
                mask = masks_of(e.A[b, k], 24, aligned=True)
                mask = torch.zeros(24, 24) if mask is None else mask
                scores.append(net(e.images[b : b + 1] * mask)[0, e.index[b]])
            truth = (torch.stack(scores).softmax(0)[:, None, None] * e.A[b]).sum(0)
            torch.testing.assert_close(got[b], truth)


def test_iscam_averages_over_fainter_masks(evidence):
    e, net = evidence
    e = dataclasses.replace(e, effort=Effort(samples=3, chunk=4))
    got = explain(METHODS["iscam"], e)
    with torch.no_grad():
        b, total = 1, torch.zeros(6, 6)
        for k in range(8):
            mask = masks_of(e.A[b, k], 24)
            if mask is None:
                continue
            scores = [
                net(e.images[b : b + 1] * mask * n / 3).softmax(1)[0, e.index[b]] for n in (1, 2, 3)
            ]
            total += sum(scores) / 3 * e.A[b, k]
    torch.testing.assert_close(got[b], total)


def test_sscam_nears_scorecam_without_noise(evidence, monkeypatch):
    e, net = evidence
    noisy = explain(METHODS["sscam"], e)
    assert not torch.allclose(noisy, authors(e, net), rtol=0.01)
    monkeypatch.setattr("camcli.cam.masking._noise", lambda masks, *_: torch.zeros_like(masks))
    torch.testing.assert_close(explain(METHODS["sscam"], e), authors(e, net))


@pytest.mark.parametrize("name", ["scorecam", "sscam", "iscam", "scorecam-softmax"])
def test_neither_the_batch_nor_the_chunk_matters(evidence, name):
    e, _ = evidence
    together = explain(METHODS[name], e)
    for b in range(3):
        one = dataclasses.replace(
            e, A=e.A[b : b + 1], logits=e.logits[b : b + 1], index=e.index[b : b + 1],
            images=e.images[b : b + 1], effort=Effort(chunk=3),
        )  # fmt: skip
        torch.testing.assert_close(explain(METHODS[name], one)[0], together[b])


def test_the_most_varying_channels(evidence):
    e, net = evidence
    few = dataclasses.replace(e, effort=Effort(channels=2))
    got = explain(METHODS["scorecam"], few)
    assert e.see.images == 6
    for b in range(3):
        best = e.A[b].flatten(1).var(1).topk(2).indices
        kept = torch.zeros(8, 1, 1)
        kept[best] = 1
        alone = dataclasses.replace(e, A=e.A * kept)
        torch.testing.assert_close(got[b], explain(METHODS["scorecam"], alone)[b])
    every = dataclasses.replace(e, effort=Effort(channels=100))
    torch.testing.assert_close(explain(METHODS["scorecam"], every), authors(e, net))


class Wide(nn.Module):
    """Many channels that all follow one of two patterns: few of them tell the rest."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.mix = torch.rand(300, 2, generator=generator)
        self.fc = torch.randn(5, 300, generator=generator) / 10

    def features(self, x):
        blobs = nn.functional.avg_pool2d(x[:, :2], 4)
        return torch.einsum("kc,bchw->bkhw", self.mix, blobs)

    def tail(self, A):
        return A.mean((2, 3)) @ self.fc.T


def test_converging_stops_early_and_near(evidence):
    net = Wide()
    x = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(3))
    A = net.features(x)
    seen = Counted(net)
    e = Evidence(
        A, net.tail(A), torch.tensor([0, 1]), Tail(net.tail), None, "probability", None, x, seen
    )
    full = explain(METHODS["scorecam"], e)
    assert seen.images == 600
    seen.images = 0
    early = explain(METHODS["scorecam"], dataclasses.replace(e, effort=Effort(converge=0.98)))
    assert seen.images < 200
    assert torch.cosine_similarity(early.flatten(1), full.flatten(1)).min() > 0.98


def test_converging_to_the_end_is_the_full_map(evidence):
    """With a cosine that nothing reaches, every channel is looked at."""
    e, net = evidence
    e = dataclasses.replace(e, effort=Effort(converge=1 - 1e-12))
    got = explain(METHODS["scorecam"], e)
    torch.testing.assert_close(got, authors(e, net))
