"""The classifier: right numbers, any batch, eval mode, no gradients, errors that teach."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from camcli.cam.methods import METHODS, heatmaps
from camcli.data.decode.preprocess import Preprocess
from camcli.errors import UsageError
from camcli.models.classifier import cut_classifier
from camcli.models.load import find_device, load_classifier
from camcli.models.loading.zoo import Provenance, build_model

NOWHERE = Provenance("test", "random", None, "random")


class Small(nn.Module):
    """A map and a head; `deep` puts an MLP behind the map."""

    def __init__(self, deep: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 6, 5, 4), nn.BatchNorm2d(6), nn.ReLU())
        self.dropout = nn.Dropout(0.9)
        self.head = nn.Sequential(nn.Linear(6, 6), nn.ReLU()) if deep else nn.Identity()
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        return self.fc(self.dropout(self.head(self.body(x).mean((2, 3)))))


def small(module: nn.Module, classes=("a", "b", "c"), size=48):
    return cut_classifier(
        module, classes=classes, preprocess=Preprocess(size=size), provenance=NOWHERE,
        device=torch.device("cpu"),
    )  # fmt: skip


def pixels(batch: int, size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(batch)
    return torch.randint(0, 256, (batch, 3, size, size), generator=generator, dtype=torch.uint8)


def test_the_bundled_networks_logits(bundled, photos):
    """The cut, with BatchNorm folded, against timm's whole network."""
    module = build_model().module
    seen = torch.stack([bundled.preprocess.pixels(photo) for photo in photos])
    A, logits = bundled(seen)
    with torch.no_grad():
        truth = module(bundled.preprocess.normalise(seen))
    assert A.shape == (3, 1280, 7, 7)
    assert A.dtype == torch.float32
    size = float(truth.abs().max())
    torch.testing.assert_close(logits, truth, rtol=1e-4, atol=1e-4 * size)
    named = [bundled.classes[i] for i in logits.argmax(1)]
    assert named[0] in ("Egyptian cat", "tabby", "tiger cat", "Egyptian Mau"), named
    assert named[1] in ("espresso", "cup", "coffee mug"), named
    assert named[2] == "missile", named


def test_completeness_on_photographs(bundled, photos):
    seen = torch.stack([bundled.preprocess.pixels(photo) for photo in photos])
    A, logits = bundled(seen)
    index = logits.argmax(1)
    maps = heatmaps(METHODS["cam"], A, logits, index, head=bundled.head, tail=bundled.tail)
    total = maps.mean((1, 2)) + bundled.head.bias[index]
    torch.testing.assert_close(total, logits.amax(1), rtol=1e-4, atol=1e-4)


FEATURES_ONLY = [name for name, method in METHODS.items() if not (method.images or method.network)]


@pytest.mark.parametrize("method", FEATURES_ONLY)
def test_a_batch_equals_its_images_alone(bundled, photos, method):
    seen = torch.stack([bundled.preprocess.pixels(photo) for photo in photos])
    A, logits = bundled(seen)
    together = heatmaps(
        METHODS[method], A, logits, logits.argmax(1), head=bundled.head, tail=bundled.tail
    )
    for b in range(len(seen)):
        A, own = bundled(seen[b : b + 1])
        torch.testing.assert_close(own[0], logits[b], rtol=1e-4, atol=1e-3)
        alone = heatmaps(
            METHODS[method], A, own, own.argmax(1), head=bundled.head, tail=bundled.tail
        )
        size = float(together[b].abs().max())
        assert float((alone[0] - together[b]).abs().max()) < 1e-4 * size


def test_training_mode_is_left():
    module = Small().train()
    before = {n: b.clone() for n, b in module.named_buffers()}
    classifier = small(module)
    _, first = classifier(pixels(4, 48))
    _, second = classifier(pixels(4, 48))
    assert torch.equal(first, second), "dropout is still on"
    assert not module.training
    assert all(torch.equal(before[n], b) for n, b in module.named_buffers()), "BatchNorm moved"
    assert not any(p.requires_grad for p in module.parameters())


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("method", [m for m in FEATURES_ONLY if m != "cam"])
def test_maps_of_what_a_classifier_returns(deep, method):
    """Features come out of inference mode; the tail's gradient must still be there."""
    classifier = small(Small(deep))
    assert (classifier.head is None) == deep
    A, logits = classifier(pixels(2, 48))
    maps = heatmaps(
        METHODS[method], A, logits, logits.argmax(1), head=classifier.head, tail=classifier.tail
    )
    assert maps.shape == (2, *A.shape[2:])
    assert maps.any()
    assert not maps.requires_grad


def test_no_gradient_reaches_a_parameter():
    module = Small(deep=True)
    classifier = small(module)
    A, logits = classifier(pixels(2, 48))
    heatmaps(METHODS["gradcam"], A, logits, logits.argmax(1), head=None, tail=classifier.tail)
    assert all(p.grad is None for p in module.parameters())
    assert all(p.grad is None for p in classifier.tail.parameters())


def test_names_must_fit_the_outputs():
    for deep in (False, True):
        with pytest.raises(UsageError, match="3 classes, and 2 names"):
            small(Small(deep), classes=("a", "b"))


def test_weights_are_channels_last_whatever_else_a_network_holds():
    module = Small()
    module.register_buffer("mask", torch.zeros(1, 2, 3, 4, 5))  # of windows, as in timm's Swin
    classifier = small(module)
    (weight,) = [p for p in classifier.features.parameters() if p.dim() == 4]
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()


def test_another_input_size_gives_a_finer_map(bundled):
    classifier = load_classifier(input_size=320)
    A, logits = classifier(pixels(1, 320))
    assert A.shape[2:] == (10, 10)
    assert classifier.preprocess.size == 320
    assert torch.isfinite(logits).all()
    with pytest.raises(UsageError, match="at least 16"):
        load_classifier(input_size=15)


def test_fit_is_only_changed_on_demand(bundled):
    assert bundled.preprocess.fit == "crop"
    assert load_classifier(fit="squash").preprocess.fit == "squash"


def test_devices():
    assert find_device("cpu") == torch.device("cpu")
    assert find_device("auto").type in ("cpu", "cuda", "mps")
    for name in ("gpu", "cuda:x", "", "meta", "xla"):
        with pytest.raises(UsageError, match="Unknown device"):
            find_device(name)
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="not available"):
            find_device("cuda")
    with pytest.raises(UsageError, match="not available"):
        find_device("cuda:99")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_cpu(bundled, photos):
    seen = torch.stack([bundled.preprocess.pixels(photo) for photo in photos])
    there = load_classifier(device="cuda")
    A, logits = bundled(seen)
    B, other = there(seen)
    torch.testing.assert_close(other.cpu(), logits, rtol=1e-2, atol=1e-2)
    index = logits.argmax(1)
    for method in (METHODS[name] for name in FEATURES_ONLY):
        here = heatmaps(method, A, logits, index, head=bundled.head, tail=bundled.tail)
        gpu = heatmaps(method, B, other, index.cuda(), head=there.head, tail=there.tail)
        here, gpu = here.flatten(1), gpu.cpu().flatten(1)
        assert torch.cosine_similarity(here, gpu).min() > 0.999, method.name
