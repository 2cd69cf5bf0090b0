"""What a network's first BatchNorm remembers of its inputs says how they were normalised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from camcli.data.decode.images import load_image
from camcli.data.decode.preprocess import Preprocess
from camcli.data.decode.preprocess_words import applied
from camcli.models.load import load_classifier
from camcli.models.loading.own.learned_inputs import given_inputs, learned_inputs

SAMPLES = sorted((Path(__file__).resolve().parents[4] / "sample_images").glob("*.jpg"))
WORDS = ("imagenet", "inception", "none", "scale=255", "caffe")


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 24, 3, 2, 1), nn.BatchNorm2d(24), nn.ReLU(), nn.Conv2d(24, 8, 3, 8, 1),
        nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2),
    )  # fmt: skip


@pytest.fixture(scope="module")
def photographs() -> list[np.ndarray]:
    return [load_image(path) for path in SAMPLES]


def trained(words: str, photographs) -> tuple[nn.Module, torch.Tensor]:
    """A network whose BatchNorms have seen photographs, and these as they were normalised."""
    preprocess = applied(f"{words} size=96", Preprocess())
    module = network().train()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the mean of all that it sees
    images = torch.cat([preprocess.tensor(rgb) for rgb in photographs])
    with torch.no_grad():
        module(images)
    return module.eval(), images


@pytest.mark.parametrize("words", WORDS)
def test_mean_and_deviation_of_the_inputs_come_back(words, photographs):
    """Against the images that were shown: the mean to a tenth of their deviation, which itself is
    known to a factor of 1.5."""
    module, images = trained(words, photographs)
    found = learned_inputs(module, (3, 96, 96))
    assert found is not None
    assert found.mean == pytest.approx(float(images.mean()), abs=0.1 * float(images.std()))
    assert 1 / 1.5 < found.deviation / float(images.std()) < 1.5
    assert found.preset() == words
    assert given_inputs(applied(words, Preprocess())).preset() == words


@pytest.mark.parametrize("words", WORDS)
def test_what_nobody_says_is_found_out(words, photographs):
    module, images = trained(words, photographs)
    classifier = load_classifier(module, device="cpu", input_size=96)
    assert classifier.preprocess == applied(f"{words} size=96", Preprocess())
    seen = torch.stack([classifier.preprocess.pixels(rgb) for rgb in photographs])
    torch.testing.assert_close(classifier.preprocess.normalise(seen), images)
    text = " ".join(classifier.provenance.notes)
    assert ("first BatchNorm" in text) == (words != "imagenet")
    assert ("ImageNet mean and std ASSUMED" in text) == (words == "imagenet")


def test_what_is_said_is_kept_and_contradicted(photographs):
    module, _ = trained("none", photographs)
    classifier = load_classifier(module, device="cpu", preprocess="imagenet size=96")
    assert classifier.preprocess.mean == (0.485, 0.456, 0.406)
    assert "check what was said" in " ".join(classifier.provenance.notes)
    for words in ("none size=96", "size=96 mean=0 std=1"):
        notes = load_classifier(module, device="cpu", preprocess=words).provenance.notes
        assert "BatchNorm" not in " ".join(notes)


def test_what_was_not_trained_or_does_not_fit_says_nothing():
    assert learned_inputs(network().eval(), (3, 64, 64)) is None
    odd = network()
    torch.manual_seed(3)
    odd[1].running_mean.normal_().mul_(3)
    odd[1].running_var.uniform_(0.5, 2)
    assert learned_inputs(odd.eval(), (3, 64, 64)) is None
    without = nn.Sequential(network()[0], *network()[2:]).eval()
    assert learned_inputs(without, (3, 64, 64)) is None
    assert learned_inputs(network().eval(), (1, 64, 64)) is None


@pytest.mark.slow
def test_it_is_found_out_of_weights_by_name_and_in_a_file(tmp_path, photographs):
    """Somebody's ResNet, trained on values from 0 to 1; ImageNet's own weights are let alone."""
    from torchvision import models

    torch.manual_seed(0)
    module = models.resnet18(num_classes=2).train()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None
    images = [applied("none size=96", Preprocess()).tensor(rgb) for rgb in photographs]
    with torch.no_grad():
        module(torch.cat(images))
    torch.save(module.state_dict(), tmp_path / "mine.pth")
    for asked in ({"model": "resnet18", "weights": tmp_path / "mine.pth"},
                  {"model": tmp_path / "mine.pth"}):  # fmt: skip
        classifier = load_classifier(**asked, device="cpu")
        assert set(classifier.preprocess.mean) == {0.0}
        assert "as --preprocess 'none' gives them" in " ".join(classifier.provenance.notes)
        told = load_classifier(**asked, device="cpu", preprocess="imagenet")
        assert told.preprocess.mean == (0.485, 0.456, 0.406)
