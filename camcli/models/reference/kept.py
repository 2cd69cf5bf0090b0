"""What references look like, kept on disk: found once, and never again. Listed without torch."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from camcli.data.datasets.paths import cache_home
from camcli.files import whole_file

if TYPE_CHECKING:
    from torch import Tensor

    from camcli.models.reference.usual import Usual

MOST = 2**30
"""Bytes that are kept; what was not used for the longest time goes first."""


def root() -> Path:
    """The folder: ``references`` of ``$CAMCLI_CACHE``, or of ``~/.cache/camcli``."""
    return cache_home() / "references"


def kept() -> list[Path]:
    """The files that are there, the last used first."""
    found = []
    for path in root().glob("*.safetensors"):
        with suppress(OSError):  # it goes at this moment
            found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found, reverse=True)]


@dataclass(frozen=True, slots=True, eq=False)
class KeptReferences:
    """What was found of n references.

    Attributes:
        usual: what they look like.
        smalls: (n, S, S) uint8, small grey pictures of them.
        groups: (n,) int64; those of one number are copies of each other.
        compared: whether all were compared, to find these.
    """

    usual: Usual
    smalls: Tensor
    groups: Tensor
    compared: bool

    def tensors(self) -> dict[str, Tensor]:
        """All of it by name, for a file."""
        import torch

        beside = {"smalls": self.smalls, "groups": self.groups}
        return self.usual.tensors() | beside | {"compared": torch.tensor([self.compared])}


def read(name: str) -> KeptReferences | None:
    """What is kept under a name; None where nothing is, or it is damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from camcli.models.reference.usual import usual_of

    path = root() / f"{name}.safetensors"
    try:
        tensors = load_file(path)
        smalls, groups, compared = (tensors.pop(n) for n in ("smalls", "groups", "compared"))
        found = KeptReferences(usual_of(tensors), smalls, groups, bool(compared.all()))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None
    if smalls.ndim != 3 or not len(smalls) == len(groups) == found.usual.count:
        return None
    with suppress(OSError):
        os.utime(path)  # it was used
    return found


def keep(name: str, found: KeptReferences) -> None:
    """Keep it, and no more than `MOST`; a disk that takes nothing is no reason to fail."""
    from safetensors.torch import save

    with suppress(OSError):
        root().mkdir(parents=True, exist_ok=True)
        path = root() / f"{name}.safetensors"
        with whole_file(path) as aside:
            aside.write_bytes(save(found.tensors()))
        total = 0
        for each in kept():
            total += each.stat().st_size
            if total > MOST and each != path:
                each.unlink(missing_ok=True)


def clear() -> int:
    """Take all of it away.

    Returns:
        Bytes that are free now.
    """
    freed = 0
    for path in kept():
        with suppress(OSError):
            size = path.stat().st_size
            path.unlink()
            freed += size
    return freed
