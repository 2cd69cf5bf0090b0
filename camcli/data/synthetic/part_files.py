"""Where the files of a scene with removable parts are; shared by who writes and who reads them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePosixPath

FILE = "parts.json"
"""What says which parts, classes and scenes a folder has."""
WHOLE = "pixels"


def pixels_name(scene: str) -> str:
    """The picture whose values say to what a scene's pixels belong."""
    return str(PurePosixPath(WHOLE) / PurePosixPath(scene).with_suffix(".png"))


def without_name(scene: str, gone: Collection[str]) -> str:
    """The scene without some of its parts, or without one of the things beside them."""
    name = "+".join(sorted(gone)) + ".jpg"
    return str(PurePosixPath("without") / PurePosixPath(scene).with_suffix("") / name)
