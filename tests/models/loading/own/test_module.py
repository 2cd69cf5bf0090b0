"""What is found out about a network of one's own: size, channels, preprocessing, normalisation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from camcli.data.decode.preprocess import Preprocess
from camcli.data.decode.preprocess_words import applied
from camcli.errors import CamcliError, UsageError
from camcli.models.load import load_classifier
from camcli.models.loading.own.input_size import try_out
from camcli.models.loading.own.normalisation import expected_values, normalised_inside

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def pooled(channels: int = 3, stride: int = 32, outputs: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, stride // 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, outputs),
    )  # fmt: skip


def flat(height: int, width: int, channels: int = 3) -> nn.Sequential:
    """Takes one size only."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, 4, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(4 * (height // 4) * (width // 4), 3),
    )  # fmt: skip


class Inside(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.net, self.how = pooled(), how

    def forward(self, x):
        return self.net(self.how(x))


def notes(classifier) -> str:
    return " ".join(classifier.provenance.notes)


# --- sizes and channels --------------------------------------------------------------------------


class LeNet(nn.Module):
    """As it is taught: without padding, and with a view that holds the size."""

    def __init__(self, channels: int):
        super().__init__()
        torch.manual_seed(0)
        self.c1, self.c2 = nn.Conv2d(channels, 6, 5), nn.Conv2d(6, 16, 5)
        self.f1, self.f2 = nn.Linear(400, 120), nn.Linear(120, 10)

    def forward(self, x):
        x = functional.max_pool2d(functional.relu(self.c1(x)), 2)
        x = functional.max_pool2d(functional.relu(self.c2(x)), 2)
        return self.f2(functional.relu(self.f1(x.view(-1, 400))))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_one_size_that_a_network_takes_is_found(channels):
    """LeNet takes 32x32 and nothing else; of one channel, the luminance."""
    found = load_classifier(LeNet(channels), device="cpu")
    assert found.preprocess.shape == (channels, 32, 32)
    assert "takes pictures of 32x32 only" in notes(found)
    asked = load_classifier(LeNet(channels), device="cpu", input_size=32)
    assert asked.preprocess == found.preprocess
    told = load_classifier(LeNet(channels), device="cpu", preprocess="size=32 mean=0.1 std=0.3")
    assert told.preprocess.mean == (0.1,) * 3
    assert not told.provenance.notes, "nothing was assumed"


def test_another_size_than_it_takes_is_refused_with_the_one_it_takes():
    with pytest.raises(UsageError, match="It takes 32x32: add --input-size 32"):
        load_classifier(LeNet(3), device="cpu", input_size=64)
    with pytest.raises(UsageError, match="It takes 32x32: add --input-size 32"):
        load_classifier(LeNet(3), device="cpu", preprocess="size=64")


def test_of_rectangles_the_user_says_which():
    """A flattened map has no shape: 128x256 and 256x128 are told, and each is taken."""
    with pytest.raises(UsageError, match=r"128x256 or 256x128.*--preprocess size="):
        load_classifier(flat(128, 256), device="cpu")
    for text, shape in (("size=128x256", (3, 128, 256)), ("size=256x128", (3, 256, 128))):
        classifier = load_classifier(flat(128, 256), device="cpu", preprocess=text)
        assert classifier.preprocess.shape == shape
        pixels = classifier.preprocess.pixels(np.zeros((90, 60, 3), np.uint8))
        assert classifier(pixels[None])[1].shape == (1, 3)


def test_a_network_that_takes_nothing_says_so():
    class Never(nn.Module):
        def forward(self, x):
            raise ValueError("not today")

    with pytest.raises(CamcliError, match=r"not today.*--preprocess size=HEIGHTxWIDTH"):
        try_out(Never(), Preprocess(size=32), "own")


def test_four_channels_are_red_green_blue_and_opaque():
    classifier = load_classifier(pooled(4), device="cpu", preprocess="none size=64 channels=4")
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    pixels = torch.from_numpy(rgb).permute(2, 0, 1)[None]
    truth = torch.cat([pixels / 255, torch.ones(1, 1, 64, 64)], 1)
    with torch.no_grad():
        torch.testing.assert_close(classifier(pixels)[1], pooled(4).eval()(truth))
    assert load_classifier(pooled(4), device="cpu").preprocess.alpha, "found out"


def test_more_channels_are_refused_with_a_way_out():
    with pytest.raises(UsageError, match=r"takes 7 channels.*first layer"):
        load_classifier(pooled(7), device="cpu")


# --- a size that can hardly be right -------------------------------------------------------------


@pytest.mark.parametrize(
    ("stride", "doubted"), [(4, True), (8, False), (16, False), (32, False)]
)  # fmt: skip
def test_more_cells_than_any_training_size_leaves_are_told(stride, doubted):
    """At 224 px: 56x56 cells of stride 4, as ResNets for CIFAR have; 28 and fewer can be."""
    classifier = load_classifier(pooled(stride=stride), device="cpu")
    assert ("probably trained on smaller ones" in notes(classifier)) == doubted
    assert ("56x56 cells" in notes(classifier)) == doubted
    assert "224x224" in notes(classifier)
    for known in ({"input_size": 224}, {"preprocess": "size=224"}):
        assert "smaller ones" not in notes(
            load_classifier(pooled(stride=stride), device="cpu", **known)
        )


def test_stride_8_is_doubted_where_the_first_layer_leaves_out_nothing():
    """As a CIFAR ResNet-18 does: 28x28 cells at 224 px, 4x4 at 32."""
    module = nn.Sequential(nn.Conv2d(3, 3, 3, 1, 1), *pooled(stride=8))
    text = notes(load_classifier(module, device="cpu"))
    assert "28x28 cells" in text
    assert "--input-size 32 it has 4x4" in text


# --- what a module says of its preprocessing -----------------------------------------------------


def with_preprocess(value) -> nn.Module:
    module = Inside(lambda x: x)
    module.preprocess = value
    return module


class PoolOf(nn.Module):
    """A network in which `preprocess` is a layer, applied by its own forward."""

    def __init__(self):
        super().__init__()
        from torchvision.transforms import Normalize

        self.net, self.preprocess = pooled(), Normalize(*IMAGENET)

    def forward(self, x):
        return self.net(self.preprocess(x))


def test_a_modules_own_transform_is_taken():
    from torchvision.models import ResNet18_Weights
    from torchvision.transforms import CenterCrop, Compose, Normalize, Resize, ToTensor

    steps = Compose([Resize(72), CenterCrop(64), ToTensor(), Normalize([0.5], [0.25])])
    for value, wanted in (
        (steps, Preprocess(size=64, resize=72, mean=(0.5,) * 3, std=(0.25,) * 3, crop_pct=1.0)),
        (ResNet18_Weights.DEFAULT.transforms(), Preprocess(resize=256, crop_pct=1.0)),
        ({"size": 64, "mean": [0.5], "std": [0.25]},
         Preprocess(size=64, mean=(0.5,) * 3, std=(0.25,) * 3)),
        ("tf size=64", applied("tf size=64", Preprocess())),
        (Preprocess(size=48, fit="squash"), Preprocess(size=48, fit="squash")),
    ):  # fmt: skip
        classifier = load_classifier(with_preprocess(value), device="cpu")
        assert classifier.preprocess == wanted
        assert not classifier.provenance.notes, "nothing was assumed"


def test_what_a_user_says_goes_over_what_the_module_says():
    classifier = load_classifier(with_preprocess("tf size=64"), device="cpu", preprocess="caffe")
    assert classifier.preprocess == applied("tf size=64 caffe", Preprocess())


def test_a_modules_preprocess_is_never_ignored_in_silence():
    with pytest.raises(UsageError, match=r"list.*should be"):
        load_classifier(with_preprocess([1, 2]), device="cpu")
    with pytest.raises(UsageError, match="cannot be read"):
        load_classifier(with_preprocess({"sise": 3}), device="cpu")

    class Method(nn.Sequential):
        def preprocess(self, image):
            return image

    assert "not called" in notes(load_classifier(Method(*pooled()), device="cpu"))


# --- normalisation inside ------------------------------------------------------------------------


def imagenet(x):
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in IMAGENET)
    return (x - mean) / std


