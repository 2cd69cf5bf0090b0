"""What is said to have been looked for was looked for."""

import numpy as np
import pytest
from torch import nn

from camcli.data.sources.refs import ImageRef
from camcli.evaluate.check import check as module
from camcli.evaluate.check.check import check
from camcli.evaluate.check.issue import CheckedPhoto
from camcli.evaluate.check.reading import CheckedData
from camcli.evaluate.findings.clock import Clock
from camcli.train.progress import Listener


@pytest.fixture
def data(tmp_path, picture, write):
    def make(counts):
        photos = []
        for label, count in counts.items():
            for n in range(count):
                path = write(tmp_path / label / f"{n}.jpg", picture(len(photos), 40, 50))
                ref = ImageRef(path, f"{label}/{n}.jpg", label)
                photos.append(CheckedPhoto(ref, (label,)))
        return CheckedData(tuple(photos), tuple(counts))

    return make


def done(data, monkeypatch, seconds=None):
    def features(seen, *_):
        seen.features = np.random.default_rng(0).normal(size=(len(seen.photos), 16)).astype("f2")

    monkeypatch.setattr(module, "add_features", features)
    return check(data, lambda: nn.Identity(), clock=Clock(seconds), listener=Listener())


def test_without_time_nothing_was_looked_at(data, monkeypatch):
    found = done(data({"a": 4, "b": 4}), monkeypatch, 1e-9)
    assert found.looked == 0
    assert found.looked_for == ("classes with too few photographs",)


@pytest.mark.parametrize(("count", "judged"), [(4, False), (6, True)])
def test_labels_and_outliers_of_few_photographs(data, monkeypatch, count, judged):
    found = done(data({"a": count, "b": count, "c": 2}), monkeypatch)
    words = "; ".join(found.looked_for)
    assert "outliers" not in words  # they take fifty
    assert f"near duplicates, in {2 * count + 2} photographs" in words
    assert ("suspect labels of 2 classes" in words) == judged
    assert found.looked == 2 * count + 2
