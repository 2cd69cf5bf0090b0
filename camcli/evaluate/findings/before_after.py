"""Photographs before and after a change, as files beside a record: a page can be drawn again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from camcli.data.decode.images import load_image
from camcli.errors import ImageError
from camcli.evaluate.findings.finding import RETRIED, Finding, Retried
from camcli.ours import below
from camcli.render.picture_files import encode_jpeg
from camcli.render.sizes import shrink

MOST = 4  # of a finding that are read
_QUALITY = 88
_TEXTS = ("path", "how", "said_before", "said_after")


def retried_files(findings: Sequence[Finding], folder: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of each picture."""
    for number, finding in enumerate(findings, start=1):
        for names, each in zip(_names(finding, number, folder), finding.retried, strict=True):
            for name, rgb in zip(names, (each.before, each.after), strict=True):
                yield name, encode_jpeg(np.ascontiguousarray(rgb), _QUALITY)


def retried_dicts(finding: Finding, number: int, folder: str) -> list[dict[str, Any]]:
    """As JSON has them: the names of the pictures in the place of pixels."""
    return [
        {
            "path": each.rel,
            "how": each.how,
            "before": before,
            "after": after,
            "said_before": each.said_before,
            "said_after": each.said_after,
        }
        for (before, after), each in zip(
            _names(finding, number, folder), finding.retried, strict=True
        )
    ]


def read_retried(value: Any, folder: Path | None) -> Iterator[Retried]:
    """What `retried_dicts` gave, of which both pictures are still there, below the folder.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.40} is no list")
    for each in value[:MOST]:
        texts = [each[name] for name in _TEXTS] if isinstance(each, Mapping) else [None]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError(f"{each!r:.40} is no photograph before and after")
        path, how, said_before, said_after = map(str, texts)
        before, after = (picture_below(folder, each[n], RETRIED) for n in ("before", "after"))
        if before is not None and after is not None:
            yield Retried(path, how, before, after, said_before, said_after)


def _names(finding: Finding, number: int, folder: str) -> list[tuple[str, str]]:
    return [
        (f"{folder}/before-{number}-{n}.jpg", f"{folder}/after-{number}-{n}.jpg")
        for n in range(1, len(finding.retried) + 1)
    ]


def picture_below(folder: Path | None, name: Any, longest: int) -> np.ndarray | None:
    """A picture below a folder, whatever a record says of others.

    Args:
        folder: None for none at all.
        name: as the record has it.
        longest: pixels of the longer side to which a larger one is reduced.
    """
    named = [name] if folder is not None and isinstance(name, str) and name else []
    for path in below(folder or Path(), named):
        try:
            return shrink(load_image(path), longest)
        except ImageError:
            return None
    return None
