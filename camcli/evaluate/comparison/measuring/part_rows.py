"""Asks a network about scenes without their parts, and its maps about the parts of the scenes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from camcli.batch.explain import read
from camcli.cam.map_options import MapOptions
from camcli.cam.margins import without_margins
from camcli.cam.views import framed
from camcli.data.decode.images import printable
from camcli.data.decode.preprocess import View
from camcli.data.sources.refs import ImageRef
from camcli.errors import ImageError, UsageError
from camcli.evaluate.comparison.rows.columns import CLASSIFICATION, MetricRow
from camcli.evaluate.measured.part_scenes import PartScene, PartScenes, Regions
from camcli.evaluate.measured.seen import explained
from camcli.evaluate.measured.square_canvas import (
    GAUSSIAN,
    centre_box,
    centre_gaussian,
    noise,
    spread,
)
from camcli.evaluate.metrics import parts as protocol
from camcli.evaluate.metrics.bootstrap import draws, spans
from camcli.evaluate.metrics.means import Means
from camcli.evaluate.metrics.parts import PartRow, PartScores, part_importances
from camcli.models.classes.label_index import label_index
from camcli.models.classifier import Classifier

_CHUNK = 16  # pictures in one forward pass
_NONE: frozenset[str] = frozenset()

Other = Callable[[Tensor, int], np.ndarray]
"""Normalised images (1, 3, H, W) and a class -> a map (h, w), signed: one that is no CAM."""


@dataclass(frozen=True, slots=True)
class PartAnswers:
    """What scenes with parts say of one network.

    Attributes:
        scores: by control and method.
        network: of the network itself: ``background_independence``, the share of the things beside
            the birds whose removal costs less than 5% of the logit; by scene.
    """

    scores: dict[str, PartScores]
    network: list[dict[str, float]]


def part_rows(
    answers: PartAnswers,
    name: str,
    *,
    repeats: int,
    seed: int,
    drawn: dict[str, dict[str, np.ndarray]] | None = None,
) -> list[MetricRow]:
    """The rows of the table: the network's own, and one a control and method.

    Args:
        answers: of the scenes.
        name: the network's.
        repeats: sets drawn for the intervals; 0 for none.
        seed: of these.
        drawn: where the draws are kept by method and metric, so that two methods can be compared
            draw by draw: all saw the same scenes.
    """
    network = Means()
    for row in answers.network:
        network.add(row)
    rows = []
    parts: dict[str, PartScores | Means] = {CLASSIFICATION: network, **answers.scores}
    for method, part in parts.items():
        count = len(part)
        if count:
            own = draws(part.compute, count, repeats=repeats, seed=seed)
            if drawn is not None:
                drawn.setdefault(method, {}).update(own)
            known = spans(own) if count > 1 else {}
            rows.append(MetricRow(name, method, count, part.compute(), known))
    return rows


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What is to be known of one scene before its maps can be judged."""

    scene: PartScene
    regions: Regions
    target: int
    predicted: int
    rivals: tuple[str, str] | None
    # Of each map, by method and class: the words for the parts and things, and the map's sum.
    words: dict[str, dict[int, tuple[dict[str, float], float]]]


def check_parts(classifier: Classifier, name: str, scenes: PartScenes) -> dict[str, int]:
    """Refuse a network that cannot be asked about these scenes.

    Args:
        classifier: the network.
        name: its name, for messages.
        scenes: the scenes.

    Returns:
        The index of each of their classes.

    Raises:
        UsageError: it is not one of classes that exclude each other, or does not know those of the
            scenes.
    """
    if classifier.output.multi_label or classifier.output.measures:
        raise UsageError(
            f"--parts asks which class a scene is taken for, and {name} is no network of classes "
            "that exclude each other: leave it out."
        )
    indices = {label: label_index(label, classifier.classes) for label in scenes.classes}
    if unknown := [label for label, index in indices.items() if index is None]:
        raise UsageError(
            f"{name} does not know {', '.join(unknown)} of the scenes of --parts: train it on "
            "them ('camcli train --data FOLDER')."
        )
    return {label: index for label, index in indices.items() if index is not None}


