"""Where a trained head looks, on drawn scenes whose pixels are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

from camcli.cam.methods import find_method, heatmaps
from camcli.data.synthetic.scenes import Shortcut, draw_scene, draw_scenes, write_scenes
from camcli.models.load import load_classifier
from camcli.train.config import TrainConfig
from camcli.train.run import train

pytestmark = pytest.mark.slow  # photographs of 640 pixels, for maps that are fine enough

MARK = Shortcut("apple")


def trained(folder, cache, shortcut=None):
    """A classifier trained on scenes, from its checkpoint."""
    data = write_scenes(folder / "data", counts={"train": 24, "val": 2}, shortcut=shortcut).parent
    # A map of 20x20 cells: with the usual 7x7, a cell is as large as half a fruit. What is left of
    # a head's random start is noise in its map; the mean of three heads has less of it.
    config = TrainConfig(
        data=str(data), backbone="efficientnet_lite0", fit="squash", input_size=640, epochs=50,
        batch_size=8, lr=3e-3, label_smoothing=0.2, ensemble=3, folds=0,
    )  # fmt: skip
    outcome = train(config, folder / "run", cache_dir=cache, device="cpu")
    return load_classifier(checkpoint=outcome.checkpoint, device="cpu")


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
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def honest(tmp_path_factory, cache):
    return trained(tmp_path_factory.mktemp("honest"), cache)


@pytest.fixture(scope="module")
def cheater(tmp_path_factory, cache):
    """Most of its pictures are those of `honest`, and their features in the cache."""
    return trained(tmp_path_factory.mktemp("cheater"), cache, MARK)


def test_more_than_70_percent_of_the_heat_of_the_right_class_is_on_the_object(honest):
    scenes = list(draw_scenes(5, split="test"))
    area = np.mean([scene.mask.mean() for scene in scenes])
    on_object, _, accuracy = heat_shares(honest, scenes)
    print(f"object {on_object:.3f}, area {area:.3f}, accuracy {accuracy:.3f}")
    assert accuracy >= 0.9
    # A map of nothing would have as much heat on the object as the object has area.
    assert area < 0.13
    assert on_object > 0.7


def test_with_a_planted_shortcut_the_heat_moves_to_the_mark(honest, cheater):
    marked = [draw_scene("apple", n, split="test", shortcut=MARK) for n in range(8)]
    area, mark_area = (
        np.mean([mask.mean() for mask in masks])
        for masks in ([s.mask for s in marked], [s.mark for s in marked])
    )
    honest_object, honest_mark, _ = heat_shares(honest, marked)
    object_, mark, _ = heat_shares(cheater, marked)
    print(
        f"mark {honest_mark:.3f} -> {mark:.3f}, object {honest_object:.3f} -> {object_:.3f}, "
        f"areas {mark_area:.3f} {area:.3f}"
    )
    assert mark > 4 * honest_mark
    assert object_ < honest_object
    assert mark / mark_area > object_ / area  # hotter on the mark than on the fruit
