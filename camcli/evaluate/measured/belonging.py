"""Which photograph an annotation belongs to.

To the one with its relative path or, where that is not known, to the only one with its file name;
names with their extension count first, so that the boxes of ``x.jpg`` and of ``x.png`` are not
mixed. One without extension (``x.xml``) that could be of both is refused.

Annotations may name more folders than the photographs' paths have: ``/home/me/set/a/x.jpg`` where
the photographs were taken from ``set``, or ``Annotations/x.xml`` of ``JPEGImages/x.jpg``. Where
nothing fits otherwise, they are read from the one folder from which they fit.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from camcli.data.sources.finders import is_image_name
from camcli.data.sources.refs import ImageRef
from camcli.errors import UsageError
from camcli.printable import printable


def matched(by_file: Mapping[str, Any], refs: Iterable[ImageRef]) -> dict[str, Any]:
    """What belongs to each photograph.

    Args:
        by_file: by the name that the annotations have: a path with slashes.
        refs: the photographs.

    Returns:
        By relative path; photographs without anything are left out.

    Raises:
        UsageError: it cannot be told to which of two photographs something belongs, or from which
            of two folders the annotations should be read.
    """
    refs = list(refs)
    return _matched(by_file, refs) or _matched(_from_folder(by_file, refs), refs)


def _matched(by_file: Mapping[str, Any], refs: Sequence[ImageRef]) -> dict[str, Any]:
    """The same, where the annotations' paths have no more folders than the photographs'."""
    found: dict[str, Any] = {}
    used: set[str] = set()
    # With the extension: a/b/c.jpg is annotated as a/b/c.jpg, b/c.jpg, or c.jpg if there is one.
    named = Counter(PurePosixPath(ref.rel).name for ref in refs)
    for ref in refs:
        parts = PurePosixPath(ref.rel).parts
        for n in range(len(parts)):
            name = "/".join(parts[n:])
            if name in by_file and (n < len(parts) - 1 or n == 0 or named[name] == 1):
                found[ref.rel] = by_file[name]
                used.add(name)
                break
    # Without it, where that leaves one annotation and one photograph.
    stems: dict[str, list[str]] = {}
    for name in by_file:
        if name not in used:
            stems.setdefault(bare(name), []).append(name)
    left = [ref.rel for ref in refs if ref.rel not in found]
    whole = Counter(PurePosixPath(rel).with_suffix("") for rel in left)
    alone = Counter(PurePosixPath(rel).stem for rel in left)
    for rel in left:
        path = PurePosixPath(rel).with_suffix("")
        for n in range(len(path.parts)):
            name = "/".join(path.parts[n:])
            last = n == len(path.parts) - 1
            if name not in stems or (last and n > 0 and alone[name] > whole[path]):
                continue
            if whole[path] > 1 or len(stems[name]) > 1:
                others = [other for other in left if PurePosixPath(other).with_suffix("") == path]
                given = " and of ".join(sorted(stems[name])[:2])
                raise UsageError(
                    f"The annotation of {given} could be that of {' or of '.join(others[:2])}: "
                    "name the photographs with their extension in the annotations, or take one of "
                    "them away."
                )
            found[rel] = by_file[stems[name][0]]
            break
    return found


def _from_folder(by_file: Mapping[str, Any], refs: Sequence[ImageRef]) -> dict[str, Any]:
    """The annotations below the folder from which the photographs' whole paths are theirs.

    Where there is none, from the lowest folder that holds all of them.
    """
    rels = {ref.rel for ref in refs}
    rels |= {PurePosixPath(rel).with_suffix("").as_posix() for rel in rels}
    fit: dict[str, str] = {}
    for name in by_file:
        parts = name.split("/")
        for n in range(1, len(parts)):
            rest = "/".join(parts[n:])
            if rest in rels or bare(rest) in rels:
                fit.setdefault("/".join(parts[:n]) + "/", rest)
                break
    if len(fit) > 1:
        (one, rest), (other, _) = list(fit.items())[:2]
        raise UsageError(
            f"The annotations of {printable(one + rest)} and those below {printable(other)} both "
            "fit images here, so it cannot be told which are meant: name a folder of images above "
            "both, or annotations of one of them."
        )
    folder = next(iter(fit), None) or _above(by_file)
    return {name[len(folder) :]: each for name, each in by_file.items() if name.startswith(folder)}


def _above(names: Iterable[str]) -> str:
    """The lowest folder of all names, with its slash; empty where they share none."""
    folders = [name.split("/")[:-1] for name in names]
    shared: list[str] = []
    for parts in zip(*folders, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return "".join(f"{part}/" for part in shared)


def bare(name: str) -> str:
    """A name without the extension of a picture; ``cat.0`` has none."""
    return name.rpartition(".")[0] if is_image_name(name.rpartition("/")[2]) else name


def some_of(names: Iterable[str], most: int = 3) -> str:
    """A few of several names, for a sentence."""
    found = list(names)
    return printable(", ".join(found[:most])) + (" ..." if len(found) > most else "")


def files_below(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Files of a folder and what is below it, by name; links to folders are followed once.

    Args:
        folder: of annotations; photographs are found through links as well.
        suffixes: that they end in, in small letters.
    """
    found: list[Path] = []
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # a link to a folder above it
            folders.clear()
            continue
        seen.add(real)
        found += [Path(parent, n) for n in names if Path(n).suffix.lower() in suffixes]
    return sorted(found)