def ask_parts(
    classifier: Classifier,
    name: str,
    refs: Iterable[ImageRef],
    hows: dict[str, MapOptions],
    scenes: PartScenes,
    *,
    seed: int = 0,
    others: Mapping[str, Other] | None = None,
    failed: Callable[[ImageError], object] = lambda error: None,
    progress: Callable[[], object] = lambda: None,
    ended: Callable[[BaseException, int], object] | None = None,
) -> PartAnswers:
    """Measure methods and controls on scenes that are there again without their parts.

    Args:
        classifier: the network.
        name: its name, for messages.
        refs: the photographs; those that are no scenes are passed over.
        hows: methods by name.
        scenes: the scenes.
        seed: of the control that is drawn.
        others: maps that are no CAMs, by name; taken as they are, not cut off at zero.
        failed: told of a scene of which a picture cannot be read.
        progress: called after each photograph.
        ended: told of what ended it, and after how many photographs, where some scenes were
            measured until then; else it is raised.

    Raises:
        UsageError: the network is not one of classes that exclude each other, does not know those
            of the scenes, or none of the photographs is a scene.
    """
    known = check_parts(classifier, name, scenes)
    controls = ("centre-box", GAUSSIAN, "noise")
    others = others or {}
    answers = PartAnswers({method: PartScores() for method in (*controls, *hows, *others)}, [])
    refs = list(refs)
    scenes.matching(refs)
    number = 0
    try:
        for number, ref in enumerate(refs):
            if (scene := scenes.of(ref)) is not None:
                try:
                    rows, own = _measured(
                        classifier, ref, scene, scenes, known, hows, others, seed + number
                    )
                except ImageError as error:
                    failed(error)
                else:
                    for method, row in rows.items():
                        answers.scores[method].add(row)
                    answers.network.append(own)
            progress()
    except BaseException as error:
        if ended is None or not answers.network:
            raise
        ended(error, number)
    return answers


def _measured(
    classifier: Classifier,
    ref: ImageRef,
    scene: PartScene,
    scenes: PartScenes,
    indices: dict[str, int],
    hows: dict[str, MapOptions],
    others: Mapping[str, Other],
    seed: int,
) -> tuple[dict[str, PartRow], dict[str, float]]:
    """The rows of one scene by method, and what is known of the network."""
    asked, whole = _looked(classifier, ref, scene, scenes, indices, hows, others, seed)
    parts = scenes.parts
    singles = [frozenset([each]) for each in (*parts, *scene.things)]
    wanted = dict.fromkeys(singles)
    pairs: tuple[frozenset[str], ...] = ()
    if asked.rivals:
        pairs = tuple(scenes.shared(scene.label, each) for each in asked.rivals)
        wanted.update(dict.fromkeys(pairs))
    chosen = {}
    for method, words in asked.words.items():
        own, total = words[asked.predicted]
        of_parts = {part: own.get(part, 0.0) for part in parts}
        chosen[method] = protocol.important(of_parts, total)
        for some in chosen[method]:
            wanted.update(dict.fromkeys((some, frozenset(parts) - some)))
    wanted.pop(_NONE, None)
    logits = {_NONE: whole, **_without(classifier, ref, scene, list(wanted))}
    without = {each: float(logits[frozenset([each])][asked.target]) for each in
               (*parts, *scene.things)}  # fmt: skip
    nothing = protocol.irrelevant(float(whole[asked.target]), without)
    rows = {
        method: _row(asked, method, chosen[method], logits, nothing, scenes, pairs, indices)
        for method in asked.words
    }
    things = [thing in nothing for thing in scene.things]
    return rows, {"background_independence": float(np.mean(things)) if things else float("nan")}


