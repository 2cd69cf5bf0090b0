"""A frozen network that looks at images: pixels in, the statistics of its maps out, in one pass.

On a CPU it runs in OpenVINO where that pays, pooling included, so that maps never leave it; as
everywhere, the first images of each shape are compared with torch
(`camcli.models.runtime.policy`). What comes out differs from torch's by less than the rounding to
float16 in which it is kept, so features of either are the same features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from camcli.models.classifier import Classifier
from camcli.models.cutting.graph.pieces import goes_by_values
from camcli.models.pooling.network import PooledCalls, PooledMaps, with_pooling
from camcli.models.pooling.pooling import Pooling, Statistic
from camcli.models.pooling.statistics import EPS
from camcli.models.runtime.policy import runtime_of, with_runtime


class Sight:
    """What a frozen network says of images, pooled.

    Attributes:
        classifier: the network; its backbone is used, its head is not.
        pooling: what is taken of its maps.
        statistics: those of the pooling, each with the number of its channels.
    """

    def __init__(self, classifier: Classifier) -> None:
        """A network that looks; where it ends in a pooling, that is what is taken."""
        first: Any = classifier.features
        plain, pooling = True, Pooling()
        if isinstance(first, PooledMaps | PooledCalls):
            first, plain, pooling = first.first, first.plain, first.pooling
        elif classifier.cut is not None:  # what passes by the cut is left out
            first, plain = classifier.cut.first, classifier.cut.plain
        self.classifier, self.pooling = classifier, pooling
        # The length is that of all numbers, so it is divided by when they are together.
        made: Any = with_pooling(first, plain, replace(pooling, unit=False)).numbers
        self._net: Callable[[Tensor], Tensor] = made
        self._settled = not isinstance(made, nn.Module) or goes_by_values(first)
        shape = (1, 3, *classifier.preprocess.shape[1:])
        # Noise, as for the cut: of black pictures some networks make nothing.
        noise = torch.randint(256, shape, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode(), autocast(classifier.device):
            out = first(self._images(noise.to(torch.uint8)))
        maps = [out] if plain else [A for A, *_ in out]
        channels = {layer: A.shape[1] for layer, A in zip(pooling.layers, maps, strict=False)}
        self.statistics: tuple[tuple[Statistic, int], ...] = tuple(
            (each, channels[each.layer]) for each in pooling.statistics
        )

    @property
    def channels(self) -> int:
        """K', numbers an image."""
        return sum(channels for _, channels in self.statistics)

    @property
    def network(self) -> Callable[[Tensor], Tensor]:
        """Normalised images (B, 3, H, W) -> numbers (B, K'), in the runtime that is taken."""
        return self._net

    @property
    def runtime(self) -> dict[str, Any]:
        """What runs it: name, version, difference from torch."""
        return runtime_of(self._as_backbone())

    def columns(self, pooling: Pooling) -> list[int]:
        """Which of the numbers are those of a pooling that takes less of the same maps.

        Raises:
            KeyError: it takes something else, too.
        """
        found, start = {}, 0
        for each, channels in self.statistics:
            found[each] = range(start, start + channels)
            start += channels
        return [column for each in pooling.statistics for column in found[each]]

    def of(self, classifier: Classifier) -> Sight:
        """The same for the same network with other pixels of the same shape; what runs it is kept.

        Args:
            classifier: that of this one, but for how its preprocess fits a photograph.
        """
        other = copy(self)
        other.classifier = classifier
        return other

    def expect(self, images: int) -> None:
        """Take the fastest runtime, once so many images are ahead that its start pays."""
        if self._settled:
            return
        made = with_runtime(self._as_backbone(), images=range(images)).features
        self._settled = made is not self._net
        self._net = made

    def __call__(self, pixels: Tensor) -> Tensor:
        """What is taken of images, before any division by its length.

        Args:
            pixels: (B, 3, h, w) uint8.

        Returns:
            (B, K') float32, on the classifier's device.
        """
        with torch.inference_mode(), autocast(self.classifier.device):
            return self._net(self._images(pixels)).float()

    def of_any_shape(self, images: Sequence[Tensor]) -> Tensor:
        """The same of images (3, h, w) of several shapes, as ``--fit whole`` gives them."""
        alike: dict[torch.Size, list[int]] = {}
        for i, image in enumerate(images):
            alike.setdefault(image.shape, []).append(i)
        rows = [self(_stacked([images[i] for i in some])) for some in alike.values()]
        order = torch.tensor([i for some in alike.values() for i in some])
        return torch.cat(rows)[order.argsort().to(rows[0].device)]

    def _images(self, pixels: Tensor) -> Tensor:
        classifier = self.classifier
        images = classifier.preprocess.normalise(pixels.to(classifier.device, non_blocking=True))
        return images.contiguous(memory_format=classifier.layout)

    def _as_backbone(self) -> Classifier:
        return replace(self.classifier, features=self._net, cut=None)


def _stacked(images: Sequence[Tensor]) -> Tensor:
    """(B, 3, h, w) uint8 that lies as its images do, channels last: three times as fast."""
    return torch.stack([image.permute(1, 2, 0) for image in images]).permute(0, 3, 1, 2)


def finished(pooling: Pooling, rows: Tensor) -> Tensor:
    """Numbers (N, K') of a pooling, divided by their length where it says so; changed in place."""
    if pooling.unit:
        for some in rows.split(4096):
            some.copy_(some.float() / some.float().norm(dim=1, keepdim=True).clamp(min=EPS))
    return rows


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 on CUDA, where it is as exact as features need and several times faster."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
