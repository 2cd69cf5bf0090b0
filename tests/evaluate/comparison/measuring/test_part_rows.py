import numpy as np
import pytest
from PIL import Image

from camcli.cam.map_options import make_map_options
from camcli.data.sources.find import find_images
from camcli.data.synthetic.part_files import without_name
from camcli.errors import UsageError
from camcli.evaluate.comparison.measuring.compare import compare
from camcli.evaluate.comparison.measuring.part_rows import ask_parts, part_rows
from camcli.evaluate.comparison.questions.questions import Questions
from camcli.evaluate.comparison.rows.columns import CLASSIFICATION
from camcli.evaluate.measured.part_scenes import read_part_scenes
from camcli.models.outputs import Output
from tests.evaluate.part_set import PARTS, SCENE, write


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "set")


def _refs(folder):
    return list(find_images(folder / "test", labels="folder"))


def test_maps_of_what_the_network_sums_are_right_in_all(by_colour, folder):
    """Ten times the mean of red is what `red` gets: CAM says how much of it each part brings.

    The thing in the middle is green: red loses nothing without it, and without all parts the
    network says green. Green needs a and b, blue c and d.
    """
    hows = {name: make_map_options(name) for name in ("random", "cam")}
    answers = ask_parts(by_colour, "net", _refs(folder), hows, read_part_scenes(folder))
    found = {row.method: row for row in part_rows(answers, "net", repeats=10, seed=0)}
    assert found["cam"].metrics == pytest.approx(
        dict.fromkeys(
            ("csdc", "pc", "dc", "distractibility", "completeness", "single_deletion",
             "target_sensitivity", "parts_mean"), 1.0,
        )
    )  # fmt: skip
    assert found["cam"].intervals == {}, "one scene says nothing of others"
    assert found[CLASSIFICATION].metrics == {"background_independence": 1.0}
    # The middle holds the thing, and every part as much: nothing is told of which, or of a class.
    assert found["centre-box"].metrics["target_sensitivity"] == 0
    assert found["centre-box"].metrics["distractibility"] < 1
    assert set(found) == {
        CLASSIFICATION, "centre-box", "centre-gaussian", "noise", "random", "cam",
    }  # fmt: skip


def test_a_map_that_is_no_cam_is_taken_as_it_is(by_colour, folder):
    """The channels themselves are right; turned around they name the parts in the wrong order."""

    def channel(images, index):
        return images[0, index].numpy()

    others = {"channel": channel, "against": lambda images, index: -channel(images, index)}
    answers = ask_parts(
        by_colour, "net", _refs(folder), {}, read_part_scenes(folder), others=others
    )
    found = {row.method: row.metrics for row in part_rows(answers, "net", repeats=0, seed=0)}
    assert found["channel"]["parts_mean"] == pytest.approx(1)
    assert found["against"]["single_deletion"] == pytest.approx(0)
    assert found["against"]["target_sensitivity"] == 0


def test_the_table_has_them(by_colour, folder):
    hows = {"cam": make_map_options("cam")}
    ask = Questions(parts=read_part_scenes(folder), repeats=0)
    seen = []
    found = compare(by_colour, "net", _refs(folder), hows, ask, progress=lambda: seen.append(1))
    rows = {row.method: row.metrics for row in found.rows}
    assert rows["cam"]["parts_mean"] == pytest.approx(1)
    assert rows[CLASSIFICATION]["top1"] == 1
    assert rows[CLASSIFICATION]["background_independence"] == 1
    assert len(seen) == 2  # once seen, once measured


def test_a_picture_that_is_missing_is_told_and_the_scene_left_out(by_colour, folder):
    (folder / without_name(SCENE, ["b"])).unlink()
    errors = []
    answers = ask_parts(
        by_colour, "net", _refs(folder), {"cam": make_map_options("cam")},
        read_part_scenes(folder), failed=errors.append,
    )  # fmt: skip
    assert "without b" in str(errors[0])
    assert not part_rows(answers, "net", repeats=0, seed=0)


def test_networks_that_cannot_be_asked_are_refused(by_colour, folder, tmp_path):
    from dataclasses import replace

    scenes, refs = read_part_scenes(folder), _refs(folder)
    with pytest.raises(UsageError, match="does not know blue of the scenes"):
        ask_parts(replace(by_colour, classes=("red", "green", "teal")), "net", refs, {}, scenes)
    labels = replace(by_colour, output=Output("sigmoid"))
    with pytest.raises(UsageError, match="exclude each other"):
        ask_parts(labels, "net", refs, {}, scenes)
    (tmp_path / "red").mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "red" / "0.png")
    others = list(find_images(tmp_path / "red"))
    with pytest.raises(UsageError, match="None of these photographs is a scene"):
        ask_parts(by_colour, "net", others, {}, scenes)
    assert len(PARTS) == len(scenes.parts)
