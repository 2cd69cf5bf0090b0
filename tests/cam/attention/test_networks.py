"""Which networks attention explains, through `camcli.models.classifier`, and which not."""

import gc
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

from camcli.batch.explain import explain_batch, make_explanation, read
from camcli.cam import explainer
from camcli.cam.attention.seen import Attending
from camcli.cam.explainer import check_influence, maps_of, watching, why_no_attention_of
from camcli.cam.map_options import make_map_options
from camcli.data.decode.images import Picture
from camcli.data.decode.preprocess import Preprocess
from camcli.data.sources.refs import ImageRef
from camcli.errors import UsageError
from camcli.models.classifier import cut_classifier
from camcli.models.loading.zoo import Provenance

timm = pytest.importorskip("timm")

METHODS = ("legrad", "chefer", "rollout")
SMALL = {"img_size": 32, "depth": 2, "embed_dim": 24, "num_heads": 2, "num_classes": 5}


def plain():
    return VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5)


class Untraceable(nn.Module):
    """Is cut with hooks."""

    def __init__(self, outputs=5):
        super().__init__()
        self.net = VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=outputs)

    def forward(self, x):
        return self.net(x) if x.isfinite().all() else x


NETWORKS = {
    "torchvision": plain,
    "hooks": Untraceable,
    "one output": lambda: Untraceable(1),
    "timm": lambda: timm.create_model("vit_tiny_patch16_224", patch_size=8, **SMALL),
    "distilled": lambda: timm.create_model(
        "deit_tiny_distilled_patch16_224", patch_size=8, **SMALL
    ),
    "registers": lambda: timm.create_model("vit_small_patch14_reg4_dinov2", patch_size=8, **SMALL),
    "no class token": lambda: timm.create_model(
        "vit_tiny_patch16_224", patch_size=8, global_pool="avg", class_token=False, **SMALL
    ),
}


def classifier_of(net, size=32, classes="abcde"):
    for p in net.parameters():
        if p.ndim > 1:
            nn.init.normal_(p, std=0.2)
    return cut_classifier(
        net, classes=tuple(classes), preprocess=Preprocess(size=size),
        provenance=Provenance("tiny", None, None, "random", {}), device=torch.device("cpu"),
    )  # fmt: skip


@pytest.fixture(scope="module", params=list(NETWORKS))
def named(request):
    torch.manual_seed(0)
    classes = "ab" if request.param == "one output" else "abcde"
    return request.param, classifier_of(NETWORKS[request.param](), classes=classes)


@pytest.fixture(scope="module")
def pixels():
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("method", METHODS)
def test_they_are_explained(named, pixels, method):
    _, classifier = named
    how = make_explanation(classifier, method).how
    watch = watching([how])
    seen = classifier.look(pixels, watch)
    torch.testing.assert_close(seen.logits, classifier.look(pixels).logits, rtol=1e-4, atol=1e-4)
    assert not seen.logits.requires_grad
    index = torch.tensor([0, 1, 0])
    maps = maps_of(classifier, seen, index, how)
    assert maps.shape == (3, 4, 4)
    assert maps.std() > 0
    assert (maps >= 0).all()
    # Without anybody who watched the network is run again, and the map is the same.
    torch.testing.assert_close(maps_of(classifier, classifier.look(pixels), index, how), maps)
    for n in range(3):
        alone = classifier.look(pixels[n : n + 1], watching([how]))
        torch.testing.assert_close(
            maps_of(classifier, alone, index[n : n + 1], how)[0], maps[n], rtol=1e-3, atol=1e-6
        )
    other = maps_of(classifier, seen, 1 - index, how)
    assert torch.equal(other, maps) == (not how.method.class_specific)


