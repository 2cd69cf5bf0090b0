"""The first stage: heads on frozen features, one after the other, saved after each epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from camcli.models.cutting.cut import LinearHead
from camcli.train.fitting.head import (
    FeatureScale,
    HeadState,
    LabelledFeatures,
    fit_to_optimum,
    strengths,
    train_head,
)
from camcli.train.fitting.loop import DivergedError, Recipe
from camcli.train.progress import Listener, epoch_line

EpochRow = dict[str, Any]
Save = Callable[[dict[str, Any], list[EpochRow]], object]


class Views:
    """Training features by epoch.

    With cached views, each image shows one of them in each epoch, drawn by seed and epoch; without
    a cache the images are looked at anew.
    """

    def __init__(self, look: Callable[[int], Tensor], cached: int, seed: int) -> None:
        """Nothing is looked at before it is asked for.

        Args:
            look: features (N, K) float16 of a view, by its number.
            cached: number of views to keep, or 0 to look anew in each epoch.
            seed: of the draw.
        """
        self._look, self._cached, self._seed = look, cached, seed
        self._kept: dict[int, Tensor] = {}

    def all(self) -> list[Tensor]:
        """All cached views."""
        return [self._view(v) for v in range(self._cached)]

    def epoch(self, number: int) -> Tensor:
        """(N, K) float16 of one epoch."""
        if not self._cached:
            if number not in self._kept:
                self._kept = {number: self._look(number)}
            return self._kept[number]
        views = self.all()
        if len(views) == 1:
            return views[0]
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + number)
        choice = torch.randint(len(views), (len(views[0]),), generator=generator)
        picked = views[0].clone()
        for v, features in enumerate(views[1:], 1):
            picked[choice == v] = features[choice == v]
        return picked

    def _view(self, number: int) -> Tensor:
        if number not in self._kept:
            self._kept[number] = self._look(number)
        return self._kept[number]


def train_heads(
    views: Views,
    targets: Tensor,
    val: LabelledFeatures,
    classes: int,
    recipe: Recipe,
    *,
    members: int = 1,
    l2: float | None = None,
    blocks: Sequence[int] = (),
    state: dict[str, Any] | None = None,
    save: Save = lambda state, rows: None,
    listener: Listener | None = None,
) -> tuple[LinearHead, LinearHead, list[EpochRow]]:
    """Train one head, or several whose logits are averaged, which is one head again.

    Members differ in their initial weights and the order of the images; those of L-BFGS, which
    would all end at the one optimum, in the bootstrap sample that they see.

    Args:
        views: the training features.
        targets: (N,) int64, or (N, C) of labels.
        val: judges the epochs; may be empty.
        classes: C.
        recipe: how; ``solver`` may be ``lbfgs``.
        members: how many heads.
        l2: for L-BFGS; None to choose it on validation.
        blocks: how many channels each statistic has, see `FeatureScale.of`.
        state: what an interrupted run saved last.
        save: called with a state and the rows so far after each epoch.
        listener: hears about epochs.

    Returns:
        The head of the best epochs, the head of the last ones, and one row an epoch.

    Raises:
        DivergedError: with the head of the best epochs until then, where there are any.
    """
    listener = listener or Listener()
    state = state or {}
    best = [LinearHead(*pair) for pair in state.get("best", [])]
    last = [LinearHead(*pair) for pair in state.get("last", [])]
    rows: list[EpochRow] = list(state.get("rows", []))
    fit_state, fit_rows = state.get("fit"), state.get("fit_rows", [])
    epochs = recipe.epochs
    if recipe.solver == "lbfgs":  # strengths, which are tried one after the other
        epochs = len(strengths(recipe, l2, choose=len(val.targets) > 0))
    for member in range(len(best), members):
        own = replace(recipe, seed=recipe.seed + member)
        done: list[EpochRow] = []
        before = list(rows)

        def after(
            fit: HeadState,
            member: int = member,
            done: list[EpochRow] = done,
            before: list[EpochRow] = before,
        ) -> None:
            row: EpochRow = {
                "stage": 1,
                **({"member": member + 1} if members > 1 else {}),
                **fit.rows[-1],
            }
            done.append(row)
            title = f"head {member + 1}" if members > 1 else ""
            better = fit.best_row is fit.rows[-1]
            listener.say(epoch_line(fit.rows[-1], epochs, best=better, title=title))
            bar.advance(1)
            bar.show(**shown(row))
            save(_state(best, last, before, fit, done), before + done)

        train = _all_views(views, targets) if recipe.solver == "lbfgs" else None
        if fit_state:
            fit = _restored(fit_state)
            done += fit_rows
        else:
            fit = HeadState.start(
                views.epoch(0) if train is None else train.features, classes, own.seed, blocks
            )
        try:
            if train is not None:
                with listener.bar("head", epochs, "solve") as bar:
                    bar.skip(fit.epoch)
                    weight = _bootstrap(targets, train, own) if members > 1 else None
                    fit_to_optimum(fit, train, val, own, l2, sample_weight=weight, after=after)
            else:
                with listener.bar("head", epochs, "epoch") as bar:
                    bar.skip(fit.epoch)
                    train_head(fit, views.epoch, targets, val, own, after)
        except DivergedError as error:
            if fit.best is not None:
                error.kept, error.row = average([*best, fit.head()]), fit.best_row
            raise
        fit_state = None
        rows += done
        best.append(fit.head())
        last.append(fit.last())
        save(_state(best, last, rows), rows)
    return average(best), average(last), rows


def average(heads: Sequence[LinearHead]) -> LinearHead:
    """The head whose logits are the mean of the heads' logits."""
    return LinearHead(
        torch.stack([head.weight for head in heads]).mean(0),
        torch.stack([head.bias for head in heads]).mean(0),
    )


