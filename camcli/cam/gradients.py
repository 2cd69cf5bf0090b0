"""Methods that look at g = ∂S/∂A (B, K, h, w), where the tail is more than a linear head.

`Evidence.gradient` gives g by autograd through the tail only. As everywhere, a method is its
weights v, (B, K) or (B, K, h, w), and its map M = Σ_k v_k ⊙ A_k.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from camcli.cam.activations import eigencam
from camcli.cam.method_input import Evidence
from camcli.models.cutting.graph.piecewise import is_piecewise_linear

# What torch itself does when it first differentiates forwards; nothing of the user's.
warnings.filterwarnings("ignore", message=r"`torch\.jit\.script` is deprecated")


def gradcam(A: Tensor, g: Tensor) -> Tensor:
    """Grad-CAM: v_k = mean(g_k). arXiv 1610.02391, eq. 1-2."""
    return g.mean((2, 3))


def hirescam(A: Tensor, g: Tensor) -> Tensor:
    """HiResCAM: v = g. arXiv 2011.08891: shows only what the model used."""
    return g


def elementwise(A: Tensor, g: Tensor) -> Tensor:
    """Element-wise Grad-CAM: M = Σ_k max(g_k ⊙ A_k, 0), what speaks for the class and no more."""
    return torch.where(g * A > 0, g, 0)


def xgradcam(A: Tensor, g: Tensor) -> Tensor:
    """XGrad-CAM: v_k = Σ (A_k ⊙ g_k) / Σ A_k. arXiv 2008.02312, eq. 7."""
    total = A.sum((2, 3))
    return (A * g).sum((2, 3)) / torch.where(total == 0, 1, total)


def gradcam_plus_plus(A: Tensor, g: Tensor) -> Tensor:
    """Grad-CAM++: v_k = Σ α ⊙ max(g, 0), α = g² / (2 g² + Σ_ab A_k g³). 1710.11063, eq. 19."""
    total = A.sum((2, 3), keepdim=True)
    # Divided by g² first: g² and g³ of a real network underflow in float32.
    denominator = 2 + total * g
    alpha = torch.where(g == 0, 0, 1 / torch.where(denominator == 0, 1, denominator))
    return (alpha * g.clamp(min=0)).sum((2, 3))


def averaged_plus_plus(A: Tensor, g: Tensor, g2: Tensor, g3: Tensor) -> Tensor:
    """Grad-CAM++'s weights from averages of g, g² and g³, all float64, on the CPU."""
    total = A.cpu().double().sum((2, 3), keepdim=True)
    denominator = 2 * g2 + total * g3
    alpha = torch.where(denominator == 0, 0, g2 / torch.where(denominator == 0, 1, denominator))
    return (alpha * g.clamp(min=0)).sum((2, 3)).to(A)


def layercam(A: Tensor, g: Tensor) -> Tensor:
    """LayerCAM: v = max(g, 0). Jiang et al. 2021, eq. 6-7."""
    return g.clamp(min=0)


def eigengradcam(e: Evidence) -> Tensor:
    """Eigen-Grad-CAM: the first principal component of g ⊙ A. After arXiv 2008.00299.

    The sign is arbitrary: the one is taken that agrees with the sum over the channels.

    Returns:
        M (B, h, w).
    """
    return first_component(e.gradient() * e.A)


def first_component(parts: Tensor) -> Tensor:
    """What the channels' contributions (B, K, h, w) have most in common, signed as their sum."""
    first = eigencam(parts)
    agrees = (first * parts.sum(1)).sum((1, 2), keepdim=True)
    return torch.where(agrees < 0, -first, first)


def shapleycam(e: Evidence) -> Tensor:
    """ShapleyCAM: v_k = mean(g_k - ½ (H A)_k), H = ∂²S/∂A². Cai 2025, arXiv 2501.06261.

    Where the tail is piecewise linear, as of most networks with ReLUs, only the score can bend: a
    logit's H is zero, so that this is Grad-CAM, and a probability's is Jᵀ u'' J, u the softmax and
    J the tail's Jacobian. Elsewhere H A takes one more backward pass, and never a matrix.

    Returns:
        v (B, K).
    """
    if not e.bends:
        if e.head is not None:
            return e.w() / (e.A.shape[2] * e.A.shape[3])
        if is_piecewise_linear(e.tail.run):
            return e.gradient().mean((2, 3))
    # Fused attention has no second derivative.
    with torch.inference_mode(False), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), _Twice():
        A = e.A.clone().requires_grad_(True)
        v = _bent_score(e, A) if is_piecewise_linear(e.tail.run) else _bent_tail(e, A)
    return v.mean((2, 3))


class _Twice(TorchFunctionMode):
    """Hard sigmoids, of which torch has no second derivative, as the ReLU6 that they are."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is functional.hardsigmoid:
            return functional.relu6(args[0] + 3) / 6
        return func(*args, **(kwargs or {}))


def _bent_tail(e: Evidence, A: Tensor) -> Tensor:
    """What v is the mean of, g - ½ H A (B, K, h, w); A requires gradients."""
    (g,) = torch.autograd.grad(e.scored(e.tail(A)).sum(), A, create_graph=True)
    curved = torch.zeros_like(A)
    if g.requires_grad:  # else the tail is linear
        (found,) = torch.autograd.grad(g, A, A.detach(), allow_unused=True)
        curved = curved if found is None else found
    return g.detach() - curved / 2


def _bent_score(e: Evidence, A: Tensor) -> Tensor:
    """The same through a tail that does not bend: Jᵀ (u' - ½ u'' J A), forwards and once back."""
    logits, along = torch.func.jvp(e.tail, (A,), (A.detach(),))[:2]
    S = logits.detach().requires_grad_(True)
    (first,) = torch.autograd.grad(e.scored(S).sum(), S, create_graph=True)
    (second,) = torch.autograd.grad(first, S, along.detach())
    (v,) = torch.autograd.grad(logits, A, first.detach() - second / 2)
    return v
