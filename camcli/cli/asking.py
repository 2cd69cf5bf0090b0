"""What ``camcli evaluate`` asks of each network, and what it is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camcli.cli.console import say
from camcli.errors import CamcliError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from camcli.cam.how import How
    from camcli.cli.subjects import Subject
    from camcli.data.sources import ImageRef
    from camcli.evaluate.compare import Questions, Row
    from camcli.models.classifier import Classifier


@dataclass(slots=True)
class Answers:
    """What all networks' evaluations found.

    Attributes:
        rows: of the comparison.
        checks: of the sanity checks.
        predictions: classification by network.
        learned: what the heads of the check with random labels know, by network.
        failures: unreadable photographs, as sentences.
    """

    rows: list[Row] = field(default_factory=list)
    checks: list[Row] = field(default_factory=list)
    predictions: dict[str, Any] = field(default_factory=dict)
    learned: dict[str, Any] = field(default_factory=dict)
    failures: set[str] = field(default_factory=set)


def find_questions(
    refs: Sequence[ImageRef], *, boxes: Path | None, masks: Path | None, trimap: bool, **more: Any
) -> Questions:
    """The questions, with the annotations that belong to the photographs.

    Args:
        refs: the photographs.
        boxes: where their boxes are.
        masks: where their masks are.
        trimap: whether those are trimaps.
        more: the other fields of `Questions`.

    Raises:
        UsageError: broken annotations, or a threshold that no map can pass.
    """
    from camcli.evaluate.annotations import find_masks, read_boxes
    from camcli.evaluate.compare import Annotations, Questions

    if trimap and masks is None:
        raise UsageError("--trimap says how --masks are read: give them.")
    if not 0 <= more["threshold"] < 1:
        raise UsageError("--threshold must be at least 0 and below 1.")
    annotations = Annotations(
        read_boxes(boxes).match(refs) if boxes else {},
        find_masks(masks, refs) if masks else {},
        trimap,
    )
    if annotations:
        missing = sum(ref.rel not in annotations for ref in refs)
        if missing:
            say(f"{missing} of {len(refs)} photographs have no annotation and do not count.")
    return Questions(annotations=annotations, **more)


def ask_all(
    subjects: Sequence[Subject],
    refs: Sequence[ImageRef],
    hows: dict[str, How],
    ask: Questions,
    *,
    confidence: float | None,
    sanity: bool,
) -> Answers:
    """Evaluate the networks one after the other; only one is in memory at a time.

    Args:
        subjects: the networks.
        refs: the photographs.
        hows: methods by name.
        ask: what to measure.
        confidence: also the accuracy of predictions at least this probable.
        sanity: also whether the maps depend on what the network learned.

    Raises:
        CamcliError: there was nothing that could be measured.
    """
    from camcli.evaluate.compare import compare

    found = Answers()
    for number, subject in enumerate(subjects):
        classifier = subject.load()
        with _bar(subject.name, len(refs)) as step:
            outcome = compare(
                classifier, subject.name, refs, hows, ask, controls=number == 0,
                confidence=confidence, failed=lambda error: found.failures.add(str(error)),
                progress=step,
            )  # fmt: skip
        found.rows += outcome.rows
        if outcome.predictions:
            found.predictions[subject.name] = outcome.predictions
        if sanity:
            _check(subject, classifier, refs, hows, found)
    if not any(row.metrics for row in [*found.rows, *found.checks]):
        raise CamcliError(
            "Nothing could be measured: no annotation, and no label names a class of the network. "
            "Give --boxes, --masks, --grid, --faithfulness or --labels."
        )
    return found


def _check(
    subject: Subject,
    classifier: Classifier,
    refs: Sequence[ImageRef],
    hows: dict[str, How],
    found: Answers,
) -> None:
    """Both sanity checks of one network."""
    from camcli.evaluate.compare import merged
    from camcli.evaluate.random_labels import FEWEST, compare_labels
    from camcli.evaluate.randomised import compare_copies

    say(f"Randomising {subject.name} ...")
    rows = compare_copies(classifier, subject.name, refs, hows, subject.copies())
    last = classifier if subject.layer == "last" else subject.load(layer="last")
    labels = compare_labels(last, subject.name, refs, hows)
    if labels is None:
        say(f"No check with random labels: that needs two classes with {FEWEST} photographs each.")
        found.checks += rows
        return
    found.checks += merged([*rows, *labels[0]])
    found.learned[subject.name] = asdict(labels[1])


@contextmanager
def _bar(title: str, total: int) -> Iterator[Callable[[], None]]:
    from camcli.cli.progress import Progress

    with Progress().bar(title, total, "image") as drawn:
        yield lambda: drawn.advance(1)