def shown(row: EpochRow) -> dict[str, float]:
    """What an epoch reached, for a progress bar, which has room for one number."""
    names = {"val_map": "mAP", "val_r2": "R2", "val_acc": "val", "train_loss": "loss"}
    return next(({short: row[name]} for name, short in names.items() if name in row), {})


def _all_views(views: Views, targets: Tensor) -> LabelledFeatures:
    """The images in all their views."""
    looks = views.all()
    if len(looks) == 1:  # as they are, not once more
        return LabelledFeatures(looks[0], targets)
    return LabelledFeatures(torch.cat(looks), torch.cat([targets] * len(looks)))


def _bootstrap(targets: Tensor, train: LabelledFeatures, recipe: Recipe) -> Tensor:
    """How often each view of `train` counts for a member: as often as its image was drawn."""
    generator = torch.Generator().manual_seed(recipe.seed)
    drawn = torch.randint(len(targets), (len(targets),), generator=generator)
    counts = torch.bincount(drawn, minlength=len(targets))
    return counts.repeat(len(train.targets) // len(targets))


def _state(
    best: list[LinearHead],
    last: list[LinearHead],
    rows: list[EpochRow],
    fit: HeadState | None = None,
    done: list[EpochRow] | None = None,
) -> dict[str, Any]:
    """What `train_heads` goes on from; plain enough for ``torch.load(weights_only=True)``."""
    state: dict[str, Any] = {
        "stage": 1,
        "best": [(h.weight, h.bias) for h in best],
        "last": [(h.weight, h.bias) for h in last],
        "rows": list(rows),
    }
    if fit is not None:
        state["fit"] = {
            "weight": fit.weight, "bias": fit.bias, "mean": fit.scale.mean,
            "unit": fit.scale.unit, "epoch": fit.epoch, "rows": fit.rows, "best": fit.best,
            "best_row": fit.best_row, "waited": fit.waited, "optimizer": fit.optimizer,
        }  # fmt: skip
        state["fit_rows"] = done
    return state


def _restored(state: dict[str, Any]) -> HeadState:
    values = dict(state)
    scale = FeatureScale(values.pop("mean"), torch.as_tensor(values.pop("unit")))
    return HeadState(scale=scale, **values)
