"""One network's turn: all that is asked of it, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import isfinite
from typing import Any

from camcli.batch.summary.label_notes import label_notes
from camcli.cam.automatic import each_suited
from camcli.cam.map_options import MapOptions
from camcli.cam.method_facts import TRAINED
from camcli.data.sources.label_tables import split_values
from camcli.data.sources.refs import ImageRef
from camcli.errors import UsageError
from camcli.evaluate.comparison.measuring.calibrate import calibrate_network
from camcli.evaluate.comparison.measuring.compare import Comparison, compare, merged
from camcli.evaluate.comparison.measuring.random_labels import FEWEST, compare_labels
from camcli.evaluate.comparison.measuring.randomised import compare_copies
from camcli.evaluate.comparison.measuring.refusals import check_questions
from camcli.evaluate.comparison.questions.questions import Questions
from camcli.evaluate.comparison.questions.truths import cut_words, outside_words
from camcli.evaluate.comparison.rows.advice import advise
from camcli.evaluate.comparison.rows.answers import Answers
from camcli.evaluate.comparison.rows.columns import CONTROLS, MetricRow
from camcli.evaluate.comparison.rows.losses import MAPS, Losses
from camcli.evaluate.comparison.turn.duration import expected_seconds, in_words
from camcli.evaluate.comparison.turn.networks import ComparedNetwork
from camcli.evaluate.comparison.turn.trained_row import with_localizer
from camcli.evaluate.comparison.turn.turns import Turns
from camcli.models.classes.chance import chance_doubt
from camcli.models.classes.label_index import label_index, label_indices
from camcli.models.classifier import Classifier
from camcli.models.spec import LAST
from camcli.printable import counted
from camcli.train.progress import Listener

NamedBy = Callable[[Sequence[ImageRef], Classifier], list[ImageRef]]
"""Photographs, their labels as a network's classes are called: `folder_order.renamed`."""


