"""The class that a person asks for by name: found, or refused with the nearest ones; not guessed.

``cat`` is no class of ImageNet. To take the only name that begins with it would explain
*catamaran*; so a name is a name, and what is near in meaning is only told.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence

from camcli.errors import UsageError
from camcli.models.classes.imagenet import (
    are_imagenets,
    imagenet_kinds,
    imagenet_synonyms,
    plain,
    wnid_index,
)
from camcli.printable import counted

SHOWN = 8  # near names in a sentence


def match_class(query: str, classes: Sequence[str]) -> int:
    """The class that a person means by what they typed for ``--target``.

    In this order: the exact name; the same but for capitals, spaces, ``_`` and ``-``; a number,
    counted from 0; and for ImageNet's classes a WordNet id, or one of WordNet's synonyms, whole.
    Parts of names and words of a wider meaning find nothing.

    Args:
        query: such as ``tabby``, ``golden-retriever``, ``207``, ``n02099601`` or ``tabby cat``.
        classes: the C class names.

    Returns:
        The index in [0, C).

    Raises:
        UsageError: no class is called so, or more than one is; the message names the nearest.
    """
    wanted, names = plain(query), [plain(name) for name in classes]
    if not wanted:
        raise UsageError("An empty class name was given; a class has a name and an index.")
    for found in (
        [i for i, name in enumerate(classes) if name == query],
        [i for i, name in enumerate(names) if name == wanted],
        # One of several of this name, which their indices tell apart: crane (134), crane (517).
        [i for i, name in enumerate(names) if name == f"{wanted} ({i})"],
    ):
        if found:
            return _only(query, found, classes)
    number = query.strip()
    if number.isascii() and number.removeprefix("-").isdigit():
        if number.isdigit() and len(number) < 10 and int(number) < len(classes):
            return int(number)
        named = ""
        if any(name.isdigit() for name in names):
            named = f", called {_listing(range(min(3, len(names))), classes)} ..."
        raise UsageError(
            f"Class index {number[:20]} is out of range: this model has "
            f"{counted(len(classes), 'class', 'classes')}, 0 to {len(classes) - 1}{named}."
        )
    synonyms = _synonyms(classes)
    index = wnid_index(query) if synonyms else None
    if index is not None:
        return index
    found = [i for i, others in enumerate(synonyms) if wanted in map(plain, others)]
    if found:
        return _only(query, found, classes)
    near = near_classes(query, classes)
    first = _listing(range(min(3, len(names))), classes)
    hint = (
        f"the nearest are {_listing(near, classes)}. Give one of the names whole, or its index."
        if near
        else f"this model's classes begin with {first}."
    )
    raise UsageError(f"No class is called '{query}'; {hint}")


def namesakes(query: str, index: int, classes: Sequence[str]) -> str | None:
    """What to tell a person whose word names one class, and is another one's synonym: crane.

    Args:
        query: what they typed.
        index: what `match_class` found.
        classes: the C class names.
    """
    others = [
        i for i, own in enumerate(_synonyms(classes)) if plain(query) in map(plain, own)
    ]  # fmt: skip
    others = [i for i in others if i != index]
    if not others or plain(query) != plain(classes[index]):
        return None
    return (
        f"'{query}' is class {index}; {_listing(others, classes)} is also called so: name it by "
        "its index if you mean that one."
    )


def near_classes(query: str, classes: Sequence[str]) -> list[int]:
    """The classes nearest to a word that names none, the nearest first.

    Those of the kind that the word stands for (a cat is a tabby, a Persian cat ...) which have it
    as a word of their name come first, then the rest of the kind, then all others that have it as
    a word. Where there is none, the same for its singular, then for its single words; then names
    that are spelled nearly so.

    Args:
        query: what a person typed.
        classes: the C class names.
    """
    wanted = plain(query)
    synonyms = _synonyms(classes)
    spellings = [
        [plain(name), *map(plain, synonyms[i] if synonyms else ())]
        for i, name in enumerate(classes)
    ]

    def worded(word: str) -> list[int]:
        return [i for i, own in enumerate(spellings) if any(_has(word, name) for name in own)]

    words = wanted.split()
    tries = [wanted, *_singulars(wanted)]
    if len(words) > 1:  # the last word says what it is, the others which
        tries += [form for word in reversed(words) for form in (word, *_singulars(word))]
    for word in tries:
        having = worded(word)
        kind = imagenet_kinds().get(word, ()) if synonyms else ()
        near = dict.fromkeys(
            [*(i for i in kind if i in having), *(kind if kind else ()), *having]
        )  # fmt: skip
        if near:
            return list(near)
    begun = [i for i, own in enumerate(spellings) if any(f" {wanted}" in f" {n}" for n in own)]
    return list(dict.fromkeys([*_spelled_nearly(wanted, spellings), *begun]))


def _has(word: str, name: str) -> bool:
    """Whether a name has a word, in the singular or plural, as a whole word."""
    return f" {word} " in f" {name} " or f" {word}s " in f" {name} "


def _singulars(word: str) -> list[str]:
    forms: list[tuple[str, Callable[[str], str]]] = [
        ("ies", lambda w: w[:-3] + "y"),
        ("ves", lambda w: w[:-3] + "f"),
        ("es", lambda w: w[:-2]),
        ("s", lambda w: w[:-1]),
    ]
    return [make(word) for end, make in forms if word.endswith(end) and len(word) > len(end) + 1]


def _spelled_nearly(wanted: str, spellings: Sequence[Iterable[str]]) -> list[int]:
    where: dict[str, int] = {}
    for i, own in enumerate(spellings):
        for name in own:
            where.setdefault(name, i)
    near = difflib.get_close_matches(wanted[:100], where, n=3, cutoff=0.6)
    return [where[name] for name in near]


def _synonyms(classes: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """ImageNet's, if these are its classes."""
    return imagenet_synonyms() if are_imagenets(tuple(classes)) else ()


def _only(query: str, found: list[int], classes: Sequence[str]) -> int:
    """The one that was found.

    Raises:
        UsageError: there are several.
    """
    if len(found) > 1:
        raise UsageError(
            f"'{query}' names more than one class, {_listing(found, classes)}: give the index of "
            "the one that you mean."
        )
    return found[0]


def _listing(found: Sequence[int], classes: Sequence[str]) -> str:
    """Some classes for a sentence: 'a' (0), 'b' (1) or 3 more."""
    shown = [f"'{classes[i]}' ({i})" for i in found[:SHOWN]]
    if len(found) > SHOWN:
        shown.append(f"{len(found) - SHOWN} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
