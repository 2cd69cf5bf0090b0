"""Heads that are not solved for: the mean of each class, or the training images themselves.

Two numbers decide them, how sharply they tell near from far, and how many neighbours vote. Both
are chosen by the training images alone: each is judged by the others, which costs no second pass.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from camcli.models.cutting.types import LinearHead
from camcli.models.pooling.nearest import NearestHead
from camcli.train.fitting.head import FeatureScale, LabelledFeatures
from camcli.train.fitting.losses import hits, label_loss

NEIGHBOURS = (5, 20, 50, 100)
SHARPNESS = (5.0, 15.0, 50.0, 150.0, 500.0)
ASKED = 4000
"""So many training images are enough to choose by."""
_STEPS = [10 ** (e / 8) for e in range(-32, 33)]


def solve_by_examples(
    kind: str,
    train: LabelledFeatures,
    classes: int,
    blocks: Sequence[int] = (),
    *,
    views: int = 1,
    seed: int = 0,
) -> tuple[LinearHead | NearestHead, dict[str, float]]:
    """A head of examples, and how it does on training images that it is not asked about.

    Args:
        kind: ``prototype`` or ``neighbours``.
        train: features (N, K) and targets.
        classes: C.
        blocks: how many of the K numbers each statistic has; they are scaled to be alike.
        views: how often each image is among them, one whole set behind the other.
        seed: of the images that are asked.

    Returns:
        The head; and ``train_loss``, ``train_acc`` and what was chosen.
    """
    scale = FeatureScale.of(train.features, blocks)
    if kind == "prototype":
        return _prototypes(train, classes, scale)
    return _neighbours(train, classes, scale, views, seed)


def _prototypes(
    train: LabelledFeatures, C: int, scale: FeatureScale
) -> tuple[LinearHead, dict[str, float]]:
    """The nearest mean of a class: S_c = -τ/2 |f - p_c|², which but for |f|² is linear in f.

    Of labels, how much nearer the mean of the images that have it is than that of the others.
    """
    f, targets = scale(train.features), train.targets
    if targets.ndim == 1:
        belongs = [F.one_hot(targets, C).float()]
    else:
        belongs = [(targets == 1).float(), (targets == 0).float()]
    means, far = [], []
    for member in belongs:
        count = member.sum(0)
        p = member.T @ f / count.clamp(min=1)[:, None]
        d = f.square().sum(1, keepdim=True) - 2 * f @ p.T + p.square().sum(1)
        # Without itself: the mean of the others is n / (n - 1) times as far.
        others = (count / (count - 1).clamp(min=1)).square()
        far.append(torch.where(member > 0, d * others, d))
        means.append(p)
    near, rest = far[0], far[-1]
    apart = -near / 2 if targets.ndim == 1 else (rest - near) / 2
    unit = float(apart.std().clamp(min=1e-12))
    tau, loss = min(
        ((step / unit, _loss(apart * step / unit, targets)) for step in _STEPS),
        key=lambda pair: pair[1],
    )
    weight = means[0] if targets.ndim == 1 else means[0] - means[1]
    bias = -means[0].square().sum(1) / 2
    if targets.ndim == 2:
        bias = bias + means[1].square().sum(1) / 2
    acc = float(hits(apart, targets).double().mean())
    row = {"sharpness": tau, "train_loss": loss, "train_acc": acc}
    return scale.fold(tau * weight, tau * bias), row


def _neighbours(
    train: LabelledFeatures, C: int, scale: FeatureScale, views: int, seed: int
) -> tuple[NearestHead, dict[str, float]]:
    """The images themselves; `NEIGHBOURS` and `SHARPNESS` by the votes of the others."""
    targets = train.targets
    if targets.ndim == 2:  # what nobody knows counts as often as it is known to be there
        known = targets.isfinite()
        share = targets.nan_to_num().sum(0) / known.sum(0).clamp(min=1)
        targets = torch.where(known, targets, share)
    features = train.features.float()
    made = NearestHead(
        features, targets, C, k=max(NEIGHBOURS),
        scale=1 / torch.as_tensor(scale.unit, dtype=torch.float32).expand(features.shape[1]),
    )  # fmt: skip
    drawn = torch.randperm(len(features), generator=torch.Generator().manual_seed(seed))[:ASKED]
    best: tuple[float, int, float, float] | None = None
    owner = torch.arange(len(features)) % (len(features) // views)
    near = [made.others(some, owner) for some in drawn.split(512)]
    cosine, who = (torch.cat(parts) for parts in zip(*near, strict=True))
    for k in NEIGHBOURS:
        for sharpness in SHARPNESS:
            made.sharpness = sharpness
            logits = made.counted(cosine[:, :k], who[:, :k])
            loss = _loss(logits, train.targets[drawn])
            if best is None or loss < best[0]:
                right = float(hits(logits, train.targets[drawn]).double().mean())
                best = loss, k, sharpness, right
    assert best is not None
    loss, k, made.sharpness, acc = best
    made.k = min(k, len(features))
    row = {"k": made.k, "sharpness": made.sharpness, "train_loss": loss, "train_acc": acc}
    return made, row


def _loss(logits: Tensor, targets: Tensor) -> float:
    if targets.ndim == 1:
        return float(F.cross_entropy(logits, targets))
    return label_loss(logits, targets)
