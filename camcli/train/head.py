"""The head: GAP + linear with cross-entropy, trained on pooled features.

The features are centred and divided by one number for all channels while training, which changes
what AdamW, SGD and L-BFGS do (they then need no tuning for each backbone) and nothing else: both
are folded into the weights and the bias afterwards, so the head is GAP + linear again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from camcli.models.cut import LinearHead
from camcli.train.loop import Progress, Recipe, make_optimizer, run_epochs

L2_GRID = tuple(10.0 ** (-e / 2) for e in range(1, 9))
"""Strengths tried by L-BFGS, strong to weak: each start is the end of the one before."""

DEFAULT_LR = {"adamw": 1e-3, "sgd": 3e-3}


class Scale(NamedTuple):
    """The affine map of features during training: (x - mean) / unit."""

    mean: Tensor
    unit: float

    @classmethod
    def of(cls, features: Tensor) -> Scale:
        """Mean (K,) and the root mean square distance from it, over features (N, K)."""
        mean = features.double().mean(0)
        square = (features.double() - mean).square().mean()
        return cls(mean.float(), float(square.sqrt()) or 1.0)

    def __call__(self, features: Tensor) -> Tensor:
        """Features (B, K) of any precision -> float32."""
        return (features.float() - self.mean.to(features.device)) / self.unit

    def fold(self, weight: Tensor, bias: Tensor) -> LinearHead:
        """The head on plain features that gives the same logits."""
        plain = weight.double().cpu() / self.unit
        shifted = bias.double().cpu() - plain @ self.mean.double()
        return LinearHead(plain.float(), shifted.float())


class Split(NamedTuple):
    """Features (N, K) float16 and targets (N,) int64."""

    features: Tensor
    targets: Tensor


@dataclass(kw_only=True)
class Fit(Progress):
    """A head in training, and all that is needed to go on with it after a kill.

    Attributes:
        weight: (C, K), on scaled features.
        bias: (C,).
        scale: the scaling.
        best: weight and bias of the best epoch so far.
    """

    weight: Tensor
    bias: Tensor
    scale: Scale
    best: tuple[Tensor, Tensor] | None = None

    @classmethod
    def start(cls, features: Tensor, classes: int, seed: int) -> Fit:
        """Small random weights, the same for the same seed; `features` (N, K) give the scale."""
        generator = torch.Generator().manual_seed(seed)
        weight = torch.randn(classes, features.shape[1], generator=generator) * 0.01
        scale = Scale.of(features)
        return cls(weight=weight, bias=torch.zeros(classes), scale=scale)

    def head(self) -> LinearHead:
        """The best head, on plain features."""
        return self.scale.fold(*(self.best or (self.weight, self.bias)))

    def last(self) -> LinearHead:
        """The head as it is now, on plain features."""
        return self.scale.fold(self.weight, self.bias)

    def judge(self, row: dict[str, float], by_loss: bool = False) -> bool:
        """As for any stage; the best weights are remembered."""
        better = Progress.judge(self, row, by_loss)
        if better:
            self.best = (self.weight.detach().clone(), self.bias.detach().clone())
        return better


def train_head(
    fit: Fit,
    features: Callable[[int], Tensor],
    targets: Tensor,
    val: Split | None,
    recipe: Recipe,
    after_epoch: Callable[[Fit], object] = lambda fit: None,
) -> Fit:
    """Train with AdamW or SGD from `fit` to the last epoch, or until patience runs out.

    Args:
        fit: fresh from `Fit.start`, or restored; changed in place.
        features: (N, K) float16 of one epoch, by its number from 0.
        targets: (N,) int64.
        val: judges the epochs; None: the last one counts.
        recipe: how.
        after_epoch: called with each finished epoch, to save and to show it.
    """
    weight, bias = nn.Parameter(fit.weight), nn.Parameter(fit.bias)
    fit.weight, fit.bias = weight.data, bias.data

    def examples(epoch: int, order: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        seen = features(epoch)
        return ((batch, seen[batch]) for batch in order)

    def forward(rows: Tensor) -> Tensor:
        return fit.scale(rows) @ weight.T + bias

    def finish(row: dict[str, float]) -> None:
        fit.judge(row | measure(fit.last(), val))
        after_epoch(fit)

    optimizer = make_optimizer([weight], [bias], recipe)
    run_epochs(fit, recipe, optimizer, targets, examples, forward, finish)
    return fit


def measure(head: LinearHead, split: Split | None) -> dict[str, float]:
    """``val_loss`` (log-loss, without smoothing or weights) and ``val_acc``; empty without data."""
    if split is None or not len(split.targets):
        return {}
    logits = linear(head, split.features)
    return {
        "val_loss": float(F.cross_entropy(logits, split.targets)),
        "val_acc": float((logits.argmax(1) == split.targets).double().mean()),
    }


def linear(head: LinearHead, features: Tensor) -> Tensor:
    """Logits (N, C) of pooled features (N, K)."""
    return features.float() @ head.weight.T + head.bias


# --- to the optimum ------------------------------------------------------------------------------


def solve_head(
    features: Tensor,
    targets: Tensor,
    classes: int,
    l2: float,
    recipe: Recipe,
    *,
    start: tuple[Tensor, Tensor] | None = None,
    sample_weight: Tensor | None = None,
    iterations: int = 2000,
) -> tuple[Tensor, Tensor]:
    """Minimise mean cross-entropy + l2/2 ‖w‖², a convex problem, by L-BFGS to its optimum.

    Args:
        features: (N, K), scaled.
        targets: (N,).
        classes: C.
        l2: strength, above 0; the bias is free.
        recipe: gives label smoothing and class weights.
        start: weight (C, K) and bias (C,) to begin with.
        sample_weight: (N,) of each image in the mean.
        iterations: at most so many.

    Returns:
        Weight and bias, in the features' precision.
    """
    if start is None:
        start = (features.new_zeros(classes, features.shape[1]), features.new_zeros(classes))
    weight, bias = (nn.Parameter(t.to(features).clone()) for t in start)
    share = _shares(targets, recipe, sample_weight).to(features)
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=iterations,
        history_size=20,
        # The problem is l2-strongly convex: the optimum is within |gradient| / l2.
        tolerance_grad=max(1e-5 * l2, 1e-10 if features.dtype == torch.float64 else 1e-7),
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        logits = features @ weight.T + bias
        loss = (recipe.loss(logits, targets, "none") * share).sum()
        loss = loss + 0.5 * l2 * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return weight.detach(), bias.detach()


def _shares(targets: Tensor, recipe: Recipe, sample_weight: Tensor | None) -> Tensor:
    """What each image's loss is multiplied with, so that the sum is `cross_entropy`'s mean."""
    shares = torch.ones(len(targets), dtype=torch.double)
    if sample_weight is not None:
        shares = sample_weight.double()
    total = shares
    if recipe.class_weight is not None:  # the loss carries the weight already
        total = shares * recipe.class_weight.double().cpu()[targets.cpu()]
    return shares / total.sum()


def fit_to_optimum(
    train: Split,
    val: Split | None,
    classes: int,
    recipe: Recipe,
    l2: float | None,
    *,
    sample_weight: Tensor | None = None,
    after: Callable[[Fit], object] = lambda fit: None,
) -> Fit:
    """Solve for one strength, or for each of `L2_GRID` and keep the best on validation.

    Args:
        train: features and targets.
        val: chooses the strength.
        classes: C.
        recipe: gives label smoothing and class weights.
        l2: the strength; None to choose it. Without `val`, 1e-3.
        sample_weight: (N,) of each training image.
        after: called after each strength.
    """
    fit = Fit.start(train.features, classes, recipe.seed)
    X = fit.scale(train.features)
    if X.numel() < 1 << 26:  # half a GB: small enough for the better precision
        X = X.double()
    has_val = val is not None and len(val.targets) > 0
    grid = (l2,) if l2 is not None else (L2_GRID if has_val else (1e-3,))
    solution = None
    for strength in grid:
        solution = solve_head(
            X, train.targets, classes, strength, recipe,
            start=solution, sample_weight=sample_weight,
        )  # fmt: skip
        fit.weight, fit.bias = solution[0].float(), solution[1].float()
        logits = X @ solution[0].T + solution[1]
        fit.epoch += 1
        row = {
            "epoch": fit.epoch,
            "l2": strength,
            "train_loss": float(recipe.loss(logits, train.targets)),
            "train_acc": float((logits.argmax(1) == train.targets).double().mean()),
        }
        # The loss is smooth in the strength, where the accuracy of a small split jumps.
        fit.judge(row | measure(fit.last(), val), by_loss=True)
        after(fit)
        if fit.waited >= 3:  # it has a single valley, and the weakest strengths take longest
            break
    return fit
