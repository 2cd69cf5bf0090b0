"""One network of a run: the head on its frozen features, then perhaps some of its layers.

A run has one such network, or several whose logits are averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from camcli.data.sources.splits import Split
from camcli.models.cutting.types import Head, LinearHead
from camcli.models.load import load_classifier
from camcli.models.loading.checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
    without_temperature,
)
from camcli.models.pooling.nearest import NearestHead
from camcli.train.config import TrainConfig
from camcli.train.feature_pass.examples import Examples, Looker, gone, look_together
from camcli.train.feature_pass.features import ImageView
from camcli.train.feature_pass.sight import Sight
from camcli.train.fitting.by_examples import solve_by_examples
from camcli.train.fitting.diverged import told
from camcli.train.fitting.finetune import DEFAULT_LR2, TuneState, Tuning, fine_tune
from camcli.train.fitting.head import (
    LabelledFeatures,
    judged,
    linear,
    logits_of,
    measure,
)
from camcli.train.fitting.head_stage import EpochRow, Save, Views, shown, train_heads
from camcli.train.fitting.loop import DivergedError, Recipe
from camcli.train.fitting.trainable_layers import Tunable
from camcli.train.fitting.values import ValueScale
from camcli.train.fitting.verdict import TuneVerdict, ValueVerdict
from camcli.train.judging.folds import joined
from camcli.train.prepare import Backbone
from camcli.train.processes import ALONE, Team
from camcli.train.progress import Listener, epoch_line
from camcli.train.run_folder.rundir import telling_how_to_go_on

HELD: tuple[Split, ...] = ("val", "test")


@dataclass
class EnsembleMember:
    """A network in training.

    Attributes:
        config: of the run.
        backbone: where it begins.
        classes: the C names.
        best: where its best checkpoint goes.
        last: where that of the last epoch goes.
        heads: how many heads are averaged on its features.
        title: for progress bars, such as ``member 2: ``; empty for the only one.
        team: the processes that train it.
        several: whether an image can have several of the classes, or none.
        verdict: after a second stage, whether it was worth it, where images validate.
        scale: of values, what is learned of them; known once the training images are.
    """

    config: TrainConfig
    backbone: Backbone
    classes: tuple[str, ...]
    best: Path
    last: Path
    heads: int = 1
    title: str = ""
    team: Team = ALONE
    several: bool = False
    scale: ValueScale | None = None
    verdict: TuneVerdict | ValueVerdict | None = field(default=None, init=False)

    @property
    def unfreeze(self) -> str | None:
        """The layers that learn in the second stage: all of a network that knows nothing."""
        if self.config.unfreeze and self.backbone.kind == "random":
            return "all"
        return self.config.unfreeze

    def look(
        self, splits: Mapping[Split, Examples], looker: Looker
    ) -> tuple[Views, LabelledFeatures]:
        """Features of the training images, view by view, and of the validation images.

        Args:
            splits: the images; what cannot be read is taken out, also of the test images.
            looker: computes features with this backbone.
        """
        train = splits["train"]
        views = self.views(looker, train)
        first = views.all()[0] if self.config.cache else views.epoch(0)
        if train.measured:
            train.scale = None
            self.scale = ValueScale.of(train.targets, robust=self.config.loss == "huber")
            for examples in splits.values():
                examples.scale = self.scale
        held = {name: self.frozen(splits[name], looker, name) for name in HELD}
        if len(first) != len(train.items):  # they left between two views
            raise gone(list(looker.skipped.values())[-1])
        return views, held["val"]

    def train(
        self,
        splits: Mapping[Split, Examples],
        views: Views,
        val: LabelledFeatures,
        recipe: Recipe,
        listener: Listener,
        state: dict[str, Any],
        save: Save,
        lap: Callable[[str], object],
    ) -> list[EpochRow]:
        """Both stages.

        Args:
            splits: the images.
            views: features of the training images, from `look`.
            val: of the validation images.
            recipe: of the head.
            listener: hears about it.
            state: what was saved last, or empty.
            save: called with a state and the rows so far after each epoch.
            lap: called with the name of what was finished.

        Returns:
            One row an epoch.
        """
        if self.config.head != "linear":
            rows = [self._by_examples(splits["train"].targets, views, val, listener)]
            lap("head")
            return rows
        if state.get("stage") == 2:
            head, rows = LinearHead(*state["head"]), state["rows"]
        else:
            try:
                head, last, rows = train_heads(
                    views, splits["train"].targets, val, len(self.classes), recipe,
                    members=self.heads, l2=self.config.l2, blocks=self.backbone.blocks,
                    state=state, save=save, listener=listener,
                )  # fmt: skip
            except DivergedError as error:
                if error.kept is not None:
                    self._write(self.best, error.kept, row=error.row)
                raise told(error, recipe, 1, self.best, self.title) from error
            head, last, rows = self.team.agree((head, last, rows))
            self._write(self.best, head)
            self._write(self.last, last)
        lap("head")
        if self.unfreeze:
            recipe = self._second_recipe(recipe)
            try:
                rows = self._second_stage(splits, head, val, recipe, rows, state, save, listener)
            except DivergedError as error:
                raise told(error, recipe, 2, self.best, self.title) from error
            lap("backbone")
        return rows

    def _by_examples(
        self, targets: Tensor, views: Views, val: LabelledFeatures, listener: Listener
    ) -> EpochRow:
        """A head that is made of the training images; returns how it does."""
        looks = views.all() or [views.epoch(0)]
        train = LabelledFeatures(torch.cat(looks), torch.cat([targets] * len(looks)))
        head, row = solve_by_examples(
            self.config.head, train, len(self.classes), self.backbone.blocks,
            views=len(looks), seed=self.config.seed,
        )  # fmt: skip
        if len(val.targets):
            row |= judged(logits_of(head, val.features), val.targets)
        listener.say(epoch_line({"epoch": 1, **row}, 1, best=True, title=f"{self.title}head"))
        head = self.team.agree(head)
        self._write(self.best, head, row=row)
        self._write(self.last, head, row=row)
        return {"stage": 1, "epoch": 1, **row}

    def _second_recipe(self, first: Recipe) -> Recipe:
        """How the layers learn."""
        solver = "sgd" if first.solver == "sgd" else "adamw"
        return replace(
            first, solver=solver, epochs=self.config.epochs2,
            lr=self.config.lr2 or DEFAULT_LR2[solver], patience=self.config.patience_of(2),
        )  # fmt: skip

    def _tuning(self) -> Tuning:
        """What fine-tuning takes besides: layers that know nothing all learn at the full rate."""
        config = self.config
        decay = config.layer_decay if self.backbone.kind == "pretrained" else 1.0
        return Tuning(config.variation(), decay, config.ema, config.mixup, config.randaugment)

    def judge(
        self, splits: Mapping[Split, Examples], looker: Looker, listener: Listener
    ) -> dict[Split, Tensor]:
        """Logits (N, C) of the best checkpoint, for the held-out splits that have images."""
        self.team.agree(None)  # the checkpoint is written
        # A kill at the end may have left the one that is divided by its temperature.
        saved = without_temperature(load_checkpoint(self.best))
        (head,) = saved.heads()
        held = [name for name in HELD if splits[name].items]
        if not self.unfreeze:
            return {n: logits_of(head, self.frozen(splits[n], looker, n).features) for n in held}
        cut = self.backbone.classifier
        tuned = load_classifier(
            cut.provenance.name, checkpoint=self.best, device=str(cut.device)
        )  # fmt: skip
        logits: dict[Split, Tensor] = {}
        for name in held:
            images = splits[name]
            with listener.bar(f"{self.title}{name} evaluation", len(images.items), "img") as bar:
                features, _ = look_together(
                    self.team, images, Sight(tuned), ImageView(tuned), None, bar.advance
                )
            logits[name] = logits_of(head, features)
        return logits

    def frozen(self, examples: Examples, looker: Looker, name: str = "") -> LabelledFeatures:
        """Features of images as they are, by the network as it was at first.

        Without the name of a split no bar is shown.
        """
        view = ImageView(self.backbone.classifier)
        title = f"{self.title}{name} features" if name else ""
        features = looker.look(examples, view, title)
        objective = self.config.objective(measured=True) if examples.measured else None
        return LabelledFeatures(features, examples.targets, objective)

    def views(self, looker: Looker, train: Examples, shown: bool = True) -> Views:
        """Features of the training images, view by view; `shown`: with a bar."""
        config, classifier = self.config, self.backbone.classifier

        expected: list[int] = []

        def look(number: int) -> Tensor:
            title = f"{self.title}train features"
            view = ImageView.learnt(
                classifier, config.seed, number, augment=config.augment, mirror=config.mirror
            )
            if config.views > 1:
                title += f", view {number + 1}"
            features = looker.look(train, view, title if shown else "")
            # What could not be read at first was left out; the targets are those of the others.
            expected.append(len(features))
            if len(features) != expected[0]:
                raise gone(list(looker.skipped.values())[-1])
            return features

        return Views(look, config.views if config.cache else 0, config.seed)

    def _second_stage(
        self,
        splits: Mapping[Split, Examples],
        head: LinearHead,
        val: LabelledFeatures,
        recipe: Recipe,
        rows: list[EpochRow],
        state: dict[str, Any],
        save: Save,
        listener: Listener,
    ) -> list[EpochRow]:
        """Fine-tune from the first stage's best head; returns the rows of both stages."""
        classifier = self.backbone.classifier
        tunable = self.tunable(head)
        progress = TuneState(best_row=measure(head, val) or None)
        if state.get("stage") == 2:
            progress = TuneState(**state["progress"])

        def both() -> list[EpochRow]:
            return rows + [{"stage": 2, **row} for row in progress.rows]

        def after(progress: TuneState, better: bool) -> None:
            # Checkpoints before the state: a kill in between repeats this epoch.
            tensors = tunable.net.state_dict()
            for path in (self.best, self.last) if better else (self.last,):
                self._write(path, tunable.head(), tensors, progress.rows[-1])
            stands = {name: getattr(progress, name) for name in type(progress).__dataclass_fields__}
            pair = (head.weight, head.bias)
            save({"stage": 2, "head": pair, "rows": rows, "progress": stands}, both())
            title = f"{self.title}fine-tuning"
            listener.say(epoch_line(progress.rows[-1], recipe.epochs, best=better, title=title))
            bar.show(**shown(progress.rows[-1]))

        total = len(splits["train"].items) * (recipe.epochs - progress.epoch)
        with listener.bar(f"{self.title}fine-tuning", total, "img") as bar:
            fine_tune(
                tunable, classifier, splits["train"], splits["val"], recipe, progress,
                tuning=self._tuning(), after_epoch=after, advance=bar.advance, team=self.team,
            )  # fmt: skip
        self._compare(head, val, splits["val"], progress, recipe, listener)
        return both()

    def _compare(
        self,
        head: LinearHead,
        val: LabelledFeatures,
        images: Examples,
        progress: TuneState,
        recipe: Recipe,
        listener: Listener,
    ) -> None:
        """Say whether the second stage was worth it, and that it ended early if it did."""
        if progress.epoch < recipe.epochs:
            listener.say(
                f"{self.title}fine-tuning stopped after {progress.epoch} of {recipe.epochs} "
                f"epochs: the last {progress.waited} were no better."
            )
        if progress.tuned is None:
            return
        kept = progress.best_row in progress.rows
        alone = linear(head, val.features)
        groups = joined([item.group for item in images.items], images.contents)
        if recipe.measures:
            self.verdict = ValueVerdict.of(
                alone, progress.tuned, val.targets, recipe.objective, kept, groups
            )
        else:
            self.verdict = TuneVerdict.of(alone, progress.tuned, val.targets, kept, groups)
        listener.say(f"{self.title}{self.verdict.sentence()}")

    def tunable(self, head: LinearHead) -> Tunable:
        """A copy of the network, of which the unfrozen layers may learn.

        Raises:
            UsageError: there is no such layer.
        """
        pooling = self.backbone.pooling
        return Tunable(
            self.backbone.module, self.backbone.classifier, head, self.unfreeze or "",
            self.config.bn, None if pooling.plain else pooling,
        )  # fmt: skip

    def _write(
        self,
        path: Path,
        head: Head,
        network: Mapping[str, Tensor] | None = None,
        row: Mapping[str, float] | None = None,
    ) -> None:
        """A checkpoint with this head and the backbone as it was, or as it is in `network`.

        Raises:
            DivergedError: what was learnt is not finite; nothing is written.
        """
        tensors = self.backbone.tensors
        if self.scale is not None and isinstance(head, LinearHead):
            head = self.scale.fold(head)
        weight, bias = torch.zeros(len(self.classes), 0), torch.zeros(len(self.classes))
        if isinstance(head, LinearHead):
            weight, bias = head.weight, head.bias
        # What a network brings along may be infinite (masks are), what it learns may not.
        learnt = [weight, bias]
        for name, tensor in (network or {}).items():
            if name in tensors and tensors[name].isfinite().all():
                learnt.append(tensor)
        if not all(bool(tensor.isfinite().all()) for tensor in learnt):
            raise DivergedError("a weight is not a finite number")
        if not self.team.leads:
            return
        made = self.backbone.classifier.provenance
        if network is not None:
            tensors = {n: network.get(n, t) for n, t in tensors.items()}
        checkpoint = Checkpoint(
            architecture=made.name,
            classes=self.classes,
            preprocess=self.backbone.classifier.preprocess,
            backbone=tensors,
            weight=weight,
            bias=bias,
            nearest=head if isinstance(head, NearestHead) else None,
            config={
                **self.config.to_dict(),
                "backbone_weights": made.weights,
                "backbone_sha256": made.sha256,
            },
            metrics=dict(row or {}),
            versions=made.versions,
            output="none" if self.scale else "sigmoid" if self.several else "softmax",
            pooling=self.backbone.pooling,
        )
        with telling_how_to_go_on(path.parent):
            save_checkpoint(path, checkpoint)
