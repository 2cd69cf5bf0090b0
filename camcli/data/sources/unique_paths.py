"""Relative paths that name outputs: no two alike, and none a folder of another."""

from __future__ import annotations

import hashlib
import os

# Below what file systems take for a name (255 bytes) and for a path, with room for what is added.
_PART, _WHOLE = 200, 1000


class Unique:
    """Gives relative paths, in the order in which they come, names of their own.

    The same paths in the same order get the same names, in every process.

    Example:
        >>> names = Unique()
        >>> [names.take(rel) for rel in ("s/a.jpg", "s/a.jpg", "s/a.jpg/b.jpg")]
        ['s/a.jpg', 's/a~2.jpg', 's/a~2.jpg/b.jpg']
    """

    def __init__(self) -> None:
        # Digests, not names: 100 bytes for each image.
        self._files: set[int] = set()
        self._folders: set[int] = set()
        self._next: dict[int, int] = {}

    def take(self, rel: str) -> str:
        """A relative path as it is, or with ``~2``, ``~3`` ... where something is in its way."""
        *parents, name = rel.split("/")
        place = ""
        for parent in parents:
            place = self._free(place, parent, self._files) + "/"
            self._folders.add(_digest(place[:-1]))
        found = self._free(place, name, self._files, self._folders)
        self._files.add(_digest(found))
        return found

    def _free(self, place: str, name: str, *taken: set[int]) -> str:
        found = place + name
        if not any(_digest(found) in names for names in taken):
            return found
        stem, extension = os.path.splitext(name)  # noqa: PTH122 - a part of a path
        key = _digest(found)
        # A folder keeps the name that it got; a file gets a new one each time.
        number = self._next.get(key, 2)
        while True:
            found = f"{place}{stem}~{number}{extension}"
            if not any(_digest(found) in names for names in taken):
                break
            number += 1
        if len(taken) > 1:
            self._next[key] = number + 1
        return found


def bounded(rel: str) -> str:
    """A relative path that any file system takes; what is cut off is told by a digest.

    Args:
        rel: with forward slashes, of any length.
    """
    if "\0" in rel:
        rel = rel.replace("\0", "_")
    if len(rel) <= _PART // 4:
        return rel
    parts = [_short(part) for part in rel.split("/")]
    short = "/".join(parts)
    if len(short.encode("utf-8", "surrogatepass")) <= _WHOLE:
        return short
    return f"~{_mark('/'.join(rel.split('/')[:-1]))}/{parts[-1]}"


def _short(part: str) -> str:
    data = part.encode("utf-8", "surrogatepass")
    if len(data) <= _PART:
        return part
    extension = os.path.splitext(part)[1]  # noqa: PTH122 - a part of a path
    extension = extension if len(extension.encode("utf-8", "surrogatepass")) <= 16 else ""
    kept = data[: _PART - 40].decode("utf-8", "ignore")
    return f"{kept}~{_mark(part)}{extension}"


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _digest(text: str) -> int:
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
