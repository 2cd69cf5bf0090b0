"""What ``--labels`` means: from an image's relative path to its true class."""

# ruff: noqa: PTH122
from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from camcli.data.sources.label_tables import Tabled, read_label_table
from camcli.errors import UsageError

TABLES = (".csv", ".tsv")
_NUMBERING = "0123456789 _-.,#()[]"
_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,5}")


class Labeller(Protocol):
    """The true class of an image, by its relative path."""

    def __call__(self, rel: str) -> str | None:
        """The class of the image at `rel`, or None."""


@dataclass(frozen=True)
class Parent:
    """The label is the name of the folder that holds the image."""

    def __call__(self, rel: str) -> str | None:
        """None for an image at the top."""
        return rel.split("/")[-2] if "/" in rel else None


@dataclass(frozen=True)
class Prefix:
    """The label is the file's name without its number: ``cat.0.jpg``, ``great_dane_12 (1).jpg``."""

    def __call__(self, rel: str) -> str | None:
        """None when there is no number, or nothing but the number."""
        stem = os.path.splitext(rel.rsplit("/", 1)[-1])[0]
        label = stem.rstrip(_NUMBERING)
        numbered = any(c.isdigit() for c in stem[len(label) :])
        return label if label and numbered else None


@dataclass(frozen=True)
class Regex:
    """The label is a group of a regular expression that is searched in the relative path.

    The extension may be matched, but is never part of a label: ``_(.*)$`` of ``n01_tench.JPEG``
    is ``tench``.
    """

    pattern: re.Pattern[str]

    def __call__(self, rel: str) -> str | None:
        """None where nothing matches, or only the extension does."""
        match = self.pattern.search(rel)
        if not match:
            return None
        group: str | int = "label" if "label" in self.pattern.groupindex else 1
        start, end = match.span(group)
        extension = os.path.splitext(rel.rsplit("/", 1)[-1])[1]
        if _EXTENSION.fullmatch(extension):
            end = min(end, len(rel) - len(extension))
        return (rel[start:end] or None) if 0 <= start < end else None


@dataclass(frozen=True)
class Indexed:
    """Another labeller's labels stand for outputs of the network; the label is the class's name.

    Attributes:
        inner: the other one.
        classes: the C class names.
        index: the output that a label stands for.
    """

    inner: Labeller
    classes: tuple[str, ...]
    index: Mapping[str, int]

    def __call__(self, rel: str) -> str | None:
        """The class's name."""
        label = self.inner(rel)
        return None if label is None else self.classes[self.index[label]]


def make_labeller(labels: str, root: str = "") -> Labeller | None:
    """What `--labels` means, where it is not ``auto``.

    Args:
        labels: ``folder``, ``prefix``, ``none``, a table of labels, ``FILE.csv``, or a regular
            expression with a group.
        root: the source's folder, for paths in a table.

    Returns:
        A function from relative path to label, or None for no labels.

    Raises:
        UsageError: neither a known word, nor a table, nor a regular expression with a group.
    """
    if labels.lower().endswith(TABLES):
        return Tabled(read_label_table(labels), root)
    if labels == "none":
        return None
    if labels == "folder":
        return Parent()
    if labels == "prefix":
        return Prefix()
    try:
        pattern = re.compile(labels)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(
            f"The labels {labels!r} are not a regular expression ({error}); say auto, folder, "
            "prefix, none, a table such as labels.csv, or an expression such as '^(.+?)_\\d'."
        ) from error
    if not pattern.groups:
        raise UsageError(
            f"The labels {labels!r} have no group to take the label from; say auto, folder, "
            "prefix, none, a table such as labels.csv, or an expression such as '^(.+?)_\\d'."
        )
    return Regex(pattern)
