"""Photographs unlike all others, by their features; and dark, blank, blurred or tiny ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from camcli.evaluate.check.issue import CheckedPhoto, CheckIssue
from camcli.evaluate.check.looking import Prints
from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.properties.measure import PhotoProperties
from camcli.evaluate.properties.spectrum import DIRECTIONS
from camcli.printable import counted
from camcli.train.judging.neighbours import nearest, reduced

LEAST = 50
"""Photographs, below which none can be said to be unlike the others."""
_NEIGHBOURS = 10
_FAR = 2.0  # robust standard deviations of the logarithm of the distance, which has a limit
USUAL = 0.1
"""Share of the photographs from which on a property is what the data are like."""
_WIDE_EDGE = 3.2  # pixels of a shorter side of 256: as after a Gaussian of this sigma
_SOFT_EDGE = 1.35  # likewise: of 2000 photographs 2 in 100 are softer
_FINE = slice(2, 6)  # bands of the spectrum: periods of 3.4 to 14 of those pixels
_NO_DETAIL = -7.6  # logarithm of their power to that of 25 to 50 pixels; in photographs about -4.6
SMALL_CLASS = 20
"""Photographs of a class that it takes at least, for a head on frozen features."""


def outliers(
    photos: Sequence[CheckedPhoto], features: np.ndarray, ones: np.ndarray, clock: Clock
) -> list[CheckIssue]:
    """Photographs that are far from their nearest neighbours, the farthest first.

    Args:
        photos: N.
        features: (N, K).
        ones: indices of one of each group of copies, which would be near each other.
        clock: when it is over, nothing is found.
    """
    if len(ones) < LEAST:
        clock.skip(f"outliers: it takes {LEAST} photographs to say which is unlike the others")
        return []
    points = reduced(features[ones], centred=False)
    found = nearest(points, min(_NEIGHBOURS, len(ones) // 5), lambda: not clock.over)
    if found is None:
        clock.skip("outliers: there was no time for them")
        return []
    distance = np.log(np.maximum(1 - found[1].mean(1), 1e-6))
    middle = np.median(distance)
    spread = 1.4826 * float(np.median(np.abs(distance - middle)))
    far = (distance - middle) / max(spread, 1e-6)
    order = [i for i in np.argsort(-far, kind="stable") if far[i] >= _FAR]
    return [
        CheckIssue(
            "outlier", photos[ones[i]].rel, float(1 - _FAR / (2 * max(far[i], _FAR))),
            f"{far[i]:.1f} standard deviations farther from its neighbours than is usual",
            photos[ones[i]].label, None,
            "remove it if it does not belong",
        )
        for i in order
    ]  # fmt: skip


def odd_pictures(seen: Prints, clock: Clock) -> list[CheckIssue]:
    """Pictures that can hardly be recognised, whatever they show.

    A property that a tenth of the data have is no fault of single photographs: it is named as what
    the data are like.
    """
    properties = [each.properties for each in seen.prints]
    if not properties:
        return []
    sides = np.array([min(p.width, p.height) for p in properties])
    aspects = np.log([p.aspect for p in properties])
    side, aspect = float(np.median(sides)), float(np.median(aspects))
    tests: dict[str, Callable[[int, PhotoProperties], tuple[float, str] | None]] = {
        "blank": lambda i, p: _blank(p),
        "dark": lambda i, p: _dark(p),
        "bright": lambda i, p: _bright(p),
        "blurred": lambda i, p: _blurred(p),
        "tiny": lambda i, p: _tiny(p, side),
        "odd aspect": lambda i, p: _odd(p, float(aspects[i]) - aspect),
    }
    issues, blank = [], set()
    for kind, test in tests.items():
        found = [
            (i, *told)
            for i, p in enumerate(properties)
            if i not in blank and (told := test(i, p)) is not None
        ]
        if kind == "blank":
            blank = {i for i, *_ in found}
        elif len(found) > max(3, USUAL * len(properties)):
            clock.skip(
                f"single {kind} pictures: {len(found)} of {len(properties)} are so, which is what "
                "these data are like"
            )
            continue
        own = [
            CheckIssue(kind, seen.photos[i].rel, score, note, seen.photos[i].label, None, _DO[kind])
            for i, score, note in found
        ]
        issues += sorted(own, key=lambda issue: -issue.score)
    return issues


_DO = {
    "blank": "remove it", "dark": "look at it", "bright": "look at it", "blurred": "look at it",
    "tiny": "find the original", "odd aspect": "crop it, or --fit pad",
}  # fmt: skip


def _blank(p: PhotoProperties) -> tuple[float, str] | None:
    spread = max(tones[-1] - tones[0] for tones in p.tones)
    return (1.0, "one colour") if spread <= 4 and p.contrast < 2 else None


def _dark(p: PhotoProperties) -> tuple[float, str] | None:
    top = max(tones[-1] for tones in p.tones)
    if p.brightness >= 12 or top >= 80:
        return None
    return 1 - p.brightness / 24, f"mean lightness {p.brightness:.0f} of 100"


def _bright(p: PhotoProperties) -> tuple[float, str] | None:
    bottom = min(tones[1] for tones in p.tones)
    if p.brightness <= 93 or bottom < 225:
        return None
    return p.brightness / 100, f"mean lightness {p.brightness:.0f} of 100"


def _blurred(p: PhotoProperties) -> tuple[float, str] | None:
    """Wide edges alone; or edges that are not sharp, and next to no detail.

    The blocks of JPEG are sharp edges in a blurred picture, but weak ones: they hide it from the
    width of edges, and not from the power of what is fine.
    """
    if p.spectrum is None or (p.blur is not None and p.blur < _SOFT_EDGE):
        return None
    bands = np.reshape(p.spectrum, (-1, DIRECTIONS)).mean(1)
    detail = float(bands[_FINE].mean() - bands[0])
    if detail > _NO_DETAIL and (p.blur is None or p.blur < _WIDE_EDGE):
        return None
    return min(1.0, -detail / 14), "next to nothing in it is finer than a 20th of its height"


def _tiny(p: PhotoProperties, usual: float) -> tuple[float, str] | None:
    side = min(p.width, p.height)
    if side >= 32 and side >= usual / 6:
        return None
    return max(0.0, 1 - side / max(64.0, usual / 3)), f"{p.width} x {p.height} pixels"


def _odd(p: PhotoProperties, off: float) -> tuple[float, str] | None:
    ratio = max(p.aspect, 1 / p.aspect)
    if ratio < 2.5 or abs(off) < np.log(2.2):
        return None
    return 1 - 1 / ratio, f"{p.width} x {p.height} pixels: {ratio:.1f} to 1"


def small_classes(photos: Sequence[CheckedPhoto], classes: Sequence[str]) -> list[CheckIssue]:
    """Classes with too few photographs, or none in one of the splits."""
    issues = []
    splits = {p.split for p in photos if p.split}
    counts = Counter((name, p.split or "train") for p in photos for name in p.labels)
    for name in classes:
        trained = counts[name, "train"]
        missing = [s for s in ("val", "test") if s in splits and not counts[name, s]]
        if trained < SMALL_CLASS:
            note = counted(trained, "photograph") + (" to train on" if splits else "")
            what = "add photographs, or merge it"
            issues.append(CheckIssue("small class", None, 1 - trained / SMALL_CLASS, note, name,
                                     suggestion=what))  # fmt: skip
        elif missing:
            note = f"none in {' and '.join(missing)}"
            issues.append(CheckIssue("small class", None, 0.5, note, name,
                                     suggestion="add photographs there"))  # fmt: skip
    return sorted(issues, key=lambda issue: -issue.score)
