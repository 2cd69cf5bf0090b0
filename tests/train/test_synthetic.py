"""Where a trained head looks, on drawn scenes whose pixels are known."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

from camcli.cam.methods import find_method, heatmaps
from camcli.data.fruits import FRUITS
from camcli.data.synthetic import Shortcut, draw_scenes, write_scenes
from camcli.models.classifier import load_classifier
from camcli.train.config import TrainConfig
from camcli.train.run import train

CLASSES = ("apple", "orange", "strawberry")
MARK = Shortcut("apple")


def trained(folder, size, *, classes=CLASSES, counts=None, shortcut=None):
    """A classifier trained on scenes, from its checkpoint."""
    counts = counts or {"train": 20, "val": 5}
    data = write_scenes(folder / "data", classes=classes, counts=counts, shortcut=shortcut).parent
    config = TrainConfig(
        data=str(data), backbone="efficientnet_lite0", fit="squash", input_size=size, epochs=50,
        label_smoothing=0.2,
    )  # fmt: skip
    outcome = train(config, folder / "run", cache_dir=folder / "cache")
    return load_classifier(checkpoint=outcome.checkpoint)


def heat_shares(classifier, scenes) -> tuple[float, float, float]:
    """Mean share of the right class's positive heat on the object and on the mark; accuracy."""
    on_object, on_mark, right = [], [], []
    for scene in scenes:
        A, logits = classifier(classifier.preprocess.pixels(scene.rgb)[None])
        target = torch.tensor([classifier.classes.index(scene.label)])
        M = heatmaps(
            find_method("gradcam"), A, logits, target, head=classifier.head, tail=classifier.tail
        )
        heat = F.interpolate(M[None].relu(), scene.mask.shape, mode="bilinear")[0, 0].numpy()
        on_object.append(heat[scene.mask].sum() / heat.sum())
        on_mark.append(0 if scene.mark is None else heat[scene.mark].sum() / heat.sum())
        right.append(bool(logits.argmax() == target))
    return tuple(float(np.mean(values)) for values in (on_object, on_mark, right))


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("honest"), 448)


@pytest.fixture(scope="module")
def cheater(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("cheater"), 448, shortcut=MARK)


def test_the_heat_of_the_right_class_is_on_the_object(honest):
    scenes = list(draw_scenes(5, classes=CLASSES, split="test"))
    area = np.mean([scene.mask.mean() for scene in scenes])
    on_object, _, accuracy = heat_shares(honest, scenes)
    assert accuracy >= 0.9
    # A map of nothing would have as much heat on the object as the object has area.
    assert area < 0.13
    assert on_object > 0.5


def test_with_a_planted_shortcut_the_heat_moves_to_the_mark(honest, cheater):
    scenes = [
        scene
        for scene in draw_scenes(8, classes=CLASSES, split="test", shortcut=MARK)
        if scene.mark is not None
    ]
    assert len(scenes) == 8
    area, mark_area = (np.mean([m.mean() for m in ms]) for ms in (
        [s.mask for s in scenes], [s.mark for s in scenes]
    ))  # fmt: skip
    honest_object, honest_mark, _ = heat_shares(honest, scenes)
    object_, mark, _ = heat_shares(cheater, scenes)
    print(
        f"mark {honest_mark:.3f} -> {mark:.3f}, object {honest_object:.3f} -> {object_:.3f}, "
        f"areas {mark_area:.3f} {area:.3f}"
    )
    assert mark > 4 * honest_mark
    assert object_ < honest_object
    assert mark / mark_area > object_ / area  # hotter on the mark than on the fruit


@pytest.mark.skipif(
    os.environ.get("CAMCLI_SLOW_TESTS") != "1", reason="takes minutes; set CAMCLI_SLOW_TESTS=1"
)
def test_at_640_pixels_more_than_70_percent_of_the_heat_is_on_the_object(tmp_path):
    counts = {"train": 60, "val": 15}
    classifier = trained(tmp_path, 640, classes=FRUITS, counts=counts)
    on_object, _, accuracy = heat_shares(classifier, list(draw_scenes(6, split="test")))
    print(f"on the object {on_object:.3f}, accuracy {accuracy:.3f}")
    assert accuracy >= 0.95
    assert on_object > 0.7
