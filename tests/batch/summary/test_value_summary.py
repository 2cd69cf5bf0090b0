"""How far values are from labels: as scikit-learn says."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from camcli.batch.summary.value_summary import told, value_summary
from camcli.data.sources.label_tables import read_label_table


def table(tmp_path, pairs, columns=("path", "label", "value")):
    path = tmp_path / "predictions.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([f"{n}.png", *pair] for n, pair in enumerate(pairs))
    return path


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (1e9, -4e9), (1e-7, 0)])
def test_errors_are_those_of_scikit_learn(tmp_path, scale, shift):
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(1)
    true = draw.normal(size=50) * scale + shift
    said = true + draw.normal(0.1, 0.3, size=50) * scale
    unknown = [("", "3.5"), ("cat", "1"), ("nan", "1"), ("2", "")]
    found = value_summary(table(tmp_path, [*zip(true, said, strict=True), *unknown]))
    assert found is not None
    assert found["images"] == 50
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(true, said), rel=1e-5)
    assert found["rmse"] == pytest.approx(metrics.mean_squared_error(true, said) ** 0.5, rel=1e-5)
    assert found["r2"] == pytest.approx(metrics.r2_score(true, said), rel=1e-5)
    assert found["bias"] == pytest.approx((said - true).mean(), rel=1e-5)
    assert "50 images" in told(found)


def test_what_cannot_be_known_is_none(tmp_path):
    assert value_summary(table(tmp_path, [("", "3"), ("cat", "4")])) is None
    several = ("path", "label", "value", "value_age", "value_height")
    # Of several values a number alone says nothing.
    assert value_summary(table(tmp_path, [("3", "3", "3", "4")], several)) is None
    assert value_summary(table(tmp_path, [("3", "3")], ("path", "label", "prob"))) is None
    found = value_summary(table(tmp_path, [("3", "4"), ("3", "5")]))
    assert found is not None
    assert (found["r2"], found["mae"]) == (None, 1.5)


def test_of_several_values_each_has_its_errors(tmp_path):
    columns = ("path", "label", "value", "value_age", "value_height")
    rows = [
        ("age=3|height=10", "4", "4", "13"), ("age=5", "4", "4", "9"), ("", "1", "1", "2"),
        ("height=20|age=x", "9", "9", "16"), ("cat", "1", "1", "2"),
    ]  # fmt: skip
    found = value_summary(table(tmp_path, rows, columns))
    assert found is not None
    assert found["images"] == 3
    assert found["values"]["age"] == {"images": 2, "mae": 1.0, "rmse": 1.0, "bias": 0.0, "r2": 0.0}
    assert found["values"]["height"]["mae"] == 3.5
    lines = told(found).splitlines()
    assert lines[0] == "Against the labels of 3 images:"
    assert lines[1].startswith("age: mean absolute error 1")


def test_a_column_of_numbers_is_what_a_network_should_say(tmp_path):
    path = tmp_path / "ages.csv"
    path.write_text("path,age\na.png,41.5\nb.png,1\nc.png,\n")
    found = read_label_table(path)
    assert (found.measured, found.columns) == (True, False)
    assert found.labels == {"a.png": ("41.5",), "b.png": ("1",), "c.png": ()}
    path.write_text("path,edema\na.png,1\nb.png,-1\n")  # uncertain, and no measurement
    assert read_label_table(path).unknown == {"b.png": ("edema",)}
