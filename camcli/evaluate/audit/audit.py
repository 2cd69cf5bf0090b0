"""What does a network look at across a whole data set, and which classes rest on a shortcut?

Three suspicions, each about the correct predictions of one class against those of the others:

- stray: with masks, there is strong heat away from the object, and what the network sees there is
  the same thing in picture after picture. A mark that gives the class away is such a thing,
  wherever in the picture it is; clutter that a class happens to like is not the same each time;
- corner: without masks, the heat peaks in the same corner of the frame again and again;
- border: the heat lies along the border of the frame.

A class is flagged when it differs from the other classes both by much and not by chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from camcli.evaluate.audit.map_stats import Fact
from camcli.evaluate.findings.finding import Finding
from camcli.printable import percent

LEAST = 5  # correct predictions of a class below which nothing is said
GAP = {"stray": 0.08, "corner": 0.4, "border": 0.2}
SAMENESS = 0.13  # by how much stray evidence must be more alike than in the other classes
ALONE = 0.25  # gap of stray heat where it is not known what the network saw there
CHANCE = 0.01  # one-sided, divided by the number of classes
_WHY = {
    "stray": "a second peak away from the object is {value} of the strongest heat "
    "(other classes {others})",
    "corner": "the heat peaks in the same corner in {value} of them (other classes {others})",
    "border": "{value} of the heat lies at the border (other classes {others})",
}


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Why a class is flagged.

    Attributes:
        label: the class.
        kind: ``stray``, ``corner`` or ``border``.
        value: mean over its correct predictions.
        others: mean over those of the other classes.
        sameness: ``stray`` only: mean cosine between the stray evidence of two photographs; None
            where the features are not known.
        p: probability of such a difference by chance (one-sided rank test).
        examples: relative paths, the most suspicious first.
    """

    label: str
    kind: str
    value: float
    others: float
    p: float
    examples: tuple[str, ...]
    sameness: float | None = None

    @property
    def why(self) -> str:
        """A clause: what is so in the correct predictions of this class."""
        return _WHY[self.kind].format(value=percent(self.value), others=percent(self.others))


def sameness(facts: Iterable[Fact]) -> float:
    """Mean cosine between the stray evidence of two different photographs; NaN if unknown."""
    patches = [f.patch for f in facts if f.patch is not None]
    n = len(patches)
    if n < 2:
        return math.nan
    stack = np.stack(patches).astype(np.float64)
    cosines = stack @ stack.T
    return float((cosines.sum() - np.trace(cosines)) / (n * (n - 1)))


def suspicions(facts: Sequence[Fact]) -> list[Suspicion]:
    """The classes whose correct predictions rest on something else than those of the others.

    Args:
        facts: of all photographs.

    Returns:
        The strongest first; nothing when there are fewer than two classes with `LEAST` correct
        predictions.
    """
    right: dict[str, list[Fact]] = {}
    for fact in facts:
        if fact.right and not fact.empty:
            right.setdefault(fact.pred, []).append(fact)
    names = [name for name, own in right.items() if len(own) >= LEAST]
    found = []
    for name in names:
        own, others = right[name], [f for other in names if other != name for f in right[other]]
        for kind in GAP:
            found += _suspect(name, kind, own, others, CHANCE / len(names))
    alike = {name: sameness(right[name]) for name in names}
    found = [_alike(s, alike) for s in found]
    found = [s for s in found if _convincing(s, alike)]
    # A class whose corner is suspected need not be told that a corner is at the border.
    cornered = {s.label for s in found if s.kind == "corner"}
    found = [s for s in found if not (s.kind == "border" and s.label in cornered)]
    return sorted(found, key=lambda s: s.others - s.value)


def _suspect(
    name: str, kind: str, own: Sequence[Fact], others: Sequence[Fact], chance: float
) -> list[Suspicion]:
    if kind == "corner":
        corners = [f.corner for f in own if f.corner >= 0]
        common = max(set(corners), key=corners.count) if corners else 0
        values, rest = ([float(f.corner == common) for f in part] for part in (own, others))
        kept = list(own)
    else:
        kept = [f for f in own if math.isfinite(getattr(f, kind))]
        values = [getattr(f, kind) for f in kept]
        rest = [v for v in (getattr(f, kind) for f in others) if math.isfinite(v)]
    if len(values) < LEAST or len(rest) < LEAST:
        return []
    mean, other = float(np.mean(values)), float(np.mean(rest))
    p = rank_test(values, rest)
    if mean - other < GAP[kind] or p > chance:
        return []
    order = sorted(range(len(values)), key=lambda i: (-values[i], -kept[i].prob))
    examples = tuple(kept[i].rel for i in order[:5])
    return [Suspicion(name, kind, mean, other, p, examples)]


def _alike(s: Suspicion, alike: dict[str, float]) -> Suspicion:
    known = s.kind == "stray" and math.isfinite(alike[s.label])
    return replace(s, sameness=alike[s.label]) if known else s


def _convincing(s: Suspicion, alike: dict[str, float]) -> bool:
    """Whether stray heat is on the same thing again and again, or much, if that is not known."""
    if s.kind != "stray":
        return True
    rest = [v for name, v in alike.items() if name != s.label and math.isfinite(v)]
    if s.sameness is None or not rest:
        return s.value - s.others >= ALONE
    return s.sameness - float(np.mean(rest)) >= SAMENESS


def rank_test(values: Sequence[float], others: Sequence[float]) -> float:
    """Mann and Whitney's test that `values` tend to be larger: one-sided p, normal with ties."""
    n, m = len(values), len(others)
    pooled = np.r_[np.asarray(values, float), np.asarray(others, float)]
    _, inverse, counts = np.unique(pooled, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    u = ranks[:n].sum() - n * (n + 1) / 2
    total = n + m
    variance = n * m / 12 * (total + 1 - (counts**3 - counts).sum() / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    z = (u - n * m / 2 - 0.5) / math.sqrt(variance)
    return 0.5 * math.erfc(z / math.sqrt(2))


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """One class in numbers; means over its correct predictions.

    Attributes:
        label: the class.
        right: correct predictions.
        count: photographs that have it as label, or as prediction where there is no label.
        stray: mean, NaN without masks.
        border: mean.
        corner: share of the maxima in the commonest corner.
        flags: kinds of what the network was shown to use.
    """

    label: str
    right: int
    count: int
    stray: float
    border: float
    corner: float
    flags: tuple[str, ...]


def summarise(facts: Sequence[Fact], found: Iterable[Finding]) -> list[ClassSummary]:
    """Every class, flagged ones first, then by how much heat strays or lies at the border."""
    flags: dict[str, list[str]] = {}
    for finding in found:
        if finding.label is not None and finding.verdict == "used":
            flags.setdefault(finding.label, []).append(finding.kind)
    classes: dict[str, list[Fact]] = {}
    for fact in facts:
        classes.setdefault(fact.label or fact.pred, []).append(fact)
    rows = []
    for label, own in classes.items():
        right = [f for f in own if f.right and not f.empty]
        strays = [f.stray for f in right if math.isfinite(f.stray)]
        corners = [f.corner for f in right if f.corner >= 0]
        rows.append(
            ClassSummary(
                label, sum(f.right for f in own), len(own),
                float(np.mean(strays)) if strays else math.nan,
                float(np.mean([f.border for f in right])) if right else 0.0,
                max(map(corners.count, set(corners))) / len(right) if corners else 0.0,
                tuple(flags.get(label, ())),
            )
        )  # fmt: skip
    return sorted(
        rows, key=lambda r: (not r.flags, -(r.border if math.isnan(r.stray) else r.stray), r.label)
    )