@dataclass(slots=True)
class NetworkTurn:
    """Asks one network after the other; attributes as `ask_all` takes them.

    Attributes:
        several: whether more than one is asked, so that each is named in what is said of it.
        found: what they answered.
        lost: photographs without a box that counts, as a sentence.
    """

    refs: Sequence[ImageRef]
    hows: dict[str, MapOptions]
    ask: Questions
    confidence: float | None
    sanity: bool
    named: NamedBy
    listener: Listener
    losses: Losses
    labeller: object
    sanity_if: bool
    timed: bool
    calibrating: Mapping[str, Any]
    attentive: Mapping[str, MapOptions]
    only_labels: bool
    several: bool
    found: Answers = field(default_factory=Answers)
    lost: str = ""
    _shared: dict[str, Any] = field(default_factory=dict)

    def opened(self, network: ComparedNetwork, listener: Listener) -> Classifier:
        """A network that can be asked.

        Args:
            network: which.
            listener: hears of its loading.

        Raises:
            UsageError: it cannot be asked this, or it cannot be randomised.
        """
        classifier = network.load(network.layer, listener)
        check_questions(classifier, network.name, self._methods(classifier), self.ask)
        if self.sanity and network.copies is not None:
            network.copies()
        return classifier

    def take(self, network: ComparedNetwork, classifier: Classifier, *, first: bool) -> None:
        """Ask it everything, and keep what it answers.

        Args:
            network: whose turn it is.
            classifier: the same, opened.
            first: whether it is the first, beside which the controls stand.
        """
        own = self.named(self.refs, classifier)
        labels = {ref.label for ref in own if ref.label is not None}
        if self.only_labels and (why := _unjudged(network.name, classifier, own)):
            self.listener.say(why)
            return
        if classifier.output.multi_label and labels:
            for note in label_notes(labels, classifier.classes, self.labeller):
                self._say(network, note)
        hows = self._methods(classifier)
        for how in hows.values():
            if how.chosen:
                self._say(network, how.chosen)
        # A randomised copy has no localizer, and what boxes taught is not the network's.
        explaining = {name: how for name, how in hows.items() if name != TRAINED.name}
        rows, ask = with_localizer(network.name, classifier, own, hows, self.ask, self.listener)
        if self.timed:
            self._tell_time(network, classifier, own, rows, ask)
        shares = self._calibrated(network, classifier, own, explaining, first=first)
        rows = self._left(network, rows)
        with Turns(self.listener, network.name, len(own)) as turns:
            compared = compare(
                classifier, network.name, own, rows, ask, controls=first,
                confidence=self.confidence, shares=shares, failed=self._failed,
                progress=turns.advance, again=turns.begin, losses=self.losses,
            )  # fmt: skip
        self._keep(network, classifier, compared, first=first)
        explaining = self._left(network, explaining)
        if self.found.stopped:
            if self.sanity or (self.sanity_if and network.copies is not None):
                self.found.partial.append(f"{network.name} has no sanity check.")
            return
        checks: list[MetricRow] = []
        with self.losses.only("sanity check", of=network.name):
            checks = self._sane(network, classifier, own, explaining)
            self.found.checks += checks
        with self.losses.only("verdict", of=network.name):
            self._advise(network, classifier, explaining, compared, checks)

    def _methods(self, classifier: Classifier) -> dict[str, MapOptions]:
        return with_attentive(each_suited(self.hows, classifier), self.attentive)

    def _left(self, network: ComparedNetwork, hows: dict[str, MapOptions]) -> dict[str, MapOptions]:
        """The methods that have not failed on this network."""
        return {
            method: how
            for method, how in hows.items()
            if not self.losses.has(MAPS, method, of=network.name)
        }

    def _say(self, network: ComparedNetwork, words: str) -> None:
        self.listener.say(f"{network.name}: {words}" if self.several else words)

    def _failed(self, error: Exception) -> None:
        self.found.failures.add(str(error))

    def _tell_time(
        self,
        network: ComparedNetwork,
        classifier: Classifier,
        refs: Sequence[ImageRef],
        hows: dict[str, MapOptions],
        ask: Questions,
    ) -> None:
        """Before the work: how long it will take. Not to know it stops nothing."""
        checked = self.sanity or (self.sanity_if and network.copies is not None)
        try:
            seconds = expected_seconds(classifier, refs, hows, ask, sanity=checked)
        except Exception:
            return
        if seconds is not None:
            methods = counted(len(hows) - ("random" in hows), "method")
            self.listener.say(
                f"{network.name}: {in_words(seconds)} for {counted(len(refs), 'photograph')}, "
                f"{methods} and the controls, by the first photograph."
            )

    def _calibrated(
        self,
        network: ComparedNetwork,
        classifier: Classifier,
        refs: Sequence[ImageRef],
        hows: dict[str, MapOptions],
        *,
        first: bool,
    ) -> dict[str, float] | None:
        """The thresholds of boxes that some photographs choose, by method; None for none."""
        if not self.calibrating:
            return None
        chosen = calibrate_network(
            classifier, network.name, refs, hows, self.calibrating, self.listener,
            repeats=self.ask.repeats, seed=self.ask.seed, failed=self._failed,
            lost=lambda method, error, ref: self.losses.add(
                error, MAPS, method, of=network.name, at=ref.rel
            ),
        )  # fmt: skip
        if chosen.cut and first:
            self.listener.warn(f"In --calibrate, {cut_words(chosen.cut)}")
        self.found.calibrations[network.name] = chosen.calibrations
        if not self.ask.annotations.boxes:
            self.found.rows += [row for row in chosen.rows if row.model or first]
        return chosen.shares

    def _keep(
        self, network: ComparedNetwork, classifier: Classifier, compared: Comparison, *, first: bool
    ) -> None:
        """What was measured, and what is to be said of it."""
        found = self.found
        found.rows += compared.rows
        found.stopped = compared.stopped
        if compared.partial:
            found.partial.append(compared.partial)
        for why in compared.left_out:
            self._say(network, why)
        if compared.learned:
            found.adapted[network.name] = compared.learned
        if compared.untold:
            self.listener.say(
                f"Left out of the boxes and masks: {counted(compared.untold, 'photograph')} with "
                "several labels, or none, whose annotation does not say of which of them it is. "
                "Boxes that name their label (VOC, COCO) do."
            )
        if compared.outside and first:
            count = counted(len(compared.outside), "photograph")
            self.lost = f"{count} without a box that counts: {outside_words(compared.outside)}"
        if compared.cut and first:
            self.listener.warn(f"In --boxes, {cut_words(compared.cut)}")
        if compared.predictions:
            found.predictions[network.name] = compared.predictions
            if doubt := _doubt(compared.predictions, classifier):
                self.listener.warn(f"{network.name}: {doubt}")

    def _sane(
        self,
        network: ComparedNetwork,
        classifier: Classifier,
        refs: Sequence[ImageRef],
        hows: dict[str, MapOptions],
    ) -> list[MetricRow]:
        """Both sanity checks, where they are asked for."""
        if self.sanity:
            return self._checked(network, classifier, refs, hows)
        if self.sanity_if and network.copies is None:
            self.listener.say(
                f"No sanity check: {network.name} is given as it is, and not by name."
            )
        elif self.sanity_if:
            try:
                return self._checked(network, classifier, refs, hows)
            except UsageError as error:
                self.listener.say(f"No sanity check. {error}")
        return []

    def _checked(
        self,
        network: ComparedNetwork,
        classifier: Classifier,
        refs: Sequence[ImageRef],
        hows: dict[str, MapOptions],
    ) -> list[MetricRow]:
        assert network.copies is not None, "asked for before anything is looked at"
        self.listener.say(f"Randomising {network.name} ...")
        rows = compare_copies(classifier, network.name, refs, hows, network.copies())
        try:
            return self._with_labels(network, classifier, refs, hows, rows)
        except BaseException:  # a person's wish: what was compared until then stays
            self.found.checks += rows
            raise

    def _with_labels(
        self,
        network: ComparedNetwork,
        classifier: Classifier,
        refs: Sequence[ImageRef],
        hows: dict[str, MapOptions],
        rows: list[MetricRow],
    ) -> list[MetricRow]:
        """The rows of the copies, and of heads on true and shuffled labels where there are any."""
        with self.losses.only("check with random labels", of=network.name):
            last = classifier if network.layer == LAST else network.load(LAST, self.listener)
            # Its head is drawn on the last map alone, where there is nothing to join.
            alone = {name: how for name, how in hows.items() if not how.method.joins}
            labels = compare_labels(last, network.name, refs, alone)
            if labels is not None:
                self.found.learned[network.name] = asdict(labels[1])
                return merged([*rows, *labels[0]])
            self.listener.say(
                f"No check with random labels: that needs two classes with {FEWEST} photographs "
                "each."
            )
        return rows

    def _advise(
        self,
        network: ComparedNetwork,
        classifier: Classifier,
        hows: dict[str, MapOptions],
        compared: Comparison,
        checks: Sequence[MetricRow],
    ) -> None:
        """Which method to use."""
        # The controls that look at no network are of the first one's table.
        self._shared = self._shared or {name: compared.drawn.get(name, {}) for name in CONTROLS}
        drawn = {
            name: {**self._shared.get(name, {}), **compared.drawn.get(name, {})}
            for name in (*self._shared, *compared.drawn)
        }
        measured = [
            row
            for row in self.found.rows
            if row.model in ("", network.name) and row.method != TRAINED.name
        ]
        advice = advise(
            network.name, merged_by_method(measured), drawn, checks,
            {name: how.passes(classifier) for name, how in hows.items()},
        )  # fmt: skip
        if advice is not None:
            self.found.advice.append(advice)


