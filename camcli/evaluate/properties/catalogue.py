"""The properties that may tell classes apart: what each is in numbers, and in words.

A property is a number, of which a class has more or less, or a name, which a class has more often.
Several ways to measure the same thing share a kind; what follows from the same cause (less blur,
more noise) shares a family.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from camcli.evaluate.properties.file_facts import FileFacts
from camcli.evaluate.properties.measure import PhotoProperties

FAMILIES: tuple[tuple[str, ...], ...] = (
    # Those that are the more likely cause first.
    ("grey", "colour cast", "saturation", "brightness", "contrast"),
    ("blur", "noise"),
    ("size", "aspect"),
    ("jpeg quality",),
    ("camera", "software", "date", "file format"),
)
"""Kinds that change together."""

INVISIBLE = frozenset({"camera", "software", "date", "file format"})
"""Kinds that no pixel shows."""

CORNERS = "corners"
"""Way of brightness that differs from the middle to the corners."""

_AXES = ((1.0, 0.0), (0.0, 1.0), (0.7, 0.7), (0.7, -0.7))  # red, yellow, orange, pink
_LEAST_BLUR = 0.3  # pixels


@dataclass(frozen=True, slots=True)
class Number:
    """A property that is a number.

    Attributes:
        kind: one of `finding.KINDS`.
        value: of a photograph; None where it has none.
        more: noun phrase for what a class has that has more of it.
        less: for what one has that has less.
        least: by how much the medians of a class and of the others differ at least, so that it
            matters, however surely they differ.
        odd: how unusual a value is for a photograph: of two classes, that whose median is odder
            has the property.
        way: by which it is changed, where that is not the kind's usual one.
    """

    kind: str
    value: Callable[[PhotoProperties], float | None]
    more: str
    less: str
    least: float
    odd: Callable[[float], float]
    way: str = ""


@dataclass(frozen=True, slots=True)
class Name:
    """A property that is a name.

    Attributes:
        kind: one of `finding.KINDS`.
        value: of a photograph; empty where it has none, None where there is nothing to compare.
        words: a noun phrase for it, with ``{}`` for the name.
        detail: whether it says more exactly what a number of the family may say as well.
    """

    kind: str
    value: Callable[[PhotoProperties], str | None]
    words: str
    detail: bool = False


def _further(usual: float) -> Callable[[float], float]:
    return lambda value: abs(value - usual)


# What is usual in photographs: mean a and b (of tint, logarithms), and by how much both vary.
_USUAL = {
    "cast": (1.4, 3.4, 3.5),
    "highlights": (0.0, 2.1, 7.5),
    "tint": (0.0, 0.0, 0.12),
}


def _casts() -> Iterator[Number]:
    """The colour of the light along four axes: of the highlights, and of what else there is.

    Either alone may be the colour of things: of red apples before a white wall the edges are red,
    of a bright sky the highlights are blue.
    """
    for other in ("cast", "tint"):
        for axis in _AXES:

            def both(
                properties: PhotoProperties,
                other: str = other,
                axis: tuple[float, float] = axis,
            ) -> float:
                one = _along(properties, "highlights", axis)
                two = _along(properties, other, axis)
                return math.copysign(min(abs(one), abs(two)), one) if one * two > 0 else 0.0

            yield Number("colour cast", both, "", "", 0.35, _further(0.0))


def _along(properties: PhotoProperties, name: str, axis: tuple[float, float]) -> float:
    """How unusual a measure of the light is in a direction."""
    usual_a, usual_b, varies = _USUAL[name]
    a, b = getattr(properties, name)
    return ((a - usual_a) * axis[0] + (b - usual_b) * axis[1]) / varies


def _log_blur(properties: PhotoProperties) -> float | None:
    return None if properties.blur is None else math.log(max(properties.blur, _LEAST_BLUR))


def _log_noise(properties: PhotoProperties) -> float:
    return math.log(properties.noise + 0.3)


def _quality(properties: PhotoProperties) -> float | None:
    return None if properties.file.quality is None else float(properties.file.quality)


NUMBERS: tuple[Number, ...] = (
    Number("size", lambda p: math.log(p.side), "more pixels", "fewer pixels", 0.15, lambda v: -v),
    Number(
        "aspect", lambda p: math.log(p.aspect), "wider pictures", "narrower pictures", 0.1,
        _further(0.0),
    ),
    Number(
        "brightness", lambda p: p.brightness, "brighter pictures", "darker pictures", 6.0,
        _further(52),
    ),
    Number(
        "brightness", lambda p: p.falloff, "brighter corners", "darker corners", 0.2,
        _further(0.0), CORNERS,
    ),
    Number("contrast", lambda p: p.contrast, "more contrast", "less contrast", 4.0, _further(23)),
    Number(
        "saturation", lambda p: p.saturation, "stronger colours", "paler colours", 4.0, _further(15)
    ),
    *_casts(),
    Number("blur", _log_blur, "blur", "sharper edges", 0.15, _further(-0.1)),
    Number("noise", _log_noise, "noise", "less noise", 0.3, lambda v: v),
    Number(
        "jpeg quality", _quality, "better JPEG quality", "poorer JPEG quality", 4.0, lambda v: -v
    ),
)  # fmt: skip


def _said(
    value: Callable[[FileFacts], object],
) -> Callable[[PhotoProperties], str | None]:
    """What a file says, as a name; nothing to compare where the file could not be read."""

    def name(properties: PhotoProperties) -> str | None:
        if properties.file.format is None:
            return None
        found = value(properties.file)
        return "" if found is None else str(found)

    return name


def _whether(
    value: Callable[[FileFacts], object], there: bool
) -> Callable[[PhotoProperties], str | None]:
    """Whether a file says something at all, or not."""
    return _said(lambda file: "so" if (value(file) is not None) == there else None)


def _tables(properties: PhotoProperties) -> str | None:
    return properties.file.tables  # only JPEGs are compared with each other


NAMES: tuple[Name, ...] = (
    Name("grey", lambda p: "so" if p.grey else "", "pictures without colours"),
    Name("size", lambda p: f"{p.width} x {p.height}", "pictures of exactly {} pixels", detail=True),
    Name("aspect", lambda p: _shape(p.aspect), "pictures whose sides are {}", detail=True),
    Name("jpeg quality", _tables, "JPEG files of {}", detail=True),
    Name("camera", _said(lambda f: f.camera), "the camera {}"),
    Name("camera", _whether(lambda f: f.camera, True), "files that name their camera"),
    Name("camera", _whether(lambda f: f.camera, False), "files that name no camera"),
    Name("software", _said(lambda f: f.software), "files written by {}"),
    Name("software", _whether(lambda f: f.software, True), "files that name their software"),
    Name("software", _whether(lambda f: f.software, False), "files that name no software"),
    Name("date", _said(lambda f: f.year), "photographs of {}"),
    Name("date", _said(lambda f: _season(f.month)), "photographs of {}"),
    Name("date", _said(lambda f: _hours(f.hour)), "photographs taken {}"),
    Name("date", _whether(lambda f: f.year, True), "files that say when they were made"),
    Name("date", _whether(lambda f: f.year, False), "files that do not say when they were made"),
    Name("file format", _said(lambda f: f.format), "{} files"),
)


def hue(a: float, b: float) -> str:
    """The name of a colour of Lab: what a cast in this direction looks like."""
    names = "red orange yellow lime green cyan blue purple".split()  # noqa: SIM905
    # By the hues in Lab of these colours when they are pale.
    angles = np.array([15, 60, 95, 125, 155, 215, 280, 325])
    turn = math.degrees(math.atan2(b, a)) % 360
    apart = np.abs((angles - turn + 180) % 360 - 180)
    return names[int(apart.argmin())]


def family(kind: str) -> tuple[str, ...]:
    """The kinds that change together with this one, itself included."""
    return next(each for each in FAMILIES if kind in each)


def _shape(aspect: float) -> str:
    """A usual ratio of sides, within a hundredth; empty for others."""
    for name in ("1:1", "5:4", "4:3", "3:2", "16:9", "2:1", "4:5", "3:4", "2:3", "9:16", "1:2"):
        width, height = map(int, name.split(":"))
        if abs(aspect * height / width - 1) < 0.01:
            return name
    return ""


def _season(month: int | None) -> str | None:
    """Three months each: what grows, and how the light is."""
    if month is None:
        return None
    quarters = ("December to February", "March to May", "June to August", "September to November")
    return quarters[month % 12 // 3]


def _hours(hour: int | None) -> str | None:
    if hour is None:
        return None
    for until, name in (
        (5, "at night"),
        (10, "in the morning"),
        (17, "by day"),
        (21, "at evening"),
    ):
        if hour < until:
            return name
    return "at night"
