"""Where the pictures of a few images go."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from camcli.batch.run_files.disk_names import DiskNames, folded, mark
from camcli.errors import CamcliError, ImageError, UsageError
from camcli.files import identity, only_this_file, write_whole
from camcli.models.spec import LAST
from camcli.render.picture_files import JPEG

# File systems take names of 255 bytes. What may still be put behind one: _12345.jpeg
_LONGEST, _BEHIND = 255, 12


def name_of_asked(
    method: str,
    layer: str,
    target: str | int | None,
    versus: str | int | None,
    *more: object,
) -> str:
    """What was asked, for a file's name, so that another question gets another file.

    Args:
        method: of the map.
        layer: as the user named it.
        target: as the user named it, None for the predicted class.
        versus: likewise, None for no comparison.
        more: what else was asked and changes the picture; what is false was not.

    Returns:
        ``gradcam`` where nothing else was asked, ``gradcam_layer3_lynx-vs-tabby_contrast`` where
        more was.
    """
    who = "" if target is None else str(target)
    if versus is not None:
        who = f"{who}-vs-{versus}" if who else f"vs-{versus}"
    parts = [method, "" if layer == LAST else layer.replace(",", "+"), who]
    parts += (str(each) for each in more if each)
    return "_".join(word for word in map(_word, parts) if word)


def _word(text: str) -> str:
    """A text as a part of a file name: letters of any script, digits, and a few signs."""
    return re.sub(r"[^\w.+-]+", "-", text).strip("-.")


def picture_files(
    rels: Sequence[str], folder: Path, what: str, suffix: str = JPEG.suffix
) -> list[Path]:
    """``STEM_what.jpg`` in a folder for each image; two images never share a name."""
    # Relative paths keep same-named images of different folders apart.
    stems = [str(PurePosixPath(rel).with_suffix("")) for rel in rels]
    for parts in (stems, rels, [f"{rel}~{mark(rel)}" for rel in rels]):
        names = [DiskNames.here().name(_file(part, what) + suffix) for part in parts]
        # Not all disks tell A from a.
        if len({folded(name) for name in names}) == len(names):
            break
    return [folder / name for name in names]


def _file(rel: str, what: str) -> str:
    """Name of a picture without its suffix; where it is too long, a hash stands for its end."""
    above, slash, stem = rel.rpartition("/")
    name = f"{stem}_{what}"
    raw = name.encode("utf-8", "surrogateescape")
    room = _LONGEST - _BEHIND
    if len(raw) > room:
        end = "~" + hashlib.sha256(raw).hexdigest()[:12]
        name = raw[: room - len(end)].decode("utf-8", "ignore") + end
    return f"{above}{slash}{name}"


def refuse_file(out: Path) -> None:
    """A file where a folder for pictures was named.

    Raises:
        UsageError: there is one.
    """
    if os.path.lexists(out) and not out.is_dir():
        raise UsageError(f"{out} is a file, and no name of a picture: --out takes a folder.")


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
    # Not Path.resolve, which raises where links go in a circle.
    inputs = {os.path.realpath(image) for image in images}
    # A disk that does not tell A from a has many names for a photograph.
    there = {identity(os.fspath(image)) for image in images} - {None}
    for file in files:
        if os.path.realpath(file) in inputs or identity(os.fspath(file)) in there:
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
