"""What is measured of methods while a network looks at the photographs once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from camcli.cam.box_choice import chosen
from camcli.cam.box_threshold import USUAL_SHARE, BoxThreshold
from camcli.cam.map_options import MapOptions, settled
from camcli.data.sources.label_tables import split_values
from camcli.errors import CamcliError, ImageError
from camcli.evaluate.comparison.measuring.asked import faithfulness_of, shape_of
from camcli.evaluate.comparison.measuring.in_domain import InDomain
from camcli.evaluate.comparison.questions.questions import Questions
from camcli.evaluate.comparison.rows.columns import CONTROLS
from camcli.evaluate.comparison.rows.losses import MAPS, Losses
from camcli.evaluate.measured.annotations import Annotations
from camcli.evaluate.measured.box_sizes import cut_box
from camcli.evaluate.measured.seen import Seen
from camcli.evaluate.measured.square_canvas import (
    GAUSSIAN,
    Truth,
    centre_box,
    centre_gaussian,
    noise,
    paint,
)
from camcli.evaluate.metrics.bootstrap import ByPhotograph
from camcli.evaluate.metrics.label_predictions import LabelPredictions, labels_judged
from camcli.evaluate.metrics.localization import Localization
from camcli.evaluate.metrics.means import Means
from camcli.evaluate.metrics.predictions import Predictions, judged
from camcli.evaluate.metrics.value_predictions import ValuePredictions, values_judged
from camcli.evaluate.metrics.written_boxes import fit_of, overlaps
from camcli.models.classifier import Classifier

MOSAIC_PHOTOGRAPHS = 200
"""Kept in memory, at most, for a grid that is played if it can be."""
# What can be lost, in words.
PLACES, WRITTEN, FORM = "localization", "fit of the box as written", "form of the map"
FAITHFUL, PATCHES = "faithfulness", "answers to photographs without patches"
_CONTROLS = "the controls"


class OnePass:
    """What one network's photographs and maps say, one after the other.

    Attributes:
        count: photographs that were seen.
        kept: photographs for a grid of them.
        untold: photographs of several labels whose annotations do not say which they are of.
        outside: photographs none of whose boxes is in the picture.
        cut: photographs of which a box reaches out of the picture, and that box.
    """

    def __init__(
        self,
        classifier: Classifier,
        name: str,
        hows: dict[str, MapOptions],
        ask: Questions,
        inside: InDomain,
        losses: Losses,
        *,
        controls: bool,
        shares: Mapping[str, float] | None,
        failed: Callable[[ImageError], object],
    ) -> None:
        """As `compare` is asked; `inside` is shown the photographs as well."""
        self._classifier, self._name, self._hows, self._ask = classifier, name, hows, ask
        self._inside, self._losses, self._failed = inside, losses, failed
        self._controls = controls
        self._thresholds: dict[str, BoxThreshold] = {
            method: chosen(settled(how, classifier), classifier)[0].box_threshold
            for method, how in hows.items()
        }
        self._thresholds |= shares or {}
        self._parts: dict[tuple[str, str], ByPhotograph[Any]] = {}
        self._logits: list[Tensor] = []
        self._labels: list[int] = []
        self._several: list[frozenset[int] | None] = []
        self._doubtful: list[frozenset[int]] = []
        self._values: list[tuple[float, ...]] = []
        self.kept: list[Seen] = []
        self.untold: set[str] = set()
        self.outside: dict[str, None] = {}
        self.cut: dict[str, str] = {}

    @property
    def count(self) -> int:
        """How many photographs were seen."""
        return len(self._logits)

    def add(self, seen: Seen) -> None:
        """Measure one record of a photograph; what fails costs itself alone."""
        if seen.first:
            self._labels.append(-1 if seen.label is None else seen.label)
            self._several.append(seen.labels)
            self._doubtful.append(seen.untold)
            self._values.append(split_values(seen.ref.label, self._classifier.classes))
            self._logits.append(seen.logits)
            asked = self._ask.without_patches or self._ask.fidelity
            if asked and not self._has(PATCHES):
                with self._only(PATCHES, "", seen):
                    self._inside.add(seen)
        if (truth := self._truth(seen)) is not None:
            self._locate(seen, truth)
        if self._ask.without_patches:
            for method in (GAUSSIAN, *self._inside.hows):
                self._ask_of(method, seen)
        # A cell shows one thing only.
        alone = seen.labels is None or len(seen.labels) == 1
        few = len(self.kept) < MOSAIC_PHOTOGRAPHS
        wanted = self._ask.grid or (self._ask.grid_if and few and self._sure(seen))
        if wanted and alone and seen.image.shape[1] == seen.image.shape[2]:
            self.kept.append(replace(seen, maps={}))

    def measures(self) -> Iterator[tuple[str, str, ByPhotograph[Any]]]:
        """What was measured, but for what was lost: words, method, and its rows."""
        for (what, method), part in self._parts.items():
            if not (self._has(what, method) or self._has(MAPS, method)):
                yield what, method, part

    def predictions(
        self, confidence: float | None
    ) -> Predictions | LabelPredictions | ValuePredictions | None:
        """What the network's own answers are worth; None where nothing says what is right."""
        output, classes = self._classifier.output, self._classifier.classes
        if output.multi_label:
            return labels_judged(self._logits, self._several, classes, output, self._doubtful)
        if output.measures:
            return values_judged(self._logits, self._values, classes)
        return judged(self._logits, self._labels, classes, confidence, output=output)

    def _has(self, what: str, method: str = "") -> bool:
        """Whether this was lost of this network."""
        return self._losses.has(what, method, of=self._name)

    def _only(self, what: str, method: str, seen: Seen) -> AbstractContextManager[None]:
        return self._losses.only(what, method, of=self._name, at=seen.ref.rel)

    def _part(self, what: str, method: str, rows: Callable[[], Any]) -> Any:
        """Where what was measured of this photograph is put."""
        part = self._parts.setdefault((what, method), ByPhotograph(rows()))
        return part.photograph(self.count)

    def _truth(self, seen: Seen) -> Truth | None:
        """Where the object is, as far as it is told of the class that is explained."""
        rel, output = seen.ref.rel, self._classifier.output
        annotations: Annotations | None = self._ask.annotations
        if output.multi_label and rel in self._ask.annotations:
            alone = seen.labels is not None and len(seen.labels) == 1
            classes = self._classifier.classes
            annotations = self._ask.annotations.of_label(rel, seen.label, alone, classes)
            if annotations is None:
                self.untold.add(rel)
        if annotations is None or rel not in annotations:
            return None
        try:
            truth = annotations.truth(rel, seen.size)
        except CamcliError as error:  # a broken mask is that photograph's affair
            self._failed(ImageError(str(error)))
            return None
        if truth.mask is None and not len(truth.boxes):
            self.outside[rel] = None
        elif (told := cut_box(annotations.boxes.get(rel, ()), seen.size)) is not None:
            self.cut.setdefault(rel, told)
        return truth

    def _locate(self, seen: Seen, truth: Truth) -> None:
        """Whether the heat of each map, and of the controls, lies where it should."""
        ask, output = self._ask, self._classifier.output
        whole = (0.0, 0.0, float(seen.size[0]), float(seen.size[1]))
        controls: dict[str, np.ndarray] = {}
        if self._controls and not self._has(PLACES, _CONTROLS):
            with self._only(PLACES, _CONTROLS, seen):
                controls = control_maps(ask.seed + self.count, seen)
        for method in (*controls, *seen.maps):
            if not ask.counts(method, seen.ref.rel):
                continue
            control = method not in seen.maps
            heat, view = (controls[method], whole) if control else (seen.maps[method], seen.view)
            if not self._has(PLACES, method):
                with self._only(PLACES, method, seen):
                    score = heat if control else paint(heat, view, seen.size, ask.scale)
                    right = None if output.multi_label else _right(seen, self._classifier)
                    rows = partial(Localization, ask.threshold, ask.tolerance)
                    self._part(PLACES, method, rows).accumulate(score, truth, right)
            if len(truth.boxes) and not self._has(WRITTEN, method):
                with self._only(WRITTEN, method, seen):
                    threshold = self._thresholds.get(method, USUAL_SHARE)
                    fits = overlaps(heat, view, seen.size, truth, [threshold])
                    self._part(WRITTEN, method, Means).add(fit_of(float(fits[0])))

    def _ask_of(self, method: str, seen: Seen) -> None:
        """How small the heat of a map is, and what the network says without it."""
        how = self._hows.get(method)
        if not self._has(FORM, method):
            with self._only(FORM, method, seen):
                self._part(FORM, method, Means).add(shape_of(seen, how, method))
        if self._ask.faithfulness and not self._has(FAITHFUL, method):
            with self._only(FAITHFUL, method, seen):
                found = faithfulness_of(self._classifier, seen, how, method, self._ask.seed)
                self._part(FAITHFUL, method, Means).add(found)

    def _sure(self, seen: Seen) -> bool:
        return float(seen.probs[seen.index]) >= self._ask.grid_confidence


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
