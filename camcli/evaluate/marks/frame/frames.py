"""Frames, bars and strips along the borders that photographs of one predicted class have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np

from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.findings.pixel_cache import PixelCache
from camcli.evaluate.findings.suspect import Region, Suspect
from camcli.evaluate.marks.association import Association, association, believed
from camcli.evaluate.marks.frame.borders import SIDES, BorderStrip, flat_strips
from camcli.evaluate.marks.frame.colours import colour_name
from camcli.evaluate.marks.frame.frame_change import FrameChange, shares
from camcli.train.progress import Listener

T = TypeVar("T")

ALIKE = 45  # grey values of a channel within which two frames have one colour
COLOURS = 8  # colours of frames that are looked at by themselves, the most frequent
DONORS = 16  # photographs whose frames are put on others
TALL = 240  # pixels of the longer side of the picture that is shown

# Which sides have it, the more first: what is found of a frame is also found of each of its sides.
PATTERNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("around", SIDES),
    ("above and below", ("top", "bottom")),
    ("left and right", ("left", "right")),
    *((f"along the {side}", (side,)) for side in SIDES),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Framed:
    """What borders a photograph has.

    Attributes:
        photo: the photograph.
        strips: side -> its strip.
        shape: of the pixels in which they were measured.
    """

    photo: AuditedPhoto
    strips: Mapping[str, BorderStrip]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FrameDesign:
    """A kind of frame, and the photographs that have it.

    Attributes:
        colour: (3,) its colour; None where it differs.
        where: see `PATTERNS`.
        sides: the sides that have it.
        having: relative path -> the borders of the photograph.
    """

    colour: np.ndarray | None
    where: str
    sides: tuple[str, ...]
    having: Mapping[str, Framed]


def frames(
    groups: Mapping[str, Sequence[AuditedPhoto]],
    pixels: PixelCache,
    clock: Clock,
    listener: Listener,
) -> list[Suspect]:
    """Borders that photographs of one predicted class have and others have not.

    A border is a strip of one colour, also a rough one as of wood, that ends in a straight edge.
    Its width may differ from photograph to photograph.

    Args:
        groups: photographs by predicted class.
        pixels: their pixels.
        clock: what is not looked at for want of time is told to it.
        listener: told how far it is.

    Returns:
        Suspects of kind ``frame``, the strongest first; at most three of a class.
    """
    measured: dict[str, Framed] = {}
    looked: dict[str, list[AuditedPhoto]] = {label: [] for label in groups}
    total = sum(map(len, groups.values()))
    with listener.bar("borders", total, "photograph") as bar:
        for label, photos in groups.items():
            for photo in photos:
                if clock.over:
                    clock.skip("borders of some photographs, for want of time")
                    break
                bar.advance(1)
                rgb = pixels(photo)
                if rgb is None:
                    continue
                looked[label].append(photo)
                if strips := flat_strips(rgb):
                    measured[photo.rel] = Framed(photo, strips, rgb.shape)
    looked = {label: photos for label, photos in looked.items() if photos}
    suspects = []
    for label in looked:
        suspects += _of_class(label, looked, measured, pixels)
    return sorted(suspects, key=lambda suspect: -suspect.effect)


def _of_class(
    label: str,
    groups: Mapping[str, Sequence[AuditedPhoto]],
    measured: Mapping[str, Framed],
    pixels: PixelCache,
) -> list[Suspect]:
    """What borders the photographs of one class have more often than others."""
    everyone = [photo for photos in groups.values() for photo in photos]
    left = dict(measured)
    suspects: list[Suspect] = []
    designs = _designs(left)
    tests = max(1, len(designs)) * len(groups)
    while designs and len(suspects) < 3:
        tried = [(association(label, groups, design.having), design) for design in designs]
        strong = [
            (found, design)
            for found, design in tried
            if believed(found, tests, everyone, design.having)
        ]
        if not strong:
            break
        best = max(found.effect for found, _ in strong)
        # Of those that say about the same, the one that says most: the first, see `_designs`.
        found, design = next(pair for pair in strong if pair[0].effect >= 0.93 * best)
        suspects.append(_suspect(found, design, groups, measured, tests, pixels))
        left = {rel: framed for rel, framed in left.items() if rel not in design.having}
        designs = _designs(left)
    return suspects


def _designs(measured: Mapping[str, Framed]) -> list[FrameDesign]:
    """Kinds of frames, those that say most first: one colour before any, all sides before one."""
    leaders: list[np.ndarray] = []
    counts: list[int] = []
    for framed in measured.values():
        for strip in framed.strips.values():
            near = [i for i, colour in enumerate(leaders) if _alike(colour, strip.colour)]
            if near:
                counts[near[0]] += 1
            else:
                leaders.append(strip.colour)
                counts.append(1)
    order = sorted(range(len(leaders)), key=lambda i: -counts[i])[:COLOURS]
    designs = []
    for where, sides in PATTERNS:
        for colour in (*(leaders[i] for i in order), None):
            having = {
                rel: framed for rel, framed in measured.items() if _has(framed, sides, colour)
            }
            if having:
                designs.append(FrameDesign(colour, where, sides, having))
    return designs


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.abs(one - other).max() <= ALIKE)


def _has(framed: Framed, sides: tuple[str, ...], colour: np.ndarray | None) -> bool:
    """Whether these sides have strips, all of `colour`, or of the first's colour if that is None.

    A frame all around may have one side on which it is not seen, where the photograph is as dark.
    """
    strips = [framed.strips[side] for side in sides if side in framed.strips]
    if not strips or len(strips) < len(sides) - (len(sides) == 4):
        return False
    as_ = strips[0].colour if colour is None else colour
    return all(_alike(strip.colour, as_) for strip in strips)


def _suspect(
    found: Association,
    design: FrameDesign,
    groups: Mapping[str, Sequence[AuditedPhoto]],
    measured: Mapping[str, Framed],
    tests: int,
    pixels: PixelCache,
) -> Suspect:
    """What was found as a suspect, with its change."""
    having = found.inside | found.outside
    framed = [design.having[rel] for rel in sorted(having)]
    depths = {one.photo.rel: _shares(one, design.sides) for one in framed}
    scale, across = _scale(framed, design.sides)
    own = [one for one in framed if one.photo.rel in found.inside]
    typical = sorted(own, key=lambda one: abs(_pixels(one, design.sides) - across))
    donors = _read([one.photo for one in _spread(typical, DONORS)], pixels)
    plain = [
        photo
        for label, photos in groups.items()
        if label != found.label
        for photo in photos
        if photo.rel not in measured
    ]
    change = FrameChange(depths, donors, _read(_spread(plain, DONORS), pixels), scale)
    colour = np.median([s.colour for one in own for s in _strips(one, design.sides)], axis=0)
    return Suspect(
        kind="frame",
        label=found.label,
        what=_words(design, colour, own),
        regions={one.photo.rel: _region(one, design.sides) for one in own},
        looked=found.looked,
        elsewhere=len(found.outside),
        elsewhere_looked=found.elsewhere_looked,
        effect=found.effect,
        p=min(1.0, found.p * tests),
        change=change if donors else None,
        picture=_picture(pixels(typical[0].photo)),
        having=found.outside,
    )


def _spread(some: Sequence[T], most: int) -> list[T]:
    """At most so many of them, evenly."""
    step = max(1, -(-len(some) // most))
    return list(some[::step])


def _read(
    photos: Sequence[AuditedPhoto], pixels: PixelCache
) -> list[tuple[AuditedPhoto, np.ndarray]]:
    return [(photo, rgb) for photo in photos if (rgb := pixels(photo)) is not None]


def _strips(one: Framed, sides: tuple[str, ...]) -> list[BorderStrip]:
    return [one.strips[side] for side in sides if side in one.strips]


def _shares(one: Framed, sides: tuple[str, ...]) -> tuple[float, float, float, float]:
    """How deep it is on each side.

    A side on which it could not be seen is as deep as the others are.
    """
    known = {side: one.strips[side].depth for side in sides if side in one.strips}
    usual = int(np.median(list(known.values())))
    return shares({side: known.get(side, usual) for side in sides}, one.shape)


def _pixels(one: Framed, sides: tuple[str, ...]) -> float:
    """Its median width in pixels of the photograph itself."""
    ratio = one.photo.size[0] / one.shape[1]
    return ratio * float(np.median([strip.depth for strip in _strips(one, sides)]))


def _scale(framed: Sequence[Framed], sides: tuple[str, ...]) -> tuple[str, float]:
    """What is most alike in their widths, see `FrameChange`, and the median width in pixels."""
    across = np.asarray([_pixels(one, sides) for one in framed])
    shorter = np.asarray([min(one.photo.size) for one in framed])
    own = np.asarray(
        [
            np.median([
                strip.depth / one.shape[0 if side in ("top", "bottom") else 1]
                for side, strip in one.strips.items()
                if side in sides
            ])
            for one in framed
        ]
    )  # fmt: skip
    spreads = {
        name: float(np.std(values) / max(np.mean(values), 1e-9))
        for name, values in (("pixels", across), ("shorter", across / shorter), ("side", own))
    }
    return min(spreads, key=lambda name: spreads[name]), float(np.median(across))


def _words(design: FrameDesign, colour: np.ndarray, own: Sequence[Framed]) -> str:
    """What it is, for a person."""
    across = np.asarray([_pixels(one, design.sides) for one in own])
    low, usual, high = (round(float(q)) for q in np.quantile(across, (0.1, 0.5, 0.9)))
    name = "" if design.colour is None else f"{colour_name(colour)} "
    width = f"of about {max(usual, 1)} pixels"
    if high > 1.6 * max(low, 1):
        width = f"of {max(low, 1)} to {high} pixels"
    if design.where == "around":
        return f"a {name}frame {width}"
    if len(design.sides) == 2:
        return f"{name}bars {design.where}, {width}"
    return f"a {name}strip {design.where} side, {width}"


def _region(one: Framed, sides: tuple[str, ...]) -> Region | None:
    """Where a strip along one side is; None for what lies around a photograph."""
    if len(sides) > 1:
        return None
    left, top, right, bottom = _shares(one, sides)
    return {
        "left": (0.0, 0.0, left, 1.0),
        "top": (0.0, 0.0, 1.0, top),
        "right": (1.0 - right, 0.0, 1.0, 1.0),
        "bottom": (0.0, 1.0 - bottom, 1.0, 1.0),
    }[sides[0]]


def _picture(rgb: np.ndarray | None) -> np.ndarray | None:
    """A small picture of a photograph that has it."""
    if rgb is None:
        return None
    ratio = min(1.0, TALL / max(rgb.shape[:2]))
    size = max(1, round(rgb.shape[1] * ratio)), max(1, round(rgb.shape[0] * ratio))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
