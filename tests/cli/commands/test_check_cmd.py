"""``camcli check`` from end to end, on drawn pictures with the bundled network."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import camcli
from camcli.cli.app import app
from camcli.data.sources.find import find_images
from camcli.errors import UsageError
from camcli.train.progress import Listener


def draw(seed, red):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (9, 12, 3), dtype=np.uint8)
    rgb = np.array(Image.fromarray(small).resize((120, 90), Image.Resampling.BICUBIC))
    rgb = rgb // 2
    rgb[20:70, 30:90, 0 if red else 2] = 250
    return rgb


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two classes of twelve, with a copy in the other class, a file that is none, and a blank."""
    root = tmp_path_factory.mktemp("check") / "photos"
    for name in ("red", "blue"):
        (root / name).mkdir(parents=True)
        for n in range(12):
            rgb = draw(n + 100 * (name == "red"), name == "red")
            Image.fromarray(rgb).save(root / name / f"{n:02d}.png")
    Image.fromarray(draw(103, True)).save(root / "blue" / "wrong.jpg", quality=85)
    (root / "red" / "=cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    Image.fromarray(np.full((90, 120, 3), 7, np.uint8)).save(root / "red" / "blank.png")
    return root


@pytest.fixture(scope="module")
def checked(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    before = {p: p.read_bytes() for p in data.rglob("*") if p.is_file()}
    done = CliRunner().invoke(
        app,
        ["check", str(data), "--out", str(out / "check"), "--export", str(out / "paths.txt"),
         "--export-kinds", "blank,duplicate-of-another-label"],
    )  # fmt: skip
    assert {p: p.read_bytes() for p in data.rglob("*") if p.is_file()} == before
    return out, done


def test_what_is_wrong_is_in_the_table(checked):
    out, done = checked
    assert done.exit_code == 3, done.output  # a file could not be read
    with (out / "check" / "check.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = {(row["kind"], row["path"]) for row in rows}
    assert {
        ("unreadable", "red/=cut.jpg"),
        ("blank", "red/blank.png"),
        ("near duplicate", "red/03.png"),
        ("duplicate of another label", "red/03.png"),
        ("small class", ""),
    } <= found
    pair = next(row for row in rows if row["kind"] == "duplicate of another label")
    assert (pair["label"], pair["other"], pair["other_label"]) == ("red", "blue/wrong.jpg", "blue")
    assert pair["suggestion"] == "blue"


def test_the_terminal_says_how_many_what_to_do_and_what_was_not_looked_at(checked):
    _, done = checked
    assert "duplicate of another label" in done.stdout
    assert "What to do:" in done.stdout
    assert "the data are not split" in done.stdout
    assert "it takes 50 photographs" in done.stdout.replace("\n    ", " ")


def test_the_record_and_the_page_are_whole(checked):
    out, _ = checked
    record = json.loads((out / "check" / "check.json").read_text("utf-8"))
    assert record["kind"] == "check"
    assert record["counts"]["unreadable"] == 1
    assert record["photographs"] == 27
    assert any("not split" in each for each in record["not_looked"])
    page = (out / "check" / "check.html").read_text("utf-8")
    assert "blue/wrong.jpg" in page
    assert "data:image/jpeg" in page


def test_the_list_is_what_batch_takes(checked, data):
    out, _ = checked
    listed = (out / "paths.txt").read_text("utf-8").splitlines()
    assert sorted(listed) == sorted(
        str(p) for p in (data / "red" / "03.png", data / "red" / "blank.png")
    )
    refs = list(find_images(f"@{out / 'paths.txt'}"))
    assert {ref.path for ref in refs} == set(map(Path, listed))


def test_nothing_is_replaced_unasked(checked, data):
    out, _ = checked
    runner = CliRunner()
    again = ["check", str(data), "--out", str(out / "check")]
    done = runner.invoke(app, again)
    assert done.exit_code == 2
    assert "--overwrite" in done.output
    listed = ["check", str(data), "--out", str(out / "new"), "--export", str(out / "paths.txt")]
    done = runner.invoke(app, listed)
    assert done.exit_code == 2
    assert "paths.txt exists" in done.output
    assert not (out / "new").exists()


def test_of_a_folder_without_labels_no_label_is_judged_and_that_is_said(data):
    found = camcli.check(data / "blue", listener=Listener())
    assert found.classes == ()
    assert found.of("suspect label") == ()
    assert any(each.startswith("labels, classes") for each in found.not_looked)
    assert not any("suspect labels" in each for each in found.looked_for)
    assert found.unreadable == ()


def test_a_glob_and_a_list_of_paths_are_taken(data):
    some = sorted((data / "red").glob("0*.png"))
    for images in (str(data / "red" / "0*.png"), some):
        found = camcli.check(images, listener=Listener(), labels="none")
        assert len(found.photos) == 10
        assert found.issues == ()
        assert found.nothing.startswith("Nothing was found. Looked for: ")


def test_splits_of_folders_and_tables_are_known(data, tmp_path):
    table = tmp_path / "t.csv"
    lines = [f"{data}/red/{n:02d}.png,red,{'train' if n else 'test'}" for n in range(3)]
    lines += [f"{data}/blue/wrong.jpg,blue,train", f"{data}/red/03.png,red,test"]
    table.write_text("\n".join(["path,label,split", *lines]), "utf-8")
    found = camcli.check(table, listener=Listener())
    (across,) = found.of("duplicate across splits")
    assert (across.rel, across.other) == ("red/03.png", "blue/wrong.jpg")


def test_with_no_time_at_all_it_says_so(data):
    found = camcli.check(data, time_limit=1e-9, listener=Listener())
    assert [(i.kind, i.note) for i in found.issues] == [
        ("small class", "13 photographs"),
        ("small class", "14 photographs"),
    ]
    assert any("for want of time" in each for each in found.not_looked)


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ({"export_kinds": "dupes", "export": "x.txt"}, "suspect-label"),
        ({"export_kinds": "blank"}, "add --export"),
        ({"time_limit": 0}, "more than 0"),
        ({"model": "resnet19"}, "Did you mean"),
        ({"export": "nowhere/x.txt"}, "folder that exists"),
    ],
)
def test_mistakes_are_told_first(data, more, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=part):
        camcli.check(data, **more)


def test_what_is_nowhere_is_told_in_the_words_of_data_sets(tmp_path):
    with pytest.raises(UsageError, match="No data set"):
        camcli.check(tmp_path / "gone")
    with pytest.raises(UsageError):
        camcli.check(str(tmp_path / "*.jpg"))


@pytest.mark.slow
def test_features_are_those_that_training_keeps(data, tmp_path):
    from camcli.train.config import TrainConfig
    from camcli.train.feature_pass.cache import FeatureCache
    from camcli.train.prepare import load_backbones

    camcli.check(data, cache_dir=tmp_path / "kept", listener=Listener())
    (kept,) = (tmp_path / "kept").glob("*.features")
    config = TrainConfig(data=str(data), backbone="efficientnet_lite0")
    (backbone,) = load_backbones(config, "auto", True)
    with FeatureCache(tmp_path / "kept", backbone.space(), backbone.channels) as theirs:
        assert theirs.path == kept
    camcli.check(data, cache=False, cache_dir=tmp_path / "none", listener=Listener())
    assert not (tmp_path / "none").exists()


def test_a_list_may_lie_beside_the_tables_and_replaces_none(data, tmp_path):
    out = tmp_path / "out"
    args = ["check", str(data), "--out", str(out), "--overwrite", "--export"]
    done = CliRunner().invoke(app, [*args, str(out / "check.csv")])
    assert done.exit_code == 2
    assert not out.exists()
    done = CliRunner().invoke(app, [*args, str(out / "paths.txt"), "--export-kinds", "dark"])
    assert done.exit_code == 3, done.output
    assert (out / "paths.txt").read_text() == ""
    assert "camcli batch @" not in done.output


def test_labels_that_are_none_are_left_out(data, tmp_path):
    from camcli.evaluate.check.reading import read_checked

    for n in range(2):
        path = tmp_path / "photos" / "unknown" / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(n, True)).save(path)
    for name in ("red", "blue"):
        (tmp_path / "photos" / name).symlink_to(data / name)
    found = read_checked(str(tmp_path / "photos"), ignore="unknown")
    assert found.classes == ("blue", "red")
    assert any("2 images labelled 'unknown'" in note for note in found.notes)
    globbed = read_checked(str(tmp_path / "photos" / "*" / "*.png"), "folder", ignore="unknown")
    assert globbed.classes == ("blue", "red")
    with pytest.raises(UsageError, match="did you mean 'unknown'"):
        read_checked(str(tmp_path / "photos"), ignore="unknwon")
    done = CliRunner().invoke(
        app, ["data", "describe", str(tmp_path / "photos"), "--ignore-label", "unknown", "--json"]
    )
    assert {*json.loads(done.stdout)["classes"]} == {"red", "blue"}
