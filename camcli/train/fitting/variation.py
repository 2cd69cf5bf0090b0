"""Pictures as fine-tuning sees them: other views in each epoch, and mixtures of two.

All is drawn from the seed, the epoch, and the picture or the step, so that a run that was cut off
goes on as if it had not been.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.autoaugment import RandAugment, _apply_op

from camcli.models.classifier import Classifier
from camcli.train.feature_pass.augment import view_rng
from camcli.train.feature_pass.features import ImageView
from camcli.train.fitting.loop import Recipe
from camcli.train.ranges import Variation


class TuningView(ImageView):
    """One epoch's way of looking at every image."""

    def __init__(
        self,
        classifier: Classifier,
        seed: int,
        epoch: int,
        variation: Variation,
        magnitude: int = 0,
    ) -> None:
        """An epoch's view.

        Args:
            classifier: whose preprocessing to apply.
            seed: of the run.
            epoch: from 0.
            variation: ``parts`` shows a random part, perhaps mirrored, in other light; ``mirror``
                the image or its mirror image; ``none`` the image as it is.
            magnitude: of RandAugment after it, 0 for none.
        """
        super().__init__(classifier, seed, epoch if variation == "parts" else None)
        self._epoch, self._mirrors = epoch, variation == "mirror"
        self._rand = DrawnRandAugment(magnitude) if magnitude else None

    def pixels(self, rgb: np.ndarray, content: str) -> Tensor:
        """(H, W, 3) uint8 -> (3, size, size) uint8; `content` is the hash of the file."""
        pixels = super().pixels(rgb, content)
        rng = view_rng(f"{content}/varied", self.seed, self._epoch)
        if self._mirrors and rng.random() < 0.5:
            pixels = pixels.flip(2)
        return pixels if self._rand is None else self._rand.drawn(pixels, rng)


class DrawnRandAugment(RandAugment):
    """torchvision's RandAugment (Cubuk et al. 2019), drawn by a generator that is given.

    Its own draws from the one generator that all threads share, so in another order each time.
    """

    def __init__(self, magnitude: int) -> None:
        """Two operations of a magnitude, 0 to 30."""
        super().__init__(magnitude=magnitude, interpolation=InterpolationMode.BILINEAR)

    def drawn(self, pixels: Tensor, rng: np.random.Generator) -> Tensor:
        """(3, H, W) uint8 -> (3, H, W) uint8."""
        height, width = pixels.shape[1:]
        known = self._augmentation_space(self.num_magnitude_bins, (height, width))
        grey = [float(pixels.float().mean())] * 3  # what comes into view at the edges
        for _ in range(self.num_ops):
            name = list(known)[int(rng.integers(len(known)))]
            magnitudes, signed = known[name]
            size = float(magnitudes[self.magnitude]) if magnitudes.ndim else 0.0
            if signed and rng.random() < 0.5:
                size = -size
            pixels = _apply_op(pixels, name, size, interpolation=self.interpolation, fill=grey)
        return pixels


class Mixer:
    """Mixup (Zhang et al. 2018): a batch's pictures, each mixed with another, as is the loss."""

    def __init__(self, recipe: Recipe, alpha: float) -> None:
        """Mix by shares from Beta(alpha, alpha); 0 for not at all."""
        self._recipe, self._alpha = recipe, alpha
        self._rng = np.random.default_rng(0)
        self._share, self._other = 1.0, torch.zeros(0, dtype=torch.int64)

    def begin(self, epoch: int) -> None:
        """An epoch, from 0."""
        self._rng = np.random.default_rng([self._recipe.seed, epoch])

    def mix(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) of a batch -> the same, mixed, of which `loss` is asked next."""
        if not self._alpha:
            return images
        share = float(self._rng.beta(self._alpha, self._alpha))
        self._share = max(share, 1 - share)  # the picture itself is most of it
        self._other = torch.from_numpy(self._rng.permutation(len(images))).to(images.device)
        return self._share * images + (1 - self._share) * images[self._other]

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean over the batch that was mixed last."""
        loss = self._recipe.loss(logits, targets)
        if not self._alpha:
            return loss
        other = self._recipe.loss(logits, targets[self._other])
        return self._share * loss + (1 - self._share) * other
