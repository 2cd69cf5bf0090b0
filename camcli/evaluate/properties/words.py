"""A property that tells a class, as a noun phrase with its numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from camcli.evaluate.properties.catalogue import CORNERS, Name, hue
from camcli.evaluate.properties.measure import PhotoProperties
from camcli.evaluate.properties.merging import Telling

_NUMBERS: dict[str, tuple[Callable[[PhotoProperties], float | None], str, str]] = {
    "size": (lambda p: p.side, "a side of about {}", "{:.0f}"),
    "aspect": (lambda p: p.aspect, "{} times as wide as high", "{:.2f}"),
    "brightness": (lambda p: p.brightness, "mean lightness {} of 100", "{:.0f}"),
    CORNERS: (
        lambda p: 100 * math.exp(p.rings[-1]),
        "{} as bright as the middle",
        "{:.0f}%",
    ),
    "contrast": (lambda p: p.contrast, "lightness varies by {} of 100", "{:.0f}"),
    "saturation": (lambda p: p.saturation, "mean chroma {}", "{:.0f}"),
    "blur": (lambda p: p.blur, "edges about {} pixels wide", "{:.1f}"),
    "noise": (lambda p: p.noise, "{} grey levels", "{:.1f}"),
    "jpeg quality": (lambda p: p.file.quality, "{} of 100", "{:.0f}"),
}
"""Of a kind, or a way of it: the number that a person is told, the words around it, its form."""


def in_words(
    telling: Telling,
    others: Sequence[Telling],
    having: Sequence[PhotoProperties],
    without: Sequence[PhotoProperties],
) -> str:
    """What a property is, for a person.

    Args:
        telling: the property.
        others: what goes with it.
        having: photographs of the class that have it.
        without: photographs of other classes that have it not.
    """
    words = [_itself(telling, having, without)]
    # A name says all that another name of its kind, or the lack of one, would say again.
    aside: dict[str, str] = {}
    for each in sorted(others, key=lambda other: other.number != telling.number):
        if each.kind != telling.kind:
            aside.setdefault(each.kind, _aside(each, each.number != telling.number))
    if aside:
        words.append(f"and with it {', '.join(aside.values())}")
    return ", ".join(words)


def _itself(
    telling: Telling, having: Sequence[PhotoProperties], without: Sequence[PhotoProperties]
) -> str:
    if isinstance(telling.which, Name):
        return telling.which.words.format(telling.text)
    if telling.kind == "colour cast":
        shift = cast_of(having) - cast_of(without)
        name = hue(*shift.tolist())
        return (
            f"a colour cast ({_article(name)} {name} light, "
            f"{math.hypot(*shift.tolist()):.0f} in Lab from that of others)"
        )
    value, words, form = _NUMBERS[telling.way]
    what = telling.which.more if telling.effect > 0 else telling.which.less
    own, rest = (form.format(_median(value, each)) for each in (having, without))
    return f"{what} ({words.format(own)}; others {rest})"


def cast_of(photographs: Sequence[PhotoProperties]) -> np.ndarray:
    """(a, b): the colour of the light in most of them."""
    return np.median([np.add(each.cast, each.highlights) / 2 for each in photographs], axis=0)


def _aside(telling: Telling, of_the_other: bool) -> str:
    """What goes with a property, of two classes perhaps as the other one has it."""
    if isinstance(telling.which, Name):
        words = telling.which.words.format(telling.text)
        return f"(in the other class) {words}" if of_the_other else words
    if telling.kind == "colour cast":
        return "(in the other class) a colour cast" if of_the_other else "a colour cast"
    return telling.which.more if (telling.effect > 0) != of_the_other else telling.which.less


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


def _median(
    value: Callable[[PhotoProperties], float | None], photographs: Sequence[PhotoProperties]
) -> float:
    found = [number for each in photographs if (number := value(each)) is not None]
    return float(np.median(found)) if found else float("nan")
