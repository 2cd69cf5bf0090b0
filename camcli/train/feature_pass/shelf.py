"""The folder of kept features as a whole: what is there, what for, and what goes when it is full.

Beside each file of features lies a small one that says what they are of. Whoever uses them holds a
lock on it, so nothing is taken away that somebody reads; when it was last used is its date. Read
without torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from camcli.errors import UsageError
from camcli.locks import is_still, lock

LIMIT = "10GB"
"""What is kept at most, unless ``$CAMCLI_CACHE_LIMIT`` or ``--cache-limit`` says."""
VARIABLE = "CAMCLI_CACHE_LIMIT"
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d*)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)


def read_limit(text: str | None) -> int | None:
    """Bytes, from ``500MB``, ``20GB`` or, as many as there are, ``none``.

    Args:
        text: None for what the environment says, or the default.

    Raises:
        UsageError: it is no size.
    """
    given = "--cache-limit" if text is not None else f"${VARIABLE}"
    text = (text if text is not None else os.environ.get(VARIABLE) or LIMIT).strip()
    if text.lower() == "none":
        return None
    found = _SIZE.fullmatch(text)
    if not found:
        raise UsageError(f"{given} takes a size such as 500MB or 20GB, or none, not {text[:40]!r}.")
    return int(float(found[1]) * _UNITS[found[2].upper()])


@dataclass(frozen=True)
class KeptFeatures:
    """The files of one way of looking: one a statistic.

    Attributes:
        name: short, from what they are of.
        about: what that is, as `camcli.train.prepare.Backbone.space` has it; empty where the file
            that says it is damaged.
        statistics: such as ``mean``, one a file.
        files: those with the features.
        size: bytes of them all.
        images: of the file with the most; views count each for itself.
        used: when last, in seconds since 1970.
    """

    name: str
    about: Mapping[str, Any] = field(hash=False)
    statistics: tuple[str, ...]
    files: tuple[Path, ...]
    size: int
    images: int
    used: float

    @property
    def told(self) -> str:
        """What they are of, in a few words."""
        if not self.about:
            return "unknown"
        shown = self.about.get("preprocess", {})
        size, fit = shown.get("size", "?"), shown.get("fit", "?")
        few = "+".join(self.statistics[:3]) + f"+{len(self.statistics) - 3} more" * (
            len(self.statistics) > 3
        )
        return f"{self.about.get('backbone', '?')}, {size} pixels, {fit}, {few}"


def kept(root: Path) -> list[KeptFeatures]:
    """All that is there, the last used first."""
    groups: dict[str, list[tuple[Path, dict[str, Any], os.stat_result, float]]] = {}
    for path in sorted(root.glob("*.features")):
        with suppress(OSError):  # it goes at this moment
            size, about = path.stat(), _about(path)
            used = max(size.st_mtime, _date(path.with_suffix(".json")))
            key = {k: v for k, v in about.items() if k not in ("statistic", "channels", "format")}
            text = json.dumps(key, sort_keys=True) if about else path.stem
            name = hashlib.sha256(text.encode()).hexdigest()[:8]
            groups.setdefault(name, []).append((path, about, size, used))
    found = [
        KeptFeatures(
            name,
            files[0][1],
            tuple(about.get("statistic", "mean") for _, about, _, _ in files),
            tuple(path for path, *_ in files),
            sum(size.st_size for _, _, size, _ in files),
            max(size.st_size // _record(about) for _, about, size, _ in files),
            max(used for *_, used in files),
        )
        for name, files in groups.items()
    ]
    return sorted(found, key=lambda each: -each.used)


def make_room(root: Path, limit: int | None, since: float | None = None) -> int:
    """Take the least recently used away until no more than a limit is there.

    Args:
        root: folder of kept features.
        limit: bytes; None for no limit.
        since: what was used at this time or later stays, as what somebody uses does.

    Returns:
        The bytes that are there still.
    """
    dated = []
    for path in root.glob("*.features"):
        with suppress(OSError):
            found = path.stat()
            used = max(found.st_mtime, _date(path.with_suffix(".json")))
            dated.append((used, found.st_size, path))
    total = sum(size for _, size, _ in dated)
    for used, size, path in sorted(dated):
        if limit is None or total <= limit or (since is not None and used >= since):
            break
        total -= size * remove(path)
    return total


def remove(features: Path) -> bool:
    """Take one file away, unless somebody uses it; returns whether it is gone."""
    told = features.with_suffix(".json")
    try:
        with told.open("r+b") as file:
            if not lock(file, wait=False) or not is_still(file, told):
                return False
            features.unlink(missing_ok=True)
            if sys.platform != "win32":  # which does not remove what is open
                told.unlink()
        told.unlink(missing_ok=True)
    except FileNotFoundError:  # nobody can be using it
        with suppress(OSError):
            features.unlink(missing_ok=True)
    except OSError:
        return False
    return not features.exists()


def in_use(told: Path, text: str) -> IO[bytes]:
    """Hold what stands beside a file of features, so that it is not taken away.

    Args:
        told: the small file that says what they are of; written if it does not yet.
        text: that.

    Returns:
        The open file; closing it lets go.

    Raises:
        OSError: it cannot be written, or the file system has no locks.
    """
    while True:
        file = told.open("a+b")
        try:
            lock(file, shared=True)
            if not is_still(file, told):  # it was taken away before it was ours
                file.close()
                continue
            file.seek(0)
            if file.read() != text.encode():
                file.truncate(0)
                file.write(text.encode())
                file.flush()
            os.utime(told)
        except BaseException:
            file.close()
            raise
        return file


def find(all_kept: Sequence[KeptFeatures], name: str) -> list[KeptFeatures]:
    """Those of a name, as a list shows it, or of a backbone.

    Raises:
        UsageError: there are none.
    """
    found = [each for each in all_kept if name in (each.name, each.about.get("backbone"))]
    if not found:
        raise UsageError(
            f"There are no features {name[:60]!r}: `camcli cache list` shows the names."
        )
    return found


def days_ago(days: float) -> float:
    """Seconds since 1970 at that time."""
    return time.time() - days * 86400


def _about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.with_suffix(".json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    good = isinstance(about, dict) and isinstance(about.get("preprocess"), dict)
    return about if good and isinstance(about.get("channels"), int) else {}


def _record(about: Mapping[str, Any]) -> int:
    """Bytes of an image."""
    return 36 + 2 * max(0, about["channels"]) if about else 1 << 62


def _date(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
