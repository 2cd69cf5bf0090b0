"""What ``camcli evaluate`` asks of each network, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from camcli.cam.automatic import each_suited
from camcli.cam.method_facts import TRAINED
from camcli.data.sources.label_tables import split_values
from camcli.errors import UsageError
from camcli.evaluate.comparison.truths import outside_words
from camcli.models.spec import LAST
from camcli.printable import counted
from camcli.train.progress import Listener

if TYPE_CHECKING:
    from collections.abc import Callable

    from camcli.cam.map_options import MapOptions
    from camcli.data.sources.find import ImageRef
    from camcli.evaluate.comparison.advice import Advice
    from camcli.evaluate.comparison.columns import MetricRow
    from camcli.evaluate.comparison.compare import Questions
    from camcli.evaluate.comparison.networks import ComparedNetwork
    from camcli.evaluate.comparison.truths import Truths
    from camcli.models.classifier import Classifier
    from camcli.models.loading.box_calibration import Calibration

    # Photographs, their labels as a network's classes are called: `Source.renamed`.
    Named = Callable[[Sequence[ImageRef], tuple[str, ...]], list[ImageRef]]
    # The same of a network that is loaded: `camcli.batch.folder_order.renamed`.
    NamedBy = Callable[[Sequence[ImageRef], Classifier], list[ImageRef]]


@dataclass(slots=True)
class Answers:
    """What all networks' evaluations found.

    Attributes:
        rows: of the comparison.
        checks: of the sanity checks.
        predictions: classification by network.
        learned: what the heads of the check with random labels know, by network.
        adapted: how well heads got used to photographs without patches, by network.
        advice: which method to use, by network.
        calibrations: thresholds of boxes that were chosen, by network.
        failures: unreadable photographs, as sentences.
    """

    rows: list[MetricRow] = field(default_factory=list)
    checks: list[MetricRow] = field(default_factory=list)
    predictions: dict[str, Any] = field(default_factory=dict)
    learned: dict[str, Any] = field(default_factory=dict)
    adapted: dict[str, Any] = field(default_factory=dict)
    advice: list[Advice] = field(default_factory=list)
    calibrations: dict[str, list[Calibration]] = field(default_factory=dict)
    failures: set[str] = field(default_factory=set)


def questions(truths: Truths, **more: Any) -> Questions:
    """What is measured, with these annotations.

    Args:
        truths: the annotations.
        more: the other fields of `Questions`.
    """
    from camcli.evaluate.comparison.compare import Questions
    from camcli.evaluate.measured.annotations import Annotations

    return Questions(annotations=Annotations(truths.boxes, truths.masks, truths.trimap), **more)


NOTHING = (
    "Nothing could be measured: no annotation, and no label names a class of the network. "
    "Give --boxes, --masks, --grid, --faithfulness, --suite or --labels."
)


def check_labels(
    refs: Sequence[ImageRef], networks: Sequence[ComparedNetwork], named: Named
) -> None:
    """Refuse to judge predictions where no photograph has a label that says what is right.

    Args:
        refs: the photographs.
        networks: where the classes of all are known beforehand, labels are looked up in these.
        named: photographs as a network's classes are called.

    Raises:
        UsageError: there is no label, or none that could be a class.
    """
    from camcli.models.classes.label_index import label_indices

    labels = {ref.label for ref in refs if ref.label is not None}
    if not labels:
        raise UsageError(NOTHING)
    for network in networks:
        known = network.known_classes
        if known is None:
            return
        labels = {ref.label for ref in named(refs, known) if ref.label is not None}
        if any(label_indices(label, known) is not None for label in labels):
            return
    raise UsageError(NOTHING)


def ask_all(
    networks: Sequence[ComparedNetwork],
    refs: Sequence[ImageRef],
    hows: dict[str, MapOptions],
    ask: Questions,
    *,
    confidence: float | None,
    sanity: bool,
    named: NamedBy,
    listener: Listener,
    labeller: object = None,
    sanity_if: bool = False,
    timed: bool = False,
    calibrating: Mapping[str, Any] | None = None,
    attentive: Mapping[str, MapOptions] | None = None,
) -> Answers:
    """Evaluate the networks one after the other; only one is in memory at a time.

    Args:
        networks: those of the table.
        refs: the photographs.
        hows: methods by name.
        ask: what to measure.
        confidence: also the accuracy of predictions at least this probable.
        sanity: also whether the maps depend on what the network learned.
        named: photographs as a network's classes are called.
        listener: hears what is going on.
        labeller: where the labels are from, such as a table.
        sanity_if: the same where the network allows it; else it is said why not.
        timed: say beforehand how long each network will take, by its first photograph.
        calibrating: boxes by which the thresholds of boxes are chosen, by relative path.
        attentive: methods that are compared as well on a network on which ``auto`` follows
            attention.

    Raises:
        UsageError: there was nothing that could be measured.
    """
    from camcli.batch.summary.label_notes import label_notes
    from camcli.evaluate.comparison.advice import advise
    from camcli.evaluate.comparison.columns import CLASSIFICATION, CONTROLS
    from camcli.evaluate.comparison.compare import compare
    from camcli.evaluate.comparison.trained_row import with_localizer
    from camcli.evaluate.comparison.turns import Turns
    from camcli.models.classes.label_index import label_index, label_indices

    asked, found = hows, Answers()
    only_labels = not (
        calibrating
        or ask.annotations
        or ask.grid
        or ask.faithfulness
        or ask.deletion
        or sanity
        or ask.parts
    )
    shared: dict[str, Any] = {}
    lost = ""
    for number, network in enumerate(networks):
        classifier = network.load(network.layer, listener)
        own = named(refs, classifier)
        labels = {ref.label for ref in own if ref.label is not None}
        # Found out before the network looks at anything, rather than after.
        if only_labels and classifier.output.measures:
            known = (split_values(label, classifier.classes) for label in labels)
            if not any(isfinite(value) for own in known for value in own):
                listener.say(
                    f"{network.name} returns values and no classes, and no label says what they "
                    "should be: give a --labels FILE.csv of numbers, or say where its maps should "
                    "lie with --boxes or --masks."
                )
                continue
        index = label_indices if classifier.output.multi_label else label_index
        values = classifier.output.measures
        if (
            only_labels
            and not values
            and all(index(one, classifier.classes) is None for one in labels)
        ):
            listener.say(
                f"No label names a class of {network.name}: its predictions cannot be judged."
            )
            continue
        if classifier.output.multi_label and labels:
            for note in label_notes(labels, classifier.classes, labeller):
                listener.say(f"{network.name}: {note}" if len(networks) > 1 else note)
        hows = with_attentive(each_suited(asked, classifier), attentive or {})
        for how in hows.values():
            if how.chosen:
                listener.say(f"{network.name}: {how.chosen}" if len(networks) > 1 else how.chosen)
        # A randomised copy has no localizer, and what boxes taught is not the network's.
        explaining = {name: how for name, how in hows.items() if name != TRAINED.name}
        rows, of_these = with_localizer(network.name, classifier, own, hows, ask, listener)
        if timed:
            checked = sanity or (sanity_if and network.copies is not None)
            _tell_time(network.name, classifier, own, rows, of_these, checked, listener)
        shares: dict[str, float] | None = None
        if calibrating:
            from camcli.evaluate.comparison.calibrate import calibrate_network

            chosen = calibrate_network(
                classifier, network.name, own, explaining, calibrating, listener,
                repeats=ask.repeats, seed=ask.seed,
                failed=lambda error: found.failures.add(str(error)),
            )  # fmt: skip
            shares, found.calibrations[network.name] = chosen.shares, chosen.calibrations
            if not ask.annotations.boxes:
                found.rows += [row for row in chosen.rows if row.model or number == 0]
        with Turns(listener, network.name, len(own)) as turns:
            compared = compare(
                classifier, network.name, own, rows, of_these, controls=number == 0,
                confidence=confidence, shares=shares,
                failed=lambda error: found.failures.add(str(error)),
                progress=turns.advance, again=turns.begin,
            )  # fmt: skip
        found.rows += compared.rows
        for why in compared.left_out:
            listener.say(f"{network.name}: {why}" if len(networks) > 1 else why)
        if compared.learned:
            found.adapted[network.name] = compared.learned
        before = len(found.checks)
        if compared.untold:
            listener.say(
                f"Left out of the boxes and masks: {counted(compared.untold, 'photograph')} with "
                "several labels, or none, whose annotation does not say of which of them it is. "
                "Boxes that name their label (VOC, COCO) do."
            )
        if compared.outside and number == 0:
            count = counted(len(compared.outside), "photograph")
            lost = f"{count} without a box that counts: {outside_words(compared.outside)}"
        if compared.predictions:
            found.predictions[network.name] = compared.predictions
            if doubt := _doubt(compared.predictions, classifier):
                listener.warn(f"{network.name}: {doubt}")
        if sanity:
            _check(network, classifier, own, explaining, found, listener)
        elif sanity_if and network.copies is None:
            listener.say(f"No sanity check: {network.name} is given as it is, and not by name.")
        elif sanity_if:
            try:
                _check(network, classifier, own, explaining, found, listener)
            except UsageError as error:
                listener.say(f"No sanity check. {error}")
        # The controls that look at no network are of the first one's table.
        shared = shared or {name: compared.drawn.get(name, {}) for name in CONTROLS}
        drawn = {
            name: {**shared.get(name, {}), **compared.drawn.get(name, {})}
            for name in (*shared, *compared.drawn)
        }
        measured = [
            row
            for row in found.rows
            if row.model in ("", network.name) and row.method != TRAINED.name
        ]
        advice = advise(
            network.name, merged_by_method(measured), drawn, found.checks[before:],
            {name: how.passes(classifier) for name, how in explaining.items()},
        )  # fmt: skip
        if advice is not None:
            found.advice.append(advice)
    if not any(row.metrics for row in [*found.rows, *found.checks]):
        raise UsageError(f"Nothing could be measured: {lost}" if lost else NOTHING)
    if lost:
        listener.warn(lost)
    # What the networks say, what knows nothing of them, and the methods: in each table alike.
    found.rows.sort(key=lambda row: (row.method != CLASSIFICATION, row.method not in CONTROLS))
    return found


def with_attentive(
    hows: dict[str, MapOptions], attentive: Mapping[str, MapOptions]
) -> dict[str, MapOptions]:
    """The same methods, and behind the one that ``auto`` became others that follow attention.

    Args:
        hows: methods by name.
        attentive: added where ``auto`` became one that follows attention; those that are there
            already stay as they are.
    """
    found: dict[str, MapOptions] = {}
    for name, how in hows.items():
        found[name] = how
        if how.chosen and how.method.attention:
            found |= {other: of for other, of in attentive.items() if other not in hows}
    return found


def merged_by_method(rows: Sequence[MetricRow]) -> list[MetricRow]:
    """One row a method: a control's metrics that need no network beside those that do."""
    from dataclasses import replace

    from camcli.evaluate.comparison.compare import merged

    return merged([replace(row, model="") for row in rows])