@pytest.mark.parametrize(
    ("how", "given"),
    [
        (imagenet, 1.0),
        (lambda x: x * 2 - 1, 1.0),
        (lambda x: x - 0.5, 1.0),
        (lambda x: (x * 255 - 127.5) / 127.5, 1.0),
        (lambda x: x / 255, 255.0),
        (lambda x: x / 127.5 - 1, 255.0),
        (lambda x: (x - torch.tensor([123.7, 116.3, 103.5]).view(3, 1, 1)) / 58, 255.0),
    ],
)
def test_what_a_forward_normalises_is_not_normalised_before(how, given):
    """The network's own answers to pixels from 0 to 1, or to 255, are what comes out."""
    classifier = load_classifier(Inside(how), device="cpu", input_size=64)
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    pixels = torch.from_numpy(rgb).permute(2, 0, 1)[None]
    with torch.no_grad():
        truth = Inside(how).eval()(pixels / 255 * given)
    torch.testing.assert_close(classifier(pixels)[1], truth, rtol=1e-4, atol=1e-4)
    assert f"values from 0 to {given:g}" in notes(classifier)
    assert "ASSUMED" not in notes(classifier)


def test_a_layer_that_is_called_preprocess_and_applied_is_part_of_the_network():
    classifier = load_classifier(PoolOf(), device="cpu", input_size=64)
    assert classifier.preprocess.mean == (0.0,) * 3
    assert "normalises pictures itself, by mean 0.485 0.456 0.406" in notes(classifier)


