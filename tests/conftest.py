"""What several rooms' tests share: the bundled classifier, photographs, and the test data."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# A busy machine is no reason to fail: what an example takes is not what these tests are about.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def bundled():
    """The bundled classifier with its real weights, loaded once."""
    from camcli.models.classifier import load_classifier

    return load_classifier()


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder with public image sets that are not part of the project."""
    folder = Path(os.environ.get("CAMCLI_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"there is no test data in {folder}; set CAMCLI_TEST_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def photos() -> list[np.ndarray]:
    """Three photographs (H, W, 3) uint8 that come with scikit-image: cat, coffee cup, rocket."""
    data = pytest.importorskip("skimage.data", reason="scikit-image brings the photographs")
    return [data.chelsea(), data.coffee(), data.rocket()]


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Nothing comes from an earlier session, and nothing stays on the user's disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMCLI_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Small tensors gain nothing from more, and tests may run beside each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def special_files() -> Callable[[Path], dict[str, Path]]:
    """Makes each kind of what is not a regular file on a disk, as links and pipes in a folder."""

    def make(folder: Path) -> dict[str, Path]:
        os.mkfifo(folder / "pipe")
        targets = {"zero": "/dev/zero", "log": "/proc/kmsg", "version": "/proc/version"}
        for name, target in targets.items():
            if Path(target).exists():
                (folder / name).symlink_to(target)
        with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(folder):
            server.bind("socket")  # a short name, as sockets need
        return {path.name: path for path in folder.iterdir()}

    return make
