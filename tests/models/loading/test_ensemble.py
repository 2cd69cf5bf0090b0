"""Several networks as one: the mean of their logits at every cut, and of their maps at the last."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from camcli.cam.methods import find_method, heatmaps
from camcli.data.decode.preprocess import Preprocess
from camcli.errors import CamcliError
from camcli.models.cutting.cut import cut
from camcli.models.load import load_classifier
from camcli.models.loading.checkpoint import (
    Checkpoint,
    join_checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from camcli.models.loading.ensemble import join
from camcli.models.loading.zoo import build_model

PIXELS = torch.randint(
    0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)


def member(seed: int, architecture: str = "shufflenet_v2_x0_5") -> Checkpoint:
    state = build_model(architecture, weights="random", seed=seed).module.state_dict()
    generator = torch.Generator().manual_seed(seed)
    return Checkpoint(
        architecture=architecture,
        classes=("a", "b", "c"),
        preprocess=Preprocess(size=64),
        backbone={n: t for n, t in state.items() if not n.startswith("fc.")},
        weight=torch.randn(3, 1024, generator=generator),
        bias=torch.randn(3, generator=generator),
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Three members and the ensemble."""
    folder = tmp_path_factory.mktemp("ensemble")
    parts = [member(seed) for seed in range(3)]
    for i, part in enumerate(parts):
        save_checkpoint(folder / f"{i}.safetensors", part)
    save_checkpoint(folder / "all.safetensors", join_checkpoints(parts, metrics={"top1": 1.0}))
    return folder


def open_all(files, layer):
    names = ["0", "1", "2", "all"]
    *members, whole = (
        load_classifier(checkpoint=files / f"{n}.safetensors", device="cpu", layer=layer)
        for n in names
    )
    return members, whole


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["last", "stage3", "stage2,stage4"])
def test_logits_are_the_mean_of_the_members(files, layer):
    members, whole = open_all(files, layer)
    want = torch.stack([m(PIXELS)[1] for m in members]).mean(0)
    A, logits = whole(PIXELS)
    assert torch.allclose(logits, want, atol=1e-5)
    assert A.shape[1] == sum(m(PIXELS)[0].shape[1] for m in members)
    assert whole.layer == members[0].layer


@pytest.mark.slow
def test_the_cam_is_the_mean_of_the_members_maps_and_complete(files):
    members, whole = open_all(files, "last")
    target = torch.tensor([2, 0])

    def maps(classifier, name):
        A, logits = classifier(PIXELS)
        return heatmaps(
            find_method(name), A, logits, target, head=classifier.head, tail=classifier.tail
        )

    want = torch.stack([maps(m, "cam") for m in members]).mean(0)
    M = maps(whole, "cam")
    assert torch.allclose(M, want, atol=1e-5)
    # mean(M_c) + b_c = S_c: the invariant of a GAP + linear head.
    _, logits = whole(PIXELS)
    assert torch.allclose(
        M.mean((1, 2)) + whole.head.bias[target], logits[torch.arange(2), target], atol=1e-4
    )
    assert torch.allclose(maps(whole, "gradcam") * M[0].numel(), M, atol=1e-5)


@pytest.mark.slow
def test_gradients_at_an_earlier_layer_are_the_members_own(files):
    members, whole = open_all(files, "stage3")
    target = torch.tensor([1, 1])

    def gradcam(classifier):
        part = classifier.look(PIXELS).parts[0]
        return heatmaps(
            find_method("hirescam"), part.A, part.tail(part.A), target, head=part.head,
            tail=part.tail,
        )  # fmt: skip

    want = torch.stack([gradcam(m) for m in members]).mean(0)
    assert torch.allclose(gradcam(whole), want, atol=1e-5)


class Untraceable(nn.Module):
    """Python's `if` on a value: only hooks can cut it."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        A = self.conv(x)
        if float(A.sum()) > 1e9:
            A = A * 2
        return self.fc(A.mean((2, 3)))


def test_members_that_cannot_be_traced():
    nets = [Untraceable(seed).eval().requires_grad_(False) for seed in range(2)]
    joined = join([cut(net, 32) for net in nets])
    images = torch.randn(3, 3, 32, 32)
    ((A, tail),) = joined.split(images)
    want = torch.stack([net(images) for net in nets]).mean(0)
    assert torch.allclose(tail(A), want, atol=1e-5)


def test_every_member_has_its_own_class_token():
    """Two transformers, whose class tokens pass by the cut: each goes on with its own."""
    from torchvision.models import VisionTransformer

    nets = []
    for seed in range(2):
        torch.manual_seed(seed)
        net = VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5)
        nn.init.normal_(net.heads.head.weight)
        nets.append(net.eval().requires_grad_(False))
    joined = join([cut(net, 32) for net in nets])
    assert len(joined.places[0].batched) == 2
    images = torch.randn(3, 3, 32, 32)
    ((A, tail),) = joined.split(images)
    want = torch.stack([net(images) for net in nets]).mean(0)
    assert torch.allclose(tail(A), want, atol=1e-5)
    of = torch.tensor([2, 0, 0, 1])
    assert torch.allclose(tail(A[of], of), want[of], atol=1e-5)


def test_the_file_is_whole_and_says_what_it_is(files, tmp_path):
    saved = load_checkpoint(files / "all.safetensors")
    assert saved.members == 3
    assert saved.metrics == {"top1": 1.0}
    for seed, tensors in enumerate(saved.networks()):
        own = member(seed).backbone
        assert tensors.keys() == own.keys()
        assert all(torch.equal(tensors[n], own[n]) for n in own)
    # A tensor of another network is named, as for a single one.
    odd = replace(saved, backbone={**saved.backbone, "1.nothing.weight": torch.ones(1)})
    save_checkpoint(tmp_path / "odd.safetensors", odd)
    with pytest.raises(CamcliError, match=r"does not fit.*nothing\.weight"):
        load_classifier(checkpoint=tmp_path / "odd.safetensors", device="cpu")
    lost = replace(saved, members=2)
    save_checkpoint(tmp_path / "lost.safetensors", lost)
    with pytest.raises(CamcliError, match="damaged"):
        load_checkpoint(tmp_path / "lost.safetensors")
