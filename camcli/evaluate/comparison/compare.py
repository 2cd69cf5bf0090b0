"""Methods and networks side by side on the same photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from camcli.cam.box_choice import chosen
from camcli.cam.box_threshold import USUAL_SHARE, BoxThreshold
from camcli.cam.explainer import check_influence
from camcli.cam.map_options import MapOptions, settled
from camcli.cam.method_facts import TRAINED
from camcli.data.sources.find import ImageRef
from camcli.data.sources.label_tables import split_values
from camcli.errors import ImageError, UsageError
from camcli.evaluate.comparison.asked import faithfulness_of, shape_of
from camcli.evaluate.comparison.columns import CLASSIFICATION, CONTROLS, MetricRow
from camcli.evaluate.comparison.in_domain import InDomain
from camcli.evaluate.comparison.part_rows import ask_parts, part_rows
from camcli.evaluate.measured.annotations import Annotations
from camcli.evaluate.measured.map_scaling import MapScaling
from camcli.evaluate.measured.part_scenes import PartScenes
from camcli.evaluate.measured.seen import Seen, see_photographs
from camcli.evaluate.measured.square_canvas import (
    GAUSSIAN,
    centre_box,
    centre_gaussian,
    noise,
    paint,
)
from camcli.evaluate.metrics.bootstrap import ByPhotograph, draws, spans
from camcli.evaluate.metrics.grid import choose_cells, grid_game
from camcli.evaluate.metrics.label_predictions import LabelPredictions, labels_judged
from camcli.evaluate.metrics.localization import Localization
from camcli.evaluate.metrics.means import Means
from camcli.evaluate.metrics.predictions import Predictions, judged
from camcli.evaluate.metrics.value_predictions import ValuePredictions, values_judged
from camcli.evaluate.metrics.written_boxes import fit_of, overlaps
from camcli.models.classifier import Classifier
from camcli.printable import counted

MOSAIC_PHOTOGRAPHS = 200
"""Kept in memory, at most, for a grid that is played if it can be."""
FEWEST_MOSAICS = 6
"""Below which chance makes all of them agree too often to say which method is better."""


@dataclass(frozen=True, slots=True)
class Questions:
    """What to measure.

    Attributes:
        annotations: localization against these; none when empty.
        scale: how maps become scores, see `canvas.paint`.
        threshold: of TPR and FPR, as a share of a map's maximum.
        tolerance: of the pointing game, in the photograph's pixels.
        faithfulness: ask the network again without what the maps show.
        deletion: ask it again without each patch, which faithfulness does as well.
        fidelity: ask it again without some of what the maps show, at random.
        grid: cells a side of the grid pointing games.
        grid_if: of those that are played where there are photographs for them, and else left out.
        grid_confidence: least probability of a photograph in the grid.
        repeats: bootstrap draws; 0 for none.
        seed: of everything that is drawn.
        parts: the protocol of scenes that are there again without their parts, with these.
        without: relative paths of photographs that a method learnt from, by method: its row does
            not count them.
    """

    annotations: Annotations = field(default_factory=Annotations)
    scale: MapScaling = "relu"
    threshold: float = 0.5
    tolerance: float = 15
    faithfulness: bool = False
    deletion: bool = False
    fidelity: bool = False
    grid: tuple[int, ...] = ()
    grid_if: tuple[int, ...] = ()
    grid_confidence: float = 0.9
    repeats: int = 500
    seed: int = 0
    parts: PartScenes | None = None
    without: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def counts(self, method: str, rel: str) -> bool:
        """Whether a photograph counts in a method's row."""
        return rel not in self.without.get(method, ())

    @property
    def of_predictions(self) -> str:
        """The option that asks about probabilities; empty where none does."""
        if self.faithfulness:
            return "--faithfulness"
        if self.deletion or self.fidelity:
            return "--suite"
        return "--grid" if self.grid else ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one network's evaluation found.

    Attributes:
        rows: the predictions' own, where they can be judged, then one a method, controls first.
        predictions: classification metrics; empty where no label names a class of the network.
        untold: photographs of several labels whose annotations do not say which of them they are
            of, so that they do not count.
        outside: photographs none of whose boxes is in the picture, so that these do not count.
        learned: how well the head got used to photographs without patches, by metric.
        drawn: bootstrap draws of each method's metrics, (repeats,).
        left_out: why what was to be asked if it could be was not, as sentences.
    """

    rows: list[MetricRow]
    predictions: dict[str, Any]
    untold: int = 0
    learned: dict[str, Any] = field(default_factory=dict)
    drawn: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    outside: tuple[str, ...] = ()


def compare(
    classifier: Classifier,
    name: str,
    refs: Iterable[ImageRef],
    hows: dict[str, MapOptions],
    ask: Questions,
    *,
    controls: bool = True,
    confidence: float | None = None,
    shares: Mapping[str, float] | None = None,
    failed: Callable[[ImageError], object] = lambda error: None,
    progress: Callable[[], object] = lambda: None,
    again: Callable[[str], object] = lambda words: None,
) -> Comparison:
    """Evaluate one network.

    Args:
        classifier: the network.
        name: its name in the table.
        refs: the photographs; labels, where known, say which class is explained.
        hows: methods by name.
        ask: what to measure.
        controls: also the rows of `CONTROLS`, which are the same for all networks.
        confidence: also the accuracy of predictions at least this probable.
        shares: thresholds of boxes that were chosen by other photographs, by method or control.
        failed: told of unreadable photographs.
        progress: called after each photograph, and again where they are looked at once more.
        again: called before that, with what it is for.

    Returns:
        The rows and the predictions' worth.

    Raises:
        UsageError: a method's maps can only be empty at the classifier's layer.
    """
    output = classifier.output
    if output.measures and ask.of_predictions:
        raise UsageError(
            f"{name} returns values and no probabilities, which {ask.of_predictions} is about: "
            "leave it out. Where its maps lie can be measured against --boxes or --masks."
        )
    if few := [n for n in ask.grid if len(classifier.classes) < n * n]:  # told before hours of work
        n = few[0]
        raise UsageError(
            f"The {n}x{n} grid shows {n * n} classes side by side, and {name} has "
            f"{len(classifier.classes)}: leave --grid {n} out."
        )
    for how in hows.values():
        check_influence(how, classifier)
    thresholds: dict[str, BoxThreshold] = {
        method: chosen(settled(how, classifier), classifier)[0].box_threshold
        for method, how in hows.items()
    }
    thresholds |= shares or {}
    written: dict[str, ByPhotograph[Means]] = {}
    found: dict[str, ByPhotograph[Localization]] = {}
    # What was trained on boxes can be right about places; of the network it explains nothing.
    explaining = {method: how for method, how in hows.items() if method != TRAINED.name}
    faiths = {method: ByPhotograph(Means()) for method in (GAUSSIAN, *explaining)}
    deletion = ask.deletion or ask.faithfulness
    inside = InDomain(classifier, explaining, deletion, ask.fidelity, ask.seed, progress, again)
    logits, labels, kept = [], [], list[Seen]()
    several: list[frozenset[int] | None] = []
    doubtful: list[frozenset[int]] = []
    measured: list[tuple[float, ...]] = []
    untold: set[str] = set()
    outside: dict[str, None] = {}
    refs = list(refs)
    shown = {} if only_of_parts(ask) else hows
    for seen in see_photographs(classifier, refs, shown, every_label=True, failed=failed):
        if seen.first:
            logits.append(seen.logits)
            labels.append(-1 if seen.label is None else seen.label)
            several.append(seen.labels)
            doubtful.append(seen.untold)
            measured.append(split_values(seen.ref.label, classifier.classes))
            if deletion or ask.fidelity:
                inside.add(seen)
            progress()
        annotations: Annotations | None = ask.annotations
        if output.multi_label and seen.ref.rel in ask.annotations:
            alone = seen.labels is not None and len(seen.labels) == 1
            annotations = ask.annotations.of_label(
                seen.ref.rel, seen.label, alone, classifier.classes
            )
            if annotations is None:
                untold.add(seen.ref.rel)
        if annotations is not None and seen.ref.rel in annotations:
            truth = annotations.truth(seen.ref.rel, seen.size)
            if truth.mask is None and not len(truth.boxes):
                outside[seen.ref.rel] = None
            scores = {m: paint(v, seen.view, seen.size, ask.scale) for m, v in seen.maps.items()}
            if controls:
                scores = {**control_maps(ask.seed + len(logits), seen), **scores}
            if len(truth.boxes):
                whole = (0.0, 0.0, float(seen.size[0]), float(seen.size[1]))
                for method, score in scores.items():
                    if not ask.counts(method, seen.ref.rel):
                        continue
                    heat, view = seen.maps.get(method, score), seen.view
                    fits = overlaps(
                        heat, view if method in seen.maps else whole, seen.size, truth,
                        [thresholds.get(method, USUAL_SHARE)],
                    )  # fmt: skip
                    own = written.setdefault(method, ByPhotograph(Means()))
                    own.photograph(len(logits)).add(fit_of(float(fits[0])))
            for method, score in scores.items():
                if not ask.counts(method, seen.ref.rel):
                    continue
                if method not in found:
                    found[method] = ByPhotograph(Localization(ask.threshold, ask.tolerance))
                found[method].photograph(len(logits)).accumulate(
                    score, truth, None if output.multi_label else _right(seen, classifier)
                )
        for method, part in faiths.items() if deletion else ():
            found_here = shape_of(seen, hows.get(method), method)
            if ask.faithfulness:
                found_here |= faithfulness_of(classifier, seen, hows.get(method), method, ask.seed)
            part.photograph(len(logits)).add(found_here)
        # A cell shows one thing only.
        alone = seen.labels is None or len(seen.labels) == 1
        wanted = ask.grid or (ask.grid_if and len(kept) < MOSAIC_PHOTOGRAPHS and _sure(seen, ask))
        if wanted and alone and seen.image.shape[1] == seen.image.shape[2]:
            kept.append(replace(seen, maps={}))
    drawn: dict[str, dict[str, np.ndarray]] = {}
    row_of = partial(_row, ask=ask, drawn=drawn)
    measures: list[tuple[str, ByPhotograph[Any]]] = [*found.items(), *written.items()]
    rows = [row_of("" if method in CONTROLS else name, method, part) for method, part in measures]
    if deletion:
        rows += [row_of(name, method, part) for method, part in faiths.items()]
    learned: dict[str, Any] = {}
    for means, told in inside.found():
        rows += [row_of(name, method, part) for method, part in means.items()]
        learned |= told
    left_out = [why] if (why := inside.why_as_it_is) else []
    unplayed: list[UsageError] = []
    for n in (*ask.grid, *(n for n in ask.grid_if if n not in ask.grid)):
        try:
            mosaics = choose_cells(kept, n, confidence=ask.grid_confidence, seed=ask.seed)
        except UsageError as error:
            if n in ask.grid:
                unplayed.append(error)
            left_out.append(f"No grid pointing game. {error}")
            continue
        games = grid_game(classifier, mosaics, explaining, n)
        # Draws from one mosaic or two would all say the same, however little they know.
        enough = len(mosaics) >= FEWEST_MOSAICS
        played = [
            row_of(name, method, part, drawn=drawn if enough else {})
            for method, part in games.items()
        ]
        rows += played if enough else [replace(row, intervals={}) for row in played]
        if ask.repeats and not enough:
            left_out.append(
                f"Of the {n}x{n} grid there {'is' if len(mosaics) == 1 else 'are'} "
                f"{counted(len(mosaics), 'mosaic')} of photographs that the network is sure of: "
                "too few for intervals, and to say by it which method is better."
            )
    if ask.parts is not None:
        again("scenes without their parts")
        answers = ask_parts(
            classifier,
            name,
            refs,
            explaining,
            ask.parts,
            seed=ask.seed,
            failed=failed,
            progress=progress,
        )
        rows += part_rows(answers, name, repeats=ask.repeats, seed=ask.seed, drawn=drawn)
    # What was found out beside it, at some length it may be, is not lost for it.
    if unplayed and not any(row.metrics for row in rows):
        raise unplayed[0]
    predictions: Predictions | LabelPredictions | ValuePredictions | None = None
    if output.multi_label:
        predictions = labels_judged(logits, several, classifier.classes, output, doubtful)
    elif output.measures:
        predictions = values_judged(logits, measured, classifier.classes)
    else:
        predictions = judged(logits, labels, classifier.classes, confidence, output=output)
    if predictions is None:
        return Comparison(merged(rows), {}, len(untold), learned, drawn, left_out, tuple(outside))
    first = row_of(name, CLASSIFICATION, predictions)
    return Comparison(
        merged([first, *rows]),
        predictions.record(),
        len(untold),
        learned,
        drawn,
        left_out,
        tuple(outside),
    )


def only_of_parts(ask: Questions) -> bool:
    """Whether all maps are those of the protocol of parts, of several classes of each scene."""
    return ask.parts is not None and not (ask.annotations or ask.of_predictions)


def control_maps(seed: int, seen: Seen) -> dict[str, np.ndarray]:
    """Scores on the canvas that look at no pixel."""
    whole = (0.0, 0.0, float(seen.size[0]), float(seen.size[1]))
    drawn = paint(noise(seed), whole, seen.size)
    return dict(zip(CONTROLS, (centre_box(), centre_gaussian(), drawn), strict=True))


def _right(seen: Seen, classifier: Classifier) -> tuple[bool, bool] | None:
    if seen.label is None:
        return None
    best = seen.logits.topk(min(5, len(seen.logits))).indices.tolist()
    if classifier.output.thresholds:
        best = classifier.output.best(seen.logits[None], 5)[0].tolist()
    return best[0] == seen.label, seen.label in best


def _row(
    model: str,
    method: str,
    part: ByPhotograph[Any] | Means | Predictions | LabelPredictions | ValuePredictions,
    ask: Questions,
    drawn: dict[str, dict[str, np.ndarray]],
) -> MetricRow:
    """The row of a method, whose draws are kept in `drawn`; one photograph has no intervals."""
    count = len(part)
    own = draws(part.compute, count, repeats=ask.repeats, seed=ask.seed) if count else {}
    drawn.setdefault(method, {}).update(own)
    return MetricRow(model, method, count, part.compute(), spans(own) if count > 1 else {})


def _sure(seen: Seen, ask: Questions) -> bool:
    return float(seen.probs[seen.index]) >= ask.grid_confidence


def merged(rows: Sequence[MetricRow]) -> list[MetricRow]:
    """One row for each model and method."""
    merged: dict[tuple[str, str], MetricRow] = {}
    for row in rows:
        key = row.model, row.method
        before = merged.get(key, MetricRow(row.model, row.method, 0, {}, {}))
        merged[key] = MetricRow(
            *key, max(before.count, row.count), {**before.metrics, **row.metrics},
            {**before.intervals, **row.intervals},
        )  # fmt: skip
    return list(merged.values())
