import tarfile

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def folder(tmp_path):
    """Nine small drawn pictures in a tree; two of them cannot be read."""
    draw = np.random.default_rng(0)
    for n in range(9):
        path = tmp_path / "in" / ("a" if n % 2 else "b") / f"frame_{n // 2:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        blocks = draw.integers(0, 255, (6, 8, 3), np.uint8)
        Image.fromarray(blocks).resize((120, 90), Image.Resampling.NEAREST).save(path)
    (tmp_path / "in" / "a" / "frame_0001.jpg").write_bytes(b"")
    whole = (tmp_path / "in" / "b" / "frame_0002.jpg").read_bytes()
    (tmp_path / "in" / "b" / "frame_0002.jpg").write_bytes(whole[: len(whole) // 2])
    return tmp_path / "in"


@pytest.fixture
def shards(folder, tmp_path):
    """The same pictures, as one tar a folder."""
    shards = tmp_path / "shards"
    shards.mkdir()
    for name in ("a", "b"):
        with tarfile.open(shards / f"{name}.tar", "w") as archive:
            for file in sorted((folder / name).iterdir()):
                archive.add(file, file.name)
    return shards
