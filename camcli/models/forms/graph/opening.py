"""From a file to a graph with one entrance and one end; see `opened`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from camcli.errors import CamcliError, UsageError
from camcli.models.cutting.scores.final_activation import explains
from camcli.models.forms.graph.bounds import check_bounded
from camcli.models.forms.graph.entrance import Entrance, entrance_made
from camcli.models.forms.graph.network import Graph, for_any_batch, not_run
from camcli.models.forms.graph.values import GraphValues, Key, in_float32, key_of, named_apart
from camcli.models.outputs import rows_of

# What outputs with the scores of classes are called.
_SCORES = ("logit", "score", "prob", "class", "output", "pred", "softmax", "fc")
# Where a graph leaves the size of its pictures open: the first of these that it can look at.
USUAL = (224, 32, 28, 64, 96, 128, 160, 192, 240, 256, 288, 299, 300, 320, 384, 448, 512)


@dataclass(frozen=True)
class Opened:
    """A graph that can be cut.

    Attributes:
        network: with one entrance and one end.
        entrance: what its input was.
        size: (height, width) that it was tried at.
        outputs: C.
        told: what was found out and chosen, for the user.
    """

    network: Graph
    entrance: Entrance
    size: tuple[int, int]
    outputs: int
    told: tuple[str, ...]


def opened(model: Any, origin: str, side: int | None = None, chosen: str | None = None) -> Opened:
    """Give a graph one entrance and one end, and try it out.

    Args:
        model: as it was read; changed.
        origin: its file, for messages.
        side: of a square picture, where the user says it.
        chosen: the name of the output with the scores, where the user says it.

    Raises:
        UsageError: it takes several inputs, has no such output, or takes no pictures of this size.
        CamcliError: it returns no scores of classes.
    """
    named_apart(model)
    entrance = entrance_made(model, origin)
    in_float32(model)
    network = Graph(model, origin, entrance.channels, entrance.span, entrance.batch)
    size = (side, side) if side else entrance.size or _usual_size(network)
    ended, outputs, told = _end_chosen(network, size, chosen, entrance.size)
    whole = for_any_batch(ended, entrance.batch, size)
    return Opened(whole, entrance, size, outputs, tuple(filter(None, [told])))


def _usual_size(network: Graph) -> tuple[int, int]:
    """The first usual size at which a graph returns scores, found out without running it."""
    for side in USUAL:
        try:
            fixed = network.fixed(network.batch or 1, (side, side))
        except RuntimeError:
            continue
        if _scores(network, fixed):
            return side, side
    return USUAL[0], USUAL[0]


def _scores(network: Graph, fixed: GraphValues) -> list[tuple[str, Key, int]]:
    """The outputs that may be scores of classes: the names, the values, and C."""
    found = []
    for result in fixed.model.get_results():
        source = result.input_value(0)
        key = key_of(source)
        shape = fixed.shape(key)
        names = sorted(source.get_names()) or [key[0]]
        rows = shape and shape[0] == (network.batch or 1)
        if shape and rows and sum(length > 1 for length in shape[1:]) <= 1:
            found.append((names[0], key, math.prod(shape[1:])))
    return found


def _has_scores(network: Graph, batch: int, size: tuple[int, int]) -> bool:
    """Whether a graph returns scores for pictures of this (height, width)."""
    try:
        return bool(_scores(network, network.fixed(batch, size)))
    except RuntimeError:
        return False


def _end_chosen(
    network: Graph, size: tuple[int, int], chosen: str | None, built: tuple[int, int] | None
) -> tuple[Graph, int, str]:
    """The network with one output, C, and a sentence where there was a choice.

    `built` is the (height, width) that its file names, if it does.
    """
    results = network.model.get_results()
    own = network.batch or 1
    try:
        fixed = network.fixed(own, size)
    except RuntimeError as error:
        raise not_run(network.origin, size, error) from error
    check_bounded(fixed.model, network.origin, own)
    found = _scores(network, fixed)
    shown = ", ".join(
        f"{'/'.join(sorted(r.input_value(0).get_names())) or r.get_friendly_name()} "
        f"{r.input_value(0).get_element_type().get_type_name()} "
        f"{r.input_value(0).get_partial_shape()}"
        for r in fixed.model.get_results()
    )
    if not found:
        if built is not None and built != size and _has_scores(network, own, built):
            raise UsageError(
                f"{network.origin} is built for {built[1]}x{built[0]} pixels and returns no scores "
                f"of classes for {size[1]}x{size[0]}: leave --input-size out."
            )
        raise CamcliError(
            f"{network.origin} returns no scores of classes, (B, C), but {shown}: camcli explains "
            "classifiers."
        )
    if chosen is not None:
        named = [each for each in found if chosen in (each[0], each[1][0])]
        if not named:
            names = ", ".join(each[0] for each in found)
            raise UsageError(
                f"{network.origin} has no output {chosen!r} with scores; it has {names}."
            )
        best, told = named[0], ""
    else:
        best = _best(network, found, size)
        others = ", ".join(name for name, key, _ in found if key != best[1])
        told = (
            f"of its {len(results)} outputs ({shown}), {best[0]} is taken for the scores of the "
            "classes" + (f" (--weights-key NAME takes another: {others})" if others else "")
            if len(results) > 1
            else ""
        )
    return network.ending_at(best[1]), best[2], told


def _best(
    network: Graph, found: list[tuple[str, Key, int]], size: tuple[int, int]
) -> tuple[str, Key, int]:
    """The output with the scores of several: what others are an activation of, or by its name."""
    if len(found) == 1:
        return found[0]
    own = network.batch or 1
    probe = network.probe(size, own)
    values = dict(
        zip(
            [each[1] for each in found],
            network.run(probe, [each[1] for each in found]),
            strict=True,
        )
    )
    for one in found:
        for other in found:
            logits, raw = (rows_of(values[each[1]], own) for each in (one, other))
            if one is other or logits is None or raw is None:
                continue
            if explains("softmax", logits, raw) or explains("sigmoid", logits, raw):
                return one

    def likely(each: tuple[str, Key, int]) -> int:
        name = each[0].lower()
        return next((i for i, word in enumerate(_SCORES) if word in name), len(_SCORES))

    return min(found, key=likely)
