"""All that can be wrong with data, looked for in the order of what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from camcli.evaluate.check.by_run import HeldOutPredictions
from camcli.evaluate.check.duplicates import duplicate_free, duplicate_issues, exact, near
from camcli.evaluate.check.issue import CheckIssue
from camcli.evaluate.check.label_errors import (
    judged_classes,
    suspect_by_run,
    suspect_labels,
)
from camcli.evaluate.check.looking import Frozen, Prints, add_features, look
from camcli.evaluate.check.oddities import odd_pictures, outliers, small_classes
from camcli.evaluate.check.reading import CheckedData
from camcli.evaluate.check.told import KINDS, findings_of
from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.findings.finding import Finding, Sighting
from camcli.evaluate.properties.association import telling_properties
from camcli.printable import counted, printable
from camcli.train.judging.neighbours import reduced
from camcli.train.progress import Listener

LOOKING = 0.2
"""Share of the time after which no more photographs are looked at: features take thrice as long."""
FEATURES = 0.9
"""Share of what is then left, for those of the photographs that were looked at."""


@dataclass(frozen=True)
class CheckOutcome:
    """What was found.

    Attributes:
        issues: in the order in which they are shown.
        findings: the same by kind.
        looked: photographs that were looked at, those that cannot be read included.
        looked_for: what was looked for.
        not_looked: what was not.
        unreadable: a sentence on each file that cannot be read.
    """

    issues: tuple[CheckIssue, ...]
    findings: tuple[Finding, ...]
    looked: int
    looked_for: tuple[str, ...]
    not_looked: tuple[str, ...]
    unreadable: tuple[str, ...]


def check(
    data: CheckedData,
    load: Callable[[], Frozen],
    *,
    run: HeldOutPredictions | None = None,
    cache: bool = True,
    cache_dir: Path | None = None,
    clock: Clock,
    listener: Listener,
) -> CheckOutcome:
    """Look for everything.

    Args:
        data: the photographs and their labels.
        load: gives the backbone.
        run: predictions of a run of training, by which labels are judged; None to make some.
        cache: whether features are kept on disk.
        cache_dir: where; None for the user's cache folder.
        clock: when it is over, what is left is named in `CheckOutcome.not_looked`.
        listener: shown progress.

    Raises:
        UsageError: the run's predictions are of other classes, or of other photographs.
        UnavailableError: the backbone's weights are not on this machine.
        CamcliError: the backbone fails on every photograph, or the cache cannot be used.
    """
    if run is not None:
        run.check_classes(data.classes, data.several)
    backbone = load()  # what is missing is told before a long look
    seen = look(data.photos, clock.part(LOOKING), listener)
    total = counted(len(seen.photos), "photograph")
    looked_for = []
    if seen.photos or seen.unreadable:
        tried = counted(len(seen.photos) + len(seen.unreadable), "file")
        looked_for.append(f"files that cannot be read, in {tried}")
    if seen.photos:
        looked_for.append(f"exact duplicates and odd pictures, in {total}")
    issues: list[CheckIssue] = []
    judged: list[str] = []
    if seen.photos and not clock.over:
        add_features(seen, backbone, cache_dir, cache, clock.part(FEATURES), listener)
    elif seen.photos:
        clock.skip("near duplicates, suspect labels and outliers, for want of time")
    groups = same = exact(seen)
    if seen.features is not None and len(seen.photos) > 1:
        points = reduced(seen.features)
        groups = near(seen, points, same, clock, listener)
        if not _skipped(clock, "near duplicates"):
            looked_for.append(f"near duplicates, in {total}")
        issues += outliers(seen.photos, seen.features, duplicate_free(groups), clock)
        if not _skipped(clock, "outliers"):
            looked_for.append(f"outliers, in {total}")
        if run is None and _labels_can_be_judged(data, clock):
            issues += suspect_labels(
                seen.photos, seen.features, groups.numbers(), data.several, clock, listener, points
            )
            judged = judged_classes(seen.photos, data.several)
    if run is not None and seen.photos and _labels_can_be_judged(data, clock):
        contents = [each.content for each in seen.prints]
        issues += suspect_by_run(seen.photos, contents, run, data.several, clock)
        judged = judged_classes(seen.photos, data.several)
    if judged and not _skipped(clock, "suspect labels:"):
        by = "" if run is None else f", by the held-out predictions of {run.folder}"
        looked_for.append(f"suspect labels of {counted(len(judged), 'class', 'classes')}{by}")
    issues += duplicate_issues(seen, same, groups)
    _splits_can_be_judged(data, clock)
    issues += odd_pictures(seen, clock)
    if data.classes:
        # Also of those that there was no time for, which are there nevertheless.
        there = [photo for photo in data.photos if photo.rel not in seen.unreadable]
        issues += small_classes(there, data.classes)
        looked_for.append("classes with too few photographs")
    telling = _telling(data, seen, clock, issues, looked_for)
    issues += _unreadable(data, seen)
    order = {kind: n for n, kind in enumerate(KINDS)}
    issues.sort(key=lambda issue: order[issue.kind])  # stable: the strongest of a kind first
    return CheckOutcome(
        tuple(issues),
        findings_of(issues, len(seen.photos), telling),
        len(seen.photos) + len(seen.unreadable),
        tuple(looked_for),
        tuple(clock.skipped),
        (*data.broken, *seen.unreadable.values()),
    )


def _skipped(clock: Clock, what: str) -> bool:
    return any(sentence.startswith(what) for sentence in clock.skipped)


def _labels_can_be_judged(data: CheckedData, clock: Clock) -> bool:
    if not data.classes:
        clock.skip(
            "labels, classes and copies with different labels: there are no labels "
            f"({data.unlabelled or 'none were found'}); say where they are with --labels"
        )
    elif len(data.classes) < 2 and not data.several:
        clock.skip("suspect labels: there is one class only, and nothing to mistake it for")
    else:
        return True
    return False


def _splits_can_be_judged(data: CheckedData, clock: Clock) -> None:
    if len({photo.split for photo in data.photos}) < 2:
        clock.skip("copies in different splits: the data are not split")


def _telling(
    data: CheckedData, seen: Prints, clock: Clock, issues: list[CheckIssue], looked_for: list[str]
) -> Sequence[Finding]:
    """Properties of whole photographs that tell classes apart."""
    names = {photo.rel: photo.labels[0] for photo in seen.photos if len(photo.labels) == 1}
    if data.several or len(set(names.values())) < 2:
        if data.several:
            clock.skip(
                "properties that tell classes apart: photographs have several labels, or none"
            )
        return ()
    if clock.over:
        clock.skip("properties that tell classes apart, for want of time")
        return ()
    kept = {
        photo.rel: print_.properties
        for photo, print_ in zip(seen.photos, seen.prints, strict=True)
        if photo.rel in names
    }
    suspects = telling_properties(kept, names, dict(names), clock)
    looked_for.append("properties of whole photographs (size, light, file ...) that tell classes")
    told = KINDS["telling property"]
    findings = []
    for each in suspects:
        what = (
            f"{each.kind}: {each.present} of {each.looked} have it, "
            f"{each.elsewhere} of {each.elsewhere_looked} others"
        )
        issues.append(
            CheckIssue("telling property", None, each.effect, f"{what}: {each.what}", each.label,
                       suggestion="make the classes alike in it")
        )  # fmt: skip
        findings.append(
            Finding(
                "telling property", each.label, "data", f"{each.label}: {each.what}",
                told.words, told.advice,
                tuple(Sighting(rel, region) for rel, region in each.regions.items()),
                each.present, each.looked, each.elsewhere, each.elsewhere_looked,
                each.effect, each.p, picture=each.picture,
            )
        )  # fmt: skip
    return findings


def _unreadable(data: CheckedData, seen: Prints) -> list[CheckIssue]:
    photos = {photo.rel: photo for photo in data.photos}
    return [
        CheckIssue(
            "unreadable", rel, 1.0, why.removeprefix(f"{printable(str(photos[rel].ref.path))}: "),
            photos[rel].label, suggestion="replace or remove it",
        )
        for rel, why in seen.unreadable.items()
    ]  # fmt: skip
