"""Methods that look at the features A and at a linear head's weights: no backward pass, no other.

Symbols: A (B, K, h, w) the features, Z = h·w, Ā = mean(A) over positions (B, K), w (B, K) the
derivative of the explained score S (B,) with respect to Ā: for a logit just w_c. All gradients are
then g_kij = ∂S/∂A_kij = w_k / Z, the same everywhere, which is why no autograd is needed.

A method is its channel weights v; its map is M = Σ_k v_k A_k.
"""

from __future__ import annotations

import torch
from torch import Tensor

from camcli.cam.method_input import Evidence


def cam(A: Tensor, v: Tensor) -> Tensor:
    """M = Σ_k v_k A_k.

    Args:
        A: (B, K, h, w).
        v: (B, K), or (B, K, h, w) when the weight of a channel depends on the position.

    Returns:
        (B, h, w), signed.
    """
    if v.ndim == 2:
        return torch.einsum("bk,bkhw->bhw", v, A)
    return (v * A).sum(1)


def class_weights(A: Tensor, w: Tensor) -> Tensor:
    """CAM: v = w, so mean(M_c) + b_c = S_c. Zhou et al. 2015, arXiv 1512.04150, eq. 2."""
    return w


def gradcam(A: Tensor, w: Tensor) -> Tensor:
    """Grad-CAM: v_k = mean(g_k) = w_k / Z. arXiv 1610.02391, eq. 1-2.

    HiResCAM, Σ_k g_k ⊙ A_k (arXiv 2011.08891), and XGrad-CAM (arXiv 2008.02312), whose weights
    Σ (A_k ⊙ g_k) / Σ A_k are w_k / Z too, are the same map here: the gradient does not depend on
    the position. The papers' ReLU comes when it is drawn.
    """
    return w / (A.shape[2] * A.shape[3])


def gradcam_plus_plus(A: Tensor, w: Tensor) -> Tensor:
    """Grad-CAM++: v_k = max(w_k, 0) / (2 + w_k Ā_k). arXiv 1710.11063, eq. 19.

    With g = w_k / Z everywhere, α_k = g² / (2 g² + Σ_ij A_kij g³) = 1 / (2 + w_k Ā_k), and the
    weight is Σ_ij α_k max(g, 0).
    """
    denominator = 2 + w * A.mean((2, 3))
    return w.clamp(min=0) / torch.where(denominator == 0, 1, denominator)


def layercam(A: Tensor, w: Tensor) -> Tensor:
    """LayerCAM: v_k = max(g_k, 0) = max(w_k, 0) / Z. Jiang et al. 2021, eq. 6-7."""
    return gradcam(A, w.clamp(min=0))


def fem(e: Evidence) -> Tensor:
    """FEM: v_k is the share of positions above mean + 2σ of A_k. Fuad et al. 2020, hal-02963298.

    It looks at no class.

    Returns:
        v (B, K).
    """
    rows = e.A.flatten(2)
    threshold = rows.mean(2) + 2 * rows.std(2, correction=0)
    return (rows > threshold[:, :, None]).to(rows.dtype).mean(2)


def random(e: Evidence) -> Tensor:
    """The control: v_k drawn evenly from [-1, 1]. A method that does not beat it shows nothing.

    Returns:
        v (B, K), the same for every image.
    """
    generator = torch.Generator().manual_seed(e.effort.seed)
    v = torch.rand(e.A.shape[1], generator=generator) * 2 - 1
    return v.to(e.A).expand(e.A.shape[:2])


def eigencam(A: Tensor) -> Tensor:
    """Eigen-CAM: A projected on its first right singular vector. arXiv 2008.00299, eq. 4.

    It looks at no class. Uncentred, as in the paper. A singular vector's sign is arbitrary: the
    one is taken for which the map sums to a positive number.

    Args:
        A: (B, K, h, w).

    Returns:
        (B, h, w).
    """
    rows = A.flatten(2)  # (B, K, Z); the small Gram matrix (Z, Z) has the same left vectors
    first = _first_component(_products(rows))
    first = first * torch.where(first.sum(1, keepdim=True) < 0, -1.0, 1.0)
    return first.to(A.device, A.dtype).reshape(A.shape[0], *A.shape[2:])


def kpcacam(A: Tensor) -> Tensor:
    """KPCA-CAM: first kernel principal component of the positions. Karmani 2024, arXiv 2410.00267.

    Kernel tanh(a·b / K + 1) of positions a and b, centred in feature space. It looks at no class.
    The sign is arbitrary too: the one is taken that agrees with how strong the features are.

    Args:
        A: (B, K, h, w).

    Returns:
        (B, h, w).
    """
    rows = A.flatten(2).cpu().double()  # in float64, which not every device has
    kernel = _centred(torch.tanh(_products(rows) / A.shape[1] + 1))
    # Features that are the same everywhere have no component, only rounding errors.
    first = _first_component(torch.where(kernel.abs() < 1e-12, 0, kernel))
    strength = rows.norm(dim=1)
    agrees = (first * (strength - strength.mean(1, keepdim=True))).sum(1, keepdim=True)
    first = first * torch.where(agrees < 0, -1.0, 1.0)
    return first.to(A.device, A.dtype).reshape(A.shape[0], *A.shape[2:])


def _products(rows: Tensor) -> Tensor:
    """Inner products (B, Z, Z) of the positions' features (B, K, Z)."""
    return torch.einsum("bki,bkj->bij", rows, rows)


def _centred(kernel: Tensor) -> Tensor:
    """A kernel matrix after taking the mean off in feature space."""
    by_row = kernel.mean(2, keepdim=True)
    return kernel - by_row - kernel.mean(1, keepdim=True) + by_row.mean(1, keepdim=True)


def _first_component(gram: Tensor) -> Tensor:
    """The first eigenvector of (B, Z, Z), as long as the root of its eigenvalue; on the CPU."""
    values, vectors = torch.linalg.eigh(gram.cpu().double())  # ascending
    return vectors[:, :, -1] * values[:, -1:].clamp(min=0).sqrt()
