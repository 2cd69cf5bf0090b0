"""Whether photographs of a predicted class have something more often than others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.marks.chance import more_than_chance

LIKELY = 0.01  # p, corrected, above which nothing is said
LEAST_EFFECT = 0.1  # difference of shares below which nothing is said
LEAST = 4  # photographs of the class that must have it
LABELS = 0.05  # p of the same with labels in the place of predictions
SURE = 1e-6  # corrected p with which labels need not agree: photographs that were chosen to test it


@dataclass(frozen=True, slots=True)
class Association:
    """How much more often photographs of one predicted class have something.

    Attributes:
        label: the class.
        inside: relative paths of its photographs that have it.
        looked: its photographs.
        outside: relative paths of photographs of other classes that have it.
        elsewhere_looked: photographs of other classes.
        effect: difference of the shares.
        p: one-sided, by Fisher's exact test, not corrected.
    """

    label: str
    inside: frozenset[str]
    looked: int
    outside: frozenset[str]
    elsewhere_looked: int
    effect: float
    p: float


def association(
    label: str, groups: Mapping[str, Sequence[AuditedPhoto]], having: Collection[str]
) -> Association:
    """How much more often the photographs of class `label` are among `having`."""
    inside = frozenset(photo.rel for photo in groups[label] if photo.rel in having)
    others = [photo.rel for name, photos in groups.items() if name != label for photo in photos]
    outside = frozenset(rel for rel in others if rel in having)
    n, m = len(groups[label]), len(others)
    effect = len(inside) / max(n, 1) - len(outside) / max(m, 1)
    p = more_than_chance(len(inside), n, len(outside), m) if n and m else 1.0
    return Association(label, inside, n, outside, m, effect, p)


def believed(
    found: Association,
    tests: int,
    photos: Iterable[AuditedPhoto],
    having: Collection[str],
    *,
    least: float = LEAST_EFFECT,
) -> bool:
    """Whether it is more than chance, after so many tests.

    A network that was fitted to labels without a meaning predicts by whatever there is, so labels,
    where they are known, must agree, unless the association is far beyond chance: photographs may
    have been chosen so that the mark is on all labels alike, to see who falls for it.

    Args:
        found: the association.
        tests: that were made.
        photos: all that were looked at.
        having: those that have it.
        least: difference of shares below which nothing is said.
    """
    p = found.p * tests
    if p > LIKELY or found.effect < least or len(found.inside) < LEAST:
        return False
    if p < SURE and found.effect >= 0.4:
        return True
    labelled = [photo for photo in photos if photo.label is not None]
    same = [photo.rel in having for photo in labelled if photo.label == found.label]
    other = [photo.rel in having for photo in labelled if photo.label != found.label]
    if not same or not other:
        return True
    return more_than_chance(sum(same), len(same), sum(other), len(other)) <= LABELS
