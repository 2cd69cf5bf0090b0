"""All methods by name, and one function that makes a batch's maps."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from camcli.cam import activations, fullgrad, gradients, masking, noise, perturbations
from camcli.cam.evidence import Effort, Evidence, See
from camcli.cam.target import Score, nearest_classes
from camcli.errors import UsageError
from camcli.models.parts import LinearHead, Tail

# Finer-CAM compares with this many classes, as the authors and pytorch-grad-cam do.
FINER = 3


@dataclass(frozen=True, slots=True)
class Method:
    """A CAM method: the weights v of its map M = Σ_k v_k ⊙ A_k, or the map itself.

    Attributes:
        name: as the user types it.
        formula: the map M in the papers' symbols.
        paper: where it comes from.
        cost: what it takes besides the forward pass, for a linear head and for another tail.
        closed: (A, w) -> v, for a linear head.
        gradient: (A, g) -> v, for any tail.
        weights: evidence -> v.
        maps: evidence -> M (B, h, w).
        equals: the method whose map this one is, up to a positive factor, for a linear head.
        class_specific: whether the map depends on the class at all.
        score: what it explains unless told otherwise.
        images: whether it runs the network on changed images.
        network: whether it looks at all layers at once, so that none is to be chosen.
        signed: whether what is below zero in its map speaks against the class.
    """

    name: str
    formula: str
    paper: str
    cost: tuple[str, str]
    closed: Callable[[Tensor, Tensor], Tensor] | None = None
    gradient: Callable[[Tensor, Tensor], Tensor] | None = None
    weights: Callable[[Evidence], Tensor] | None = None
    maps: Callable[[Evidence], Tensor] | None = None
    equals: str | None = None
    class_specific: bool = True
    score: Score = "logit"
    images: bool = False
    network: bool = False
    signed: bool = False


FREE, TAIL = "nothing", "tail forward + backward"
MASKS = "K x forward, some 40 x with --converge"

METHODS: dict[str, Method] = {
    m.name: m
    for m in (
        Method(
            "cam", "Σ_k w_k A_k", "Zhou 2015, arXiv 1512.04150", (FREE, "not defined"),
            closed=activations.class_weights, signed=True,
        ),
        Method(
            "gradcam", "Σ_k mean(g_k) A_k", "Selvaraju 2016, arXiv 1610.02391", (FREE, TAIL),
            closed=activations.gradcam, gradient=gradients.gradcam, equals="cam", signed=True,
        ),
        Method(
            "gradcam++", "Σ_k A_k Σ α max(g_k, 0)", "Chattopadhay 2017, arXiv 1710.11063",
            (FREE, TAIL),
            closed=activations.gradcam_plus_plus, gradient=gradients.gradcam_plus_plus,
        ),
        Method(
            "smoothgradcam++", "Grad-CAM++ with mean g, g², g³ over noisy images",
            "Omeiza 2019, arXiv 1908.01224", (FREE, "N x (forward + tail backward)"),
            weights=noise.smoothgradcam_plus_plus, equals="gradcam++", images=True,
        ),
        Method(
            "hirescam", "Σ_k g_k ⊙ A_k", "Draelos 2020, arXiv 2011.08891", (FREE, TAIL),
            closed=activations.gradcam, gradient=gradients.hirescam, equals="cam", signed=True,
        ),
        Method(
            "elementwise", "Σ_k max(g_k ⊙ A_k, 0)", "pytorch-grad-cam, GradCAMElementWise",
            (FREE, TAIL), gradient=gradients.elementwise,
        ),
        Method(
            "xgradcam", "Σ_k A_k Σ(A_k g_k)/ΣA_k", "Fu 2020, arXiv 2008.02312", (FREE, TAIL),
            closed=activations.gradcam, gradient=gradients.xgradcam, equals="cam", signed=True,
        ),
        Method(
            "layercam", "Σ_k max(g_k, 0) ⊙ A_k", "Jiang 2021, 10.1109/TIP.2021.3089943",
            (FREE, TAIL), closed=activations.layercam, gradient=gradients.layercam,
        ),
        Method(
            "finercam", "Grad-CAM of S_c - mean of the 3 classes nearest in score",
            "Zhang 2025, arXiv 2501.11309", (FREE, TAIL),
            closed=activations.gradcam, gradient=gradients.gradcam, signed=True,
        ),
        Method(
            "shapleycam", "Σ_k A_k mean(g_k - ½ (H A)_k)", "Cai 2025, arXiv 2501.06261",
            (FREE, TAIL + ", again if it bends"), weights=gradients.shapleycam, equals="cam",
            signed=True,
        ),
        Method(
            "eigengradcam", "first principal component of g ⊙ A",
            "after Muhammad 2020, arXiv 2008.00299", ("SVD", TAIL + " + SVD"),
            maps=gradients.eigengradcam,
        ),
        Method(
            "eigencam", "first principal component of A", "Muhammad 2020, arXiv 2008.00299",
            ("SVD", "SVD"), maps=lambda e: activations.eigencam(e.A), class_specific=False,
        ),
        Method(
            "kpcacam", "first kernel principal component of A", "Karmani 2024, arXiv 2410.00267",
            ("SVD", "SVD"), maps=lambda e: activations.kpcacam(e.A), class_specific=False,
        ),
        Method(
            "fem", "Σ_k A_k share(A_k > mean + 2σ)", "Fuad 2020, hal-02963298", (FREE, FREE),
            weights=activations.fem, class_specific=False,
        ),
        Method(
            "ablationcam", "Σ_k A_k (S - S_k)/|S|", "Desai 2020, 10.1109/WACV45572.2020.9093360",
            (FREE, "K x tail forward"), weights=perturbations.ablationcam, signed=True,
        ),
        Method(
            "reciprocam", "M_ij = S(A ⊙ window_ij) - S(0)", "Byun 2022, arXiv 2209.14074",
            (FREE, "h·w x tail forward"), maps=perturbations.reciprocam, signed=True,
        ),
        Method(
            "scorecam", "Σ_k A_k p_c(x ⊙ mask_k)", "Wang 2019, arXiv 1910.01279",
            (MASKS, MASKS), weights=masking.scorecam, score="probability", images=True,
        ),
        Method(
            "scorecam-softmax", "Σ_k A_k softmax_k(S(x ⊙ mask_k))",
            "as pytorch-grad-cam computes Score-CAM", ("K x forward", "K x forward"),
            weights=masking.scorecam_softmax, images=True,
        ),
        Method(
            "sscam", "Score-CAM, mean over N noisy masks", "Wang 2020, arXiv 2006.14255",
            ("N·K x forward", "N·K x forward"), weights=masking.sscam, score="probability",
            images=True,
        ),
        Method(
            "iscam", "Score-CAM, mean over masks i/N · mask_k", "Naidu 2020, arXiv 2010.03023",
            ("N·K x forward", "N·K x forward"), weights=masking.iscam, score="probability",
            images=True,
        ),
        Method(
            "fullgrad", "ψ(x ⊙ ∂S/∂x) + Σ_l Σ_k ψ(b_lk ∂S/∂y_lk) over all layers l",
            "Srinivas 2019, arXiv 1905.00780", ("forward + backward", "forward + backward"),
            maps=fullgrad.fullgrad, network=True,
        ),
        Method(
            "random", "Σ_k v_k A_k, v_k drawn evenly from [-1, 1]", "the control", (FREE, FREE),
            weights=activations.random, class_specific=False,
        ),
    )
}  # fmt: skip


def find_method(name: str) -> Method:
    """The method called `name`; case and ``-``/``_`` do not matter, ``pp`` is ``++``.

    Raises:
        UsageError: there is no such method; names the nearest.
    """
    key = _plain(name)
    known = {_plain(known): method for known, method in METHODS.items()}
    if key in known:
        return known[key]
    near = difflib.get_close_matches(key, known, n=1)
    hint = f" Did you mean {known[near[0]].name!r}?" if near else ""
    raise UsageError(f"Unknown method {name!r}.{hint} Choose one of {', '.join(METHODS)}.")


def _plain(name: str) -> str:
    key = name.strip().lower().replace("-", "").replace("_", "")
    return key.replace("plusplus", "++").replace("campp", "cam++")


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

    Returns:
        M (B, h, w), signed and unscaled.

    Raises:
        UsageError: the method needs a linear head, or images, and there are none.
    """
    tail = tail if isinstance(tail, Tail) else Tail(tail)
    e = Evidence(
        A, logits, index, tail, head, score or method.score, against, images, see,
        effort or Effort(), forward,
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
