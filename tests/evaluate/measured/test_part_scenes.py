import json
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from camcli.data.sources.find import find_images
from camcli.errors import ImageError, UsageError
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
    for odd in ("[]", "3", '{"scenes": 3}', '{"scenes": {}, "parts": ["a"]}'):
        (tmp_path / "parts.json").write_text(odd)
        with pytest.raises(UsageError):
            read_part_scenes(tmp_path)


def test_no_name_leads_out_of_the_folder(tmp_path):
    folder = write(tmp_path / "set")
    record = json.loads((folder / "parts.json").read_text())
    record["scenes"]["../../etc/passwd"] = record["scenes"].pop(SCENE)
    (folder / "parts.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match="leads out of the folder"):
        read_part_scenes(folder)
