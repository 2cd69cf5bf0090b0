"""Small drawn data sets, and a backbone that is quick to build."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camcli.train.config import TrainConfig
from camcli.train.progress import Bar, Listener

COLOURS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 200)}


def draw_set(root: Path, splits: dict[str, int], classes=("red", "green"), seed=0) -> Path:
    """`<split>/<class>/<n>.png`: noise with a patch of the class's colour."""
    rng = np.random.default_rng(seed)
    for split, count in splits.items():
        for name in classes:
            folder = root / split / name
            folder.mkdir(parents=True)
            for n in range(count):
                rgb = rng.integers(0, 256, (48, 60, 3), dtype=np.uint8)
                x, y = rng.integers(0, 20, 2)
                rgb[y : y + 28, x : x + 40] = COLOURS[name]
                Image.fromarray(rgb).save(folder / f"{n}.png")
    return root


@pytest.fixture(scope="session")
def colours(tmp_path_factory) -> Path:
    """Two classes with train, val and test."""
    return draw_set(tmp_path_factory.mktemp("colours"), {"train": 10, "val": 4, "test": 4})


@pytest.fixture
def quick(colours) -> TrainConfig:
    """A run of a second: an untrained ShuffleNet on small inputs."""
    return TrainConfig(
        data=str(colours), backbone="shufflenet_v2_x0_5", weights="random", input_size=64, epochs=3,
        batch_size=8,
    )  # fmt: skip


class Ear(Listener):
    """Remembers what a run says, and can stop it after so many shown epochs."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []
        self.stop_after = stop_after

    def say(self, text):
        self.said.append(text)

    def warn(self, text):
        self.warned.append(text)

    def bar(self, title, total, unit):
        from contextlib import nullcontext

        return nullcontext(_Stopping(self))


class _Stopping(Bar):
    def __init__(self, ear: Ear) -> None:
        self.ear = ear

    def show(self, **numbers):
        if self.ear.stop_after is not None:
            self.ear.stop_after -= 1
            if self.ear.stop_after == 0:
                raise KeyboardInterrupt


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture(scope="session")
def ear_until():
    """An `Ear` that interrupts the run after so many epochs."""
    return Ear


@pytest.fixture(scope="session")
def draw():
    """`draw_set`."""
    return draw_set
