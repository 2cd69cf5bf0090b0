import json
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from camcli.data.datasets.load import load_dataset
from camcli.data.decode.images import load_image
from camcli.data.synthetic.bird_scenes import (
    draw_bird_scene,
    lacking,
    part_sets,
    write_bird_scenes,
)
from camcli.data.synthetic.birds import BODY, PARTS, SPECIES, USUAL, draw_bird
from camcli.data.synthetic.drawing import Canvas, Placement
from camcli.data.synthetic.part_files import pixels_name, without_name
from camcli.errors import UsageError


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("birds") / "set"
    write_bird_scenes(folder, counts={"train": 4, "val": 1, "test": 1}, classes=USUAL[:2], size=64)
    return folder


@pytest.mark.parametrize("label", SPECIES)
def test_the_pixels_are_exactly_what_was_painted(label):
    """Painted over black and over white: where the two differ, it is not the bird."""
    painted = []
    for ground in (0.0, 1.0):
        canvas = Canvas(120, np.random.default_rng(1))
        canvas.shadow = lambda *_: None  # type: ignore[method-assign]
        canvas.rgb[:] = ground
        pixels = draw_bird(
            canvas, SPECIES[label], Placement(60, 60, 22, 0.2), np.random.default_rng(5)
        )
        painted.append(canvas.rgb.copy())
    through = np.abs(painted[0] - painted[1]).max(-1)
    whole = np.logical_or.reduce(list(pixels.values()))
    # Where the soft edges of two parts meet, more is covered than either owns.
    unlike = whole != (through < 0.5)
    assert unlike.sum() < 0.01 * whole.sum()
    assert (through[unlike] > 0.2).all()
    assert set(pixels) == {BODY, *PARTS}
    assert sum(mask.sum() for mask in pixels.values()) == whole.sum()  # no pixel has two owners
    assert min(mask.sum() for mask in pixels.values()) > 30
    frame = whole.copy()
    frame[1:-1, 1:-1] = False
    assert not frame.any()


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_left_out_leaves_no_trace_elsewhere(part):
    whole = draw_bird_scene("heron", 3, size=96)
    bare = draw_bird_scene("heron", 3, size=96, without=[part])
    assert part not in bare.pixels
    changed = (whole.rgb != bare.rgb).any(-1)
    assert changed[whole.pixels[part]].mean() > 0.9
    # Its shadow and its soft edge go with it, and they are not far.
    rows, columns = np.nonzero(whole.pixels[part])
    near = np.zeros_like(changed)
    near[max(0, rows.min() - 12) : rows.max() + 13,
         max(0, columns.min() - 12) : columns.max() + 13] = True  # fmt: skip
    assert not changed[~near].any()
    for other in (set(PARTS) | {BODY}) - {part}:
        assert bare.pixels[other].sum() >= whole.pixels[other].sum()


def test_a_thing_that_is_left_out_moves_no_other():
    whole = draw_bird_scene("ibis", 1, size=96)
    things = [name for name in whole.pixels if name.startswith("thing")]
    assert 3 <= len(things) <= 6
    bare = draw_bird_scene("ibis", 1, size=96, without=[things[0]])
    assert [name for name in bare.pixels if name.startswith("thing")] == things[1:]
    for part in PARTS:
        assert np.array_equal(bare.pixels[part], whole.pixels[part])
    assert (whole.rgb != bare.rgb).any()


def test_equal_arguments_give_equal_pixels():
    one, again = draw_bird_scene("egret", 2, seed=7), draw_bird_scene("egret", 2, seed=7)
    assert np.array_equal(one.rgb, again.rgb)
    for other in (
        draw_bird_scene("egret", 3, seed=7),
        draw_bird_scene("egret", 2, seed=8),
        draw_bird_scene("finch", 2, seed=7),
        draw_bird_scene("egret", 2, seed=7, split="test"),
    ):
        assert not np.array_equal(one.rgb, other.rgb)


@pytest.mark.parametrize("count", range(5, len(SPECIES) + 1))
def test_every_class_has_two_rivals(count):
    names = list(SPECIES)[:count]

    def shared(a, b):
        return {part for part in PARTS if SPECIES[a][part] == SPECIES[b][part]}

    assert all(len(shared(a, b)) <= 2 for a, b in combinations(names, 2))
    for name in names:
        near = [shared(name, o) for o in names if o != name and len(shared(name, o)) == 2]
        assert any(a.isdisjoint(b) for a, b in combinations(near, 2)), name
    for part, variants in PARTS.items():
        assert {SPECIES[name][part] for name in names} <= set(range(len(variants)))


def test_half_of_what_is_trained_on_lacks_parts():
    gone = [lacking("heron", n, seed=0, split="train") for n in range(400)]
    assert 0.4 < sum(not some for some in gone) / 400 < 0.6
    assert {len(some) for some in gone} == set(range(len(PARTS)))  # never all of them
    assert {part for some in gone for part in some} == set(PARTS)


def test_what_is_written_is_what_is_drawn(written):
    record = json.loads((written / "parts.json").read_text())
    assert record["parts"] == list(PARTS)
    assert list(record["scenes"]) == ["test/avocet/0000.jpg", "test/bittern/0000.jpg"]
    for name, known in record["scenes"].items():
        values = np.asarray(Image.open(written / pixels_name(name)))
        scene = draw_bird_scene(known["label"], 0, split="test", size=64)
        for each, number in known["pixels"].items():
            assert np.array_equal(values == number, scene.pixels[each])
        for gone in [*part_sets(record["parts"]), *((each,) for each in known["things"])]:
            drawn = draw_bird_scene(known["label"], 0, split="test", size=64, without=gone)
            kept = load_image(written / without_name(name, gone))
            assert np.abs(kept.astype(int) - drawn.rgb).mean() < 3
        mask = np.asarray(Image.open(written / "masks" / name.replace(".jpg", ".png")))
        assert np.array_equal(mask > 0, (values > 0) & (values <= known["pixels"][BODY]))


def test_it_is_read_as_any_data_set(written):
    data = load_dataset(str(written))
    assert data.classes == ("avocet", "bittern")
    assert data.counts() == {"train": 8, "val": 2, "test": 2}


def test_what_cannot_be_drawn_is_refused(tmp_path, written):
    with pytest.raises(UsageError, match="No drawn bird 'dodo'; there are avocet"):
        write_bird_scenes(tmp_path / "x", classes=("dodo", "ibis"))
    with pytest.raises(UsageError, match="at least 64 pixels"):
        write_bird_scenes(tmp_path / "x", size=32)
    with pytest.raises(UsageError, match="two different classes"):
        write_bird_scenes(tmp_path / "x", classes=("ibis",))
    with pytest.raises(UsageError, match="not empty"):
        write_bird_scenes(written)
    assert not (tmp_path / "x").exists()
