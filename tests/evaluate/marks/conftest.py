"""Photographs by class, drawn, with and without stickers that are drawn as well."""

import cv2
import numpy as np
import pytest

from camcli.data.sources.refs import ImageRef
from camcli.evaluate.findings.audited_photo import AuditedPhoto


def scene(seed: int, height: int = 200, width: int = 260) -> np.ndarray:
    """Something like a photograph: shapes over clouds, no two alike."""
    rng = np.random.default_rng([seed, 99])
    out = np.full((height, width, 3), rng.integers(40, 220, 3), np.float32)
    for cell in (40, 15, 6):
        noise = rng.normal(0, 22, (height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        out += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(25):
        corners = rng.integers(0, [width, height]) + rng.normal(0, 25, (rng.integers(3, 7), 2))
        colour = tuple(float(c) for c in rng.integers(0, 255, 3))
        cv2.fillPoly(out, [corners.astype(np.int32)], colour)
    out = cv2.GaussianBlur(out, (0, 0), 0.8) + rng.normal(0, 3, out.shape)
    return np.clip(out, 0, 255).astype(np.uint8)


def sticker(number: int, side: int = 48) -> np.ndarray:
    """A design of its own for each number."""
    rng = np.random.default_rng([number, 7])
    out = np.empty((side, side, 3), np.uint8)
    out[:] = rng.integers(120, 255, 3)
    for _ in range(9):
        centre = tuple(int(c) for c in rng.integers(6, side - 6, 2))
        colour = tuple(int(c) for c in rng.integers(0, 160, 3))
        cv2.circle(out, centre, int(rng.integers(3, 8)), colour, -1)
    cv2.rectangle(out, (1, 1), (side - 2, side - 2), (10, 10, 10), 2)
    return out


@pytest.fixture(scope="session")
def make_scene():
    return scene


@pytest.fixture(scope="session")
def make_sticker():
    return sticker


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Writes pixels as the photographs of a predicted class."""

    def write(label: str, pictures: list[np.ndarray]) -> list[AuditedPhoto]:
        out, folder = [], tmp_path_factory.mktemp("photographs")
        for k, rgb in enumerate(pictures):
            path = folder / f"{k:02}.png"
            cv2.imwrite(str(path), rgb[..., ::-1])
            ref = ImageRef(str(path), f"{label}/{k:02}.png", label)
            out.append(AuditedPhoto(ref, label, label, 0.9, (rgb.shape[1], rgb.shape[0])))
        return out

    return write


@pytest.fixture
def drawn_groups(tmp_path):
    """Makes groups by predicted class: `draw(rgb, rng)` is applied to a share of each class.

    Returns the groups, and the relative paths of those that were drawn in.
    """

    def make(draw, shares, count=24, sizes=(60, 120), scenes=False, aspect=1):
        rng = np.random.default_rng(0)
        groups, marked = {}, set()
        for name, share in shares.items():
            groups[name] = []
            for number in range(count):
                height, width = int(rng.integers(*sizes)), aspect * int(rng.integers(*sizes))
                if scenes:
                    rgb = scene(int(rng.integers(10**9)), height, width)
                else:
                    rgb = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
                rel = f"{name}/{number}.png"
                if number < share * count:
                    rgb = draw(rgb, rng)
                    marked.add(rel)
                path = tmp_path / rel
                path.parent.mkdir(exist_ok=True)
                cv2.imwrite(str(path), rgb[..., ::-1])
                ref = ImageRef(str(path), rel, name)
                groups[name].append(AuditedPhoto(ref, name, name, 0.9, (width, height)))
        return groups, marked

    return make
