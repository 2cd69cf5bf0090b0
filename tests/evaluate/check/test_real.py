"""On real photographs: what is planted is found, and what is alike is not called the same."""

import csv
import shutil

import cv2
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


@pytest.mark.slow
def test_what_does_not_belong_is_an_outlier_and_a_blurred_jpeg_is_blurred(
    test_data, tmp_path, write
):
    for path in sorted((test_data / "cats-dogs").glob("*.jpg"))[::5]:
        shutil.copy(path, tmp_path)
    strange = sorted((test_data / "imagenet-samples").glob("*.JPEG"))[500:560:20]
    for path in strange:
        shutil.copy(path, tmp_path)
    soft = sorted((test_data / "cats-dogs").glob("*.jpg"))[1:80:10]
    for n, path in enumerate(soft):  # JPEG's blocks are sharp edges, whatever was blurred
        rgb = load_image(path)
        sigma = (3, 4, 6)[n % 3] * min(rgb.shape[:2]) / 256
        write(tmp_path / f"soft{n}.jpg", cv2.GaussianBlur(rgb, (0, 0), sigma), 75)
    found = camcli.check(tmp_path, labels="none", listener=Listener())
    assert {path.name for path in strange} <= {i.rel for i in found.of("outlier")}
    assert len(found.of("outlier")) <= len(strange) + len(soft) + 2
    blurred = {i.rel for i in found.of("blurred")}
    assert len(blurred & {f"soft{n}.jpg" for n in range(len(soft))}) >= 7
    assert len(blurred) <= len(soft) + 1


@pytest.mark.slow
def test_labels_drawn_by_lot_are_not_called_wrong(test_data, tmp_path):
    for n, path in enumerate(sorted((test_data / "cats-dogs").glob("cat*.jpg"))[:160]):
        own = tmp_path / ("alpha", "beta")[n % 2]
        own.mkdir(exist_ok=True)
        shutil.copy(path, own)
    found = camcli.check(tmp_path, listener=Listener())
    assert not found.of("suspect label")
    assert any("too little to doubt any of 160 labels" in each for each in found.not_looked)
