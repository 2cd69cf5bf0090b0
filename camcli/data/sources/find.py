"""From what a user names (folder, glob, file, list, stdin) to references to images.

Everything is lazy: a folder of a million pictures costs the names of one directory at a time.
The order is the same on every machine: by name, a folder's own pictures before its sub-folders.

What is an image. In a folder, and in a glob that names no extension, files with one of
`camcli.data.picture_formats.EXTENSIONS`. A file that is named (on the command line, in a list, by
a glob such as ``*.dat``) is taken whatever it is called. Hidden files and folders (``.git``,
``._1.jpg``), what NAS boxes and archives leave behind, and camcli's own runs are passed over and
counted (`camcli.data.sources.leftovers`), unless they are named.

What cannot be read is still named. A dangling link ``x.jpg``, a *folder* ``x.jpg`` (which is not
walked: its name says picture) and a folder that may not be listed are yielded like images, so
that each becomes one error row rather than silently missing.

Links. Links to files are images; links to folders are walked, except into one of their own
parents (a loop), and at most `MAX_LINKS` deep.

Containers. A ``.tar`` or ``.zip`` that is named, listed or matched stands for the images in it
(`camcli.data.sources.containers`); in a folder only where there are no images beside them.
"""

# ruff: noqa: PTH109, PTH112
from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from glob import iglob
from itertools import islice
from pathlib import Path

from camcli.data.picture_formats import TABLE
from camcli.data.sources.braces import expand
from camcli.data.sources.containers.registry import (
    ARCHIVES,
    NESTED,
    container_of,
)
from camcli.data.sources.finders import File, Finder, Folder, Glob, absolute, has_magic
from camcli.data.sources.labels import Labeller, make_labeller
from camcli.data.sources.layout import (
    Layout,
    Unrecognised,
    how,
    outside,
    recognise,
    recognise_names,
    why_not,
)
from camcli.data.sources.leftovers import LeftOut
from camcli.data.sources.lists import PathList, Several, check_no_table
from camcli.data.sources.numbered_folders import (
    ORDERS,
)
from camcli.data.sources.packed import recognise_packed
from camcli.data.sources.refs import is_url, local_path
from camcli.data.sources.remote import Remote
from camcli.data.sources.source import Source
from camcli.errors import UsageError
from camcli.printable import printable, some

Images = str | Path | Sequence[str | Path]
"""What a user names images by, see `find_images`."""


def find_images(
    spec: Images,
    *,
    recursive: bool = True,
    limit: int | None = None,
    labels: str = "auto",
) -> Source:
    """Find images, lazily.

    Args:
        spec: a folder, a glob (``**`` crosses folders), a file, ``@list.txt`` (one path a line),
            ``-`` (the same on stdin), or several of these, as ``{000..009}`` and ``{a,b}`` write
            them. A list may be separated by NUL bytes instead, as ``find -print0`` writes it. A
            relative path in a list starts from the current folder, or, if there is nothing, from
            the list's own. URLs (``s3://photos``) go through fsspec (`camcli.data.sources.remote`).
        recursive: walk into the sub-folders of a folder.
        limit: take the first so many.
        labels: ``auto`` takes class-per-folder labels where the layout of a folder, or of what is
            in tar and zip files, shows them (`camcli.data.sources.layout`; `Source.notes` says why
            if it does not), and never file names, as `load_dataset` does; ``folder``: the name of
            the folder that holds the image; ``prefix``: the file's name without its number
            (``cat.0.jpg`` is a cat); ``index``: class folders are the network's outputs of these
            numbers; ``imagefolder``: they are its outputs in the order of their names as text (0,
            1, 10, 2 ...); ``none``; a table of labels, FILE.csv
            (`camcli.data.sources.label_tables`); or a regular expression, searched in the relative
            path, whose first group (or the group called ``label``) is the label, without the
            file's extension.

    Returns:
        A source that can be iterated again; it holds at least one image.

    Raises:
        UsageError: nothing is there, or `labels` makes no sense.

    Example:
        >>> for image in find_images("photos", limit=10):  # doctest: +SKIP
        ...     print(image.rel)
    """
    if limit is not None and limit < 1:
        raise UsageError(f"The limit must be at least 1, not {limit}.")
    given = [spec] if isinstance(spec, str | Path) else list(spec)
    specs = expand(given)
    if not specs:
        raise UsageError("No images named: give a folder, a glob, a file, @list.txt or -.")
    finder: Finder
    if len(specs) == 1:
        check_no_table(specs[0])
        finder = _finder(specs[0], recursive)
    else:
        finder = Several(tuple(_each(specs, recursive)))
    seen = LeftOut()
    first = next(finder.walk(seen), None)
    if first is None and isinstance(finder, Folder):
        finder = replace(finder, containers=True)
    order = next((each for each in ORDERS if each == labels), None)
    auto = labels == "auto" or order is not None
    labeller, notes = (
        _recognised(finder, first) if auto else (make_labeller(labels, finder.root), ())
    )
    # islice counts no further, and no disk holds so many.
    most = None if limit is None else min(limit, sys.maxsize)
    if order and not isinstance(labeller, Layout):
        why = f" {notes[0]}" if notes else ""
        raise UsageError(f"--labels {order} is about class folders, and there are none.{why}")
    source = Source(
        Path(finder.root), finder, labeller, most, own_labels=auto, notes=notes, order=order
    )
    if first is None:
        source.left_out.include(seen)
    # Nothing at all, or shards without images.
    if first is None or container_of(first[0]):
        image = next(iter(source), None)
        if image is None:
            raise UsageError(_nothing(specs, recursive, source.left_out))
        remote = first is not None and is_url(first[0])
        if auto and remote and not notes and image.label is None and image.rel.count("/") > 1:
            source = replace(source, notes=(_IN_FOLDERS,))
    return source


