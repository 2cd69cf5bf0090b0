"""A network with one output as one with two: of the class, and of what is not it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from camcli.models.cutting.types import Cut, LinearHead
from camcli.models.outputs import TwoSided
from camcli.models.spec import OutputKind


def two_sided_cut(made: Cut) -> Cut:
    """A network with one output as the two columns of its two classes."""
    places = tuple(
        replace(place, tail=tail, head=head)
        for place in made.places
        for tail, head in [two_columns(place.tail, place.head, made.output.kind)]
    )
    return replace(made, places=places, outputs=2)


def two_columns(
    tail: Callable[..., Tensor], head: LinearHead | None, kind: OutputKind
) -> tuple[Callable[..., Tensor], LinearHead | None]:
    """A tail and a head with one output, with two: p becomes (1 - p, p), a logit z (-z, z)."""
    if head is not None:
        rest = 1 - head.bias if kind == "probabilities" else -head.bias
        head = LinearHead(torch.cat([-head.weight, head.weight]), torch.cat([rest, head.bias]))
    return TwoSided(tail, kind), head


def taken_for(
    tail: Callable[..., Tensor], head: LinearHead | None, kind: OutputKind
) -> tuple[Callable[..., Tensor], LinearHead | None]:
    """What `two_columns` made of one logit, of an output that is something else after all.

    Args:
        tail: with two columns.
        head: likewise.
        kind: ``none``, of which there is one column, or ``probabilities``.
    """
    assert isinstance(tail, TwoSided)
    head = head and LinearHead(head.weight[1:], head.bias[1:])
    return (tail.tail, head) if kind == "none" else two_columns(tail.tail, head, kind)
