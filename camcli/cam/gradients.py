"""Methods that look at g = ∂S/∂A (B, K, h, w), where the tail is more than a linear head.

`Evidence.gradient` gives g by autograd through the tail only. As everywhere, a method is its
weights v, (B, K) or (B, K, h, w), and its map M = Σ_k v_k ⊙ A_k.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from camcli.cam.activations import eigencam
from camcli.cam.evidence import Evidence


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

    H A costs one more backward pass and no matrix. For the logit of a linear head H is zero and
    this is Grad-CAM.

    Returns:
        v (B, K).
    """
    if e.head is not None and e.score != "probability":
        return e.w() / (e.A.shape[2] * e.A.shape[3])
    # Fused attention has no second derivative.
    with torch.inference_mode(False), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        A = e.A.clone().requires_grad_(True)
        (g,) = torch.autograd.grad(e.scored(e.tail(A)).sum(), A, create_graph=True)
        curved = torch.zeros_like(A)
        if g.requires_grad:  # else the tail is linear
            (found,) = torch.autograd.grad(g, A, A.detach(), allow_unused=True)
            curved = curved if found is None else found
    return (g.detach() - curved / 2).mean((2, 3))