# What `auto` leaves alone, for the whole container would have to be fetched first.
_IN_FOLDERS = (
    "The pictures lie in folders of a container elsewhere, and nothing beside them says what they "
    "show: --labels folder takes the folders for their labels."
)


def _recognised(
    finder: Finder, first: tuple[str, str] | None
) -> tuple[Labeller | None, tuple[str, ...]]:
    """What ``auto`` means here, and what there is to say about it.

    Args:
        finder: of the files.
        first: the first of them; None where there are no images outside of containers.
    """
    found: Layout | Unrecognised | None
    if first is None or container_of(first[0]):
        found = recognise_packed(finder)
    elif isinstance(finder, Remote):
        found = recognise_names(rel for _, rel in finder)
    elif not isinstance(finder, Folder | Glob):
        several = isinstance(finder, Several) and any(
            isinstance(part, Folder | Glob) for part in finder.parts
        )
        why = "several sources were named, and only a single folder's layout is looked at"
        found = Unrecognised(why) if several else None
    elif isinstance(finder, Folder) and not finder.recursive:
        found = None
    else:
        found = recognise(finder.root)
    if isinstance(found, Layout):
        return found, tuple(filter(None, [how(found), outside(found)]))
    return None, (why_not(found),) if found else ()


def _finder(spec: str | Path, recursive: bool) -> Finder:
    """What one argument stands for."""
    text = os.fspath(spec)
    if not text:
        raise UsageError("An empty name was given where a folder, glob or file is expected.")
    if text == "-":
        return PathList.from_stdin()
    if is_url(text) and not os.path.lexists(text):
        if (path := local_path(text)) is None:
            return Remote.parse(text, recursive)
        text = path
    try:
        if os.path.isdir(text):
            return Folder(absolute(text), recursive)
        if os.path.lexists(text):
            return File(absolute(text))
    except ValueError:
        raise UsageError(f"The name {printable(text)!r} holds a NUL, as no file's can.") from None
    if text.startswith("@"):
        return PathList.from_file(text[1:])
    if has_magic(text):
        return Glob.parse(text)
    raise UsageError(f"No file or folder {text!r} (looked for {absolute(text)!r}).")


def _each(specs: Iterable[str], recursive: bool) -> Iterator[Finder]:
    """Several arguments; a missing file among them becomes an error row, as in a list."""
    for spec in specs:
        text = os.fspath(spec)
        plain = text and text != "-" and not text.startswith("@") and not has_magic(text)
        missing = plain and not is_url(text) and not os.path.lexists(text)
        yield File(absolute(text)) if missing else _finder(spec, recursive)


def _packed(folder: str) -> str:
    """The first few archives right in a folder, which nobody has unpacked; empty for none."""
    with suppress(OSError), os.scandir(folder) as entries:
        found = [e.name for e in islice(entries, 1000) if e.name.lower().endswith(ARCHIVES)]
        return some(sorted(found))
    return ""


def _otherwise_named(folder: str) -> str:
    """The first few files right in a folder whose names have no ending; empty for none."""
    with suppress(OSError), os.scandir(folder) as entries:
        found = [e.name for e in islice(entries, 1000) if "." not in e.name and e.is_file()]
        return some(sorted(found), 3)
    return ""


def _without_ending(pattern: str) -> str:
    """The first few files that a pattern fits and whose names have no ending; empty for none."""
    with suppress(OSError, ValueError):
        fitting = map(Path, islice(iglob(pattern, recursive=True), 1000))  # noqa: PTH207
        found = [path.name for path in fitting if "." not in path.name and path.is_file()]
        return some(sorted(found), 3)
    return ""


def _nothing(specs: list[str], recursive: bool, left: LeftOut) -> str:
    more = f" {left.note()}" if left else ""
    if any(what.startswith(NESTED) for what in left.counts):
        more += " What is packed twice is not read: unpack it once."
    shown = ", ".join(repr(os.fspath(s)) for s in specs[:3]) + (", ..." if specs[3:] else "")
    if len(specs) == 1 and os.path.isdir(specs[0]):
        where = "it or its sub-folders" if recursive else "it (sub-folders were not searched)"
        if packed := _packed(specs[0]):
            return f"No images in the folder {shown}, but {packed}: unpack it.{more}"
        known = " ".join(e[1:] for each in TABLE if each.readers for e in each.extensions.split())
        if named := _otherwise_named(specs[0]):
            more = (
                f" It has {named}: files that are named are read whatever they are called, in a "
                f"list, say, @list.txt with one path a line.{more}"
            )
        return f"No images in the folder {shown}: no file in {where} ends in one of {known}.{more}"
    magic = len(specs) == 1 and has_magic(specs[0]) and not is_url(specs[0])
    if magic and (named := _without_ending(specs[0])):
        more = (
            f" It fits {named}, whose names have no ending that says they are pictures: files that "
            f"are named are read whatever they are called, in a list, say, @list.txt with one path "
            f"a line.{more}"
        )
    if specs == ["-"]:
        return "No images: standard input named none (expected one path a line)."
    return f"No images found for {shown} (seen from the folder {os.getcwd()!r}).{more}"
