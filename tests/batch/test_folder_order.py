"""Folders 0 ... 11: measured is whether a network has them as they count, or as text sorts them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from camcli.batch.folder_order import renamed, settled
from camcli.data.decode.preprocess import Preprocess
from camcli.data.sources.find import find_images
from camcli.models.classifier import cut_classifier
from camcli.models.loading.builder import provenance

NUMBERS = tuple(map(str, range(12)))
TEXT = tuple(sorted(NUMBERS))


class Brightness(nn.Module):
    """Tells twelve shades of grey apart: output n is the nth brightest of `order`."""

    def __init__(self, order: tuple[str, ...]) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU())
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(2, 12)
        shades = torch.tensor([(int(name) + 1) / 14 for name in order])
        with torch.no_grad():
            self.features[0].weight.fill_(1 / 3)
            self.features[0].bias.zero_()
            # -(x - s)^2 without what all have in common.
            self.fc.weight.copy_((shades * 2)[:, None].expand(-1, 2) / 2 * 100)
            self.fc.bias.copy_(-(shades**2) * 100)

    def forward(self, x):
        return self.fc(self.pool(self.features(x)).flatten(1))


def network(order, classes=NUMBERS):
    return cut_classifier(
        Brightness(order).eval(),
        classes=classes,
        preprocess=Preprocess(size=32, mean=(0, 0, 0), std=(1, 1, 1)),
        provenance=provenance("m:f", "factory", None, "user"),
        device=torch.device("cpu"),
    )


@pytest.fixture(scope="module")
def shades(tmp_path_factory):
    """Folders 0 to 11, each with four pictures of its shade of grey."""
    root = tmp_path_factory.mktemp("shades")
    for name in NUMBERS:
        (root / name).mkdir()
        picture = np.full((40, 40, 3), round(255 * (int(name) + 1) / 14), np.uint8)
        for n in range(4):
            cv2.imwrite(str(root / name / f"{n}.png"), picture)
    return root


def accuracy(source, classifier):
    own = source.numbered(classifier.classes)
    hits = []
    for ref in own:
        rgb = cv2.imread(str(ref.path))[:, :, ::-1]
        logits = classifier.look(classifier.preprocess.pixels(rgb)[None]).logits
        hits.append(classifier.classes[int(logits.argmax())] == ref.label)
    return np.mean(hits)


@pytest.mark.parametrize("classes", [NUMBERS, tuple("abcdefghijkl")], ids=["unnamed", "named"])
def test_a_network_of_imagefolders_order_is_recognised(shades, classes):
    """0.17 by the numbers: only the folders 0 and 1 are where they would be."""
    classifier, said = network(TEXT, classes), []
    source = find_images(shades)
    assert accuracy(source, classifier) == pytest.approx(2 / 12)
    found = settled(source, classifier, said.append)
    assert accuracy(found, classifier) == 1
    assert len(said) == 1
    assert "0 are predicted" in said[0]
    assert "40 as what" in said[0]
    assert "'10' is output 2" in said[0]
    assert "--labels index" in said[0]
    refs = list(source)
    assert [r.label for r in renamed(source, refs, classifier, said.append)] == [
        r.label for r in found.numbered(classes)
    ]


def test_a_network_that_counts_keeps_its_labels(shades):
    classifier, said = network(NUMBERS), []
    found = settled(find_images(shades), classifier, said.append)
    assert accuracy(found, classifier) == 1
    assert "the labels are the numbers" in said[0]


def test_a_network_that_knows_nothing_decides_nothing(shades):
    other = NUMBERS[5:] + NUMBERS[:5]
    said = []
    found = settled(find_images(shades), network(other), said.append)
    assert found.order is None
    assert "does not tell them apart" in said[0]
    assert "--labels imagefolder" in said[0]


def test_nothing_is_measured_where_it_makes_no_difference_or_is_said(shades, tmp_path):
    said = []
    for n in range(2):  # the first two as they count and as text
        (tmp_path / str(n)).mkdir()
        cv2.imwrite(str(tmp_path / str(n) / "x.png"), np.zeros((40, 40, 3), np.uint8))
    settled(find_images(tmp_path), network(NUMBERS), said.append)
    for labels in ("index", "imagefolder", "folder", "none"):
        source = find_images(shades, labels=labels)
        assert settled(source, network(TEXT), said.append) is source
    # A checkpoint of its own has the folders' names in its order.
    settled(find_images(shades), network(TEXT, TEXT), said.append)
    assert not said


def test_unreadable_pictures_do_not_decide(shades, tmp_path):
    for name in NUMBERS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes(b"no picture")
    said = []
    found = settled(find_images(tmp_path), network(TEXT), said.append)
    assert found.order is None
    assert "Of 0 photographs" in said[0]
