"""The thousand ImageNet classes, and finding the class that a person means."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import cache
from importlib import resources

from camcli.errors import UsageError


@cache
def _table() -> tuple[tuple[str, str], ...]:
    """(wnid, name) of every class in the order of the logits."""
    text = resources.files("camcli.models").joinpath("imagenet.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines())
    return tuple((wnid, name) for wnid, name in rows)


def imagenet_classes() -> tuple[str, ...]:
    """The 1000 names, short and unique, in the order of the logits.

    torchvision's names, but for the two corgis: ``Cardigan`` (a dog) and ``cardigan`` (a knitted
    jacket) would differ in one capital letter only.
    """
    return tuple(name for _, name in _table())


@cache
def _wnids() -> dict[str, int]:
    return {wnid: index for index, (wnid, _) in enumerate(_table())}


def wnid_index(wnid: str) -> int | None:
    """The logit of a WordNet id such as ``n02123045`` (tabby), or None if it is not among them."""
    return _wnids().get(wnid.strip().lower())


def match_class(query: str, classes: Sequence[str]) -> int:
    """The class that a person means by what they typed for ``--target``.

    In this order: the exact name; the same but for capitals, spaces, ``_`` and ``-``; a number,
    counted from 0; a WordNet id, when the classes are ImageNet's; the only name that begins with
    it; the only name that has it as a word; the only name that contains it.

    Args:
        query: such as ``tabby``, ``golden-retriever``, ``207``, ``n02099601`` or ``retriev``.
        classes: the C class names.

    Returns:
        The index in [0, C).

    Raises:
        UsageError: nothing matches, or more than one class does; the message names the nearest.
    """
    if query in classes:
        return list(classes).index(query)
    wanted, names = plain(query), [plain(name) for name in classes]
    if not wanted:
        raise UsageError("An empty class name was given; `--target` wants a name or an index.")
    if names.count(wanted) == 1:
        return names.index(wanted)
    number = query.strip()
    if number.isascii() and number.removeprefix("-").isdigit():
        if number.isdigit() and len(number) < 10 and int(number) < len(classes):
            return int(number)
        raise UsageError(
            f"Class index {number} is out of range: this model has {len(classes)} classes, "
            f"0 to {len(classes) - 1}."
        )
    index = wnid_index(query)
    if index is not None and tuple(classes) == imagenet_classes():
        return index
    found = (
        [i for i, name in enumerate(names) if name.startswith(wanted)],
        [i for i, name in enumerate(names) if f" {wanted} " in f" {name} "],
        [i for i, name in enumerate(names) if wanted in name],
    )
    for hits in found:
        if len(hits) == 1:
            return hits[0]
    candidates = next((hits for hits in found if hits), [])
    if candidates:
        raise UsageError(
            f"'{query}' could be {_listing([classes[i] for i in candidates])}: "
            f"type more of the name, or its index."
        )
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
    hint = (
        f"did you mean {_listing([classes[names.index(name)] for name in near])}?"
        if near
        else (f"this model's classes begin with {_listing(list(classes[:3]))}.")
    )
    raise UsageError(f"No class is called '{query}'; {hint}")


def plain(name: str) -> str:
    """Without what people type differently: capitals, and what stands between words."""
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _listing(names: list[str], most: int = 5) -> str:
    """Some names for a sentence: 'a', 'b' or 3 more."""
    shown = [f"'{name}'" for name in names[:most]]
    if len(names) > most:
        shown.append(f"{len(names) - most} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"
