import shutil

import numpy as np
import pytest
from PIL import Image

from camcli.data.datasets.describe import describe
from camcli.data.datasets.load import load_dataset


def picture(path, size, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    rgb = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    Image.fromarray(rgb).save(path)


@pytest.fixture
def root(tmp_path):
    for i in range(4):
        picture(tmp_path / "train" / "cat" / f"{i}.png", (10 + i, 20), i)
    for i in range(2):
        picture(tmp_path / "train" / "dog" / f"{i}.png", (30, 8), 10 + i)
        picture(tmp_path / "test" / "cat" / f"{i}.png", (11, 20), 20 + i)
        picture(tmp_path / "test" / "dog" / f"{i}.png", (11, 20), 30 + i)
    return tmp_path


def test_counts_and_sizes(root):
    calls = []
    found = describe(load_dataset(root, val=0.0), progress=lambda: calls.append(1))
    assert found.counts == {"cat": {"train": 4, "test": 2}, "dog": {"train": 2, "test": 2}}
    assert found.width == (10, 11, 30)
    assert found.height == (8, 20, 20)
    assert found.imbalance == 2
    assert found.unreadable == found.leaks == found.contradictions == ()
    assert found.repeated == 0
    assert len(calls) == 10


def test_copies_and_broken_files(root):
    shutil.copy(root / "train/cat/0.png", root / "test/cat/copy.png")  # a leak
    shutil.copy(root / "train/cat/1.png", root / "train/dog/copy.png")  # two labels
    shutil.copy(root / "train/dog/1.png", root / "train/dog/again.png")  # harmless
    (root / "train/cat/half.png").write_bytes((root / "train/cat/2.png").read_bytes()[:100])
    (root / "train/cat/link.png").symlink_to("gone")
    (root / "train/cat/empty.png").touch()
    found = describe(load_dataset(root, val=0.0), workers=2)
    assert found.leaks == (("test/cat/copy.png", "train/cat/0.png"),)
    assert found.contradictions == (("train/cat/1.png", "train/dog/copy.png"),)
    assert found.repeated == 3
    assert [path for path, _ in found.unreadable] == [
        "train/cat/empty.png",
        "train/cat/half.png",
        "train/cat/link.png",
    ]
    assert found.to_dict()["images"] == 16


def test_all_problems_are_listed(root):
    picture(root / "test" / "zebra" / "0.png", (9, 9), 50)
    (root / "train" / "forgotten").mkdir()
    found = describe(load_dataset(root, val=0.0, strict=False))
    assert found.imbalance == float("inf")
    values = found.to_dict()
    assert values["imbalance"] is None
    assert len(values["problems"]) == 1
    assert "No class, as there are no images in it: train/forgotten." in values["notes"]
