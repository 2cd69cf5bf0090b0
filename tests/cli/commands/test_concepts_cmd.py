import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camcli.data.sources.find import find_images
from camcli.render.concepts import COLOURS, draw_concepts
from camcli.result import Result


@pytest.fixture
def pictures(tmp_path, photos):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, photo in zip(("cat", "coffee"), photos, strict=False):
        Image.fromarray(photo).save(folder / f"{name}.png")
    return folder


def test_pictures_and_what_the_concepts_speak_for(camcli, pictures):
    done = camcli("concepts", pictures, "-n", "2", "--out", "out")
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in Path("out").iterdir()) == [
        "cat_concepts.jpg", "coffee_concepts.jpg", "concepts.csv",
    ]  # fmt: skip
    assert Image.open("out/cat_concepts.jpg").height > Image.open(pictures / "cat.png").height
    # One concept of the cat, one of the coffee.
    assert any(name in done.stdout for name in ("espresso", "cup", "coffee mug"))
    assert any(name in done.stdout for name in ("cat", "tabby"))
    assert max(map(len, done.stdout.splitlines())) <= 80
    again = camcli("concepts", pictures, "--out", "out")
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr


def test_json_shares_belong_to_where_the_concept_is(camcli, pictures):
    (pictures / "bad.png").write_bytes(b"nothing")
    done = camcli("concepts", pictures, "-n", "2", "--json")
    assert done.exit_code == 3
    record = json.loads(done.stdout)
    assert 0 < record["explained"] < 1
    assert sum(c["strength"] for c in record["concepts"]) == pytest.approx(1)
    bad, cat, coffee = record["images"]
    assert bad["error"]
    assert bad["file"] is None
    # What makes the cat a cat is not what makes the coffee an espresso.
    assert np.argmax(cat["shares"]) != np.argmax(coffee["shares"])
    assert Path(cat["file"]).is_file()


def test_the_table_says_what_json_says_and_is_not_overwritten(camcli, pictures, tmp_path):
    done = camcli("concepts", pictures, "-n", "3", "--json", "--out", "out")
    assert done.exit_code == 0, done.stderr
    with Path("out/concepts.csv").open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    told = [
        (n, concept["strength"], each["class"], each["score"])
        for n, concept in enumerate(json.loads(done.stdout)["concepts"], start=1)
        for each in concept["classes"]
    ]
    assert [(int(r["concept"]), r["class"]) for r in rows] == [(n, name) for n, _, name, _ in told]
    numbers = [float(row[column]) for row in rows for column in ("strength", "score")]
    assert numbers == pytest.approx([value for _, s, _, v in told for value in (s, v)], abs=1e-5)
    # A table of somebody's, of no picture's name, is kept.
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "concepts.csv").write_text("mine")
    done = camcli("concepts", pictures, "--out", "mine")
    assert done.exit_code == 2
    assert (tmp_path / "mine" / "concepts.csv").read_text() == "mine"


def test_one_layer_only(camcli, pictures):
    done = camcli("concepts", pictures, "--layer", "a,b")
    assert done.exit_code == 2
    assert "one layer" in done.stderr


def test_each_place_has_the_colour_of_its_strongest_concept(tmp_path):
    Image.new("RGB", (80, 40), (100, 100, 100)).save(tmp_path / "grey.png")
    (ref,) = find_images(tmp_path)
    rgb = np.full((40, 80, 3), 100, np.uint8)
    result = Result(ref, pred="grey", prob=0.5, view=(0, 0, 80, 40), width=80, height=40)
    maps = np.zeros((2, 1, 4), np.float32)
    maps[0, 0, :2] = 1
    maps[1, 0, 2:] = 0.5
    picture = draw_concepts(rgb, result, maps, ["first", "second"], alpha=0.5)
    assert picture.shape[0] > 40
    assert np.abs(picture[20, 5] - (0.5 * np.array(COLOURS[0]) + 50)).max() <= 1
    assert np.abs(picture[20, 75] - (0.25 * np.array(COLOURS[1]) + 75)).max() <= 1


def test_an_image_on_which_the_network_fails_is_left_out(camcli, pictures, monkeypatch):
    from camcli.models.classifier import Classifier

    look = Classifier.look

    def broken(self, pixels):
        if bool((pixels == 9).flatten(1).all(1).any()):
            raise RuntimeError("this one only")
        return look(self, pixels)

    monkeypatch.setattr(Classifier, "look", broken)
    Image.new("RGB", (300, 300), (9, 9, 9)).save(pictures / "dark.png")
    done = camcli("concepts", pictures, "-n", "2", "--json")
    assert done.exit_code == 3, done.output
    records = {Path(i["path"]).name: i for i in json.loads(done.stdout)["images"]}
    assert records["dark.png"]["error"].endswith("dark.png: RuntimeError: this one only.")
    assert records["cat.png"]["shares"]
    assert records["cat.png"]["error"] is None