def _unjudged(name: str, classifier: Classifier, refs: Sequence[ImageRef]) -> str:
    """Why no prediction of a network can be judged; empty where one can.

    Found out before the network looks at anything, rather than after.
    """
    if classifier.output.measures:
        known = (split_values(ref.label, classifier.classes) for ref in refs)
        if any(isfinite(value) for own in known for value in own):
            return ""
        return (
            f"{name} returns values and no classes, and no label says what they should be: give a "
            "--labels FILE.csv of numbers, or say where its maps should lie with --boxes or "
            "--masks."
        )
    index = label_indices if classifier.output.multi_label else label_index
    labels = {ref.label for ref in refs if ref.label is not None}
    if any(index(one, classifier.classes) is not None for one in labels):
        return ""
    return f"No label names a class of {name}: its predictions cannot be judged."


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
    return merged([replace(row, model="") for row in rows])


def _doubt(predictions: Mapping[str, Any], classifier: Classifier) -> str:
    """What to check first, where the network knows no more than chance."""
    if classifier.output.kind in ("sigmoid", "none"):  # several labels are right, or none is
        return ""
    number = {name: index for index, name in enumerate(classifier.classes)}
    pairs = {
        (number[each["true"]], number[each["predicted"]]): each["count"]
        for each in predictions.get("confusion", ())
    }
    return chance_doubt(pairs, classifier.classes, classifier.provenance.notes)
