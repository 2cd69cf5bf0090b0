"""The head: GAP + linear with cross-entropy, trained on pooled features.

The features are centred and divided by one number for all channels while training, which changes
what AdamW, SGD and L-BFGS do (they then need no tuning for each backbone) and nothing else: both
are folded into the weights and the bias afterwards, so the head is GAP + linear again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from camcli.models.cut import LinearHead

L2_GRID = tuple(10.0 ** (-e / 2) for e in range(1, 9))
"""Strengths tried by L-BFGS, strong to weak: each start is the end of the one before."""

DEFAULT_LR = {"adamw": 1e-3, "sgd": 3e-3}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to optimise; see `TrainConfig` for the meaning of the names.

    Attributes:
        class_weight: (C,) weight of each class in the loss, or None for equal ones.
    """

    solver: str = "adamw"
    epochs: int = 5
    batch_size: int = 32
    lr: float = 1e-3
    weight_decay: float = 1e-4
    warmup: float = 0.5
    label_smoothing: float = 0.0
    class_weight: Tensor | None = None
    patience: int = 0
    seed: int = 0

    def loss(self, logits: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
        """The cross-entropy that is minimised."""
        weight = self.class_weight
        if weight is not None:
            weight = weight.to(logits)
        return F.cross_entropy(
            logits, targets, weight, reduction=reduction, label_smoothing=self.label_smoothing
        )


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


@dataclass
class Fit:
    """A head in training, and all that is needed to go on with it after a kill.

    Attributes:
        weight: (C, K), on scaled features.
        bias: (C,).
        scale: the scaling.
        epoch: finished epochs.
        rows: one dict of numbers for each of them.
        best: weight and bias of the best epoch so far.
        best_row: that epoch's numbers.
        waited: epochs since then.
        optimizer: the optimizer's state.
    """

    weight: Tensor
    bias: Tensor
    scale: Scale
    epoch: int = 0
    rows: list[dict[str, float]] = field(default_factory=list)
    best: tuple[Tensor, Tensor] | None = None
    best_row: dict[str, float] | None = None
    waited: int = 0
    optimizer: dict[str, Any] | None = None

    @classmethod
    def start(cls, features: Tensor, classes: int, seed: int) -> Fit:
        """Small random weights, the same for the same seed; `features` (N, K) give the scale."""
        generator = torch.Generator().manual_seed(seed)
        weight = torch.randn(classes, features.shape[1], generator=generator) * 0.01
        return cls(weight, torch.zeros(classes), Scale.of(features))

    def head(self) -> LinearHead:
        """The best head, on plain features."""
        return self.scale.fold(*(self.best or (self.weight, self.bias)))

    def last(self) -> LinearHead:
        """The head as it is now, on plain features."""
        return self.scale.fold(self.weight, self.bias)

    def judge(self, row: dict[str, float], by_loss: bool = False) -> bool:
        """Remember a finished epoch, and whether it is the best (see `is_better`)."""
        self.rows.append(row)
        better = is_better(row, self.best_row, by_loss)
        if better:
            self.best = (self.weight.detach().clone(), self.bias.detach().clone())
            self.best_row = row
        self.waited = 0 if better else self.waited + 1
        return better


def is_better(row: dict[str, float], best: dict[str, float] | None, by_loss: bool = False) -> bool:
    """Whether an epoch beats the best one; without validation numbers the later one does.

    Args:
        row: its numbers.
        best: those of the best one so far.
        by_loss: compare the validation loss alone, not the accuracy before it.
    """
    if best is None or "val_acc" not in row:
        return True
    if by_loss:
        return row["val_loss"] < best["val_loss"]
    return (row["val_acc"], -row["val_loss"]) > (best["val_acc"], -best["val_loss"])


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
    optimizer = make_optimizer([weight], [bias], recipe)
    if fit.optimizer:
        optimizer.load_state_dict(fit.optimizer)
    steps = math.ceil(len(targets) / recipe.batch_size)
    while fit.epoch < recipe.epochs and not (recipe.patience and fit.waited >= recipe.patience):
        seen = features(fit.epoch)
        total = hits = 0.0
        for step, batch in enumerate(batches(len(targets), recipe, fit.epoch)):
            lr = rate(fit.epoch + step / steps, 1 / steps, recipe)
            set_rate(optimizer, lr)
            logits = fit.scale(seen[batch]) @ weight.T + bias
            loss = recipe.loss(logits, targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(batch)
            hits += float((logits.argmax(1) == targets[batch]).sum())
        fit.epoch += 1
        row: dict[str, float] = {
            "epoch": fit.epoch,
            "lr": lr,
            "train_loss": total / len(targets),
            "train_acc": hits / len(targets),
        }
        fit.judge(row | measure(fit.last(), val))
        fit.optimizer = optimizer.state_dict()
        after_epoch(fit)
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


# --- steps, shared with fine-tuning --------------------------------------------------------------


def make_optimizer(decayed: list[Any], others: list[Any], recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW or SGD with momentum 0.9; biases and normalisation layers are not decayed."""
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if recipe.solver == "sgd":
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=recipe.lr)


def rate(epoch: float, step: float, recipe: Recipe) -> float:
    """The learning rate: linear warm-up over the first epochs, then a cosine down to zero.

    Args:
        epoch: finished epochs, with fractions.
        step: one step in epochs; the warm-up's first step is above zero.
        recipe: gives the peak, the warm-up and the length.
    """
    warmup = min(recipe.warmup, recipe.epochs / 2)
    if epoch < warmup:
        return recipe.lr * min(1.0, (epoch + step) / warmup)
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * (epoch - warmup) / (recipe.epochs - warmup)))


def set_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the rate of all groups."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def batches(count: int, recipe: Recipe, epoch: int) -> Iterator[Tensor]:
    """Shuffled indices; seed and epoch alone decide the order, so a resume repeats it."""
    generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + epoch)
    yield from torch.randperm(count, generator=generator).split(recipe.batch_size)


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
