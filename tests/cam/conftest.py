"""Truth for the maps: real heads, in float64, differentiated by autograd."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from camcli.models.cutting.cut import LinearHead, Tail


class Head:
    """Global average pooling and one linear layer, as the network has it and as `LinearHead`."""

    def __init__(self, channels: int, classes: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.module = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
        ).double()
        with torch.no_grad():
            for p in self.module.parameters():
                p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64))
        # A network before the head, for methods that change the image.
        self.stem = torch.randn(channels, 3, generator=generator, dtype=torch.float64)
        self.linear = LinearHead(
            self.module[2].weight.detach().clone(), self.module[2].bias.detach().clone()
        )

    def images(self, A: torch.Tensor) -> torch.Tensor:
        """Some images (3, 3, 2h, 2w) for features (B, K, h, w)."""
        h, w = A.shape[2:]
        generator = torch.Generator().manual_seed(7)
        return torch.rand(3, 3, 2 * h, 2 * w, generator=generator, dtype=torch.float64).to(A.dtype)

    def stemmed(self, images: torch.Tensor) -> torch.Tensor:
        """Features of images."""
        small = nn.functional.avg_pool2d(images, 2)
        return torch.einsum("kc,bchw->bkhw", self.stem.to(images.dtype), small).clamp(min=0)

    def see(self, module: nn.Module):
        """A network that makes features of images."""

        def see(images: torch.Tensor):
            A = self.stemmed(images)
            return module(A).detach(), A, Tail(module)

        return see


@pytest.fixture(params=[(5, 4, (2, 3)), (64, 10, (7, 7))], ids=["5x2x3", "64x7x7"])
def case(request):
    """(A (3, K, h, w) >= 0, head, index (3,)), all float64."""
    channels, classes, (h, w) = request.param
    generator = torch.Generator().manual_seed(channels)
    A = torch.rand(3, channels, h, w, generator=generator, dtype=torch.float64)
    A = (A - 0.3).clamp(min=0)  # as after a ReLU: a third of the positions are zero
    index = torch.randint(classes, (3,), generator=generator)
    return A, Head(channels, classes, seed=channels + 1), index