def test_normalising_twice_is_told_where_somebody_asks_for_it():
    for said in ("imagenet", "size=64 tf"):
        classifier = load_classifier(Inside(imagenet), device="cpu", preprocess=said)
        assert "twice" in notes(classifier)
        assert any(classifier.preprocess.mean)
    assert "twice" not in notes(load_classifier(Inside(imagenet), preprocess="none", device="cpu"))


@pytest.mark.parametrize(
    "how",
    [
        lambda x: x,
        lambda x: (x - x.mean((2, 3), keepdim=True)) / (x.std((2, 3), keepdim=True) + 1e-3),
        lambda x: x**2,
        lambda x: functional.pad(x, (4, 4, 4, 4)),
        lambda x: torch.where(x > 0, x, torch.zeros(())),
    ],
)
def test_what_is_no_normalisation_is_not_taken_for_one(how):
    assert normalised_inside(Inside(how).eval(), (3, 64, 64)) is None


def test_inception_wants_what_was_normalised_before():
    """torchvision's transform_input brings ImageNet's values to those from -1 to 1."""
    mean, std = IMAGENET

    def again(x):
        parts = [x[:, c : c + 1] * (std[c] / 0.5) + (mean[c] - 0.5) / 0.5 for c in range(3)]
        return torch.cat(parts, 1)

    inside = normalised_inside(Inside(again).eval(), (3, 64, 64))
    assert inside is not None
    assert expected_values(*inside) is None
    classifier = load_classifier(Inside(again), device="cpu", input_size=64)
    assert classifier.preprocess.mean == mean


def test_a_trained_batch_norm_in_front_normalises():
    """What it has learned of its inputs is what they were: here pixels from 0 to 1."""
    module = nn.Sequential(nn.BatchNorm2d(3), *pooled())
    module[0].running_mean.copy_(torch.tensor([0.48, 0.45, 0.4]))
    module[0].running_var.copy_(torch.tensor([0.05, 0.05, 0.06]))
    assert "values from 0 to 1" in notes(load_classifier(module, device="cpu", input_size=64))
    fresh = nn.Sequential(nn.BatchNorm2d(3), *pooled())
    assert "itself" not in notes(load_classifier(fresh, device="cpu", input_size=64))


# --- the layout in memory ------------------------------------------------------------------------


class Branching(LeNet):
    """Tracing cannot follow it, so it runs as it is written."""

    def forward(self, x):
        if x.mean() > 1e9:
            return x
        return super().forward(x)


@pytest.mark.parametrize("kind", [LeNet, Branching])
def test_a_view_that_wants_channels_first_gets_them(kind):
    """The network of every tutorial: `x.view(-1, 400)` fails on channels that lie last."""
    classifier = load_classifier(kind(3), device="cpu", input_size=32)
    pixels = torch.randint(0, 255, (3, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        truth = kind(3).eval()(classifier.preprocess.normalise(pixels).contiguous())
    torch.testing.assert_close(classifier(pixels)[1], truth, rtol=1e-4, atol=1e-4)
    assert load_classifier(pooled(), device="cpu").layout == torch.channels_last


@pytest.mark.parametrize("kind", [LeNet, Branching])
@pytest.mark.parametrize("method", ["gradcam", "scorecam"])
def test_and_is_explained_by_every_kind_of_method(kind, method):
    from pathlib import Path

    import camcli

    cat = Path(__file__).resolve().parents[4] / "sample_images" / "cat.jpg"
    classifier = load_classifier(kind(3), device="cpu", input_size=32)
    result = camcli.explain(cat, classifier, method=method)
    assert result.status in ("ok", "empty"), result.error
    # Where tracing cannot follow, the last module with a map is explained, before its pooling.
    assert result.heats[0].heatmap.shape == ((5, 5) if kind is LeNet else (10, 10))
