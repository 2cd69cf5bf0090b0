"""What an audit starts from: every photograph's heat, and the photographs themselves."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from camcli.evaluate.audit.map_stats import Fact
from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.properties.measure import PhotoProperties

T = TypeVar("T")

RIGHT = 30  # photographs of a class; below, those that are predicted wrongly are taken, too


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """What was seen of all photographs.

    Attributes:
        facts: each photograph's heat in numbers.
        photos: the photographs that can be looked at again, one a fact and in their order; fewer
            where a run's photographs are gone.
        properties: of the whole photographs, by relative path.
        missing: what is wrong with each photograph of a run that cannot be read any more.
        left_out: what a run does not know, a sentence each.
    """

    facts: tuple[Fact, ...]
    photos: tuple[AuditedPhoto, ...] = ()
    properties: Mapping[str, PhotoProperties] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def updated(kept: Looked, fresh: Looked, gone: Sequence[str]) -> Looked:
    """What a run kept, but for what has been looked at again, which tells more.

    Args:
        kept: of all photographs of the run.
        fresh: of those that were looked at again.
        gone: a sentence on each that could not be.
    """
    seen = {fact.rel for fact in fresh.facts}
    facts = (*fresh.facts, *(fact for fact in kept.facts if fact.rel not in seen))
    return Looked(facts, fresh.photos, fresh.properties, tuple(gone), kept.left_out)


def sampled(
    photos: Iterable[AuditedPhoto], most: int, classes: Sequence[str] | None = None, seed: int = 0
) -> dict[str, list[AuditedPhoto]]:
    """Photographs by predicted class, so many of each drawn by chance; large classes first.

    Those that are predicted rightly come first, and the wrong ones only where there are fewer than
    `RIGHT`: what gives a class away is in its own photographs, and the mistakes of a network that
    goes by a mark bring the marks of one class into the other.

    Args:
        photos: all of them.
        most: of a class.
        classes: the network's; what is no class (``not X`` of a network of labels) is left out.
            None to take every prediction for one.
        seed: of the draw. A class's photographs are drawn alike whatever other classes there are.
    """
    groups: dict[str, list[AuditedPhoto]] = {}
    known = None if classes is None else frozenset(classes)
    for photo in photos:
        if known is None or photo.pred in known:
            groups.setdefault(photo.pred, []).append(photo)
    drawn = {}
    for name in sorted(groups, key=lambda name: (-len(groups[name]), name)):
        own = sorted(groups[name], key=lambda photo: photo.rel)
        rng = random.Random(f"{seed} {name}")
        right = [photo for photo in own if photo.right]
        wrong = [photo for photo in own if not photo.right]
        if len(right) < RIGHT:
            right += rng.sample(wrong, min(len(wrong), RIGHT - len(right)))
        drawn[name] = rng.sample(right, most) if len(right) > most else right
    return drawn


def shuffled(items: Sequence[T], seed: int = 0) -> list[T]:
    """In an order drawn by chance: whoever has to stop early has seen some of everything."""
    mixed = list(items)
    random.Random(seed).shuffle(mixed)
    return mixed
