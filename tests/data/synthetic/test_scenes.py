import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camcli.data.datasets.load import load_dataset
from camcli.data.decode.images import load_image
from camcli.data.synthetic.drawing import Canvas, Placement, box, ellipse, leaf
from camcli.data.synthetic.fruits import FRUITS, draw_fruit
from camcli.data.synthetic.scenes import Shortcut, draw_scene, draw_scenes, write_scenes
from camcli.errors import CamcliError, UsageError


@pytest.mark.parametrize("label", FRUITS)
def test_the_mask_is_exactly_what_was_painted(label):
    """Painted over black and over white: where the two differ, it is not the fruit."""
    rng_seed, place = 5, Placement(60, 60, 26, 0.3)
    painted = []
    for ground in (0.0, 1.0):
        canvas = Canvas(120, np.random.default_rng(1))
        canvas.shadow = lambda *_: None  # type: ignore[method-assign]
        canvas.rgb[:] = ground
        mask = draw_fruit(canvas, label, place, np.random.default_rng(rng_seed))
        painted.append(canvas.rgb.copy())
    through = np.abs(painted[0] - painted[1]).max(-1)  # 0 where the fruit is opaque
    assert np.array_equal(mask, through < 0.5)
    assert 0.05 < mask.mean() < 0.4


@pytest.mark.parametrize("label", FRUITS)
def test_scenes_show_the_whole_object(label):
    for number in range(8):
        scene = draw_scene(label, number, size=96)
        assert scene.rgb.shape == (96, 96, 3)
        assert scene.rgb.dtype == np.uint8
        assert 0.015 < scene.mask.mean() < 0.4
        frame = scene.mask.copy()
        frame[1:-1, 1:-1] = False
        assert not frame.any(), number


def test_equal_arguments_give_equal_pixels():
    one, again = draw_scene("pear", 3, seed=7), draw_scene("pear", 3, seed=7)
    assert np.array_equal(one.rgb, again.rgb)
    assert np.array_equal(one.mask, again.mask)
    for other in (
        draw_scene("pear", 4, seed=7),
        draw_scene("pear", 3, seed=8),
        draw_scene("apple", 3, seed=7),
        draw_scene("pear", 3, seed=7, split="test"),
    ):
        assert not np.array_equal(one.rgb, other.rgb)
    drawn = list(draw_scenes(4, classes=("apple", "pear"), seed=7))
    assert np.array_equal(drawn[-1].rgb, one.rgb)
    assert [s.label for s in drawn] == ["apple", "pear"] * 4


def test_a_shortcut_changes_nothing_but_the_mark():
    plain = draw_scene("lemon", 2)
    marked = draw_scene("lemon", 2, shortcut=Shortcut("lemon"))
    assert plain.mark is None
    assert marked.mark is not None
    assert not (marked.mark & marked.mask).any()
    assert 0.01 < marked.mark.mean() < 0.05
    changed = np.abs(plain.rgb.astype(int) - marked.rgb).max(-1) > 0
    assert changed[marked.mark].mean() > 0.9
    around = np.zeros_like(changed)
    rows, columns = np.nonzero(marked.mark)
    around[rows.min() - 12 : rows.max() + 12, columns.min() - 12 : columns.max() + 12] = True
    assert not changed[~around].any()
    assert draw_scene("pear", 2, shortcut=Shortcut("lemon")).mark is None


def test_where_the_mark_goes():
    def share(split, label, **options):
        shortcut = Shortcut("lemon", **options)
        numbers = range(30)
        return np.mean([shortcut.marks(label, split, np.random.default_rng(n)) for n in numbers])

    assert share("train", "lemon") == 1
    assert share("train", "apple") == 0
    assert 0.2 < share("val", "lemon", share=0.5) < 0.8
    assert share("test", "lemon", test="absent") == 0
    assert share("test", "apple", test="absent") == 0
    assert share("test", "lemon", test="swapped") == 0
    assert share("test", "apple", test="swapped") == 1


def test_the_background_does_not_tell_the_class():
    """Nearest class mean on the colours outside the mask is as good as guessing."""
    colours, labels = [], []
    for scene in draw_scenes(14, size=48):
        colours.append(scene.rgb[~scene.mask].mean(0))
        labels.append(FRUITS.index(scene.label))
    x, y = np.array(colours), np.array(labels)
    half = len(y) // 2
    means = np.array([x[:half][y[:half] == c].mean(0) for c in range(len(FRUITS))])
    guessed = np.argmin(((x[half:, None] - means) ** 2).sum(-1), 1)
    assert np.mean(guessed == y[half:]) < 0.35  # 0.125 by chance


def test_write_scenes(tmp_path):
    calls = []
    table = write_scenes(
        tmp_path / "set",
        counts={"train": 3, "val": 1, "test": 2},
        classes=("apple", "pear"),
        size=64,
        shortcut=Shortcut("pear", test="swapped"),
        progress=lambda: calls.append(1),
    )
    assert len(calls) == 12
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    for row in rows:
        scene = draw_scene(
            row["label"],
            int(Path(row["path"]).stem),
            split=row["split"],
            size=64,
            shortcut=Shortcut("pear", test="swapped"),
        )
        rgb = load_image(table.parent / row["path"])
        assert np.abs(rgb.astype(int) - scene.rgb).mean() < 4  # JPEG
        mask = np.asarray(Image.open(table.parent / row["mask"]))
        assert np.array_equal(mask > 0, scene.mask)
        assert bool(row["mark"]) == (scene.mark is not None)
    assert [p.name for p in tmp_path.iterdir()] == ["set"]
    for data in (load_dataset(table.parent), load_dataset(table)):
        assert data.classes == ("apple", "pear")
        assert data.counts() == {"train": 6, "val": 2, "test": 4}


def test_mistakes(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(UsageError, match="not empty"):
        write_scenes(tmp_path / "full")
    with pytest.raises(UsageError, match="No drawn class 'kiwi'"):
        write_scenes(tmp_path / "new", classes=("kiwi", "pear"))
    with pytest.raises(UsageError, match="two different classes"):
        write_scenes(tmp_path / "new", classes=("pear",))
    with pytest.raises(UsageError, match="not among those drawn"):
        write_scenes(tmp_path / "new", classes=("pear", "apple"), shortcut=Shortcut("lemon"))
    with pytest.raises(UsageError, match="32 pixels"):
        draw_scene("pear", 0, size=8)
    (tmp_path / "file").touch()
    with pytest.raises(CamcliError):
        write_scenes(tmp_path / "file" / "set", counts={"train": 1})


def test_an_interrupted_drawing_leaves_nothing(tmp_path):
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_scenes(tmp_path / "set", size=64, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_distances():
    axis = np.array([-2.0, -1.0, 0.0, 1.0, 3.0])
    zero = np.zeros(5)
    assert np.allclose(box(axis, zero, 1, 5), [1, 0, -1, 0, 2])
    assert np.allclose(box(np.array([4.0]), np.array([9.0]), 1, 5), [5])  # 3-4-5
    assert np.allclose(ellipse(axis, zero, 1, 1), [1, 0, -1, 0, 2])
    assert np.allclose(leaf(axis, zero, 1, 0.5)[[1, 3]], 0)
    assert np.allclose(leaf(zero, np.array([0, 0.5, -0.5, 0, 0]), 1, 0.5)[1:3], 0)
