"""From photographs to findings: suspects of every kind, merged, and proved by intervention."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from camcli.evaluate.audit.audit import Suspicion
from camcli.evaluate.audit.heat_suspects import heat_suspects
from camcli.evaluate.audit.looked import Looked, sampled
from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.findings.finding import Finding
from camcli.evaluate.findings.pixel_cache import PixelCache
from camcli.evaluate.findings.suspect import Suspect
from camcli.evaluate.marks.anywhere.repeated import repeated_marks
from camcli.evaluate.marks.fixed.fixed_place import fixed_marks
from camcli.evaluate.marks.frame.frames import frames
from camcli.evaluate.proof.merge import explained, merged
from camcli.evaluate.proof.prove import prove, unproved
from camcli.evaluate.properties.association import telling_properties
from camcli.printable import counted, printable, some
from camcli.train.progress import Listener

if TYPE_CHECKING:
    from camcli.models.classifier import Classifier

Detector = Callable[
    [Mapping[str, Sequence[AuditedPhoto]], PixelCache, Clock, Listener], list[Suspect]
]
DETECTORS: dict[str, Detector] = {"frames": frames, "marks at fixed places": fixed_marks}
"""By what each looks for in the sampled photographs of the predicted classes."""
TOLD = 8  # photographs below which a class is not looked at for what repeats


@dataclass(frozen=True, slots=True, eq=False)
class Investigation:
    """What came out.

    Attributes:
        findings: used ones first.
        duplicates: groups of photographs that are nearly the same picture, by relative path.
        looked_for: what was looked for and in how much, a clause each.
        not_looked: what was not looked at, and why, a sentence each.
    """

    findings: tuple[Finding, ...]
    duplicates: tuple[tuple[str, ...], ...]
    looked_for: tuple[str, ...]
    not_looked: tuple[str, ...]


def investigate(
    looked: Looked,
    suspicions: Sequence[Suspicion],
    classifier: Classifier | str,
    *,
    most: int,
    clock: Clock,
    listener: Listener,
) -> Investigation:
    """What gives classes away, and whether the network uses it.

    Args:
        looked: what was seen of all photographs.
        suspicions: the classes whose heat lies where that of others does not.
        classifier: the network; or, where there is none, why, as a clause.
        most: photographs of a class that are compared with each other, and changed.
        clock: when it is over, what is left is named in `Investigation.not_looked`.
        listener: shown progress.
    """
    network = None if isinstance(classifier, str) else classifier
    groups = sampled(looked.photos, most, None if network is None else network.classes)
    pixels = PixelCache()
    suspects: list[Suspect] = []
    looked_for = []
    part = clock.part(0.5)  # the other half of the time is for the proofs
    before = len(part.skipped)
    repeated = repeated_marks(_large(groups), pixels, part.part(0.7), listener)
    all_searched = len(part.skipped) == before
    # What all classes have gives none away by being there; whether it is used, the proof says.
    suspects += [*repeated.suspects, *repeated.everywhere]
    duplicates = _together([(pair.one, pair.other) for pair in repeated.duplicates])
    # Copies of one photograph are one: what they share is no mark, and no frame, but the picture.
    again = {rel for group in duplicates for rel in group[1:]}
    groups = {name: [p for p in own if p.rel not in again] for name, own in groups.items()}
    not_looked = _left_out(looked, groups, classifier, again)
    large = _large(groups)
    if large:
        searched = ["marks that repeat"] if all_searched else []
        for name, detect in DETECTORS.items():
            before = len(part.skipped)
            suspects += detect(large, pixels, part, listener)
            searched += [name] if len(part.skipped) == before else []
        there = sum(p.rel not in pixels.unread for own in large.values() for p in own)
        of = counted(there, "photograph")
        if searched:  # what there was no time for is told as not looked at, and not here
            looked_for.append(f"{', '.join(searched)}, in {of} of {_classes(len(large))}")
    if looked.properties:
        predicted, labels = _said(looked, again)
        before = len(clock.skipped)
        suspects += telling_properties(looked.properties, predicted, labels, clock)
        of = counted(len(predicted), "photograph")
        if len(clock.skipped) == before:
            looked_for.append(f"properties of whole photographs, in {of}")
    of = counted(len(looked.facts), "map")
    # Without masks, `stray` is no number.
    away = any(not math.isnan(fact.stray) for fact in looked.facts)
    where = (
        "in a corner, at the border or away from the object"
        if away
        else ("in a corner or at the border")
    )
    looked_for.append(f"heat {where}, in {of}")
    photos = None if looked.missing else {photo.rel: photo for photo in looked.photos}
    suspects += heat_suspects(looked.facts, suspicions, photos, pixels)
    if network is None:
        found = unproved(merged(suspects), str(classifier))
    else:
        tried = [photo for photo in looked.photos if photo.rel not in again]
        found = prove(network, merged(suspects), tried, pixels, clock, listener, most=most)
        found = explained(found)
    if pixels.unread:
        not_looked.append(
            f"{counted(len(pixels.unread), 'photograph')} could not be read a second time, and "
            f"took no part in the search for marks and frames, nor in the proof: "
            f"{some([printable(rel) for rel in sorted(pixels.unread)], 3)}."
        )
    return Investigation(
        tuple(found), duplicates, tuple(looked_for), (*not_looked, *clock.skipped)
    )  # fmt: skip


def _large(groups: Mapping[str, Sequence[AuditedPhoto]]) -> dict[str, Sequence[AuditedPhoto]]:
    return {name: own for name, own in groups.items() if len(own) >= TOLD}


def _said(looked: Looked, again: Collection[str]) -> tuple[dict[str, str], dict[str, str | None]]:
    """Prediction and label of each photograph that has properties; of several, the likeliest.

    Copies, which are in `again`, are left out.
    """
    predicted: dict[str, str] = {}
    labels: dict[str, str | None] = {}
    for fact in looked.facts:
        if fact.rel in looked.properties and not (fact.rel in predicted or fact.rel in again):
            predicted[fact.rel], labels[fact.rel] = fact.pred, fact.label
    return predicted, labels


def _together(pairs: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], ...]:
    """Pairs that share a photograph as one group, each sorted."""
    group: dict[str, set[str]] = {}
    for pair in pairs:
        both = set(pair).union(*(group.get(rel, ()) for rel in pair))
        group |= dict.fromkeys(both, both)
    return tuple(sorted({tuple(sorted(own)) for own in group.values()}))


def _left_out(
    looked: Looked,
    groups: Mapping[str, Sequence[AuditedPhoto]],
    classifier: Classifier | str,
    again: Collection[str],
) -> list[str]:
    """What cannot be looked at whatever time there is, a sentence each."""
    said = [*looked.left_out]
    if again:
        one = min(again)
        said.append(
            f"Copies, and frames of one scene, counted once: {counted(len(again), 'photograph')} "
            f"left out, such as {printable(one)}."
        )
    if looked.missing:
        of = counted(len({fact.rel for fact in looked.facts}), "photograph")
        said.append(
            f"{len(looked.missing)} of {of} of the run cannot be read any more, so marks, frames "
            f"and properties were not looked for in them: {looked.missing[0]}"
        )
    if isinstance(classifier, str):
        said.append(f"Nothing was proved by changing photographs: {classifier}.")
    few = [name for name, own in groups.items() if len(own) < TOLD]
    if few:
        said.append(
            f"Marks and frames were not looked for in {_classes(len(few))} with fewer than {TOLD} "
            f"photographs ({', '.join(few[:3])}{' ...' if few[3:] else ''})."
        )
    return said


def _classes(count: int) -> str:
    return counted(count, "predicted class", "predicted classes")
