"""Whether two runs were made with the same settings, as their ``run.json`` records them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from camcli.batch.run_files.recorded_paths import same_place
from camcli.batch.run_files.settings import usual_settings
from camcli.data.sources.source import Source
from camcli.errors import UsageError
from camcli.models import spec
from camcli.printable import printable

# What runs of earlier versions did not record and had no default: nothing is known of it, so
# nothing differs.
_UNKNOWN = ("labels", "classes")
# Settings that are paths, or may be.
_PATHS = ("source", "labels")
# Likewise within a group of settings that also has a digest of what lies there.
_CONTENTS = {"model": {"name", "weights"}, "against": {"source"}}


def different(
    one: dict[str, Any],
    other: dict[str, Any],
    where: tuple[Path | None, Path | None] = (None, None),
) -> str:
    """The first setting that two runs do not share, and its two values; empty if there is none.

    A file is the same however its path is written, and a network wherever it lies.

    Args:
        one: the ``config`` of a run.
        other: that of another one.
        where: the folder in which the relative paths of each begin; None where nobody knows.
    """
    one, other = _filled(one), _filled(other)
    # Against references a run's output and method are others, too: what was asked is named.
    for key in {"against": None} | other | one:
        if key in _UNKNOWN and not (key in one and key in other):
            continue
        mine, theirs = one.get(key), other.get(key)
        if mine != theirs:
            if _one_path(key, mine, theirs, where):
                continue
            if isinstance(mine, dict) and isinstance(theirs, dict):  # only what differs in them
                differ = _differing(key, mine, theirs, where)
                if not differ:
                    continue
                mine, theirs = ({k: d.get(k) for k in mine | theirs if k in differ}
                                for d in (mine, theirs))  # fmt: skip
            if key == "against":
                return f"against {_asked(mine)} and {_asked(theirs)}"
            return f"{key} {_say(mine)} and {_say(theirs)}"
    return ""


def _one_path(key: str, mine: Any, theirs: Any, where: tuple[Path | None, Path | None]) -> bool:
    """Whether a setting that names a file names the same one twice."""
    words = isinstance(mine, str) and isinstance(theirs, str)
    return words and key in _PATHS and same_place(mine, theirs, where)


def _differing(
    key: str, mine: dict[str, Any], theirs: dict[str, Any], where: tuple[Path | None, Path | None]
) -> set[str]:
    """The names in a group of settings of which the values differ."""
    differ = {k for k in mine | theirs if mine.get(k) != theirs.get(k)}
    if key not in _CONTENTS:
        return differ
    # Where the bytes are the same, it does not matter where they lie or what the file is called.
    same_bytes = "sha256" not in differ and mine.get("sha256") is not None
    for name in _CONTENTS[key] & differ:
        first, second = mine.get(name), theirs.get(name)
        if not (isinstance(first, str) and isinstance(second, str)):
            continue
        files = name != "name" or (spec.is_path(first) and spec.is_path(second))
        if (same_bytes and files) or same_place(first, second, where):
            differ.discard(name)
    return differ


def _filled(recorded: dict[str, Any]) -> dict[str, Any]:
    """The same, with the defaults of what was not recorded; see `RunSettings`."""
    usual = usual_settings()
    if isinstance(recorded.get("preprocess"), dict):
        # It brings NumPy, and few runs are compared.
        from camcli.data.decode.preprocess import Preprocess

        usual["preprocess"] = json.loads(json.dumps(Preprocess().to_dict()))
    groups = {
        name: usual[name] | recorded[name]
        for name in ("style", "preprocess")
        if isinstance(recorded.get(name), dict)
    }
    return usual | recorded | groups


def _asked(references: Any) -> str:
    """The references of a run, of which only what differs is known here."""
    if not isinstance(references, dict):
        return "nothing"
    return str(references["source"]) if "source" in references else "what was in that folder then"


def _say(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items() if not isinstance(v, dict | list))
    return repr(value)


def check_labels(rows: Iterable[Mapping[str, str]], source: Source) -> None:
    """Refuse to go on with a run where the same images have got other labels: half a table lies.

    Folders may have changed since, so that they are no class folders any more, or are now.

    Args:
        rows: of the run.
        source: the images as they are now.

    Raises:
        UsageError: they have.
    """
    label = source.labeller
    if label is None and source.may_have_labels:
        return  # they lie in tar shards, as ever
    for row in rows:
        before, now = row["label"], (label(row["path"]) if label else None) or ""
        if before != now:
            raise UsageError(
                f"The label of {printable(row['path'])} was {_quoted(before)} in that run and is "
                f"{_quoted(now)} now: its folders have changed. Put them back as they were, or "
                "choose another --out."
            )


def _quoted(label: str) -> str:
    return f"'{printable(label)}'" if label else "none"
