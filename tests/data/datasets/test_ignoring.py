"""Labels that are none: their images teach nothing and count nowhere."""

from __future__ import annotations

import pytest
from PIL import Image

from camcli.data.datasets.ignoring import ignored_names
from camcli.data.datasets.load import load_dataset
from camcli.errors import UsageError
from camcli.train.config import TrainConfig
from camcli.train.dataset import read_data


@pytest.fixture
def folder(tmp_path):
    """Four classes in folders, one of which says that nobody knows."""
    for name in ("cat", "dog", "owl", "unknown"):
        (tmp_path / name).mkdir()
        for n in range(6):
            Image.new("RGB", (8, 8)).save(tmp_path / name / f"{n}.png")
    return tmp_path


def table(folder, text):
    path = folder / "t.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (None, ()), ("", ("",)), ("a", ("a",)), ("a|b", ("a", "b")), ("|a", ("", "a")),
        ("a|", ("", "a")), (r"a\|b", ("a|b",)), ("?", ("?",)),
    ],
)  # fmt: skip
def test_names_that_are_ignored(text, names):
    assert ignored_names(text) == names


def test_images_of_a_folder_that_is_no_class_are_left_out(folder):
    whole = load_dataset(folder)
    assert "unknown" in whole.classes
    assert any("--ignore-label 'unknown'" in note for note in whole.notes)
    found = read_data(TrainConfig(data=str(folder), ignore_label="unknown"))
    assert found.classes == ("cat", "dog", "owl")
    assert len(found.items) == 18
    assert not any(item.ref.rel.startswith("unknown") for item in found.items)
    assert any("Left out: 6 images labelled 'unknown'" in note for note in found.notes)
    assert load_dataset(folder, ignore="unknown|owl").classes == ("cat", "dog")


def test_a_label_that_nothing_has_is_a_slip(folder):
    with pytest.raises(UsageError, match=r"no image is labelled 'unknwon'; did you mean 'unknown'"):
        load_dataset(folder, ignore="unknwon")
    with pytest.raises(UsageError, match="at least two classes"):
        load_dataset(folder, ignore="cat|dog|owl")


def test_an_empty_label_is_refused_or_left_out(folder):
    lines = [f"cat/{n}.png,{('a', 'b', '')[n % 3]}" for n in range(6)]
    for first in ("path,label", "file,label"):
        path = table(folder, "\n".join([first, *lines]))
        with pytest.raises(UsageError, match="--ignore-label ''"):
            load_dataset(path)
        found = load_dataset(path, ignore="")
        assert (found.several, found.classes, len(found.items)) == (False, ("a", "b"), 4)
        again = load_dataset(folder, labels=str(path), ignore="")
        assert (again.classes, len(again.items)) == (("a", "b"), 4)


def test_of_several_labels_the_others_stay(folder):
    path = table(
        folder,
        "path,label\ncat/0.png,a|reject\ncat/1.png,reject\ncat/2.png,b\ncat/3.png,\n"
        "cat/4.png,a|?reject\ncat/5.png,a|b|?c\ndog/0.png,c\ndog/1.png,b|?a\n",
    )
    found = load_dataset(path, ignore="reject", val=0)
    assert found.classes == ("a", "b", "c")
    told = {item.ref.rel: (item.labels, item.unknown) for item in found.items}
    assert told == {
        "cat/0.png": ((0,), ()), "cat/2.png": ((1,), ()), "cat/3.png": ((), ()),
        "cat/4.png": ((0,), ()), "cat/5.png": ((0, 1), (2,)), "dog/0.png": ((2,), ()),
        "dog/1.png": ((1,), (0,)),
    }  # fmt: skip
    without = load_dataset(path, ignore="reject|", val=0)
    assert {item.ref.rel for item in without.items} == told.keys() - {"cat/3.png"}
