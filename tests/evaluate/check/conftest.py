"""Photographs on the disk, and what is known of them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from camcli.data.sources.refs import ImageRef
from camcli.evaluate.check.issue import CheckedPhoto


def _write(path: Path, rgb: np.ndarray, quality: int = 92) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    path.write_bytes(data.tobytes())
    return path


def _photo(rel: str, label: str | None = None, split=None, root: Path = Path("/nowhere")):
    return CheckedPhoto(ImageRef(root / rel, rel, label), (label,) if label else (), split)


@pytest.fixture(scope="session")
def write():
    """Writes a JPEG: path, pixels, quality -> path."""
    return _write


@pytest.fixture(scope="session")
def photo():
    """Makes the record of one: relative path, label, split, root."""
    return _photo