def test_the_network_runs_once(pixels):
    """The pass that gives the logits is the one that is seen, with all methods at once."""
    net, runs = plain(), []
    classifier = classifier_of(net)
    hows = [make_map_options(name) for name in METHODS]

    class Counting(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            runs.append(func is torch.nn.functional.conv2d)
            return func(*args, **(kwargs or {}))

    with Counting():
        seen = classifier.look(pixels, watching(hows))
        for how in hows:
            maps_of(classifier, seen, torch.tensor([0, 1, 2]), how)
    assert sum(runs) == 1


def test_smoothing_sees_each_copy(pixels):
    classifier = classifier_of(plain())
    how = make_map_options("legrad", smooth="aug")
    maps = maps_of(classifier, classifier.look(pixels), torch.tensor([0, 1, 2]), how)
    assert maps.shape == (3, 4, 4)
    assert maps.std() > 0


def swin():
    from torchvision.models import SwinTransformer

    return SwinTransformer([4, 4], 12, [1, 1], [1, 2], [4, 4], num_classes=5)


OTHERS = {
    "windows": (swin, "within windows, say"),
    "talking heads": (
        lambda: timm.create_model("cait_xxs24_224", patch_size=8, **SMALL),
        "does something with who looks at whom",
    ),
    "none": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 8, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)
        ),
        "computes no attention",
    ),
}


@pytest.mark.parametrize("name", list(OTHERS))
def test_others_are_refused_in_words(name):
    make, words = OTHERS[name]
    torch.manual_seed(0)
    classifier = classifier_of(make())
    with pytest.raises(UsageError, match=words) as told:
        check_influence(make_map_options("legrad"), classifier)
    assert "take attnlrp or gradcam" in str(told.value)
    check_influence(make_map_options("gradcam"), classifier)


def test_who_can_be_explained_is_known(named):
    assert why_no_attention_of(named[1]) is None


def test_a_folder_run_sees_each_batch_once_and_keeps_nothing():
    """As `camcli batch` does it: one pass a batch, and what was kept for gradients goes with it."""
    classifier = classifier_of(plain())
    what = make_explanation(classifier, "legrad")
    images = []
    for n in range(3):
        rgb = np.random.default_rng(n).integers(0, 255, (32, 32, 3), np.uint8)
        ref = ImageRef(Path(f"/{n}.png"), f"{n}.png", None)
        images.append(
            read(ref, classifier, lambda rgb: rgb[:0], lambda _, rgb=rgb: Picture(rgb, 32, 32))
        )
    made, ended = [], []

    class Noted(Attending):
        def __init__(self):
            super().__init__()
            made.append(self)
            weakref.finalize(self, ended.append, True)

        def finish(self, logits):
            super().finish(logits)
            assert len(self.calls) == 2

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explainer, "Attending", Noted)
        results = explain_batch(classifier, images, what)
    assert len(made) == 1
    made.clear()
    gc.collect()
    assert ended == [True]
    assert [result.method for result in results] == ["legrad"] * 3
    assert all(result.heats[0].heatmap.shape == (4, 4) for result in results)


def test_another_runtime_leaves_it_to_torch(pixels):
    """As FullGrad: gradients need torch's own network, which stands behind a runtime's."""
    classifier = classifier_of(plain())
    want = maps_of(
        classifier, classifier.look(pixels), torch.tensor([0, 1, 2]), make_map_options("legrad")
    )

    class Runtime:
        eager = classifier.cut.first

        def __call__(self, images):
            with torch.no_grad():
                return self.eager(images)

    fast = replace(classifier, cut=replace(classifier.cut, first=Runtime()))
    how = make_map_options("legrad")
    for seen in (fast.look(pixels, watching([how])), fast.look(pixels)):
        got = maps_of(fast, seen, torch.tensor([0, 1, 2]), how)
        torch.testing.assert_close(got, want)


def test_a_program_without_gradients_is_refused():
    facts = make_map_options("rollout").method
    assert "needs gradients" in facts.why_not(linear=False, gradients=False)
    why = facts.why_not(linear=False, gradients=True, inattentive="has none")
    assert why.endswith("this network has none")
