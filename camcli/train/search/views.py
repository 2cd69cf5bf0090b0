"""What a head can learn from besides the images as they are: mirrored ones, and parts of them.

Each is one more pass over the training images, so they are tried on what has won without them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from camcli.models.classifier import Classifier
from camcli.train.config import TrainConfig
from camcli.train.feature_pass.features import ImageView

PARTS = 2
"""Random parts of each image that are tried, where mirrored ones are of use."""
NUMBERS = 150_000_000
"""Features of all views that are held at once, at most."""


class LearntViews(NamedTuple):
    """How heads see the training images: the views that they learn from.

    Attributes:
        augment: random parts of each, as ``--augment``.
        mirror: whether as they are and mirrored, as ``--mirror``.
    """

    augment: int = 0
    mirror: bool = False

    @classmethod
    def given(cls, config: TrainConfig) -> LearntViews:
        """What the settings say."""
        return cls(config.augment, config.mirror)

    @property
    def plain(self) -> bool:
        """Whether the image as it is is one of the views."""
        return self.mirror or not self.augment

    @property
    def number(self) -> int:
        """Of the views."""
        return 2 * self.mirror + self.augment or 1

    def others(self, classifier: Classifier, seed: int) -> list[ImageView]:
        """Those that are not the image as it is, as the run will show them."""
        return [
            ImageView.learnt(classifier, seed, n, augment=self.augment, mirror=self.mirror)
            for n in range(int(self.plain), self.number)
        ]

    def applied(self, config: TrainConfig) -> TrainConfig:
        """The settings of a run that learns from these."""
        return replace(config, augment=self.augment, mirror=self.mirror)

    def __str__(self) -> str:
        parts = f"{self.augment} part{'s' * (self.augment > 1)}" if self.augment else ""
        return " + ".join(x for x in ("mirrored" * self.mirror, parts) if x)


AS_IT_IS = LearntViews()


def ways(config: TrainConfig) -> list[LearntViews]:
    """What is tried, the cheapest first: what the settings say, where they say something.

    Layers that learn vary the images themselves, so nothing is tried for the head before them.
    """
    if (given := LearntViews.given(config)) != AS_IT_IS:
        return [given]
    return [] if config.unfreeze else [LearntViews(mirror=True), LearntViews(PARTS, mirror=True)]
