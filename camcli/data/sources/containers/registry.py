"""Which kinds of containers are read, and the pictures in one.

In WebDataset's layout the members of one sample stand together and share a key, the name up to its
first dot: ``000/cat.jpg``, ``000/cat.cls``.

Every member that is called like an image is one, ``cat.1.jpg`` beside ``cat.jpg`` too. Left out are
a sample's annotations in the form of pictures (`member.MASKS`), ``cat.seg.png`` beside ``cat.jpg``,
and, counted, what is left out of folders as well (hidden things, ``__MACOSX/``, ``@eaDir/``, camera
raw files) and containers in the container, which are not opened.

What is wrong with a member becomes its error row; what is wrong with a container becomes an error
row of its own, after the members that could be found.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from camcli.data.picture_formats import is_image_name
from camcli.data.sources.containers.member import Container, Entry, Member, Passed, reason
from camcli.data.sources.containers.tar import TAR
from camcli.data.sources.containers.zip import ZIP
from camcli.data.sources.leftovers import LeftOut
from camcli.data.sources.refs import Blob, file_system, is_url
from camcli.data.sources.unique_paths import bounded
from camcli.errors import CamcliError
from camcli.files import open_regular

CONTAINERS: tuple[Container, ...] = (TAR, ZIP)
"""All kinds; a new one is a file beside theirs and an entry here."""

NESTED = "archive file"
"""How containers in a container are counted."""

UNREAD = tuple(suffix for kind in CONTAINERS for suffix in kind.unread)
"""Suffixes of containers that cannot be read where they lie."""

# Archives that nothing here reads.
_OTHERS = (".7z", ".rar")
ARCHIVES = (*(suffix for kind in CONTAINERS for suffix in kind.suffixes), *UNREAD, *_OTHERS)
"""Suffixes of files that may hold pictures, read or not."""

# Members of one sample that are held until its label is known.
_SAMPLE = 10_000
# Of the number of a class; Python refuses to read thousands of digits.
_DIGITS = 18
# What is fetched at a time of a remote container's headers and what lies between.
_AHEAD = 1 << 20


def container_of(name: str) -> Container | None:
    """The kind of container that a file of this name is.

    Args:
        name: or a path or URL.
    """
    name = name[-8:].lower()  # longer than any suffix: a million names pass through here
    return next((kind for kind in CONTAINERS if name.endswith(kind.suffixes)), None)


def without_suffix(rel: str) -> str:
    """What a container is called as the folder of its pictures: ``s-000.tar`` -> ``s-000``."""
    kind = container_of(rel)
    suffixes = kind.suffixes if kind else ()
    return next((rel[: -len(s)] for s in suffixes if rel.lower().endswith(s)), rel)


def why_unread(name: str) -> str | None:
    """Why a container of this name cannot be read where it lies; None for other names."""
    name = name.lower()
    return next((kind.why_unread for kind in CONTAINERS if name.endswith(kind.unread)), None)


def what_instead(data: bytes) -> str | None:
    """Say of a file without the name of one that it is a container; None if it is none.

    Args:
        data: the whole file.
    """
    for kind in CONTAINERS:
        if kind.has(data):
            return (
                f"{kind.what}; name it {kind.suffixes[0]} and its pictures are read where they lie."
            )
    return None


def images_in(place: str, left: LeftOut | None = None) -> Iterator[Member]:
    """The images of one container, in its order; names may occur twice.

    Args:
        place: path or URL of a file with the name of a container.
        left: counts what is left out, folders once.
    """
    kind = container_of(place)
    assert kind is not None, place
    sample: list[Entry] = []
    passed = Passed(LeftOut() if left is None else left, kind.name)
    problem = None
    try:
        with _opened(place) as file:
            for entry in kind.entries(file, passed):
                if entry.name.lower().endswith(ARCHIVES):
                    passed.add(NESTED)
                if sample and (entry.key != sample[0].key or len(sample) >= _SAMPLE):
                    yield from _of_sample(place, sample)
                    sample.clear()
                sample.append(entry)
    except CamcliError as error:
        problem = str(error)
    # Libraries raise many things on damaged bytes, and drivers errors of their own.
    except Exception as error:
        problem = f"the {kind.called} could not be read ({reason(error)})."
    yield from _of_sample(place, sample)
    if problem:
        yield Member("", Blob(place, problem=problem))


def _of_sample(place: str, sample: list[Entry]) -> Iterator[Member]:
    """The images among files that stand together, with what the others say of them."""
    found = [entry for entry in sample if is_image_name(entry.name.rpartition("/")[2])]
    plain = next((entry for entry in found if entry.plain), None)
    if plain is not None:
        found = [entry for entry in found if not entry.annotates(plain)]
    labels = {
        entry.stem: label
        for entry in sample
        if entry.label is not None and (label := _label(entry.name, entry.label)) is not None
    }
    stems = {entry.stem for entry in found}
    common = next((label for stem, label in labels.items() if stem not in stems), None)
    for entry in found:
        label = labels.get(entry.stem, labels.get(entry.key, common))
        blob = Blob(place, entry.offset, entry.size, entry.problem, entry.reader)
        yield Member(bounded(entry.name), blob, label)


@contextmanager
def _opened(place: str) -> Iterator[IO[bytes]]:
    if not is_url(place):
        with open_regular(place) as file:
            yield file
        return
    system, path = file_system(place)
    with system.open(path, "rb", block_size=_AHEAD, cache_type="readahead") as file:
        yield file


def _label(name: str, data: bytes) -> str | int | None:
    """What a ``.cls`` file says, or ``label``, ``cls`` or ``class`` in a ``.json``."""
    text = data.decode("utf-8", "replace").strip()
    value: Any = text
    if name.endswith(".json"):
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(record, dict):
            return None
        keys = ("class_name", "label", "cls", "class", "class_id")
        value = next((record[key] for key in keys if record.get(key) is not None), None)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    if isinstance(value, str) and not (value.isdecimal() and len(value) <= _DIGITS):
        return value or None
    return int(value)
