"""The same thing is told once: found in two ways, or the consequence of something else."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from camcli.evaluate.findings.finding import Finding
from camcli.evaluate.findings.suspect import Region, Suspect
from camcli.evaluate.proof.prove import strength
from camcli.printable import percent

HEAT = {
    "stray": "heat away from the object",
    "corner": "heat in one corner",
    "border": "heat at the border",
}
"""Kinds of suspicion that are places of the heat, as they are told beside another finding."""
PROPERTIES = (
    "size", "aspect", "brightness", "contrast", "colour cast", "saturation", "grey", "blur",
    "noise", "jpeg quality",
)  # fmt: skip
"""What a mark, a frame or another property may change along with itself. Camera, software and
date are facts of their own, and stay."""
_RINGS = ("frame", "border")  # along the sides of the photograph
_EDGE = 0.04  # of the side: so near to it is at the border
_TOGETHER = 0.6  # of the photographs of the one that is in fewer
_SOME = 0.2  # the same, of two marks
_OVERLAP = 0.4  # of the smaller region
_WITHIN = 0.7  # the same, of two marks that are both used
_AS_LARGE = 1.8  # times: the same mark, cut out a little larger or smaller
_AS_GOOD = 0.75  # of another's association: a frame explains the mark that was seen of it


def merged(suspects: Sequence[Suspect]) -> list[Suspect]:
    """One suspect of each thing, though several detectors found it.

    Two are the same where they are at the same place in the same photographs of the same class. A
    mark at the border is part of a frame. The better one is kept: the stronger association, and a
    frame rather than the piece of it that looks like a mark. A mark that is a piece of a much
    larger one, and where the heat is, are suspicions of their own until they are proved: which of
    them is all that the network uses, only the proof tells.

    Args:
        suspects: of all detectors.

    Returns:
        Those that are left, in the order in which they came.
    """
    kept: list[Suspect] = []
    for suspect in sorted(suspects, key=_worth):
        same = next((n for n, one in enumerate(kept) if _same(one, suspect)), None)
        if same is None:
            kept.append(suspect)
        else:
            both = kept[same].having | suspect.having
            kept[same] = replace(kept[same], having=both - set(kept[same].regions))
    places = {id(s.regions): n for n, s in enumerate(suspects)}
    return sorted(kept, key=lambda s: places[id(s.regions)])


def _worth(suspect: Suspect) -> tuple[bool, float, int]:
    effect = suspect.effect / _AS_GOOD if suspect.kind == "frame" else suspect.effect
    return suspect.kind in HEAT, -effect, -suspect.present


def _same(kept: Suspect, other: Suspect) -> bool:
    if kept.label != other.label or (kept.kind in HEAT) != (other.kind in HEAT):
        return False
    local = ("mark", "frame", *HEAT)
    if kept.kind not in local or other.kind not in local:
        return kept.kind == other.kind
    shared = kept.regions.keys() & other.regions.keys()
    # Two detectors may each see a mark in other photographs; where both do, it is at one place.
    marks = kept.kind == other.kind == "mark"
    could = _could_share((kept.present, kept.looked), (other.present, other.looked))
    if len(shared) < max(3 if marks else 1, (_SOME if marks else _TOGETHER) * could):
        return False
    if marks and not _of_a_size(kept, other, shared):
        return False
    touching = sum(_meet(kept, other, rel) for rel in shared)
    return touching >= _TOGETHER * len(shared)


def _of_a_size(one: Suspect, other: Suspect, shared: Iterable[str]) -> bool:
    """Whether two marks cover about as much of the photographs that have both."""
    ratios = [
        math.log(_area(a) / _area(b))
        for rel in shared
        if (a := one.regions[rel]) and (b := other.regions[rel]) and _area(a) and _area(b)
    ]
    return not ratios or abs(statistics.median(ratios)) <= math.log(_AS_LARGE)


def _could_share(*each: tuple[int, int]) -> float:
    """In how many photographs two can be together: one may have been looked for in fewer.

    Args:
        each: of each of the two, the photographs that have it, and in which it was looked for.
    """
    least = min(looked for _, looked in each)
    return min(present * least / looked if looked else present for present, looked in each)


def _meet(one: Suspect, other: Suspect, rel: str) -> bool:
    """Whether two suspects are at the same place of a photograph."""
    a, b = one.regions[rel], other.regions[rel]
    rings = one.kind in _RINGS, other.kind in _RINGS
    if all(rings):
        return True
    if any(rings):
        inner = b if rings[0] else a
        return inner is None or _at_border(inner)
    if a is None or b is None:
        return False
    return _area(_common(a, b)) > _OVERLAP * min(_area(a), _area(b))


def _common(a: Region, b: Region) -> Region:
    return max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])


def _at_border(region: Region) -> bool:
    return min(region[0], region[1], 1 - region[2], 1 - region[3]) <= _EDGE


def _area(region: Region) -> float:
    return max(0.0, region[2] - region[0]) * max(0.0, region[3] - region[1])


def explained(findings: Sequence[Finding]) -> list[Finding]:
    """Findings without those that only go with another one, which then names them.

    A frame makes photographs darker, a cast changes their saturation, a sticker draws the heat to
    where it is: such a property or place of the heat, in the same photographs of the same class, is
    told with the mark or frame, or with the property that turns more predictions. Which of two
    things in the same photographs came first, no observation tells; what each does by itself is
    known from the interventions, and is told. A property that is used is never told as part of
    something that is not.

    Args:
        findings: as `camcli.evaluate.proof.prove.prove` returns them.

    Returns:
        Those that are left, in order.
    """
    along: dict[int, list[Finding]] = {}
    gone: set[int] = set()
    leading = sorted(range(len(findings)), key=lambda n: _lead(findings[n]))
    for position, n in enumerate(leading):
        if n in gone:
            continue
        for other in leading[position + 1 :]:
            if other not in gone and _goes_with(findings[n], findings[other]):
                gone.add(other)
                along.setdefault(n, []).append(findings[other])
    return [
        _with(finding, along[n]) if n in along else finding
        for n, finding in enumerate(findings)
        if n not in gone
    ]


_VERDICTS = ("used", "not used", "unproved", "data")


def _lead(finding: Finding) -> tuple[int, bool, bool, float, float]:
    """In which order findings may take others with them."""
    return (
        _VERDICTS.index(finding.verdict),
        finding.kind in PROPERTIES,
        finding.kind in HEAT,
        # Of a mark that was cut out in two ways, the one that more of its photographs have.
        -strength(finding) * (finding.effect if finding.kind == "mark" else 1),
        -finding.effect,
    )


def _goes_with(main: Finding, other: Finding) -> bool:
    if main.label != other.label or main.verdict not in ("used", "not used"):
        return False
    if other.kind == "mark":
        return _is_piece(main, other)
    if other.kind not in PROPERTIES and other.kind not in HEAT:
        return False
    if main.kind not in ("mark", "frame", *HEAT, *PROPERTIES):
        return False
    if main.kind in HEAT and other.kind in PROPERTIES and other.verdict == "used":
        return False
    own, others = ({s.rel for s in f.sightings} for f in (main, other))
    could = _could_share((len(own), main.looked), (len(others), other.looked))
    return len(own & others) >= _TOGETHER * max(1.0, could)


def _is_piece(main: Finding, other: Finding) -> bool:
    """Whether a mark touches another, or heat, that turns more: the same, cut out otherwise."""
    if main.kind not in ("mark", *HEAT):
        return False
    if main.kind in HEAT and (main.verdict != "used" or other.verdict == "used"):
        return False
    # Of two that are used, only what lies within the other is a piece of it.
    least = _WITHIN if other.verdict == "used" else 0.0
    places = {s.rel: s.region for s in main.sightings}
    touching = 0
    for seen in other.sightings:
        a, b = places.get(seen.rel), seen.region
        if a is not None and b is not None:
            common = _area(_common(a, b))
            touching += common > 0 and common >= least * min(_area(a), _area(b))
    return touching >= _TOGETHER * max(1, min(len(places), len(other.sightings)))


def _with(main: Finding, others: Sequence[Finding]) -> Finding:
    told = [_told(other) for other in others]
    return replace(
        main, words=f"{main.words} What goes with it in the same photographs: {', '.join(told)}."
    )


def _told(finding: Finding) -> str:
    name: Mapping[str, str] = HEAT
    what = "a piece of it" if finding.kind == "mark" else name.get(finding.kind, finding.kind)
    effects: list[str] = []
    for effect, verb in ((finding.remove, "taken away"), (finding.add, "put on")):
        if finding.verdict == "used" and effect is not None:
            effects.append(f"{verb} alone it turns {percent(effect.changed.value)}")
    return f"{what} ({'; '.join(effects)})" if effects else what
