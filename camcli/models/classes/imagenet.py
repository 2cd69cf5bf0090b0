"""The thousand ImageNet classes: their names, their synonyms, and what people call their kinds."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from importlib import resources

# What tells classes of one name apart, see `camcli.models.classes.names_file`.
_INDEXED = re.compile(r" \(\d+\)'*$")
_NEGATIVE = re.compile(r"\s*-\d+\s*")


@cache
def _table() -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """(wnid, name, synonyms) of every class in the order of the logits."""
    rows = (line.split("\t") for line in _read("imagenet.tsv"))
    return tuple((wnid, name, tuple(_words(synonyms))) for wnid, name, synonyms in rows)


def _read(name: str) -> list[str]:
    text = resources.files("camcli.models.classes").joinpath(name).read_text(encoding="utf-8")
    return text.splitlines()


def _words(text: str) -> list[str]:
    return [word for word in text.split(", ") if word]


@cache
def imagenet_classes() -> tuple[str, ...]:
    """The 1000 names, short and unique, in the order of the logits.

    torchvision's names, but for the two corgis: ``Cardigan`` (a dog) and ``cardigan`` (a knitted
    jacket) would differ in one capital letter only.
    """
    return tuple(name for _, name, _ in _table())


@lru_cache(maxsize=8)
def are_imagenets(classes: tuple[str, ...]) -> bool:
    """Whether names are those of ImageNet's classes in its order, as another list has them.

    Lists on the web give a class one of its synonyms, or all, and call two classes crane; what
    they mean by an index is the same. Nearly all must agree: a list has its own slips, and its
    own words for a few.

    Args:
        classes: the C class names.
    """
    if classes == imagenet_classes():
        return True
    if len(classes) != len(_table()):
        return False
    agreed = 0
    for (wnid, own, others), name in zip(_table(), classes, strict=True):
        known = {plain(own), wnid, *map(plain, others)}
        said = _INDEXED.sub("", name)
        agreed += any(plain(part) in known for part in (said, *said.split(",")))
    return agreed >= 0.9 * len(classes)


@cache
def imagenet_synonyms() -> tuple[tuple[str, ...], ...]:
    """WordNet's other names of each class, as ImageNet lists them."""
    return tuple(synonyms for _, _, synonyms in _table())


@cache
def imagenet_kinds() -> dict[str, tuple[int, ...]]:
    """What people call several classes at once: ``cat`` is 281 (tabby) to 285 (Egyptian cat)."""
    kinds: dict[str, tuple[int, ...]] = {}
    for line in _read("imagenet_kinds.tsv"):
        names, ranges = line.split("\t")
        found: list[int] = []
        for part in ranges.split():
            first, _, last = part.partition("-")
            found += range(int(first), int(last or first) + 1)
        # The dogs that are called hounds are in a row of their own, below the one of all dogs.
        kinds |= dict.fromkeys(_words(names), tuple(found))
    return kinds


@cache
def _wnids() -> dict[str, int]:
    return {wnid: index for index, (wnid, _, _) in enumerate(_table())}


def wnid_index(wnid: str) -> int | None:
    """The logit of a WordNet id such as ``n02123045`` (tabby), or None if it is not among them."""
    return _wnids().get(wnid.strip().lower())


def plain(name: str) -> str:
    """Without what people type differently: capitals, and what stands between words.

    And without what systems write differently: macOS gives ``é`` as two characters.

    A minus before nothing but a number belongs to it: -1 is not 1.
    """
    if _NEGATIVE.fullmatch(name):
        return name.strip()
    letters = unicodedata.normalize("NFC", name.casefold())
    return " ".join(letters.replace("_", " ").replace("-", " ").split())
