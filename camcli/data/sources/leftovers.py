"""What lies among pictures and is none of them: hidden things, leftovers, camcli's own output.

Disks, cameras, archives and editors put folders of their own beside photographs (thumbnails,
recycle bins, halves of Mac files), cameras put raw files beside their JPEGs, and camcli's runs hold
overlays. None of these is taken or walked into unless it is named. What is left out is counted, so
that nothing is missing in silence.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from camcli.data.picture_formats import OTHERS, RAW, is_image_name, named
from camcli.files import open_regular, read_regular
from camcli.ours import FILES, KIND, OVERLAYS

# In lower case. Hidden ones (.ipynb_checkpoints, .Trashes, .@__thumb, ...) need no names.
_FOLDERS = {
    name.lower(): name
    for name in (
        "@eaDir", "@tmp", "@Recycle", "@Recently-Snapshot", "@sharebin", "@__thumb",
        "#recycle", "#snapshot", "__MACOSX", "__pycache__", "$RECYCLE.BIN", "RECYCLER", "RECYCLED",
        "System Volume Information", "lost+found", "Network Trash Folder", "Temporary Items",
        "~snapshot", "_gsdata_",
    )
}  # fmt: skip
_FILES = {name.lower(): name for name in ("Thumbs.db", "ehthumbs.db", "desktop.ini", "Icon\r")}

RUN = "folder of a camcli run"
MADE_PICTURE = "picture that camcli made"
MADE_UP = "folder that the system makes up"

_INFO = re.compile(r"run(\.\d+-of-\d+)?\.json")
_TABLE = re.compile(r"predictions(\.\d+-of-\d+)?\.csv")
# How the tables of a run begin, and the page of one.
_HEADER = b"path,label,pred,prob,correct,target,"
_PAGE = re.compile(rb'<meta name="generator" content="camcli')
# Evaluations and audits may be put beside other pictures: of them only these files are left out.
_EVALUATED = re.compile(r"(results|confusion(-\d+)?)\.png")
_AUDITED = re.compile(r"(clusters|flagged)\.jpg")
_AUDIT = "audit.json"
_MADE = {
    "results.json": ([{"rows", "sanity", "verdicts"}], _EVALUATED),
    _AUDIT: ([{"flagged", "clusters"}, {KIND, FILES, "clusters"}], _AUDITED),
    "check.json": ([{KIND, FILES, "findings"}], re.compile(r"(?!)")),  # it makes none
}
FINDINGS = "findings"
"""The folder of an audit in which what it found is cut out."""


@dataclass(slots=True)
class LeftOut:
    """How many of what were left out while walking.

    Attributes:
        counts: by what they are, in the singular and ending in what can be counted.
    """

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, what: str, number: int = 1) -> None:
        """Count something."""
        self.counts[what] += number

    def include(self, other: LeftOut) -> None:
        """Know what another walk over the same found, of which one may have ended early."""
        self.counts |= other.counts

    def __bool__(self) -> bool:
        return bool(self.counts)

    def note(self) -> str:
        """One line for a person; empty if nothing was left out."""
        if not self.counts:
            return ""
        most = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        parts = [f"{number} {_plural(what) if number > 1 else what}" for what, number in most]
        return f"Left out: {', '.join(parts)} (name one as the source to take it)."


def _plural(what: str) -> str:
    for noun in ("folder", "file", "picture"):
        if re.search(rf"\b{noun}\b", what):
            return re.sub(rf"\b{noun}\b", f"{noun}s", what, count=1)
    return what


def leftover_folder(name: str) -> str | None:
    """What a folder of this name is, if it is not to be walked into."""
    if name.startswith("."):
        return "hidden folder"
    known = _FOLDERS.get(name.lower())
    return f"{known} folder" if known else None


def leftover_file(name: str) -> str | None:
    """What a file of this name is, if it is not to be taken."""
    if name.startswith("."):
        return "hidden file"
    known = _FILES.get(name.lower())
    return f"{known.strip()} file" if known else None


def not_read_file(name: str) -> str | None:
    """What a file of this name is, if it is a picture that is not read.

    A camera's own mostly lies beside its JPEG; others are drawings, scans, textures.
    """
    extension = os.path.splitext(name)[1].lower()  # noqa: PTH122
    if named(name, RAW):
        return f"{RAW.name} file ({extension})"
    return f"picture of a kind that is not read ({extension})" if extension in OTHERS else None


def is_telling(name: str) -> bool:
    """Whether a folder with a file of this name may be camcli's own output."""
    known = name in _MADE or name == "index.html"
    return known or bool(_INFO.fullmatch(name) or _TABLE.fullmatch(name))


def is_run(folder: str, names: Iterable[str]) -> bool:
    """Whether a folder was made by camcli's batch, train or report.

    Args:
        folder: its path.
        names: of what is in it; only files with telling names are opened.
    """
    for name in names:
        path = os.path.join(folder, name)  # noqa: PTH118
        if _INFO.fullmatch(name) and _is_info(path):
            return True
        if _TABLE.fullmatch(name) and _start(path, len(_HEADER)) == _HEADER:
            return True
        if name == "index.html" and _PAGE.search(_start(path, 1000)):
            return True
    return False


def is_run_at(folder: str) -> bool:
    """`is_run` of a folder that may hold a million pictures, which are not listed."""
    names = [name for name in ("run.json", "predictions.csv", "index.html") if _is_in(folder, name)]
    if not names and _is_in(folder, OVERLAYS):  # shards' files have other names
        with suppress(OSError):
            names = [name for name in os.listdir(folder) if is_telling(name)]  # noqa: PTH208
    return is_run(folder, names)


def _is_in(folder: str, name: str) -> bool:
    return os.path.lexists(os.path.join(folder, name))  # noqa: PTH118


def made_pictures(folder: str, names: Iterable[str]) -> set[str]:
    """Which of the files in a folder are pictures of an evaluation or an audit.

    Args:
        folder: its path.
        names: of what is in it.
    """
    names = set(names)
    found: set[str] = set()
    above, own = os.path.split(folder)
    if own == FINDINGS:  # what an audit lists, and nothing else
        listed = (_json(os.path.join(above, _AUDIT)) or {}).get(FILES)  # noqa: PTH118
        own_names = {f"{FINDINGS}/{name}": name for name in names}
        if isinstance(listed, list):
            found |= {own_names[each] for each in listed if str(each) in own_names}
    for name, (keys, pictures) in _MADE.items():
        record = _json(os.path.join(folder, name)) if name in names else None  # noqa: PTH118
        if record is not None and any(some <= record.keys() for some in keys):
            found |= {other for other in names if pictures.fullmatch(other)}
    return found


def holds_only_made(folder: str) -> bool:
    """Whether an evaluation or an audit, and no photograph of anybody's, is in a folder."""
    if not any(_is_in(folder, name) for name in _MADE):
        return False
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name == FINDINGS and entry.is_dir():
                inner = os.listdir(entry.path)  # noqa: PTH208
                if not set(inner) <= made_pictures(entry.path, inner):
                    return False
            elif entry.is_dir():
                return False
        names = os.listdir(folder)  # noqa: PTH208
        return set(filter(is_image_name, names)) <= made_pictures(folder, names)
    return False


def _is_info(path: str) -> bool:
    record = _json(path)
    if record is None:
        return False
    trained = record.get("command") == "train" and {"config", "status"} <= record.keys()
    return trained or {"camcli", "state", "config"} <= record.keys()


def _json(path: str) -> dict[str, object] | None:
    try:
        record = json.loads(read_regular(path, 1 << 28))
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _start(path: str, size: int) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(size)
    except OSError:
        return b""
