"""Two runs may be joined, or one gone on with, where all that decides the rows is the same."""

from dataclasses import asdict, fields
from pathlib import Path

import pytest

from camcli.batch.run_files.same_settings import check_labels, different
from camcli.batch.run_files.settings import usual_settings
from camcli.data.decode.preprocess import Preprocess
from camcli.data.sources.find import find_images
from camcli.errors import UsageError
from camcli.render.style import Style

CONFIG = {
    "source": "/photos", "method": "gradcam", "topk": 1, "preprocess": Preprocess().to_dict(),
    "style": asdict(Style()), "labels": "auto", "classes": "5c1e",
}  # fmt: skip


def without(name):
    return {key: value for key, value in CONFIG.items() if key != name}


def test_equal_settings():
    assert different(CONFIG, dict(CONFIG)) == ""


@pytest.mark.parametrize("name", ["source", "method", "topk", "labels", "classes"])
def test_the_setting_that_differs_is_named_with_both_values(name):
    said = different(CONFIG, CONFIG | {name: "other"})
    assert said == f"{name} {CONFIG[name]!r} and 'other'"


def test_of_a_group_only_what_differs_is_named():
    other = CONFIG | {"style": asdict(Style(alpha=0.4))}
    assert different(CONFIG, other) == "style alpha 0.5 and alpha 0.4"


def test_what_only_one_of_them_has_differs_whichever_that_is():
    assert different(CONFIG, without("method")).startswith("method")
    assert different(without("method"), CONFIG).startswith("method")


# The defaults that a record may leave out, by the records that hold them.
USUAL = usual_settings()
OTHER = {
    "precision": "bfloat16", "predict_size": 320, "output": "sigmoid", "thresholds": 0.3,
    "target": 3, "topk": 2, "top": 3, "versus": 1, "smooth": "aug", "fuse": "max", "channels": 9,
    "converge": 0.98, "samples": 2, "style": {"alpha": 0.1}, "name_template": "{stem}",
    "only": "wrong", "overlays": False, "box_threshold": 0.3,
    "against": {"source": "good", "count": 9, "sha256": "ab"},
}  # fmt: skip


def test_every_setting_with_a_default_is_tried_below():
    assert set(OTHER) == set(USUAL)


@pytest.mark.parametrize("name", OTHER)
def test_what_is_not_recorded_had_its_default(name):
    """An option that is new and at its default makes no older run another."""
    older = without(name)
    assert different(older, older | {name: USUAL[name]}) == ""
    assert different(older | {name: USUAL[name]}, older) == ""
    assert different(older, older | {name: OTHER[name]}).startswith(name)


@pytest.mark.parametrize("name", [each.name for each in fields(Style)])
def test_a_picture_had_the_default_of_what_is_not_recorded(name):
    style = asdict(Style())
    older = CONFIG | {"style": {key: value for key, value in style.items() if key != name}}
    assert different(older, CONFIG | {"style": style}) == ""
    assert different(older, CONFIG | {"style": style | {name: "other"}}).startswith("style")


def test_what_neither_knows_the_usual_of_differs_too():
    assert different(CONFIG | {"new": 1}, CONFIG) == "new 1 and None"
    assert different(CONFIG, CONFIG | {"new": 1}) == "new None and 1"


@pytest.mark.parametrize("name", ["labels", "classes"])
def test_what_older_versions_did_not_record_does_not_differ(name):
    assert different(CONFIG, without(name)) == different(without(name), CONFIG) == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 256}, {"fit": "squash"}, {"mean": (0.5, 0.5, 0.5)}, {"crop_pct": 0.9},
        {"grey": True}, {"width": 320}, {"interpolation": "bicubic"},
    ],
    ids=str,
)  # fmt: skip
def test_other_pixels_are_other_settings(changes):
    other = CONFIG | {"preprocess": Preprocess().with_(**changes).to_dict()}
    assert "preprocess" in different(CONFIG, other)
    assert "preprocess" in different(other, CONFIG)


