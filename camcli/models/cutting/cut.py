"""Cut a network in two: images -> A (features), A -> logits (tail).

The cut is made on the network's own graph (`camcli.models.cutting.cut_graph`), so the tail can be
run alone. What cannot be traced is cut with hooks (`camcli.models.cutting.cut_hooks`). Nothing is
assumed about names: the last map is the first one met on the way back from the logits, and whether
the tail is global average pooling + linear is found out by comparing numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from camcli.errors import CamcliError, UsageError
from camcli.models.cutting import cut_graph, cut_hooks
from camcli.models.cutting.cut_graph import new_head
from camcli.models.cutting.cut_sequence import MappedSequence, cut_at_last
from camcli.models.cutting.graph.fx_graph import PROBE, Traced, trace
from camcli.models.cutting.graph.pieces import found_in_pieces, not_to_convert
from camcli.models.cutting.purity import check_steady, same
from camcli.models.cutting.scores.asking import Shape, answered, shape_of
from camcli.models.cutting.scores.final_activation import (
    BOUND,
    Whole,
    end_on_graph,
    ending_at,
    in_precision,
    value_on_graph,
)
from camcli.models.cutting.scores.linear_end import ends_linear
from camcli.models.cutting.scores.settled_output import settle
from camcli.models.cutting.two_sided import two_sided_cut
from camcli.models.cutting.types import Cut, CutsItself, Head, LinearHead, NoMapError, Place, Tail
from camcli.models.outputs import Output, largest, rows_of
from camcli.models.pooling.network import POOLED, with_pooling
from camcli.models.pooling.pooling import Pooling
from camcli.models.pooling.statistics import pooled_shape
from camcli.models.spec import LAST, OutputKind

__all__ = ["Cut", "LinearHead", "Place", "Tail", "cut"]

log = logging.getLogger(__name__)


def cut(
    model: nn.Module,
    size: int | Shape,
    layers: Sequence[str] = (LAST,),
    *,
    head: Head | None = None,
    pooling: Pooling | None = None,
    output: OutputKind | None = None,
) -> Cut:
    """Cut `model`.

    Args:
        model: in eval mode; images (B, 3, H, W) -> logits (B, C). It is not changed.
        size: side of a square input, in pixels, for the trial run; or its (channels, height,
            width).
        layers: names as `camcli layers` gives them; ``last`` is the last spatial map before the
            logits, or for a transformer with a class token the last tokens that it looks at.
        head: what to put in place of everything after ``last``: maps (B, K, h, w) -> (B, C).
        pooling: with `head`: which maps it is given in place of the last one; they are ``last``
            then, and their layer is called `POOLED`.
        output: what the network returns; None to find out
        (`camcli.models.cutting.scores.final_activation`).

    Returns:
        The two halves, checked on a trial input: ``tail(features(x)) == model(x)``, but for an
        activation at the end of `model`, which is left out. A network with one output has two,
        unless it is a value.

    Raises:
        CamcliError: the network returns no (B, C) logits, or has no spatial map, or answers
            differently each time.
        UsageError: a layer's name is unknown, or the layer has no map, or the network does not
            take images of this size, or its outputs cannot be what `output` says.
    """
    if isinstance(model, CutsItself) and head is None:
        return model.cut_itself(shape_of(size), layers, output)
    with torch.no_grad():  # not inference mode: the halves' copied weights must allow autograd
        model, probe, raw, writes = answered(model, size)
        if head is not None:
            last = _with_head(cut_before_head(model, size, pooling), head)
            if tuple(layers) in ((LAST,), (last.layer,)):
                return last
            raw = head(last.features(probe))
        tried = _at_its_own_place(model, probe, layers, raw, output) if head is None else None
        try:
            tried = tried or _on_graph(model, probe, layers, raw, writes, output, head, pooling)
        except (NoMapError, UsageError):
            raise
        except Exception as error:  # whatever tracing meets in foreign code: hooks need none of it
            if head is not None:
                raise UsageError(
                    "This network cannot be traced, so only its last map can be explained with a "
                    "head of one's own: leave --layer out."
                ) from error
            log.debug("graph cut failed (%s); cutting with hooks", error)
            tried = _with_hooks(model, probe, layers, raw, output)
        made = tried.cut
        places = tuple(
            replace(place, matters=_matters(tail, A))
            if place.batched
            else replace(place, head=_linear_head(model, tail, A, tried.expected))
            for (A, tail), place in zip(tried.pieces, made.places, strict=True)
        )
    made = replace(made, places=places, output=tried.output)
    if made.outputs > 1 or head is not None or made.output.measures:
        return made
    return two_sided_cut(made)


def cut_before_head(model: nn.Module, size: int | Shape, pooling: Pooling | None = None) -> Cut:
    """Cut `model` where a new head is to begin; what follows there is its own still.

    Args:
        model: as for `cut`.
        size: as for `cut`.
        pooling: as for `cut`.

    Returns:
        A cut at one place, whose tail is of no use with a pooling.

    Raises:
        NoPoolingError: the network has no such layer, or no map there.
    """
    try:
        made = cut(model, size, (pooling or Pooling()).layers)
    except UsageError as error:
        raise error if pooling is None else NoPoolingError(str(error)) from error
    if pooling is None:
        return made
    shapes = dict(zip(pooling.layers, (place.shape for place in made.places), strict=True))
    place = Place(POOLED, made.tail, (), None, pooled_shape(pooling, shapes))
    return replace(made, first=with_pooling(made.first, made.plain, pooling), places=(place,))


class NoPoolingError(UsageError):
    """A network has not the maps of a pooling."""


def _with_head(last: Cut, head: Head) -> Cut:
    """A cut at one place with another end."""
    linear = head if isinstance(head, LinearHead) else None
    place = replace(last.places[0], tail=head, batched=(), head=linear)
    return Cut(last.first if last.plain else last.features, (place,), head.outputs)


@dataclass(frozen=True)
class _Tried:
    """A cut that was checked.

    Attributes:
        cut: the halves.
        pieces: A and the tail of a trial input, at each place.
        expected: its logits (B, C).
        output: what they are.
    """

    cut: Cut
    pieces: list[tuple[Tensor, Tail]]
    expected: Tensor
    output: Output


def _at_its_own_place(
    model: nn.Module,
    probe: Tensor,
    layers: Sequence[str],
    raw: Tensor,
    asked: OutputKind | None,
) -> _Tried | None:
    """The cut of a network that says where its last map is; None for others, or if it is not so."""
    if not isinstance(model, MappedSequence) or tuple(layers) not in ((LAST,), (model.last_map,)):
        return None
    if not isinstance(model[-1], nn.Linear):  # an activation at the end is found on the graph
        return None
    found, _ = settle(raw.float(), None, asked, linear=True)
    made, A = cut_at_last(model, probe, raw.shape[1])
    pieces = [(A, Tail(made.tail))]
    try:
        _check(made, pieces, raw)
    except CamcliError as error:
        log.debug("not cut where the network says (%s); tracing", error)
        return None
    return _Tried(made, pieces, raw, found)


def _on_graph(
    model: nn.Module,
    probe: Tensor,
    layers: Sequence[str],
    raw: Tensor,
    writes: bool,
    asked: OutputKind | None,
    head: Head | None = None,
    pooling: Pooling | None = None,
) -> _Tried:
    """The cut of a network that can be traced.

    Raises:
        Exception: whatever tracing meets in code that it cannot follow.
    """
    traced = trace(model, probe, writes=writes)
    if head is not None:
        known = traced.names
        traced, expected, found = new_head(traced, head, probe, pooling), raw, Output()
        if gone := [name for name in layers if name in known and name not in traced.names]:
            raise UsageError(
                f"Nothing of layer {gone[0]!r} reaches this checkpoint's head, which is given "
                f"{pooling or 'the last map'}: leave --layer out, or name one before that."
            )
    else:
        traced, expected, found = _ended(traced, probe, raw, asked)
    nodes = [found_in_pieces(model, traced, name, probe) for name in layers]
    made = cut_graph.cut_at(traced, nodes)
    not_to_convert(model, traced, made)
    pieces = made.split(probe)
    _check(made, pieces, expected)
    if tuple(layers) == (LAST,) and (told := cut_graph.passed_by(traced, nodes[0])):
        found = replace(found, told=f"{found.told} {told}".strip())
    return _Tried(made, pieces, expected, found)


def _ended(
    traced: Traced,
    probe: Tensor,
    raw: Tensor,
    asked: OutputKind | None,
) -> tuple[Traced, Tensor, Output]:
    """The graph that ends in logits, these for the probe, and what they are."""
    end = end_on_graph(traced, probe, raw)
    found, without = settle(raw.float(), end and end[0], asked, linear=ends_linear(traced))
    if found.kind == "binary" and found.assumed and (name := value_on_graph(traced, probe, raw)):
        found = Output("none", BOUND.format(name=name))
    node = end[1] if end and without else traced.output.all_input_nodes[0]
    if traced.shapes[node] != tuple(raw.shape) or (end and without):
        traced = ending_at(traced, node, raw.shape[1])
    expected = traced.whole(probe) if without else raw
    if expected.dtype != probe.dtype:  # some compute their last step in double precision
        traced, expected = in_precision(traced, probe.dtype), expected.to(probe.dtype)
    return traced, expected, found


def _with_hooks(
    model: nn.Module,
    probe: Tensor,
    layers: Sequence[str],
    raw: Tensor,
    asked: OutputKind | None,
) -> _Tried:
    """The same for a network that cannot be traced, or not as it is.

    Raises:
        CamcliError: it is no function of one picture.
    """
    if not same(rows_of(model(probe[:1].repeat(PROBE, 1, 1, 1)), PROBE), raw[:1].repeat(PROBE, 1)):
        check_steady(model, probe)
    whole = Whole(model, probe, raw)
    found, without = settle(raw.float(), whole.family, asked, linear=whole.linear)
    if not without:
        whole.keep_end()
    expected = whole(probe)
    try:
        made = cut_hooks.cut_at(whole, probe, layers, expected)
        pieces = made.split(probe)
        _check(made, pieces, expected)
    except UsageError:
        raise
    except CamcliError:
        check_steady(model, probe)  # says what is wrong, if it is this
        raise
    return _Tried(made, pieces, expected, found)


def _check(made: Cut, pieces: list[tuple[Tensor, Tail]], expected: Tensor) -> None:
    """Both halves together are the network, for any rows, and the tail leaves A alone.

    Args:
        made: the cut.
        pieces: what it makes of a trial input.
        expected: what the network says of it, (B, C).

    Raises:
        CamcliError: they are not.
    """
    rows = torch.tensor([1, 0, 1])
    tolerance = 1e-3 * largest(expected)
    for (A, tail), place in zip(pieces, made.places, strict=True):
        before = A.clone()
        for got, truth in ((tail(A), expected), (tail(A[rows], rows), expected[rows])):
            if not torch.allclose(got, truth, rtol=1e-3, atol=tolerance):
                raise CamcliError(
                    f"The network cannot be cut at {place.layer!r}: the rest of it does not "
                    "reproduce its logits."
                )
        if not torch.equal(A, before):
            raise CamcliError(f"The network writes over what {place.layer!r} returns.")


def _matters(tail: Tail, A: Tensor) -> bool:
    """Whether another map gives other logits."""
    noise = torch.randn(A.shape, generator=torch.Generator().manual_seed(2))
    return not torch.equal(tail(A + A.std().clamp(min=1e-3) * noise), tail(A))


def _linear_head(
    model: nn.Module, tail: Callable[[Tensor], Tensor], A: Tensor, logits: Tensor
) -> LinearHead | None:
    """The tail's weights if it is GAP + linear, decided by numbers.

    On maps of either sign and of any size: a ReLU, a clipping or a soft cap between the pooling
    and the linear layer may leave ordinary features as they are.
    """
    channels, classes = A.shape[1], logits.shape[1]
    random = torch.randn(A.shape, generator=torch.Generator().manual_seed(1))
    trials = (A, random, 1e4 * random)
    try:
        answers = [tail(a) for a in trials]
    except RuntimeError:
        return None
    # The tail's own modules first: it may end in a head that the network never had.
    own = tail.run if isinstance(tail, Tail) else tail
    modules = [*model.modules(), *(own.modules() if isinstance(own, nn.Module) else ())]
    for module in reversed(modules):
        weight = getattr(module, "weight", None)
        if not isinstance(module, nn.Linear | nn.Conv2d) or not isinstance(weight, Tensor):
            continue
        if weight.numel() != channels * classes or weight.shape[0] != classes:
            continue
        bias = module.bias if module.bias is not None else torch.zeros(classes)
        head = LinearHead(
            weight.detach().reshape(classes, channels).float().clone(),
            bias.detach().float().clone(),
        )
        if all(
            torch.allclose(head(a), answer, rtol=1e-4, atol=1e-4 * largest(answer))
            for a, answer in zip(trials, answers, strict=True)
        ):
            return head
    return None
