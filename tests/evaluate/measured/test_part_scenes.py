import json
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from camcli.data.sources.find import find_images
from camcli.errors import CamcliError, ImageError, UsageError
from camcli.evaluate.measured.part_scenes import PartScenes, read_part_scenes
from tests.evaluate.part_set import SCENE, picture, write


def test_scenes_are_found_by_their_file(tmp_path):
    folder = write(tmp_path / "set")
    scenes = read_part_scenes(folder)
    (ref,) = find_images(folder / "test")
    scene = scenes.of(ref)
    assert (scene.label, scene.things) == ("red", ("thing-0",))
    regions = dict(scene.regions())
    assert regions["a"].sum() == 256
    assert regions["a"][8:24, 8:24].all()
    kept = np.asarray(Image.open(scene.without({"c", "a"})))
    assert np.array_equal(kept, picture(("a", "c")))


def test_the_smallest_sufficient_sets_tell_a_class_from_all_others():
    """As the authors' code finds them: by trying every set against every other class."""
    rng = np.random.default_rng(0)
    parts = tuple("pqrst")
    for _ in range(20):
        codes = list(dict.fromkeys(tuple(rng.integers(0, 3, 5).tolist()) for _ in range(8)))
        classes = {str(n): dict(zip(parts, c, strict=True)) for n, c in enumerate(codes)}
        scenes = PartScenes(parts, classes, {})
        sets = [frozenset(s) for n in range(1, 6) for s in combinations(parts, n)]
        able = [
            s for s in sets
            if all(any(classes[o][p] != classes["0"][p] for p in s) for o in classes if o != "0")
        ]  # fmt: skip
        smallest = {s for s in able if not any(other < s for other in able)}
        assert set(scenes.sufficient("0")) == smallest


def test_rivals_share_two_parts_each_and_not_the_same(tmp_path):
    scenes = read_part_scenes(write(tmp_path / "set"))
    assert scenes.rivals("red") == ("green", "blue")
    assert scenes.shared("red", "green") == {"a", "b"}
    assert scenes.rivals("green") is None


@pytest.fixture
def funnybirds(tmp_path):
    """Two scenes in the form in which the authors publish theirs."""
    root = tmp_path / "FunnyBirds"
    parts = {"beak": [{}, {}], "eye": [{}, {}], "foot": [{}], "tail": [{}], "wing": [{}]}
    classes = [
        {"class_idx": n, "parts": {"beak": n, "eye": 0, "foot": 0, "tail": 0, "wing": 0}}
        for n in (0, 1)
    ]
    params = [{"class_idx": n, "bg_objects": "12,5,33,", "bg_x": "1,2,3"} for n in (0, 1)]
    values = np.zeros((32, 32, 4), np.uint8)
    values[..., 3] = 255
    values[0:4, 0:4, :3] = (255, 255, 0)
    values[0:4, 8:12, :3] = (255, 255, 253)
    values[0:4, 12:16, :3] = (255, 255, 254)
    values[8:12, 0:4, :3] = (204, 204, 205)
    for n in (0, 1):
        for folder in ("test", "test_part_map"):
            path = root / folder / str(n) / f"{n:06}.png"
            path.parent.mkdir(parents=True)
            Image.fromarray(values).save(path)
    (root / "parts.json").write_text(json.dumps(parts))
    (root / "classes.json").write_text(json.dumps(classes))
    (root / "dataset_test.json").write_text(json.dumps(params))
    return root


def test_the_authors_own_folder_is_read(funnybirds):
    scenes = read_part_scenes(funnybirds)
    assert scenes.parts == ("beak", "eye", "foot", "tail", "wing")
    assert scenes.sufficient("1") == [frozenset({"beak"})]
    refs = list(find_images(funnybirds / "test", labels="folder"))
    assert scenes.matching(refs) == refs
    scene = scenes.of(refs[1])
    assert (scene.label, scene.things) == ("1", ("thing-0", "thing-1", "thing-2"))
    regions = [(name, int(mask.sum())) for name, mask in scene.regions() if mask.any()]
    assert sorted(regions) == [("beak", 16), ("eye", 16), ("eye", 16), ("thing-1", 16)]
    place = funnybirds.resolve() / "test_interventions" / "1" / "000001"
    assert scene.without({"wing", "beak"}) == place / "body_eye_foot_tail.png"
    assert scene.without({"thing-2"}) == place / "background_interventions" / "2.png"


