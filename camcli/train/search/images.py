"""The training images of a search: in which order they are taken, and what heads minimise."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor

from camcli.train.config import TrainConfig
from camcli.train.feature_pass.examples import Examples, class_weights, label_weights
from camcli.train.fitting.loop import Recipe


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