def _looked(
    classifier: Classifier,
    ref: ImageRef,
    scene: PartScene,
    scenes: PartScenes,
    indices: dict[str, int],
    hows: dict[str, MapOptions],
    others: Mapping[str, Other],
    seed: int,
) -> tuple[_Asked, np.ndarray]:
    """What all maps say of the parts of a scene, and the scene's logits (C,)."""
    decoded = read(ref, classifier, lambda rgb: rgb[:0])
    if isinstance(decoded, ImageError):
        raise decoded
    size = decoded.width, decoded.height
    view: View = decoded.view
    look = framed(classifier.look(decoded.pixels[None]), classifier, [(view, size)])
    logits = look.logits[0].float().cpu().numpy()
    if not np.isfinite(logits).all():
        raise ImageError(f"{printable(ref.path)}: scores that are not finite (NaN or infinity).")
    target, predicted = indices[scene.label], int(logits.argmax())
    rivals = scenes.rivals(scene.label)
    classes = [target, predicted, *(indices[each] for each in rivals or ())]
    regions = scene.regions()
    words: dict[str, dict[int, tuple[dict[str, float], float]]] = {}

    def say(method: str, index: int, heat: np.ndarray) -> None:
        total = float(heat.sum(dtype=np.float64))
        words.setdefault(method, {})[index] = part_importances(heat, regions), total

    for index in dict.fromkeys(classes):
        say("centre-box", index, centre_box())
        say(GAUSSIAN, index, centre_gaussian())
        whole = (0.0, 0.0, float(size[0]), float(size[1]))
        # Another for each class: which of two classes has more heat somewhere is then a toss-up.
        say("noise", index, spread(noise(seed * 1000 + index), whole, size))
        for method, maps in explained(classifier, look, [index], hows).items():
            if not np.isfinite(maps).all():
                raise ImageError(
                    f"{printable(ref.path)}: values of {method} that are not finite (NaN)."
                )
            warm = np.maximum(without_margins(maps[0], view, size), 0)
            say(method, index, spread(warm, view, size))
        for method, made in others.items():
            signed = np.asarray(made(look.images, index), np.float32)
            say(method, index, spread(without_margins(signed, view, size), view, size))
    return _Asked(scene, regions, target, predicted, rivals, words), logits


def _without(
    classifier: Classifier, ref: ImageRef, scene: PartScene, wanted: Sequence[Collection[str]]
) -> dict[frozenset[str], np.ndarray]:
    """The logits (C,) of a scene without each of several sets of parts or things."""
    found: dict[frozenset[str], np.ndarray] = {}
    for start in range(0, len(wanted), _CHUNK):
        group = [frozenset(gone) for gone in wanted[start : start + _CHUNK]]
        pixels = []
        for gone in group:
            path = scene.without(gone)
            one = read(ImageRef(path, path.name, None), classifier, lambda rgb: rgb[:0])
            if isinstance(one, ImageError):
                raise ImageError(f"{printable(ref.path)}: without {', '.join(sorted(gone))}: {one}")
            pixels.append(one.pixels)
        logits = classifier.look(torch.stack(pixels)).logits.float().cpu().numpy()
        found.update(zip(group, logits, strict=True))
    return found


def _row(
    asked: _Asked,
    method: str,
    chosen: list[frozenset[str]],
    logits: dict[frozenset[str], np.ndarray],
    nothing: frozenset[str],
    scenes: PartScenes,
    pairs: tuple[frozenset[str], ...],
    indices: dict[str, int],
) -> PartRow:
    """One map's row, once the network has said what it makes of the scene without the parts."""
    parts = frozenset(scenes.parts)
    words, total = asked.words[method][asked.target]
    of_target = protocol.important(words, total)
    right = asked.predicted == asked.target
    own = [some & parts for some in of_target]
    csdc = protocol.csdc(own, scenes.sufficient(asked.scene.label))
    stays = [logits[parts - some].argmax() == asked.predicted for some in chosen]
    changes = [logits[some].argmax() != asked.predicted for some in chosen]
    losses = [
        float(logits[_NONE][asked.target] - logits[frozenset([part])][asked.target])
        for part in scenes.parts
    ]
    return PartRow(
        csdc if right else np.full(len(own), np.nan),
        np.array(stays, np.float64),
        np.array(changes, np.float64),
        protocol.distractibility(of_target, nothing),
        protocol.single_deletion(losses, [words.get(part, 0.0) for part in scenes.parts]),
        _sensitivity(asked, method, logits, pairs, indices),
    )


def _sensitivity(
    asked: _Asked,
    method: str,
    logits: dict[frozenset[str], np.ndarray],
    pairs: tuple[frozenset[str], ...],
    indices: dict[str, int],
) -> float:
    """0, 1/2 or 1: of two rivals, how many have more of their map on their own parts."""
    if asked.rivals is None:
        return float("nan")
    one, other = (indices[each] for each in asked.rivals)
    ones, others = pairs
    needed = logits[ones][one] < logits[others][one] and logits[others][other] < logits[ones][other]
    if not needed:
        return float("nan")

    def heat(index: int, some: frozenset[str]) -> float:
        return sum(asked.words[method][index][0].get(part, 0.0) for part in some)

    right = heat(one, ones) > heat(other, ones), heat(other, others) > heat(one, others)
    return float(np.mean(right))