def test_what_preprocessing_did_not_have_yet_is_the_usual():
    """A run of before there were grey networks is gone on with."""
    older = {k: v for k, v in Preprocess().to_dict().items() if k != "crop_pct"}
    assert different(CONFIG | {"preprocess": older}, CONFIG) == ""


def test_rows_whose_labels_changed_are_told(tmp_path):
    for name in ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    source = find_images(Path(tmp_path), labels="folder")
    check_labels([{"path": "cat/1.jpg", "label": "cat"}], source)
    with pytest.raises(UsageError, match=r"cat/1\.jpg was 'dog' in that run and is 'cat' now"):
        check_labels([{"path": "cat/1.jpg", "label": "dog"}], source)
    with pytest.raises(UsageError, match="was none in that run"):
        check_labels([{"path": "cat/1.jpg", "label": ""}], source)


def test_references_are_named_before_what_follows_from_them():
    one = {"source": "good", "count": 9, "sha256": "a"}
    plain, held = dict(CONFIG), CONFIG | {"output": "none", "against": one}
    assert different(held, plain) == "against good and nothing"
    assert different(plain, held) == "against nothing and good"
    assert different(held, held | {"against": one | {"source": "bad", "sha256": "b"}}) == (
        "against good and bad"
    )
    assert different(held, held | {"against": one | {"count": 8}}).startswith("against what was")


class TestOnePlaceWrittenTwice:
    """What a run reads is the same wherever its user stood when they named it."""

    MODEL = {"name": "resnet18", "weights": "net.pth", "sha256": "ab"}  # noqa: RUF012

    @staticmethod
    def said(one, other, where):
        return different(CONFIG | one, CONFIG | other, where)

    def test_folders_and_tables(self, tmp_path):
        (tmp_path / "photos").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "photos")
        where = tmp_path, tmp_path / "photos"
        source = {"source": str(tmp_path / "photos")}
        for other in ("link", "photos/../photos"):
            assert not self.said(source, {"source": str(tmp_path / other)}, where)
        assert not self.said({"labels": "l.csv"}, {"labels": "../l.csv"}, where)
        assert not self.said({"labels": "l.csv"}, {"labels": str(tmp_path / "l.csv")}, where)
        assert self.said({"labels": "l.csv"}, {"labels": "l.csv2"}, where).startswith("labels")
        # Of an older run nobody knows where its user was.
        assert self.said({"labels": "l.csv"}, {"labels": "../l.csv"}, (None, tmp_path))

    def test_networks_are_their_bytes(self, tmp_path):
        where = tmp_path, tmp_path
        moved = {"model": self.MODEL | {"weights": "/elsewhere/renamed.pth"}}
        assert not self.said({"model": self.MODEL}, moved, where)
        file = {"name": "net.onnx", "weights": "net.onnx", "sha256": "ab"}
        moved = file | dict.fromkeys(("name", "weights"), "/elsewhere/net.onnx")
        assert not self.said({"model": file}, {"model": moved}, where)
        other = {"model": moved | {"sha256": "cd"}}
        assert "sha256 ab and " in self.said({"model": file}, other, where)

    def test_an_architecture_is_no_place(self, tmp_path):
        other = {"model": self.MODEL | {"name": "resnet34"}}
        assert "resnet34" in self.said({"model": self.MODEL}, other, (tmp_path, tmp_path))

    def test_code_is_a_file_and_what_builds_the_network(self, tmp_path):
        code = {"name": "nets/mine.py:build", "weights": "factory", "sha256": None}
        same = code | {"name": f"{tmp_path}/nets/mine.py:build"}
        where = tmp_path, tmp_path / "else"
        assert not self.said({"model": code}, {"model": same}, where)
        other = same | {"name": f"{tmp_path}/nets/mine.py:other"}
        assert "mine.py:other" in self.said({"model": code}, {"model": other}, where)

    def test_references_are_their_contents(self, tmp_path):
        one = {"source": "good", "count": 9, "sha256": "ab"}
        where = tmp_path, tmp_path
        assert not self.said({"against": one}, {"against": one | {"source": "/x/good"}}, where)
        assert "against" in self.said({"against": one}, {"against": one | {"sha256": "c"}}, where)
