"""The training images of a search: in which order they are taken, and what heads minimise."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from camcli.train.config import TrainConfig
from camcli.train.feature_pass.examples import Examples, Looker, class_weights, label_weights
from camcli.train.feature_pass.features import ImageView
from camcli.train.fitting.loop import Recipe
from camcli.train.judging.folds import joined
from camcli.train.prepare import Backbone
from camcli.train.progress import Listener
from camcli.train.search.judge import Judged, Task
from camcli.train.search.looks import ImageLook

PROBE = 32
"""So many images tell how long a view of all takes."""


class TrialImages:
    """The training images, of which each trial has the first so many.

    Attributes:
        folds: (N,) int64: the fold of each.
        groups: (N,) int64: images of one group stand and fall together.
    """

    def __init__(
        self,
        train: Examples,
        order: Tensor,
        folds: Tensor,
        config: TrainConfig,
        classes: int,
        looker: Callable[[Backbone], Looker],
    ) -> None:
        """The N images.

        Args:
            train: as the data set lists them.
            order: (N,) in which they are taken, see `even_order`.
            folds: (N,) as `camcli.train.judging.folds.folds_of` gives them.
            config: of the search.
            classes: C.
            looker: looks with a network, and keeps what it has seen.
        """
        self._examples, self._order, self.folds = train, order, folds
        self._config, self._classes, self._looker = config, classes, looker
        self.groups = torch.tensor(joined([x.group for x in train.items], train.contents))

    def look(
        self, look: ImageLook, backbone: Backbone, images: int, view: ImageView | None = None
    ) -> tuple[Tensor, Tensor, Task]:
        """Features of the first so many images, which of all these are, and what they are of.

        `view` shows them otherwise than as they are.
        """
        own = self._order[:images]
        examples = self._some(own.tolist())
        before = list(examples.contents)
        view = view or ImageView(backbone.classifier)
        features = self._looker(backbone).look(examples, view, f"{look} features")
        left = set(examples.contents)
        own = own[torch.tensor([content in left for content in before], dtype=torch.bool)]
        recipe = recipe_of(self._config, examples, self._classes)
        return features, own, Task(examples.targets, self._classes, self.folds[own], recipe)

    def seconds_of(
        self, look: ImageLook, backbone: Backbone, images: int, view: ImageView
    ) -> float:
        """How long it takes to look at so many images, by looking at a few of them.

        At the last ones, which an earlier pass that was stopped has not seen either.
        """
        some = self._some(self._order[:images][-PROBE:].tolist())
        count, begun = len(some.items), time.perf_counter()
        self._looker(backbone).look(some, view, f"{look} features")
        return images * (time.perf_counter() - begun) / count

    def spread(self, judged: Judged, own: Tensor) -> Judged:
        """What is known of some images, in the places of all."""
        losses = torch.full((len(self.folds),), torch.nan, dtype=torch.double)
        losses[own] = judged.losses
        right = torch.ones(len(self.folds), dtype=torch.bool)
        right[own] = judged.right | judged.losses.isnan()
        return Judged(judged.l2, losses, right)

    def _some(self, which: Sequence[int]) -> Examples:
        items, contents = self._examples.items, self._examples.contents
        return Examples(
            [items[i] for i in which], [contents[i] for i in which], self._examples.labels
        )


def even_order(train: Examples, seed: int) -> Tensor:
    """The images, so that each beginning of them has its share of every class."""
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(len(train.items), generator=generator).tolist()
    seen: dict[tuple[int, ...], int] = {}
    counts: dict[tuple[int, ...], int] = {}
    for item in train.items:
        counts[item.labels] = counts.get(item.labels, 0) + 1
    keys = []
    for i in shuffled:
        name = train.items[i].labels
        keys.append((seen.get(name, 0) / counts[name], i))
        seen[name] = seen.get(name, 0) + 1
    return torch.tensor([i for _, i in sorted(keys)], dtype=torch.int64)


def recipe_of(config: TrainConfig, examples: Examples, classes: int) -> Recipe:
    """What every head minimises."""
    weights = None
    rule = config.class_weights
    if rule != "none":
        if examples.labels:
            weights = label_weights(examples.targets, rule)
        else:
            counts = Counter(examples.targets.tolist())
            counted = Counter({c: counts[c] or 1 for c in range(classes)})
            weights = class_weights(counted, classes, rule)
    return Recipe(label_smoothing=config.label_smoothing, class_weight=weights)


class Unworried(Listener):
    """Draws bars; what cannot be read is told when the run looks at it."""

    def __init__(self, listener: Listener) -> None:
        self.say = listener.say  # type: ignore[method-assign]
        # Each candidate is told in a line.
        self.bar = listener.passing  # type: ignore[method-assign]