def test_a_broken_picture_of_the_parts_is_that_scenes_error(funnybirds):
    scenes = read_part_scenes(funnybirds)
    scene = next(iter(scenes.scenes.values()))
    (funnybirds / "test_part_map" / "0" / "000000.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match="picture of the parts cannot be read"):
        scene.regions()


def test_what_is_no_such_folder_is_refused(tmp_path):
    with pytest.raises(UsageError, match="camcli data synthetic FOLDER --parts"):
        read_part_scenes(tmp_path)
    (tmp_path / "parts.json").write_text("{")
    with pytest.raises(UsageError, match="is not JSON"):
        read_part_scenes(tmp_path)


SPOILT = {
    "no list of scenes": ((), [], "parts.json has no 'scenes', and there is no classes.json"),
    "scenes": (("scenes",), 3, "'scenes' of parts.json is no table"),
    "one part": (("parts",), ["a"], "has 1 parts; 2 to 12"),
    "parts": (("parts",), {"a": 1}, "'parts' of parts.json is no list"),
    "no classes": (("classes",), None, "'classes' of parts.json is no table"),
    "a class": (("classes", "red"), [0, 0], "class 'red' of parts.json is no table"),
    "a variant": (("classes", "red", "b"), None, "'b' of class 'red' of parts.json is no whole"),
    "words": (("classes", "red", "b"), "two", "'b' of class 'red' of parts.json is no whole"),
    "a scene": (("scenes", SCENE), [], f"scene '{SCENE}' of parts.json is no table"),
    "a label": (("scenes", SCENE, "label"), "blau", "'blau', the label of scene"),
    "pixels": (("scenes", SCENE, "pixels"), "x", "'pixels' of scene .* is no table"),
    "a number": (("scenes", SCENE, "pixels", "a"), 1.5, "'a' of 'pixels' of scene .* is no whole"),
    "things": (("scenes", SCENE, "things"), "tree", "'things' of scene .* is no list"),
}


@pytest.mark.parametrize(("keys", "value", "words"), SPOILT.values(), ids=list(SPOILT))
def test_what_is_wrong_with_the_files_is_said_in_their_words(tmp_path, keys, value, words):
    """And not in Python's."""
    folder = write(tmp_path / "set")
    record = json.loads((folder / "parts.json").read_text())
    inner = record
    for key in keys[:-1]:
        inner = inner[key]
    if keys:
        inner[keys[-1]] = value
    (folder / "parts.json").write_text(json.dumps(record if keys else value))
    with pytest.raises(UsageError, match=words) as told:
        read_part_scenes(folder)
    assert "Error(" not in str(told.value)


@pytest.mark.parametrize(
    "gone", ["label", "things", "pixels"], ids=lambda name: f"a scene without {name}"
)
def test_what_is_missing_is_named(tmp_path, gone):
    folder = write(tmp_path / "set")
    record = json.loads((folder / "parts.json").read_text())
    del record["scenes"][SCENE][gone]
    (folder / "parts.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match=f"of parts.json has no '{gone}'"):
        read_part_scenes(folder)


def test_what_is_wrong_with_funnybirds_is_said_in_its_words(funnybirds):
    known = json.loads((funnybirds / "dataset_test.json").read_text())
    for odd, words in (
        ({}, "dataset_test.json is no list"),
        ([*known, 3], "entry 3 of dataset_test.json is no table"),
        ([{"bg_objects": ""}], "entry 1 of dataset_test.json has no 'class_idx'"),
        ([{"class_idx": 7}], "'7', the class of entry 1 of dataset_test.json"),
    ):
        (funnybirds / "dataset_test.json").write_text(json.dumps(odd))
        with pytest.raises(UsageError, match=words):
            read_part_scenes(funnybirds)
    (funnybirds / "dataset_test.json").unlink()
    with pytest.raises(CamcliError, match=r"Cannot read .*dataset_test\.json"):
        read_part_scenes(funnybirds)


def test_no_name_leads_out_of_the_folder(tmp_path):
    folder = write(tmp_path / "set")
    record = json.loads((folder / "parts.json").read_text())
    record["scenes"]["../../etc/passwd"] = record["scenes"].pop(SCENE)
    (folder / "parts.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match="leads out of the folder"):
        read_part_scenes(folder)
