"""Copies across the splits are found, whatever was done to them, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from camcli.data.datasets.dataset import Item
from camcli.data.sources.refs import ImageRef
from camcli.train.feature_pass.examples import Examples
from camcli.train.judging.crossing import crossings, in_sequence, nearest_of, without


@pytest.fixture
def placed(tmp_path):
    """Writes pictures: split, name, pixels, class -> nothing; `()` gives the splits."""
    items: dict[str, list[Item]] = {"train": [], "val": [], "test": []}

    def place(split: str, name: str, rgb: np.ndarray, target: int = 0) -> None:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        data = cv2.imencode(".png", rgb[..., ::-1])[1]
        path.write_bytes(data.tobytes())
        items[split].append(Item(ImageRef(path, name, str(target)), target, split))

    return place, lambda: {name: Examples.of(own) for name, own in items.items()}


def features_of(splits):
    """Small grey pictures: alike for what is alike, the same mirrored or not."""

    def one(item):
        grey = cv2.imread(str(item.ref.path), cv2.IMREAD_GRAYSCALE)
        small = cv2.resize(grey, (8, 8), interpolation=cv2.INTER_AREA).astype(np.float32)
        return small + small[:, ::-1]

    return {
        name: torch.tensor(np.array([one(i) for i in own.items])).reshape(len(own.items), -1).half()
        for name, own in splits.items()
        if own.items
    }


def test_files_and_copies_are_found_and_other_pictures_are_not(placed, picture):
    place, splits = placed
    for n in range(12):
        place("train", f"t{n}.png", picture(n))
    for n in range(12, 18):
        place("val", f"v{n}.png", picture(n))
    place("val", "same.png", picture(3))
    place("val", "mirrored.png", picture(4)[:, ::-1], target=1)
    place("test", "lighter.png", np.clip(picture(5) * 1.2, 0, 255).astype(np.uint8))
    place("test", "of val.png", picture(13))
    sets = splits()
    found = {x.path: x for x in crossings(sets, features_of(sets))}
    assert {(x.path, x.copy_of, x.copy_split, x.kind) for x in found.values()} == {
        ("same.png", "t3.png", "train", "same file"),
        ("mirrored.png", "t4.png", "train", "same photograph"),
        ("lighter.png", "t5.png", "train", "same photograph"),
        ("of val.png", "v13.png", "val", "same file"),
    }
    assert not found["mirrored.png"].same_labels
    assert found["same.png"].same_labels
    assert 0.8 < found["lighter.png"].score <= 1
    assert found["same.png"].row() == {
        "path": "same.png", "split": "val", "copy_of": "t3.png", "copy_split": "train",
        "kind": "same file", "score": "1.000", "same_labels": 1,
    }  # fmt: skip
    right = np.arange(len(sets["val"].items))
    kept = without(right, sets["val"].items, list(found.values()))
    assert kept.tolist() == list(range(6))


def test_without_held_out_images_there_is_nothing(placed, picture):
    place, splits = placed
    place("train", "a.png", picture(0))
    sets = splits()
    assert crossings(sets, features_of(sets)) == []


def test_the_nearest_is_what_comparing_all_gives():
    points, base = torch.randn(30, 5), torch.randn(40, 5)
    which, cosines = nearest_of(points, base)
    every = torch.nn.functional.cosine_similarity(points[:, None], base[None], dim=2)
    assert which.tolist() == every.argmax(1).tolist()
    assert torch.allclose(cosines, every.max(1).values, atol=1e-5)


def items(names, split):
    return [Item(ImageRef(Path("/") / n, n), 0, split) for n in names]


def test_frames_of_a_video_are_known_by_their_names():
    names = [f"cat/frame_{n}.jpg" for n in range(400)]
    held, train = (
        items(names[::5], "val"),
        items([n for n in names if n not in names[::5]], "train"),
    )
    place = {item.ref.rel: i for i, item in enumerate(train)}
    beside = [place[f"cat/frame_{n + 1}.jpg"] for n in range(0, 400, 5)]
    hits, chance = in_sequence(held, train, beside)
    assert hits == 80
    assert chance < 3
    rng = np.random.default_rng(0)
    assert in_sequence(held, train, rng.integers(0, len(train), 80).tolist()) is None


def test_a_class_of_few_pictures_is_no_sequence():
    held, train = items(["a/1.jpg", "a/4.jpg"], "val"), items(["a/2.jpg", "a/3.jpg"], "train")
    assert in_sequence(held, train, [0, 1]) is None
