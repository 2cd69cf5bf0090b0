"""Pooled features on disk, so that a backbone looks at an image once and never again.

One file for each statistic of a way of looking (weights, preprocessing, layer, precision): records
of a fixed size, appended as they are computed,

    key (32 bytes: SHA-256 of the image file's content and of the view) | K float16 | CRC-32

so that a run that was killed keeps what it had, a renamed or copied image is found again, and a
changed one is not. A torn last record is cut off, a damaged one is computed again. Files are mapped
into memory, never read as a whole; a pooling of several statistics is one file beside the other, so
that those it shares with another pooling are neither computed nor kept twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from camcli.data.datasets.paths import cache_home
from camcli.errors import CamcliError
from camcli.locks import locked
from camcli.models.pooling.pooling import Pooling, Statistic
from camcli.train.feature_pass.shelf import in_use

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
    """Numbers (K,) by key: one statistic of one way of looking; a mapping that only grows.

    Example:
        >>> with FeatureCache(folder, space, channels=512) as cache:  # doctest: +SKIP
        ...     cache.add([key], features[None])
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
        self.channels = channels
        self._type = np.dtype(
            [("key", "V32"), ("features", "<f2", (channels,)), ("crc", "<u4")]
        )  # fmt: skip
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._used = in_use(root / f"{name}.json", text + "\n")
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
        self._records = self._mapped(whole)
        keys = self._records["key"].tobytes()
        self._index = {keys[i * 32 : i * 32 + 32]: i for i in range(whole)}

    def __enter__(self) -> FeatureCache:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        with suppress(OSError):
            os.utime(self._used.name)
        self._used.close()

    def __contains__(self, key: bytes) -> bool:
        """Whether there is a record of it, which may be damaged."""
        return key in self._index

    def get(self, key: bytes) -> np.ndarray | None:
        """(K,) float16, or None if it is not here or damaged."""
        features = np.empty((1, self.channels), np.float16)
        return features[0] if self.read([key], features)[0] else None

    def read(self, keys: Sequence[bytes], out: np.ndarray) -> list[bool]:
        """Copy what is here.

        Args:
            keys: N.
            out: (N, K) float16; rows that are not here, or damaged, are left as they are.

        Returns:
            For each key whether its row was copied.
        """
        places = [self._index.get(key, -1) for key in keys]
        if max(places, default=-1) >= len(self._records):  # added since it was mapped
            self._records = self._mapped(max(self._index.values()) + 1)
        found = []
        for row, place in zip(out, places, strict=True):
            if place < 0:
                found.append(False)
                continue
            record = self._records[place]
            features = record["features"]
            whole = zlib.crc32(features.tobytes()) == record["crc"]
            if whole:
                row[:] = features
            else:
                del self._index[record["key"].tobytes()]
            found.append(whole)
        return found

    def add(self, keys: Sequence[bytes], features: np.ndarray) -> None:
        """Append what is not here yet; it is on its way to the disk when this returns.

        Args:
            keys: N.
            features: (N, K) float16.

        Raises:
            CamcliError: the disk is full or gone.
        """
        new = [i for i, key in enumerate(keys) if key not in self._index]
        if not new:
            return
        records = np.empty(len(new), self._type)
        for record, i in zip(records, new, strict=True):
            values = np.ascontiguousarray(features[i], "<f2")
            record["key"], record["features"] = np.void(keys[i]), values
            record["crc"] = zlib.crc32(values.tobytes())
        try:
            with locked(self._file):
                start = self._file.seek(0, os.SEEK_END)
                self._file.write(records.tobytes())
                self._file.flush()
        except OSError as error:
            raise CamcliError(
                f"Cannot write the feature cache {self.path}: {error.strerror}. Make room, name "
                "another folder with --cache-dir, or do without it: --no-cache."
            ) from error
        first = start // self._type.itemsize
        self._index.update((keys[i], first + n) for n, i in enumerate(new))

    def _mapped(self, count: int) -> np.ndarray:
        """The first records of the file, where they lie."""
        if not count:
            return np.empty(0, self._type)
        return np.memmap(self.path, self._type, "r", shape=(count,))


class PoolingCache:
    """What a pooling gives, by key: the files of its statistics, which other poolings share.

    Attributes:
        channels: K' of the pooling, those of all statistics.
    """

    def __init__(
        self,
        root: Path,
        space: Mapping[str, Any],
        statistics: Iterable[tuple[Statistic, int]],
    ) -> None:
        """Open or create.

        Args:
            root: folder of all caches.
            space: what the numbers depend on besides image and statistic: plain JSON values.
            statistics: each with its number of channels, in the order of the pooling.

        Raises:
            CamcliError: they cannot be read or written.
        """
        self._parts: list[tuple[slice, FeatureCache]] = []
        self.channels = 0
        with ExitStack() as opened:
            for each, channels in statistics:
                own = FeatureCache(root, statistic_space(space, each), channels)
                opened.enter_context(own)
                columns = slice(self.channels, self.channels + channels)
                self._parts.append((columns, own))
                self.channels = columns.stop
            self._opened = opened.pop_all()

    def __enter__(self) -> PoolingCache:
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()

    def read(self, keys: Sequence[bytes], out: np.ndarray) -> list[bool]:
        """As `FeatureCache.read`: of those of which all statistics are here, (N, K')."""
        found = [True] * len(keys)
        for columns, part in self._parts:
            own = part.read(keys, out[:, columns])
            found = [a and b for a, b in zip(found, own, strict=True)]
        return found

    def add(self, keys: Sequence[bytes], features: np.ndarray) -> None:
        """As `FeatureCache.add`, (N, K'): of each statistic what was not here."""
        for columns, part in self._parts:
            part.add(keys, features[:, columns])


def statistic_space(space: Mapping[str, Any], statistic: Statistic) -> dict[str, Any]:
    """What one statistic's numbers depend on besides the image."""
    plain = statistic in Pooling().statistics  # whose files are older than other statistics
    return {**space} if plain else {**space, "statistic": str(statistic)}
