"""Methods and networks side by side on the same photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from camcli.cam.map_options import MapOptions
from camcli.cam.method_facts import TRAINED
from camcli.data.sources.refs import ImageRef
from camcli.errors import ImageError, UsageError
from camcli.evaluate.comparison.measuring.in_domain import InDomain, PatchAnswer
from camcli.evaluate.comparison.measuring.one_pass import PATCHES, PLACES, WRITTEN, OnePass
from camcli.evaluate.comparison.measuring.part_rows import ask_parts, part_rows
from camcli.evaluate.comparison.measuring.refusals import check_questions, why_no_grid
from camcli.evaluate.comparison.questions.questions import Questions
from camcli.evaluate.comparison.rows.columns import CLASSIFICATION, CONTROLS, MetricRow
from camcli.evaluate.comparison.rows.losses import MAPS, Losses
from camcli.evaluate.comparison.rows.work import Work
from camcli.evaluate.measured.part_scenes import PartScenes
from camcli.evaluate.measured.seen import Seen, see_photographs
from camcli.evaluate.metrics.grid import choose_cells, grid_game
from camcli.models.classifier import Classifier
from camcli.printable import counted

FEWEST_MOSAICS = 6
"""Below which chance makes all of them agree too often to say which method is better."""


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
        cut: photographs of which a box reaches out of the picture, and that box.
        partial: how far it came, where something ended it; else empty.
        stopped: what a person ended it with (Ctrl-C, SIGTERM); None where nobody did.
    """

    rows: list[MetricRow]
    predictions: dict[str, Any]
    untold: int = 0
    learned: dict[str, Any] = field(default_factory=dict)
    drawn: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    outside: tuple[str, ...] = ()
    cut: dict[str, str] = field(default_factory=dict)
    partial: str = ""
    stopped: BaseException | None = None


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
    losses: Losses | None = None,
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
        losses: told of a measure that failed, which costs nothing but itself.

    Returns:
        The rows and the predictions' worth. Where the network fails on all that is left, or a
        person stops it, those of the photographs until then: see `Comparison.partial`.

    Raises:
        UsageError: this network cannot be asked this, see `check_questions`; or there is nothing
            but a grid to be measured, and it cannot be played.
    """
    losses = Losses() if losses is None else losses
    check_questions(classifier, name, hows, ask)
    # What was trained on boxes can be right about places; of the network it explains nothing.
    explaining = {method: how for method, how in hows.items() if method != TRAINED.name}
    inside = InDomain(
        classifier, explaining, ask.without_patches, ask.fidelity, ask.seed, progress, again
    )
    looked = OnePass(
        classifier, name, hows, ask, inside, losses,
        controls=controls, shares=shares, failed=failed,
    )  # fmt: skip
    refs = list(refs)
    work = Work(name, losses, repeats=ask.repeats, seed=ask.seed)
    shown = {} if ask.only_of_parts else hows

    def lost(method: str, error: Exception, ref: ImageRef) -> None:
        losses.add(error, MAPS, method, of=name, at=ref.rel)
        explaining.pop(method, None)
        inside.leave_out(method)

    try:
        for seen in see_photographs(
            classifier, refs, shown, every_label=True, failed=failed, lost=lost
        ):
            looked.add(seen)
            if seen.first:
                progress()
    except BaseException as error:
        if not looked.count:
            raise
        work.end(error, f"{looked.count} of {counted(len(refs), 'photograph')}")

    for what, method, part in looked.measures():
        work.do(
            f"{what} of {method}",
            partial(work.row, "" if _of_no_network(what, method) else name, method, part),
            always=True,
        )
    learned: dict[str, Any] = {}
    left_out: list[str] = []

    def patches(answer: Callable[[], PatchAnswer]) -> None:
        means, told = answer()
        for method, part in means.items():
            work.row(name, method, part)
        learned.update(told)

    if not losses.has(PATCHES, of=name):
        for what, answer in inside.found():
            work.do(what, partial(patches, answer))
        left_out += [why] if (why := inside.why_as_it_is) else []
    unplayed: list[UsageError] = []

    def grid(n: int) -> None:
        try:
            left_out.extend(_grid(classifier, work, looked.kept, explaining, n, ask))
        except UsageError as error:
            if n in ask.grid:
                unplayed.append(error)
            left_out.append(f"No grid pointing game. {error}")

    for n in dict.fromkeys((*ask.grid, *ask.grid_if)):
        work.do(f"{n}x{n} grid", partial(grid, n))

    def parts(scenes: PartScenes) -> None:
        again("scenes without their parts")
        answers = ask_parts(
            classifier, name, refs, explaining, scenes, seed=ask.seed, failed=failed,
            progress=progress,
            ended=lambda error, n: work.end(error, f"{n} of {counted(len(refs), 'photograph')}"),
        )  # fmt: skip
        repeats = 0 if work.stopped else ask.repeats
        work.rows += part_rows(answers, name, repeats=repeats, seed=ask.seed, drawn=work.drawn)

    if ask.parts is not None:
        work.do("scenes without their parts", partial(parts, ask.parts))
    # What was found out beside it, at some length it may be, is not lost for it.
    if unplayed and not any(row.metrics for row in work.rows):
        raise unplayed[0]
    predicted: dict[str, Any] = {}

    def judge() -> None:
        if (predictions := looked.predictions(confidence)) is not None:
            predicted.update(predictions.record())
            work.row(name, CLASSIFICATION, predictions, first=True)

    work.do("predictions", judge, always=True)
    return Comparison(
        merged(work.rows), predicted, len(looked.untold), learned, work.drawn, left_out,
        tuple(looked.outside), looked.cut, work.partial, work.stopped,
    )  # fmt: skip


def _of_no_network(what: str, method: str) -> bool:
    """Whether a row is the same for all networks: where the heat of a control lies.

    What a network loses without the middle of a photograph is its own affair.
    """
    return method in CONTROLS and what in (PLACES, WRITTEN)


def _grid(
    classifier: Classifier,
    work: Work,
    kept: Sequence[Seen],
    hows: dict[str, MapOptions],
    n: int,
    ask: Questions,
) -> list[str]:
    """The rows of the grid pointing game, added to the work's; and what should be said of them.

    Raises:
        UsageError: it cannot be played with these photographs, or by this network.
    """
    mosaics = choose_cells(kept, n, confidence=ask.grid_confidence, seed=ask.seed)
    if n not in ask.grid and (why := why_no_grid(classifier, n)):
        raise UsageError(f"{work.name} {why}.")
    games = grid_game(classifier, mosaics, hows, n)
    # Draws from one mosaic or two would all say the same, however little they know.
    enough = len(mosaics) >= FEWEST_MOSAICS
    for method, part in games.items():
        work.row(work.name, method, part, drawn=enough)
    if enough or not ask.repeats:
        return []
    return [
        f"Of the {n}x{n} grid there {'is' if len(mosaics) == 1 else 'are'} "
        f"{counted(len(mosaics), 'mosaic')} of photographs that the network is sure of: "
        "too few for intervals, and to say by it which method is better."
    ]


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
