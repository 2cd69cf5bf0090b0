"""Where the pictures of a few images go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from camcli.errors import CamcliError, ImageError, UsageError
from camcli.files import only_this_file, write_whole


def picture_files(rels: Sequence[str], folder: Path, what: str) -> list[Path]:
    """``STEM_what.jpg`` in a folder for each image; two images never share a name."""
    # Relative paths keep same-named images of different folders apart.
    files = [folder / f"{Path(rel).with_suffix('')}_{what}.jpg" for rel in rels]
    if len(set(files)) < len(files):
        files = [folder / f"{rel}_{what}.jpg" for rel in rels]
    return files


def refuse_existing(path: Path) -> None:
    """A picture that would be overwritten without being asked for.

    Raises:
        UsageError: there is one.
    """
    if path.exists():
        raise UsageError(f"{path} exists. Add --overwrite to replace it, or choose another --out.")


def refuse_inputs(files: Sequence[Path], images: Sequence[Path]) -> None:
    """A picture that would be written over a photograph, with ``--overwrite`` too.

    Raises:
        UsageError: there is one.
    """
    inputs = {image.resolve() for image in images}
    for file in files:
        if file.resolve() in inputs:
            raise UsageError(
                f"{file} is one of the photographs, which are never written over. Choose another "
                "--out."
            )


def write_picture(path: Path, data: bytes) -> None:
    """One image's file, whole or not at all; its folder is made.

    Raises:
        ImageError: there can be no file of this name; others can be written.
        CamcliError: nothing can be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        kind = ImageError if only_this_file(error, path.parent) else CamcliError
        raise kind(f"Cannot write {path}: {error.strerror}.") from error
