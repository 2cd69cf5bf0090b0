"""Pooled features on disk, so that a backbone looks at an image once and never again.

One file for each way of looking (weights, preprocessing, layer, precision): records of a fixed
size, appended as they are computed,

    key (32 bytes: SHA-256 of the image file's content and of the view) | K float16 | CRC-32

so that a run that was killed keeps what it had, a renamed or copied image is found again, and a
changed one is not. A torn last record is cut off, a damaged one is computed again.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from camcli.data.datasets.paths import cache_home
from camcli.errors import CamcliError
from camcli.locks import locked

FORMAT = 1


def cache_root(folder: Path | None = None) -> Path:
    """Where features are kept: `folder`, ``$CAMCLI_CACHE``, or ``~/.cache/camcli``."""
    return cache_home() / "features" if folder is None else folder


def record_key(content: str, view: str) -> bytes:
    """The key of one view of one image.

    Args:
        content: SHA-256 of the image file, in hex.
        view: names the view; the same text means the same pixels.
    """
    return hashlib.sha256(f"{content}/{view}".encode()).digest()


class FeatureCache:
    """Features (K,) by key; a mapping that only grows.

    Example:
        >>> with FeatureCache(folder, space, channels=512) as cache:  # doctest: +SKIP
        ...     cache.add({key: features})
    """

    def __init__(self, root: Path, space: Mapping[str, Any], channels: int) -> None:
        """Open or create.

        Args:
            root: folder of all caches.
            space: what the features depend on besides the image: plain JSON values.
            channels: K.

        Raises:
            CamcliError: it cannot be read or written.
        """
        described = {"format": FORMAT, "channels": channels, **space}
        text = json.dumps(described, sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()[:24]
        self.path = root / f"{name}.features"
        self._type = np.dtype(
            [("key", "V32"), ("features", "<f2", (channels,)), ("crc", "<u4")]
        )  # fmt: skip
        try:
            root.mkdir(parents=True, exist_ok=True)
            (root / f"{name}.json").write_text(text + "\n", "utf-8")
            self._file = self.path.open("a+b")
            with locked(self._file):
                whole, torn = divmod(self._file.seek(0, os.SEEK_END), self._type.itemsize)
                if torn:  # Windows cuts no file that another process has mapped
                    self._file.truncate(whole * self._type.itemsize)
        except OSError as error:
            raise CamcliError(
                f"Cannot use the feature cache {self.path}: {error.strerror}. Name another folder "
                "with --cache-dir, or do without it: --no-cache."
            ) from error
        self._records = (
            np.memmap(self.path, self._type, "r", shape=(whole,))
            if whole
            else np.empty(0, self._type)
        )
        keys = self._records["key"].tobytes()
        self._index = {keys[i * 32 : i * 32 + 32]: i for i in range(whole)}
        self._new: dict[bytes, np.ndarray] = {}

    def __enter__(self) -> FeatureCache:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def get(self, key: bytes) -> np.ndarray | None:
        """(K,) float16, or None if it is not here or damaged."""
        if key in self._new:
            return self._new[key]
        if key not in self._index:
            return None
        record = self._records[self._index[key]]
        features = np.array(record["features"])
        return features if zlib.crc32(features.tobytes()) == record["crc"] else None

    def add(self, features: Mapping[bytes, np.ndarray]) -> None:
        """Append; each record is on its way to the disk when this returns.

        Args:
            features: (K,) float16 by key.

        Raises:
            CamcliError: the disk is full or gone.
        """
        records = np.empty(len(features), self._type)
        for i, (key, values) in enumerate(features.items()):
            values = np.ascontiguousarray(values, "<f2")
            records[i] = (np.void(key), values, zlib.crc32(values.tobytes()))
        try:
            with locked(self._file):
                self._file.write(records.tobytes())
                self._file.flush()
        except OSError as error:
            raise CamcliError(
                f"Cannot write the feature cache {self.path}: {error.strerror}. Make room, name "
                "another folder with --cache-dir, or do without it: --no-cache."
            ) from error
        self._new.update(features)