def _tell_time(
    name: str,
    classifier: Classifier,
    refs: Sequence[ImageRef],
    hows: dict[str, MapOptions],
    ask: Questions,
    sanity: bool,
    listener: Listener,
) -> None:
    """Before the work: how long it will take."""
    from camcli.evaluate.comparison.duration import expected_seconds, in_words

    seconds = expected_seconds(classifier, refs, hows, ask, sanity=sanity)
    if seconds is not None:
        methods = counted(len(hows) - ("random" in hows), "method")
        listener.say(
            f"{name}: {in_words(seconds)} for {counted(len(refs), 'photograph')}, {methods} and "
            "the controls, by the first photograph."
        )


def _doubt(predictions: Mapping[str, Any], classifier: Classifier) -> str:
    """What to check first, where the network knows no more than chance."""
    from camcli.models.classes.chance import chance_doubt

    if classifier.output.kind in ("sigmoid", "none"):  # several labels are right, or none is
        return ""
    number = {name: index for index, name in enumerate(classifier.classes)}
    pairs = {
        (number[each["true"]], number[each["predicted"]]): each["count"]
        for each in predictions.get("confusion", ())
    }
    return chance_doubt(pairs, classifier.classes, classifier.provenance.notes)


def _check(
    network: ComparedNetwork,
    classifier: Classifier,
    refs: Sequence[ImageRef],
    hows: dict[str, MapOptions],
    found: Answers,
    listener: Listener,
) -> None:
    """Both sanity checks of one network."""
    from camcli.evaluate.comparison.compare import merged
    from camcli.evaluate.comparison.random_labels import FEWEST, compare_labels
    from camcli.evaluate.comparison.randomised import compare_copies

    assert network.copies is not None, "asked for before anything is looked at"
    listener.say(f"Randomising {network.name} ...")
    rows = compare_copies(classifier, network.name, refs, hows, network.copies())
    last = classifier if network.layer == LAST else network.load(LAST, listener)
    # Its head is drawn on the last map alone, where there is nothing to join.
    alone = {name: how for name, how in hows.items() if not how.method.joins}
    labels = compare_labels(last, network.name, refs, alone)
    if labels is None:
        listener.say(
            f"No check with random labels: that needs two classes with {FEWEST} photographs each."
        )
        found.checks += rows
        return
    found.checks += merged([*rows, *labels[0]])
    found.learned[network.name] = asdict(labels[1])
