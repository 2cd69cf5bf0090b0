"""On real photographs: what is planted is found, and what is alike is not called the same."""

import csv
import shutil

import numpy as np
import pytest

import camcli
from camcli.data.decode.images import load_image
from camcli.train.progress import Listener


@pytest.mark.slow
def test_copies_are_found_and_no_others(test_data, tmp_path, write):
    files = sorted((test_data / "cats-dogs").glob("*.jpg"))[::8]
    for path in files:
        shutil.copy(path, tmp_path)
    changes = (
        lambda a: a[: -a.shape[0] // 10, a.shape[1] // 10 :],
        lambda a: a,  # saved with a quality of 40
        lambda a: a[:, ::-1],
        lambda a: np.clip(a * 0.7, 0, 255).astype(np.uint8),
    )
    wanted = set()
    for n, path in enumerate(files[:32]):
        rgb = changes[n % 4](load_image(path))
        name = f"{path.name.split('.')[0]}.{70_000 + n}.jpg"
        write(tmp_path / name, np.ascontiguousarray(rgb), 40 if n % 4 == 1 else 92)
        wanted.add(frozenset((name, path.name)))
    found = camcli.check(tmp_path, listener=Listener()).of("near duplicate")
    assert {frozenset((issue.rel, issue.other)) for issue in found} == wanted


@pytest.mark.slow
def test_flipped_labels_are_found(test_data, tmp_path):
    files = sorted((test_data / "cats-dogs").glob("*.jpg"))[::3]
    rng = np.random.default_rng(3)
    count = round(0.05 * len(files))
    flipped = {files[i].name for i in rng.choice(len(files), count, replace=False)}
    table = tmp_path / "labels.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label"))
        for path in files:
            cat = path.name.startswith("cat") != (path.name in flipped)
            rows.writerow((path, "cat" if cat else "dog"))
    found = camcli.check(table, listener=Listener()).of("suspect label")
    first = {issue.rel for issue in found[:count]}
    assert len(first & flipped) >= 0.85 * count
    assert len(found) <= 1.5 * count
