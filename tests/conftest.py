"""What several rooms' tests share: the bundled classifier, photographs, and the test data."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import ssl
import sys
import types
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# A busy machine is no reason to fail: what an example takes is not what these tests are about.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_collection_modifyitems(items):
    """Windows has no pipes with names, no forks, and other signals."""
    if sys.platform == "win32":
        skip = pytest.mark.skip(reason="needs what only POSIX has")
        for item in items:
            if item.get_closest_marker("posix") or "special_files" in item.fixturenames:
                item.add_marker(skip)


@pytest.fixture(scope="session")
def bundled():
    """The bundled classifier with its real weights, loaded once."""
    from camcli.models.load import load_classifier

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


class _Kernel:
    """As much of Windows' locks as camcli uses: one byte, wherever, is one handle's."""

    def __init__(self):
        self.held = {}
        self.calls = []
        self.error = 0

    def LockFileEx(self, handle, flags, reserved, low, high, place):  # noqa: N802 - its name
        at = place._obj.Offset | place._obj.OffsetHigh << 32
        self.calls.append((flags, low, high, at))
        if self.error:
            return 0
        if self.held.get(at, handle.value) != handle.value:
            self.error = 33
            return 0
        self.held[at] = handle.value
        return 1

    def UnlockFileEx(self, handle, reserved, low, high, place):  # noqa: N802
        at = place._obj.Offset | place._obj.OffsetHigh << 32
        assert self.held.pop(at) == handle.value
        return 1


@pytest.fixture
def windows(monkeypatch):
    """A Windows of whose API only this is there; each open file is a handle of its own."""
    kernel = _Kernel()
    crt = types.ModuleType("msvcrt")
    crt.get_osfhandle = lambda number: number + 1000
    monkeypatch.setitem(sys.modules, "msvcrt", crt)
    monkeypatch.setitem(sys.modules, "fcntl", None)  # whoever imports it fails
    monkeypatch.setattr(ctypes, "WinDLL", lambda name, use_last_error: kernel, raising=False)
    monkeypatch.setattr(ctypes, "get_last_error", lambda: kernel.error, raising=False)
    # Its store of certificates, which urllib opens before any address from Python 3.14 on.
    monkeypatch.setattr(ssl, "enum_certificates", lambda store: [], raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    # From 3.12 on whoever opens a URL makes a context for https, which asks the system's store.
    monkeypatch.setattr(ssl, "enum_certificates", lambda store: [], raising=False)
    return kernel


def _picture(seed: int, height: int = 180, width: int = 240) -> np.ndarray:
    """(H, W, 3) uint8: noise with a spectrum of 1/f, as that of photographs: none alike."""
    rng = np.random.default_rng(seed)
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
    falls = 1 / np.maximum(np.hypot(rows, columns), 1 / max(height, width)) ** 1.3
    channels = [
        np.fft.ifft2(np.fft.fft2(rng.normal(size=(height, width))) * falls).real for _ in range(3)
    ]
    values = np.stack(channels, -1) + 2 * channels[0][..., None]
    values = (values - values.mean()) / values.std()
    return np.clip(128 + 50 * values, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def picture():
    """Draws one: seed, height, width -> (H, W, 3) uint8."""
    return lru_cache(64)(_picture)
