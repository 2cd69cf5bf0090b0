"""Methods and smoothing that look at noisy or moved copies of the image."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from camcli.cam import activations, gradients
from camcli.cam.method_input import Evidence

# Of the normalised image's range, as SmoothGrad recommends (Smilkov 2017, arXiv 1706.03825).
SIGMA = 0.15
# Flipped and not, dimmed, as it is, and brighter, as pytorch-grad-cam's `aug_smooth` does it.
GAINS = (0.9, 1.0, 1.1)


def smoothgradcam_plus_plus(e: Evidence) -> Tensor:
    """Smooth Grad-CAM++: Grad-CAM++ with g², g³ and g averaged over noisy images. 1908.01224.

    For the logit of a linear head the noise changes no gradient, so it is Grad-CAM++ itself.

    Args:
        e: with images; ``effort.samples`` noisy copies of each.

    Returns:
        v (B, K).
    """
    if e.head is not None and not e.bends:
        return activations.gradcam_plus_plus(e.A, e.w())
    first, second, third = (torch.zeros(e.A.shape, dtype=torch.float64) for _ in range(3))
    _, see = e.whole()
    for noisy in noisy_images(e):
        logits, A, tail = see(noisy)
        g = e.with_(logits=logits, A=A, tail=tail).gradient().cpu().double() / e.effort.samples
        first += g
        second += g**2 * e.effort.samples
        third += g**3 * e.effort.samples**2
    return gradients.averaged_plus_plus(e.A, first, second, third)


def noisy_images(e: Evidence) -> Iterator[Tensor]:
    """``effort.samples`` copies of the batch, with the same noise for each image of it."""
    images, _ = e.whole()
    spread = images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True)
    generator = torch.Generator().manual_seed(e.effort.seed)
    for _ in range(e.effort.samples):
        noise = torch.randn(images.shape[1:], generator=generator).to(images)
        yield images + SIGMA * spread * noise


def augmented(images: Tensor) -> Iterator[tuple[Tensor, Callable[[Tensor], Tensor]]]:
    """Flipped and dimmed copies, each with what moves its map back."""
    for flip in (False, True):
        moved = images.flip(3) if flip else images
        for gain in GAINS:
            yield moved * gain, (lambda maps: maps.flip(2)) if flip else (lambda maps: maps)


def resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, h, w) to another size, bilinearly."""
    return functional.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]
