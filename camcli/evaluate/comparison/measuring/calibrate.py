"""The threshold of boxes, chosen for each method by the true boxes of a few photographs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from camcli.cam.box_choice import described
from camcli.cam.box_threshold import OTSU, PERCENTILE, USUAL_SHARE, BoxThreshold
from camcli.cam.map_options import MapOptions, settled
from camcli.data.sources.refs import ImageRef
from camcli.errors import ImageError, UsageError
from camcli.evaluate.comparison.questions.truths import outside_words
from camcli.evaluate.comparison.rows.columns import CONTROLS, MetricRow
from camcli.evaluate.measured.annotations import Annotations
from camcli.evaluate.measured.box_sizes import cut_box
from camcli.evaluate.measured.seen import see_photographs
from camcli.evaluate.measured.square_canvas import centre_box, centre_gaussian, noise
from camcli.evaluate.metrics.bootstrap import intervals
from camcli.evaluate.metrics.means import Means
from camcli.evaluate.metrics.written_boxes import SHARES, Choice, choose, fit_of, overlaps
from camcli.models.classifier import Classifier
from camcli.models.loading.box_calibration import Calibration
from camcli.printable import counted, printable
from camcli.train.progress import Listener

FEW = 10
"""With fewer photographs than this the user is told that they are few."""
_CENTRE = CONTROLS[0]


@dataclass(slots=True)
class Calibrated:
    """What the calibration of one network found.

    Attributes:
        calibrations: one a method.
        shares: by method or control: the share that was chosen.
        rows: the fit of boxes of photographs that took no part in the choice of their threshold.
        told: a sentence for each method.
        warnings: what should make a user doubt.
        count: photographs by which it was chosen.
        cut: photographs of which a box reaches out of the picture, and that box.
    """

    calibrations: list[Calibration] = field(default_factory=list)
    shares: dict[str, float] = field(default_factory=dict)
    rows: list[MetricRow] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    count: int = 0
    cut: dict[str, str] = field(default_factory=dict)


def calibrate(
    classifier: Classifier,
    name: str,
    refs: Sequence[ImageRef],
    hows: dict[str, MapOptions],
    annotations: Annotations,
    *,
    repeats: int = 500,
    seed: int = 0,
    failed: Callable[[ImageError], object] = lambda error: None,
    lost: Callable[[str, Exception, ImageRef], object] | None = None,
) -> Calibrated:
    """Choose for each method, and for the controls, the threshold with the best mean IoU.

    Args:
        classifier: the network.
        name: in the table.
        refs: the photographs by whose boxes it is chosen, each of them with a box.
        hows: methods by name, ``random`` among them.
        annotations: their boxes.
        repeats: sets drawn for the intervals.
        seed: of these.
        failed: told of unreadable photographs.
        lost: told of a method that fails where another one makes a map, and is left out; by default
            its failure is the photograph's.

    Raises:
        UsageError: no photograph is left that can be read and has a box in it.
    """
    thresholds: list[BoxThreshold] = [*map(float, SHARES), USUAL_SHARE, PERCENTILE, OTSU]
    found: dict[str, list[np.ndarray]] = {}
    outside: list[str] = []
    cut: dict[str, str] = {}
    gone: set[str] = set()

    def leave_out(method: str, error: Exception, ref: ImageRef) -> None:
        gone.add(method)
        if lost is not None:
            lost(method, error, ref)

    for seen in see_photographs(
        classifier, refs, hows, failed=failed, lost=leave_out if lost else None
    ):
        truth = annotations.truth(seen.ref.rel, seen.size)
        if not len(truth.boxes):
            outside.append(seen.ref.rel)
            continue
        if (told := cut_box(annotations.boxes.get(seen.ref.rel, ()), seen.size)) is not None:
            cut.setdefault(seen.ref.rel, told)
        whole = (0.0, 0.0, float(seen.size[0]), float(seen.size[1]))
        drawn = (centre_box(), centre_gaussian(), noise(seed + len(found.get(_CENTRE, ())) + 1))
        maps = {control: (heat, whole) for control, heat in zip(CONTROLS, drawn, strict=True)}
        maps |= {method: (heat, seen.view) for method, heat in seen.maps.items()}
        for method, (heat, view) in maps.items():
            found.setdefault(method, []).append(overlaps(heat, view, seen.size, truth, thresholds))
    found = {method: rows for method, rows in found.items() if method not in gone}
    if not found:
        raise UsageError(
            "No threshold of boxes can be chosen: "
            + (
                outside_words(outside)
                if outside
                else "none of the photographs of --calibrate can be read."
            )
        )
    result = Calibrated(count=len(found[_CENTRE]), cut=cut)
    if outside:
        result.warnings.append(
            f"the boxes of {printable(outside[0])}{' and others' * (len(outside) > 1)} lie outside "
            f"the picture: {counted(len(outside), 'photograph')} left out of --calibrate."
        )
    choices: dict[str, Choice] = {}
    for method, rows in found.items():
        curves = np.stack(rows)
        choices[method] = choice = choose(curves[:, : len(SHARES)], repeats=repeats, seed=seed)
        result.shares[method] = choice.share
        means = Means()
        for overlap in choice.held_out:
            means.add(fit_of(float(overlap)))
        spans = intervals(means.compute, len(means), repeats=repeats, seed=seed)
        result.rows.append(
            MetricRow(
                "" if method in CONTROLS else name, method, len(means), means.compute(), spans
            )
        )
    for method, how in hows.items():
        if method == "random" or method not in found:
            continue
        curves = np.stack(found[method])
        _add(result, classifier, method, how, choices, curves[:, len(SHARES) :].mean(0))
    return result


def _add(
    result: Calibrated,
    classifier: Classifier,
    method: str,
    how: MapOptions,
    choices: Mapping[str, Choice],
    others: np.ndarray,
) -> None:
    """One method's calibration, and what there is to say of it."""
    choice, centre = choices[method], float(choices[_CENTRE].held_out.mean())
    usual, percentile, otsu = map(float, others)
    held_out, count = float(choice.held_out.mean()), len(choice.held_out)
    numbers = {
        "photographs": count, "low": choice.low, "high": choice.high, "iou": choice.overlap,
        "iou_held_out": held_out, "iou_usual": usual, "iou_percentile": percentile,
        "iou_otsu": otsu, "iou_centre_box": centre,
    }  # fmt: skip
    maps = described(settled(replace(how, box=None), classifier), classifier)
    rounded = {n: v if isinstance(v, int) else round(v, 4) for n, v in numbers.items()}
    result.calibrations.append(Calibration(round(choice.share, 4), maps, rounded))
    result.told.append(
        f"{method}: boxes go around what is above {choice.share:.3f} of a map's maximum "
        f"({choice.low:.3f}-{choice.high:.3f}), chosen by {count} photographs. Mean IoU "
        f"{choice.overlap:.2f}; each photograph by the others' threshold {held_out:.2f}, with "
        f"{USUAL_SHARE:g} {usual:.2f}, with {PERCENTILE} {percentile:.2f}, with otsu {otsu:.2f}; a "
        f"centred box, chosen likewise, {centre:.2f}."
    )
    if held_out <= centre:
        result.warnings.append(
            f"{method}: a centred box fits these photographs as well or better: its boxes show "
            "nothing here."
        )
    elif held_out <= usual:
        result.warnings.append(
            f"{method}: the chosen threshold is not better than the usual {USUAL_SHARE:g} for "
            "photographs that took no part in the choice."
        )


def few(count: int) -> str:
    """What to say of a choice by so few photographs; empty where they are enough."""
    if count >= FEW:
        return ""
    return (
        f"{count} photographs are few: see the interval of the threshold, and measure it on "
        "others with --boxes."
    )


def calibrate_network(
    classifier: Classifier,
    name: str,
    refs: Sequence[ImageRef],
    hows: dict[str, MapOptions],
    boxes: Mapping[str, Any],
    listener: Listener,
    **more: Any,
) -> Calibrated:
    """`calibrate`, told as it goes.

    Args:
        classifier: the network.
        name: in the table.
        refs: all photographs, of which those that have a box here take part.
        hows: methods by name.
        boxes: by relative path.
        listener: hears what was chosen, and what should make a user doubt.
        more: what else `calibrate` takes.
    """
    some = [ref for ref in refs if ref.rel in boxes]
    result = calibrate(classifier, name, some, hows, Annotations(dict(boxes)), **more)
    for sentence in result.told:
        listener.say(f"{name}: {sentence}")
    if sentence := few(result.count):
        listener.warn(sentence)
    for sentence in result.warnings:
        listener.warn(f"{name}: {sentence}")
    return result
