import cv2
import numpy as np
import pytest


def scene(seed: int, height: int = 300, width: int = 400) -> np.ndarray:
    """Something like a photograph: shapes over clouds, no two alike."""
    rng = np.random.default_rng(seed)
    out = np.full((height, width, 3), rng.integers(60, 200, 3), np.float32)
    for cell in (40, 15, 6):
        noise = rng.normal(0, 18, (height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        out += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(40):
        centre = rng.integers(0, [width, height])
        corners = centre + rng.normal(0, 25, (rng.integers(3, 7), 2))
        colour = tuple(float(c) for c in rng.integers(0, 255, 3))
        cv2.fillPoly(out, [corners.astype(np.int32)], colour)
    out = cv2.GaussianBlur(out, (0, 0), 0.8) + rng.normal(0, 3, out.shape)
    return np.clip(out, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def make_scene():
    return scene
