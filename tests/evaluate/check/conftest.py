"""Pictures that are like photographs in what matters here: structure of all sizes, none alike."""

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from camcli.data.sources.refs import ImageRef
from camcli.evaluate.check.issue import CheckedPhoto


def _picture(seed: int, height: int = 180, width: int = 240) -> np.ndarray:
    """(H, W, 3) uint8: noise with a spectrum of 1/f, as that of photographs."""
    rng = np.random.default_rng(seed)
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
    falls = 1 / np.maximum(np.hypot(rows, columns), 1 / max(height, width)) ** 1.3
    channels = [
        np.fft.ifft2(np.fft.fft2(rng.normal(size=(height, width))) * falls).real for _ in range(3)
    ]
    values = np.stack(channels, -1) + 2 * channels[0][..., None]
    values = (values - values.mean()) / values.std()
    return np.clip(128 + 50 * values, 0, 255).astype(np.uint8)


def _write(path: Path, rgb: np.ndarray, quality: int = 92) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    path.write_bytes(data.tobytes())
    return path


def _photo(rel: str, label: str | None = None, split=None, root: Path = Path("/nowhere")):
    return CheckedPhoto(ImageRef(root / rel, rel, label), (label,) if label else (), split)


@pytest.fixture(scope="session")
def picture():
    """Draws one: seed, height, width -> (H, W, 3) uint8."""
    return lru_cache(64)(_picture)


@pytest.fixture(scope="session")
def write():
    """Writes a JPEG: path, pixels, quality -> path."""
    return _write


@pytest.fixture(scope="session")
def photo():
    """Makes the record of one: relative path, label, split, root."""
    return _photo
