"""Epochs of gradient steps, as both stages go through them: the head alone, and with layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from camcli.errors import CamcliError
from camcli.models.cutting.cut import LinearHead
from camcli.train.fitting.losses import (
    binary_cross_entropy,
    cross_entropy,
    value_errors,
)
from camcli.train.fitting.losses import hits as hits
from camcli.train.fitting.losses import known_labels as known_labels
from camcli.train.fitting.losses import told as told
from camcli.train.processes import ALONE, Team
from camcli.train.ranges import VALUE_LOSSES, Objective

X = TypeVar("X")

HOPELESS = 1e6
"""A loss, in nats, that nothing comes back from: a guess among a million classes has 14."""


class DivergedError(CamcliError):
    """The loss, a metric or a weight is not a finite number, so training cannot go on.

    Attributes:
        kept: the best head of the epochs before, where there is one.
        row: that epoch's numbers.
    """

    kept: LinearHead | None = None
    row: dict[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to optimise; see `TrainConfig` for the meaning of the names.

    Targets are (N,) indices of classes, (N, C) zeros and ones of labels, or (N, C) values; see
    `camcli.train.fitting.losses`.

    Attributes:
        objective: what is minimised; ``ce`` of labels is the binary one.
        gamma: of the focal loss.
        class_weight: (C,) weight of each class in the loss, or of each label's positives; None
            for equal ones.
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
    objective: Objective = "ce"
    gamma: float = 2.0

    @property
    def measures(self) -> bool:
        """Whether targets are values."""
        return self.objective in VALUE_LOSSES

    def loss(self, logits: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
        """What is minimised.

        Of labels and values it is the sum of their own, so that gradients are as large as those of
        classes, over the images where they are known; `told` makes it the mean that is shown.
        """
        weight = self.class_weight
        if weight is not None:
            weight = weight.to(logits)
        if self.measures:
            each = value_errors(logits, targets, self.objective).sum(1)
            return each.mean() if reduction == "mean" else each.sum()
        gamma = self.gamma if self.objective == "focal" else 0.0
        if targets.ndim == 1:
            each = cross_entropy(logits, targets, weight, self.label_smoothing, gamma)
            if reduction != "mean":
                return each.sum()
            return each.sum() / (len(each) if weight is None else weight[targets].sum())
        each = binary_cross_entropy(logits, targets, weight, self.label_smoothing, gamma).sum(1)
        return each.mean() if reduction == "mean" else each.sum()

    def mass(self, targets: Tensor) -> float:
        """What the mean loss of these images is a mean over: their number, or their weights."""
        if self.class_weight is None or targets.ndim > 1:
            return float(len(targets))
        return float(self.class_weight[targets.cpu()].sum())


@dataclass(kw_only=True)
class StageState:
    """Where a stage stands; with what its subclass keeps, all that a resume needs.

    Attributes:
        epoch: finished epochs.
        rows: one dict of numbers for each.
        best_row: the best so far, what the stage began with included.
        waited: epochs since then.
        optimizer: the optimizer's state.
    """

    epoch: int = 0
    rows: list[dict[str, float]] = field(default_factory=list)
    best_row: dict[str, float] | None = None
    waited: int = 0
    optimizer: dict[str, Any] | None = None

    def judge(self, row: dict[str, float], by_loss: bool = False) -> bool:
        """Take in a finished epoch's numbers; whether it is the best one (see `is_better`).

        Raises:
            DivergedError: one is not finite, or a loss as good as infinite; nothing is taken in.
        """
        for name, value in row.items():
            told = "the validation loss" if name == "val_loss" else "the loss"
            if not math.isfinite(value):
                raise DivergedError(f"{told} is not a finite number in epoch {row['epoch']:.0f}")
            if name.endswith("loss") and value > HOPELESS:
                raise DivergedError(f"{told} is {value:.1e} in epoch {row['epoch']:.0f}")
        self.rows.append(row)
        better = is_better(row, self.best_row, by_loss)
        self.best_row = row if better else self.best_row
        self.waited = 0 if better else self.waited + 1
        return better


def is_better(row: dict[str, float], best: dict[str, float] | None, by_loss: bool = False) -> bool:
    """Whether an epoch beats the best one; without validation numbers the later one does.

    Args:
        row: its numbers.
        best: those of the best one so far.
        by_loss: compare the validation loss alone, not the accuracy before it, or the mean average
            precision of labels.
    """
    if best is None or "val_loss" not in row:
        return True
    if by_loss or "val_acc" not in row:  # of values there is no accuracy
        return row["val_loss"] < best["val_loss"]
    if "val_map" in row and "val_map" in best:
        return (row["val_map"], -row["val_loss"]) > (best["val_map"], -best["val_loss"])
    return (row["val_acc"], -row["val_loss"]) > (best["val_acc"], -best["val_loss"])


def run_epochs(
    progress: StageState,
    recipe: Recipe,
    optimizer: torch.optim.Optimizer,
    targets: Tensor,
    examples: Callable[[int, Iterable[Tensor]], Iterator[tuple[Tensor, X]]],
    forward: Callable[[X], Tensor],
    finish: Callable[[dict[str, float]], object],
    team: Team = ALONE,
    *,
    loss_of: Callable[[Tensor, Tensor], Tensor] | None = None,
    after_step: Callable[[], object] = lambda: None,
) -> None:
    """Train from where `progress` stands to the last epoch, or until patience runs out.

    Args:
        progress: fresh or restored; changed in place.
        recipe: solver, rate, epochs, ...
        optimizer: fresh; takes up the state in `progress`.
        targets: (N,) int64, or (N, C) of labels, where the logits are.
        examples: the epoch's number from 0 and its batches of indices -> each with its inputs.
        forward: inputs -> logits (B, C), float32.
        finish: takes an epoch's ``epoch``, ``lr``, ``train_loss`` and, but of values,
            ``train_acc``; validates, calls `StageState.judge` and saves.
        team: the processes that share each batch.
        loss_of: logits and targets of a batch -> the mean that is minimised; by default
            `Recipe.loss`.
        after_step: called after each step.

    Raises:
        DivergedError: the loss is not finite, or no longer after the epoch.
    """
    if progress.optimizer:
        optimizer.load_state_dict(progress.optimizer)
    loss_of = loss_of or recipe.loss
    count = len(targets)
    steps = math.ceil(count / recipe.batch_size)
    while progress.epoch < recipe.epochs:
        if recipe.patience and progress.waited >= recipe.patience:
            return
        epoch = progress.epoch
        total = right = lr = 0.0
        order = list(batches(count, recipe, epoch))
        # With nothing of its own a process must still take part: an image that counts nothing.
        parts = (part if len(part := team.part(batch)) else batch[:1] for batch in order)
        for step, (part, inputs) in enumerate(examples(epoch, parts)):
            batch = order[step]
            lr = rate(epoch + step / steps, 1 / steps, recipe)
            for group in optimizer.param_groups:
                group["lr"] = lr * group["share"]
            logits, truth = forward(inputs), targets[part]
            loss = loss_of(logits, truth)
            if not loss.isfinite():
                raise DivergedError(f"the loss is not a finite number in epoch {epoch + 1}")
            share = 1.0
            if team.size > 1:
                own = len(team.part(batch)) > 0
                share = own * recipe.mass(truth) / recipe.mass(targets[batch])
                # Gradients are averaged over the processes, and should be summed.
                loss = loss * (share * team.size)
            optimizer.zero_grad()
            loss.backward()
            try:
                optimizer.step()
            except RuntimeError as error:  # a rate near the end of float32
                if "overflow" not in str(error):
                    raise
                raise DivergedError(f"a step is not a finite number in epoch {epoch + 1}") from None
            after_step()
            total += float(loss.detach()) / team.size * len(batch)
            right += 0 if recipe.measures else float(hits(logits, truth).sum()) * (share > 0)
        total, right = team.sum(total, right)
        # The last step may have been the one too many, and nothing is trained on after it.
        weights = [p for group in optimizer.param_groups for p in group["params"]]
        if not all(bool(p.detach().isfinite().all()) for p in weights):
            raise DivergedError(f"a weight is not a finite number after epoch {epoch + 1}")
        progress.epoch += 1
        progress.optimizer = optimizer.state_dict()
        loss_shown = told(total / count, targets)
        row = {"epoch": epoch + 1, "lr": lr, "train_loss": loss_shown}
        finish(row if recipe.measures else {**row, "train_acc": right / count})


class RateGroup(NamedTuple):
    """Parameters that learn alike.

    Attributes:
        params: at least one.
        decays: whether weight decay is for them; not for biases and normalisation layers.
        share: of the rate, 1 for all of it.
    """

    params: list[nn.Parameter]
    decays: bool
    share: float = 1.0


def make_optimizer(learning: Sequence[RateGroup], recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW or SGD with momentum 0.9."""
    groups = [
        {"params": g.params, "weight_decay": recipe.weight_decay * g.decays, "share": g.share}
        for g in learning
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


def batches(count: int, recipe: Recipe, epoch: int) -> Iterator[Tensor]:
    """Shuffled indices; seed and epoch alone decide the order, so a resume repeats it."""
    generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + epoch)
    yield from torch.randperm(count, generator=generator).split(recipe.batch_size)
