"""All methods by name, and one function that makes a batch's maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from camcli.cam import activations, fullgrad, gradients, masking, noise, perturbations
from camcli.cam.attention import attnlrp
from camcli.cam.attention.legrad import legrad
from camcli.cam.attention.rollout import chefer, rollout
from camcli.cam.map_options import Effort
from camcli.cam.method_facts import NAMED, TRAINED, Facts, find_facts
from camcli.cam.method_input import Evidence, See
from camcli.cam.scores import Score
from camcli.cam.target import nearest_classes
from camcli.errors import UsageError
from camcli.models.cutting.types import LinearHead, Tail
from camcli.models.spec import OutputKind

# Finer-CAM compares with this many classes, as the authors and pytorch-grad-cam do.
FINER = 3


@dataclass(frozen=True, slots=True)
class Method(Facts):
    """A CAM method: the weights v of its map M = Σ_k v_k ⊙ A_k, or the map itself.

    Attributes:
        closed: (A, w) -> v, for a linear head.
        gradient: (A, g) -> v, for any tail.
        weights: evidence -> v.
        maps: evidence -> M (B, h, w).

    The others are those of `Facts`.
    """

    closed: Callable[[Tensor, Tensor], Tensor] | None = None
    gradient: Callable[[Tensor, Tensor], Tensor] | None = None
    weights: Callable[[Evidence], Tensor] | None = None
    maps: Callable[[Evidence], Tensor] | None = None


def _bound(name: str, **functions: Any) -> Method:
    """What is known of a method, with what computes it."""
    facts = NAMED[name]
    return Method(
        **{field.name: getattr(facts, field.name) for field in fields(Facts)}, **functions
    )


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        _bound("cam", closed=activations.class_weights),
        _bound("gradcam", closed=activations.gradcam, gradient=gradients.gradcam),
        _bound(
            "gradcam++", closed=activations.gradcam_plus_plus, gradient=gradients.gradcam_plus_plus
        ),
        _bound("smoothgradcam++", weights=noise.smoothgradcam_plus_plus),
        _bound("hirescam", closed=activations.gradcam, gradient=gradients.hirescam),
        _bound("elementwise", gradient=gradients.elementwise),
        _bound("xgradcam", closed=activations.gradcam, gradient=gradients.xgradcam),
        _bound("layercam", closed=activations.layercam, gradient=gradients.layercam),
        _bound("refinecam", closed=activations.layercam, gradient=gradients.layercam),
        _bound("finercam", closed=activations.gradcam, gradient=gradients.gradcam),
        _bound("shapleycam", weights=gradients.shapleycam),
        _bound("eigengradcam", maps=gradients.eigengradcam),
        _bound("eigencam", maps=lambda e: activations.eigencam(e.A)),
        _bound("kpcacam", maps=lambda e: activations.kpcacam(e.A)),
        _bound("fem", weights=activations.fem),
        _bound("ablationcam", weights=perturbations.ablationcam),
        _bound("reciprocam", maps=perturbations.reciprocam),
        _bound("scorecam", weights=masking.scorecam),
        _bound("scorecam-softmax", weights=masking.scorecam_softmax),
        _bound("sscam", weights=masking.sscam),
        _bound("iscam", weights=masking.iscam),
        _bound("fullgrad", maps=fullgrad.fullgrad),
        _bound("attnlrp", maps=attnlrp.attnlrp),
        _bound("legrad", maps=legrad),
        _bound("chefer", maps=chefer),
        _bound("rollout", maps=rollout),
        _bound("random", weights=activations.random),
    )
}
"""Every CAM method by the name that ``--method`` takes. ``METHODS[name].formula``, ``.paper`` and
more are what ``camcli methods`` lists."""


def _trained_on_boxes(e: Evidence) -> Tensor:
    if e.localizer is None:
        raise UsageError(NO_LOCALIZER)
    return e.localizer(e.A)


_TRAINED = _bound(TRAINED.name, maps=_trained_on_boxes)
NO_LOCALIZER = (
    f"{TRAINED.name} is a localizer that a checkpoint holds, and this network has none: "
    "'camcli train --boxes' makes one from a few boxes."
)


def find_method(name: str) -> Method:
    """The method called `name`; see `camcli.cam.method_facts.find_facts`.

    Raises:
        UsageError: there is no such method; names the nearest. ``auto`` is none before the network
            is known.
    """
    facts = find_facts(name)
    if facts.name == TRAINED.name:
        return _TRAINED
    if facts.name not in METHODS:
        raise UsageError(
            f"{facts.name} is no method by itself: camcli.cam.automatic says which it is for a "
            "network."
        )
    return METHODS[facts.name]


def heatmaps(
    method: Method,
    A: Tensor,
    logits: Tensor,
    index: Tensor,
    *,
    head: LinearHead | None,
    tail: Callable[..., Tensor],
    score: Score | None = None,
    against: Tensor | None = None,
    images: Tensor | None = None,
    see: See | None = None,
    effort: Effort | None = None,
    forward: Callable[[Tensor], Tensor] | None = None,
    output: OutputKind = "softmax",
) -> Tensor:
    """One map for each image of a batch.

    Args:
        method: which method.
        A: features (B, K, h, w).
        logits: (B, C), of the same batch.
        index: (B,) int64, the class to explain in each image.
        head: the linear head, when the tail is one: then no pass and no autograd is needed.
        tail: A -> logits (B, C).
        score: what number of that class to explain; by default the method's own.
        against: (B, n) int64, classes whose mean score is taken off; by default none.
        images: normalised, (B, 3, H, W), for methods that change them.
        see: the whole network, for the same.
        effort: how much work methods with many passes may do.
        forward: the whole network with autograd, for methods that look at every layer.
        output: what the logits are.

    Returns:
        M (B, h, w), signed and unscaled.

    Raises:
        UsageError: the method needs a linear head, or images, and there are none.
    """
    tail = tail if isinstance(tail, Tail) else Tail(tail)
    e = Evidence(
        A, logits, index, tail, head, score or method.score, against, images, see,
        effort or Effort(), forward, output,
    )  # fmt: skip
    return explain(method, e)


def explain(method: Method, e: Evidence, *, eigen: bool = False) -> Tensor:
    """The map of one batch at one layer.

    Args:
        method: which method.
        e: the batch.
        eigen: the first principal component of v ⊙ A instead of their sum over the channels.

    Returns:
        M (B, h, w), signed and unscaled.

    Raises:
        UsageError: the method needs what this network or this caller has not.
    """
    with torch.no_grad():
        if method.name == "finercam" and e.against is None:
            e = e.with_(against=nearest_classes(e.logits, e.index, FINER))
        if method.maps is not None:
            if eigen:
                raise UsageError(f"{method.name} has no channel weights to smooth: leave it out.")
            return method.maps(e)
        v = _weights(method, e)
        if eigen:
            v = v[:, :, None, None] if v.ndim == 2 else v
            return gradients.first_component(v * e.A)
        return activations.cam(e.A, v)


def _weights(method: Method, e: Evidence) -> Tensor:
    if method.weights is not None:
        return method.weights(e)
    if e.head is not None and method.closed is not None:
        return method.closed(e.A, e.w())
    if method.gradient is None:
        raise UsageError(
            f"{method.name} needs a network that ends in global average pooling and one linear "
            "layer; this one does not. Use gradcam or hirescam instead."
        )
    return method.gradient(e.A, e.gradient())
