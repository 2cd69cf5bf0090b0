"""Whether the tensors of a file of Keras lie in it, and are no larger than it; without Keras.

HDF5 lets a file point to values in others, and name more of them than it holds. Both are looked for
before Keras reads a value.
"""

from __future__ import annotations

import importlib.util
import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from camcli.errors import CamcliError
from camcli.files import open_regular

WEIGHTS = "model.weights.h5"
MAX_WEIGHTS = 8 << 30
_UNPACKED = 20
"""Values that are compressed may be this many times as large as their file."""
_SPARE = 16 << 20
_MOST_OBJECTS = 500_000
_DEEPEST = 200

UNREADABLE = (
    OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RuntimeError, EOFError,
    RecursionError, NotImplementedError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What zipfile, json and h5py raise where a file is damaged."""


def is_zip(path: Path) -> bool:
    """Whether a file is a ``.keras``, by its first bytes: one that ends as a zip may be both."""
    with open_regular(path) as file:
        return file.read(2) == b"PK"


def check_weights(path: Path) -> None:
    """Refuse tensors in other files, and more of them than the file has bytes for.

    Args:
        path: of a ``.keras`` or ``.h5`` file.

    Raises:
        CamcliError: it is damaged, or has such.
    """
    if importlib.util.find_spec("h5py") is None:  # whoever loads it says so
        return
    import h5py

    size = path.stat().st_size
    try:
        if is_zip(path):
            with zipfile.ZipFile(path) as archive:
                if WEIGHTS not in archive.namelist():
                    raise CamcliError(f"{path} is damaged: it has no {WEIGHTS}.")
                if archive.getinfo(WEIGHTS).file_size > min(MAX_WEIGHTS, _UNPACKED * size + _SPARE):
                    raise _too_large(path)
                data = io.BytesIO(archive.read(WEIGHTS))
            with h5py.File(data, "r") as file:
                _check(file, path, size)
        else:
            with h5py.File(path, "r") as file:
                _check(file, path, size)
    except CamcliError:
        raise
    except UNREADABLE as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise CamcliError(f"{path} is damaged or cut short ({line}): copy it again.") from error


def _check(file: Any, path: Path, size: int) -> None:
    total = 0
    for dataset in _datasets(file, path):
        if dataset.is_virtual or dataset.external:
            raise _elsewhere(path)
        total += dataset.nbytes
        if total > _UNPACKED * size + _SPARE:
            raise _too_large(path)


def _datasets(file: Any, path: Path) -> Iterator[Any]:
    """Each dataset, once; no link to another file is followed."""
    import h5py

    waiting, seen = [(file, 0)], set()
    while waiting:
        group, depth = waiting.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise _elsewhere(path)
            value = group[name]
            place = h5py.h5o.get_info(value.id).addr
            if place in seen:
                continue
            seen.add(place)
            if len(seen) > _MOST_OBJECTS or depth > _DEEPEST:
                raise CamcliError(f"{path} lists more than any network has: it is not opened.")
            if isinstance(value, h5py.Group):
                waiting.append((value, depth + 1))
            elif isinstance(value, h5py.Dataset):
                yield value


def _elsewhere(path: Path) -> CamcliError:
    return CamcliError(
        f"{path} wants tensors from another file, and no network of Keras does: it is not opened."
    )


def _too_large(path: Path) -> CamcliError:
    return CamcliError(
        f"{path} says that its tensors are larger than it can hold: it is damaged, or made to fill "
        "the memory, so it is not opened."
    )
