"""Images whose labels are values: found by their numbers, held out from small to large."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from camcli.data.datasets.load import load_dataset
from camcli.data.sources.label_tables import (
    join_labels,
    join_values,
    read_label_table,
    split_values,
)
from camcli.errors import UsageError
from camcli.evaluate.check.reading import read_checked
from camcli.train.config import TrainConfig
from camcli.train.dataset import read_data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("measured")
    for n in range(60):
        Image.new("RGB", (8, 8)).save(root / f"{n}_{20 + n}.png")
    return root


def table(folder, head, row, count=60):
    path = folder / "t.csv"
    path.write_text("\n".join([head, *(f"{n}_{20 + n}.png,{row(n)}" for n in range(count))]) + "\n")
    return path


def values(data):
    return {item.ref.rel: item.values for item in data.items}


def test_a_column_of_numbers_is_of_values(folder):
    path = table(folder, "path,age", lambda n: 20.5 + n)
    alone = load_dataset(path)
    both = load_dataset(folder, labels=str(path))
    for data in (alone, both):
        assert (data.measured, data.several, data.classes) == (True, False, ("age",))
        assert any("taken for values" in note for note in data.notes)
        assert all(item.labels == () for item in data.items)
    assert values(alone) == values(both) == {f"{n}_{20 + n}.png": (20.5 + n,) for n in range(60)}


def test_small_and_large_values_are_held_out(folder):
    path = table(folder, "path,age", lambda n: 20.5 + n)
    data = load_dataset(path, val=0.2, test=0.1)
    assert data.counts() == {"train": 42, "val": 12, "test": 6}
    for split in ("val", "test"):
        own = np.array([item.values[0] for item in data.split(split)])
        assert own.min() < 30.5 < 69.5 < own.max()
    assert data == load_dataset(path, val=0.2, test=0.1)
    grouped = load_dataset(path, val=0.2, group=r"_(\d)")
    own = [{item.ref.rel.split("_")[1][0] for item in grouped.split(s)} for s in ("train", "val")]
    assert own[1]
    assert not own[0] & own[1]


def test_several_columns_of_numbers(folder):
    path = table(folder, "file,age,sex,weight", lambda n: f"{20 + n},{n % 2},{'' if n % 5 else n}")
    # Not taken for values by itself, as one column may be of a label.
    with pytest.raises(UsageError, match=r"'20' is neither 0 nor 1.*--output value"):
        load_dataset(path)
    data = read_data(TrainConfig(data=str(path), output="value"))
    assert data.classes == ("age", "sex", "weight")
    found = values(data)
    assert found["5_25.png"] == (25, 1, 5)
    assert found["6_26.png"][:2] == (26, 0)
    assert math.isnan(found["6_26.png"][2])
    path = table(folder, "file,age,weight", lambda n: f"{20 + n},{n}")
    assert load_dataset(path).classes == ("age", "weight")


def test_numbers_can_be_classes(folder):
    path = table(folder, "path,label", lambda n: n % 3 + 3)
    assert load_dataset(path).classes == ("3", "4", "5")
    data = read_data(TrainConfig(data=str(path), output="value"))
    assert (data.measured, data.classes) == (True, ("label",))
    path = table(folder, "path,stage", lambda n: n % 3 + 3)
    assert load_dataset(path).measured
    data = read_data(TrainConfig(data=str(path), output="softmax"))
    assert (data.measured, data.classes) == (False, ("3", "4", "5"))


def test_numbers_in_paths(folder):
    data = read_data(TrainConfig(data=str(folder), labels=r"_(\d+)\.", output="value"))
    assert (data.classes, values(data)["7_27.png"]) == (("value",), (27.0,))
    with pytest.raises(UsageError, match="takes labels that are numbers"):
        read_data(TrainConfig(data=str(folder), labels=r"(_\d+)\.", output="value"))


def test_what_is_not_known_is_left_out(folder):
    path = table(folder, "path,age", lambda n: ("", "nan", "?")[n] if n < 3 else 20 + n)
    data = load_dataset(path)
    assert len(data.items) == 57
    assert "Left out: 3 images without a value." in data.notes


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (lambda n: "old" if n == 4 else n + 2, r"line 6: 'old' is no number"),
        (lambda n: "1,5" if n == 4 else n + 2, r"line 6: '1,5' is no .* with a point: 1\.5\."),
        (lambda n: f"{n},5", r"line 2: '0,5' is neither .* with a point: 0\.5\."),
        (lambda n: "old,5" if n == 4 else n + 2, r"an empty cell\.$"),
        (lambda n: "1e308" if n == 4 else n + 2, r"line 6: '1e308' is larger than 1e\+30"),
        (lambda n: -(10.0**38) * n, r"line 3: '-1e\+38' is larger"),
        (lambda n: "inf" if n == 4 else n + 2, r"line 6: 'inf' is no number"),
        (lambda n: 7, "one of age"),
    ],
)
def test_what_is_wrong_is_said(folder, row, said):
    with pytest.raises(UsageError, match=said):
        load_dataset(table(folder, "path,age", lambda n: f'"{row(n)}"'))


def test_values_come_back():
    names = ("age", "a=b", "weight|kg")
    told = join_values({"age": "1e3", "weight|kg": "-2.5"}, alone=False)
    known = split_values(join_labels(told), names)
    assert known[0] == 1000
    assert math.isnan(known[1])
    assert known[2] == -2.5
    assert split_values("41.5", ("age",)) == (41.5,)
    assert all(map(math.isnan, split_values(None, names)))


def test_values_are_not_checked_as_classes(folder):
    path = table(folder, "path,age", lambda n: 20.5 + n)
    found = read_checked(path)
    assert (len(found.photos), found.classes) == (60, ())
    assert "values" in found.unlabelled
    assert read_label_table(path).measured
