"""Score-CAM and its relatives against the authors' procedure, one masked image at a time."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from camcli.cam.map_options import Effort
from camcli.cam.method_input import Evidence
from camcli.cam.methods import METHODS, explain
from camcli.models.cutting.cut import Tail


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


@pytest.mark.parametrize("channels", [range(8), (0, 1, 3, 4, 6, 7)])
def test_the_package_variant_is_the_packages(evidence, channels):
    """Softmax over channels of the masked logits, aligned corners, constant channels too.

    One black image serves all constant channels; where all vary, none is needed.
    """
    e, net = evidence
    e = dataclasses.replace(e, A=e.A[:, list(channels)], score="logit")
    got = explain(METHODS["scorecam-softmax"], e)
    assert e.see.images == 3 * min(7, len(channels))
    with torch.no_grad():
        for b in range(3):
            scores = []
            for k in range(len(channels)):
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


def test_ablating_a_dead_channel_costs_nothing(evidence):
    """Channel 2 is zero in every image; one position of one channel is enough to be alive."""
    e, net = evidence
    rows = []

    def tail(A):
        rows.append(len(A))
        return net.tail(A)

    counted = dataclasses.replace(e, tail=Tail(tail))
    got = explain(METHODS["ablationcam"], counted)
    alive = (e.A != 0).flatten(2).any(2)
    assert not alive[:, 2].any()
    assert sum(rows) == int(alive.sum())
    with torch.no_grad():
        for b in range(3):
            S = e.logits.softmax(1)[b, e.index[b]]
            total = torch.zeros(6, 6)
            for k in range(8):
                without = e.A[b : b + 1].clone()
                without[:, k] = 0
                total += (S - net.tail(without).softmax(1)[0, e.index[b]]) / S * e.A[b, k]
            torch.testing.assert_close(got[b], total)


@pytest.fixture
def wide():
    net = Wide()
    x = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(3))
    A = net.features(x)
    seen = Counted(net)
    return Evidence(
        A, net.tail(A), torch.tensor([0, 1]), Tail(net.tail), None, "probability", None, x, seen
    )


@pytest.mark.parametrize("name", ["scorecam", "sscam", "iscam"])
def test_converging_stops_early_and_near(wide, name):
    wide = dataclasses.replace(wide, effort=Effort(samples=2))
    full = explain(METHODS[name], wide)
    every = wide.see.images
    assert every == (600 if name == "scorecam" else 1200)
    wide.see.images = 0
    early = explain(
        METHODS[name], dataclasses.replace(wide, effort=Effort(samples=2, converge=0.98))
    )
    assert wide.see.images <= every / 6
    assert torch.cosine_similarity(early.flatten(1), full.flatten(1)).min() > 0.98


@pytest.mark.parametrize(
    ("wanted", "steps"), [(0.9, 2), (0.98, 3), (0.99, 4), (0.9999, 5)], ids=str
)
def test_converging_asks_for_a_map_twice_as_near(wide, monkeypatch, wanted, steps):
    """The cosine that is expected is a mean: 0.98 is reached when 0.99 is expected."""
    expected = {16: 0.94, 32: 0.951, 48: 0.991, 64: 0.9951, 80: 0.99996}
    monkeypatch.setattr(
        "camcli.cam.score_predictor.Kriging.cosine", lambda kriging: expected[len(kriging._order)]
    )
    explain(METHODS["scorecam"], dataclasses.replace(wide, effort=Effort(converge=wanted)))
    assert wide.see.images == 2 * 16 * steps


def test_converging_to_the_end_is_the_full_map(evidence, wide, monkeypatch):
    """Where nothing seems near enough, every channel is looked at."""
    monkeypatch.setattr("camcli.cam.score_predictor.Kriging.cosine", lambda _: 0.0)
    e, net = evidence
    e = dataclasses.replace(e, effort=Effort(converge=0.98))
    got = explain(METHODS["scorecam"], e)
    torch.testing.assert_close(got, authors(e, net))
    full = explain(METHODS["scorecam"], wide)
    wide.see.images = 0
    got = explain(METHODS["scorecam"], dataclasses.replace(wide, effort=Effort(converge=0.98)))
    assert wide.see.images == 600
    torch.testing.assert_close(got, full)


def test_dead_images_are_no_obstacle(wide):
    """No channel varies in one image; in the other all is as it would be alone."""
    A = wide.A.clone()
    A[0] = 0
    effort = Effort(converge=0.98)
    both = dataclasses.replace(wide, A=A, effort=effort)
    alone = dataclasses.replace(
        wide, A=A[1:], index=wide.index[1:], images=wide.images[1:], effort=effort
    )
    got = explain(METHODS["scorecam"], both)
    assert not got[0].any()
    torch.testing.assert_close(got[1], explain(METHODS["scorecam"], alone)[0])


@pytest.mark.parametrize(
    "name", ["scorecam", "sscam", "iscam", "scorecam-softmax", "ablationcam", "reciprocam"]
)
def test_lanes_share_the_passes(evidence, name):
    e, _ = evidence
    alone = explain(METHODS[name], e)
    with ThreadPoolExecutor(2) as pool:
        shared = dataclasses.replace(e, effort=Effort(chunk=4, pool=pool, lanes=2))
        torch.testing.assert_close(explain(METHODS[name], shared), alone)


class Largest(TorchDispatchMode):
    """The most numbers that any tensor had that was made meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for made in out if isinstance(out, tuple | list) else (out,):
            if isinstance(made, torch.Tensor):
                self.numbers = max(self.numbers, made.numel())
        return out


@pytest.mark.parametrize(
    ("name", "converge"),
    [
        ("scorecam", None), ("scorecam", 0.98), ("sscam", None), ("sscam", 0.98), ("iscam", None),
        ("scorecam-softmax", None),
    ],
)  # fmt: skip
def test_masked_images_exist_for_one_chunk_only(wide, name, converge):
    effort = Effort(chunk=6, samples=2, converge=converge)
    # An image of 96 x 96, so that masked images are larger than the features and the covariance.
    x = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(3))
    A = wide.see.net.features(x[:, :, ::4, ::4])

    def see(masked):
        features = wide.see.net.features(masked[:, :, ::4, ::4])
        return wide.see.net.tail(features), features, None

    with Largest() as largest:
        explain(METHODS[name], dataclasses.replace(wide, A=A, images=x, see=see, effort=effort))
    assert 6 * 3 * 96 * 96 <= largest.numbers < 2 * 6 * 3 * 96 * 96


def test_the_bundled_network_needs_few_masks_for_a_photograph(bundled, photos):
    """Against all masks, on a small copy of a photograph: the full map takes a while."""
    from camcli.cam.explainer import maps_of
    from camcli.cam.map_options import make_map_options
    from camcli.cam.target import top_classes

    small = bundled.preprocess.with_(size=96)
    seen = bundled.look(small.pixels(photos[0])[None])
    index = top_classes(seen.logits, 1)[:, 0]
    passes = [0]

    class Watched:
        def __getattr__(self, name):
            return getattr(bundled, name)

        def see(self, images, watch=None):
            passes[0] += len(images)
            return bundled.see(images, watch)

    full = maps_of(Watched(), seen, index, make_map_options("scorecam"))
    every, passes[0] = passes[0], 0
    early = maps_of(Watched(), seen, index, make_map_options("scorecam", converge=0.98))
    assert passes[0] < every / 4
    assert torch.cosine_similarity(early.flatten(1), full.flatten(1)).item() > 0.98
