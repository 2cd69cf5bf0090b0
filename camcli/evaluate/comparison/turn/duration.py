"""How long an evaluation will take, from timing it on a photograph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

from camcli.cam.method_facts import TRAINED
from camcli.data.sources.refs import ImageRef
from camcli.errors import ImageError
from camcli.evaluate.metrics.fidelity import DRAWS
from camcli.evaluate.metrics.single_deletion import GRID
from camcli.models.classifier import Classifier
from camcli.train.fitting.adapted_head import FEWEST
from camcli.train.fitting.adapted_head import expected_seconds as learning_seconds

if TYPE_CHECKING:
    from camcli.cam.map_options import MapOptions
    from camcli.evaluate.comparison.questions.questions import Questions

TRIED = 5
"""Photographs that are tried, should the first be unreadable."""
SANITY_PASSES = 7
"""Times that the sanity checks look at all photographs: of copies, and of heads."""


def expected_seconds(
    classifier: Classifier,
    refs: Sequence[ImageRef],
    hows: dict[str, MapOptions],
    ask: Questions,
    *,
    sanity: bool = False,
) -> float | None:
    """About how long `compare` will take, and the sanity checks.

    Everything that is asked of a photograph is asked of the first one, and of the first that is a
    scene what is asked of scenes with parts; it is asked again later, so an evaluation that tells
    its time takes longer by one photograph in their number.

    Args:
        classifier: the network.
        refs: the photographs.
        hows: methods by name.
        ask: what is measured.
        sanity: also the sanity checks.

    Returns:
        Seconds; None where none of the first photographs can be read.
    """
    from camcli.evaluate.comparison.measuring.compare import compare
    from camcli.evaluate.measured.seen import see_photographs

    for ref in refs[:TRIED]:
        # The first look pays for what is made once, such as buffers.
        if not list(see_photographs(classifier, [ref], hows, lost=_unheard)):
            continue
        start = perf_counter()
        list(see_photographs(classifier, [ref], hows, lost=_unheard))
        look = perf_counter() - start
        each = 0.0
        if ask.only_of_parts:
            each = look  # the protocol makes its own maps
        else:
            start = perf_counter()
            plain = replace(ask, repeats=0, grid=(), grid_if=(), parts=None)
            tried = compare(classifier, "", [ref], hows, plain)
            if tried.stopped:
                raise tried.stopped
            each = perf_counter() - start
        learning = 0.0
        if classifier.head is not None and len(refs) >= FEWEST:
            asked = ((ask.deletion or ask.faithfulness, GRID**2 + 1), (ask.fidelity, DRAWS + 1))
            learning = sum(
                learning_seconds(classifier.head, len(refs), pictures)
                for does, pictures in asked if does
            )  # fmt: skip
        again = (ask.deletion or ask.faithfulness) + (SANITY_PASSES if sanity else 0)
        # A mosaic of n x n photographs is as large as they are, and each of them is in one.
        again += len({*ask.grid, *ask.grid_if})
        scenes = _seconds_of_scenes(classifier, refs, hows, ask)
        return len(refs) * (each + again * look) + learning + scenes
    return None


def _unheard(method: str, error: Exception, ref: ImageRef) -> None:
    """A method that fails takes no time later, either, and is told of then."""


def _seconds_of_scenes(
    classifier: Classifier, refs: Sequence[ImageRef], hows: dict[str, MapOptions], ask: Questions
) -> float:
    """Of the protocol of scenes with parts: one is asked, and they are counted."""
    from camcli.evaluate.comparison.measuring.part_rows import ask_parts

    if ask.parts is None:
        return 0.0
    known = [ref for ref in refs if ask.parts.of(ref) is not None]
    explaining = {method: how for method, how in hows.items() if method != TRAINED.name}
    for ref in known[:TRIED]:
        failed: list[ImageError] = []
        start = perf_counter()
        ask_parts(classifier, "", [ref], explaining, ask.parts, failed=failed.append)
        if not failed:
            return len(known) * (perf_counter() - start)
    return 0.0


def in_words(seconds: float) -> str:
    """``about 3 minutes``: as much as such a guess is worth.

    Example:
        >>> in_words(3), in_words(100), in_words(4000)
        ('a few seconds', 'about 2 minutes', 'about 1.1 hours')
    """
    if seconds < 8:
        return "a few seconds"
    if seconds < 55:
        return f"about {round(seconds / 10) * 10} seconds"
    if seconds < 90:
        return "about a minute"
    if seconds < 3400:
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"
