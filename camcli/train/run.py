"""A training run from its settings to its folder: the path that `camcli train` takes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from camcli.batch.rundir import now
from camcli.data.datasets import Dataset
from camcli.data.layout import Split as DataSplit
from camcli.errors import CamcliError
from camcli.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from camcli.models.classifier import load_classifier
from camcli.models.cut import LinearHead
from camcli.train.cache import FeatureCache, cache_root
from camcli.train.config import TrainConfig
from camcli.train.features import View, extract
from camcli.train.finetune import DEFAULT_LR2, Images, Progress, Tunable, fine_tune
from camcli.train.head import DEFAULT_LR, Recipe, Split, linear, measure
from camcli.train.listener import Listener
from camcli.train.outputs import write_epochs, write_results
from camcli.train.prepare import (
    SPLITS,
    Backbone,
    Examples,
    Looker,
    check_trained,
    class_weights,
    load_backbone,
    read_data,
)
from camcli.train.rundir import BEST, INFO, LAST, SUMMARY, TrainDirectory
from camcli.train.stage1 import Row, Views, shown, train_heads


@dataclass(frozen=True)
class Outcome:
    """What a run reached.

    Attributes:
        checkpoint: the best one.
        scores: the numbers of `Scores.summary` for each split that has images.
        skipped: images that could not be read.
        seconds: time spent on features, head, backbone and evaluation.
    """

    checkpoint: Path
    scores: dict[str, dict[str, Any]]
    skipped: int
    seconds: dict[str, float]


def train(
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    offline: bool = False,
    cache_dir: Path | None = None,
    listener: Listener | None = None,
) -> Outcome:
    """Train a head, and perhaps layers of the backbone, on a data set.

    Args:
        config: the settings.
        out: the run's folder.
        resume: go on with an interrupted run there.
        overwrite: replace an earlier run there.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        offline: never touch the network.
        cache_dir: where features are kept; by default the user's cache folder.
        listener: hears what is going on.

    Returns:
        Where the checkpoint is and what it reached.

    Raises:
        UsageError: wrong settings, a data set that is not fit for training, a folder in use.
        UnavailableError: the data set or the weights are not on this machine.
        CamcliError: what a disk or a damaged file can do.

    Example:
        >>> config = TrainConfig(data="photos", backbone="efficientnet_lite0")
        >>> train(config, Path("run")).scores["val"]["top1"]  # doctest: +SKIP
    """
    listener = listener or Listener()
    directory = TrainDirectory(out)
    resuming = directory.check(config, resume=resume, overwrite=overwrite)
    if resuming and (finished := _finished(directory)):
        listener.say(f"The run in {out} is finished already.")
        return finished
    dataset = read_data(config)
    for note in dataset.notes:
        listener.say(note)
    backbone = load_backbone(config, device, offline)
    if config.unfreeze:  # a wrong name should not wait for the first stage
        Tunable(backbone.module, backbone.classifier, _blank(backbone, dataset), config.unfreeze,
                config.bn)  # fmt: skip
    if backbone.classifier.provenance.source == "random":
        listener.warn(
            "the backbone's weights are RANDOM: its features mean little, so what the head learns "
            "from them does, too. Fine for a smoke test."
        )
    run = _Run(config, directory, dataset, backbone, listener)
    if not resuming:
        directory.begin(config, run.info, overwrite=overwrite)
    with ExitStack() as stack:
        cache = None
        if config.cache:
            root = cache_root(cache_dir)
            cache = stack.enter_context(FeatureCache(root, backbone.space(), backbone.channels))
        return run.go(cache, directory.load_state() if resuming else None)


class _Run:
    """What the steps of one run share."""

    def __init__(
        self,
        config: TrainConfig,
        directory: TrainDirectory,
        dataset: Dataset,
        backbone: Backbone,
        listener: Listener,
    ) -> None:
        self.config, self.directory, self.dataset = config, directory, dataset
        self.backbone, self.listener = backbone, listener
        self.classes = dataset.classes
        self.seconds: dict[str, float] = {}
        made = backbone.classifier.provenance
        self.info: dict[str, Any] = {
            "command": "train",
            "status": "running",
            "started": now(),
            "config": config.to_dict(),
            "backbone": {"name": made.name, "weights": made.weights, "sha256": made.sha256},
            "preprocess": backbone.classifier.preprocess.to_dict(),
            "device": str(backbone.classifier.device),
            "versions": made.versions,
            "data": {"root": str(dataset.root), "layout": dataset.layout},
            "notes": list(dataset.notes),
            "classes": list(dataset.classes),
            "counts": dict(dataset.counts()),
        }

    def go(self, cache: FeatureCache | None, state: dict[str, Any] | None) -> Outcome:
        """All steps, beginning where `state` says."""
        config = self.config
        clock = time.perf_counter()
        looker = Looker(self.backbone.classifier, cache, self.listener)
        splits = {name: Examples.of(self.dataset.split(name)) for name in SPLITS}
        train = splits["train"]
        views = self._views(looker, train)
        first = views.all()[0] if config.cache else views.epoch(0)
        counts = check_trained(train, self.classes)
        held: dict[DataSplit, Split] = {
            name: Split(
                looker.look(splits[name], View(self.backbone.classifier), f"{name} features"),
                splits[name].targets,
            )
            for name in SPLITS[1:]
        }
        if len(held["val"].targets) == 0:
            self.listener.warn(
                "there are no validation images, so the last epoch counts as the best one."
            )
        if len(first) != len(train.items):
            raise CamcliError(
                "Images that could be read in one view could not in another; run the same command "
                "again."
            )
        clock = self._lap("features", clock)

        weights = class_weights(counts, len(self.classes))
        recipe = Recipe(
            solver=config.solver,
            epochs=config.epochs,
            batch_size=config.batch_size,
            lr=config.lr or DEFAULT_LR.get(config.solver, 1.0),
            weight_decay=config.weight_decay,
            warmup=config.warmup,
            label_smoothing=config.label_smoothing,
            class_weight=weights if config.class_weights == "balanced" else None,
            patience=config.patience,
            seed=config.seed,
        )
        if state and state["stage"] == 2:
            best, last = LinearHead(*state["head"]), LinearHead(*state["head"])
            rows: list[Row] = state["rows"]
        else:
            best, last, rows = train_heads(
                views, train.targets, held["val"], len(self.classes), recipe,
                members=config.ensemble, l2=config.l2, state=state, save=self._save,
                listener=self.listener,
            )  # fmt: skip
            self._write(BEST, best)
            self._write(LAST, last)
        clock = self._lap("head", clock)
        if config.unfreeze:
            rows = self._second_stage(splits, best, held["val"], recipe, rows, state)
            clock = self._lap("backbone", clock)
        return self._judge(splits, held, best, rows, looker, clock)

    def _views(self, looker: Looker, train: Examples) -> Views:
        config, classifier = self.config, self.backbone.classifier

        def look(number: int) -> Tensor:
            if not config.augment:
                return looker.look(train, View(classifier), "train features")
            view = View(classifier, config.seed, number)
            return looker.look(train, view, f"train features, view {number + 1}")

        return Views(look, max(1, config.augment) if config.cache else 0, config.seed)

    def _second_stage(
        self,
        splits: Mapping[DataSplit, Examples],
        head: LinearHead,
        val: Split,
        first: Recipe,
        rows: list[Row],
        state: dict[str, Any] | None,
    ) -> list[Row]:
        """Fine-tune from the first stage's best head; returns the rows of both stages."""
        config, classifier = self.config, self.backbone.classifier
        tunable = Tunable(self.backbone.module, classifier, head, config.unfreeze or "", config.bn)
        progress = Progress(best_row=measure(head, val) or None)
        if state and state["stage"] == 2:
            progress = Progress(**state["progress"])
        recipe = Recipe(
            solver="sgd" if first.solver == "sgd" else "adamw",
            epochs=config.epochs2,
            batch_size=first.batch_size,
            lr=config.lr2 or DEFAULT_LR2[first.solver],
            weight_decay=first.weight_decay,
            warmup=first.warmup,
            label_smoothing=first.label_smoothing,
            class_weight=first.class_weight,
            patience=first.patience,
            seed=first.seed,
        )

        def after(progress: Progress, better: bool) -> None:
            # Checkpoints before the state: a kill in between repeats this epoch.
            tensors = tunable.net.state_dict()
            for name in (BEST, LAST) if better else (LAST,):
                self._write(name, tunable.head(), tensors, progress.rows[-1])
            both = rows + [{"stage": 2, **row} for row in progress.rows]
            self._save(
                {
                    "stage": 2,
                    "head": (head.weight, head.bias),
                    "rows": rows,
                    "progress": {n: getattr(progress, n) for n in Progress.__dataclass_fields__},
                },
                both,
            )
            bar.show(**shown(progress.rows[-1]))

        train = _images(splits["train"])
        total = len(train.paths) * (recipe.epochs - progress.epoch)
        with self.listener.bar("fine-tuning", total, "img") as bar:
            fine_tune(
                tunable, classifier, train, _images(splits["val"]), recipe, progress,
                augment=config.augment > 0, after_epoch=after, advance=bar.advance,
            )  # fmt: skip
        return rows + [{"stage": 2, **row} for row in progress.rows]

    def _judge(
        self,
        splits: Mapping[DataSplit, Examples],
        held: dict[DataSplit, Split],
        head: LinearHead,
        rows: list[Row],
        looker: Looker,
        clock: float,
    ) -> Outcome:
        """Evaluate the best checkpoint and write down what was found."""
        path = self.directory.path / BEST
        if self.config.unfreeze:  # the backbone is another one now: look again
            tuned = load_classifier(checkpoint=path, device=str(self.backbone.classifier.device))
            assert tuned.head is not None
            head = LinearHead(tuned.head.weight.cpu(), tuned.head.bias.cpu())
            for name in held:
                examples = splits[name]
                with self.listener.bar(f"{name} evaluation", len(examples.items), "img") as bar:
                    found, _ = extract(
                        examples.paths, examples.contents, tuned, View(tuned), advance=bar.advance
                    )
                held[name] = Split(found, examples.targets)
        judged = {
            name: (splits[name].items, linear(head, held[name].features))
            for name in held
            if len(held[name].targets)
        }
        title = f"{self.config.backbone} on {self.dataset.root.name}"
        results = write_results(self.directory, judged, self.classes, rows, title)
        scores = {name: found.summary() for name, found in results.items()}
        write_epochs(self.directory, rows)
        if looker.skipped:
            skipped = ({"path": rel, "error": error} for rel, error in looker.skipped.items())
            self.directory.write_csv("skipped.csv", skipped)
        self._lap("evaluation", clock)
        self._finish(scores, looker)
        return Outcome(path, scores, len(looker.skipped), self.seconds)

    def _finish(self, scores: dict[str, dict[str, Any]], looker: Looker) -> None:
        """Put the final numbers into the checkpoint and ``run.json``; only then it is finished."""
        path = self.directory.path / BEST
        saved = load_checkpoint(path)
        save_checkpoint(path, replace(saved, metrics={**saved.metrics, **scores}))
        self.info |= {
            "status": "finished",
            "finished": now(),
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "skipped": len(looker.skipped),
            "metrics": scores,
        }
        self.directory.write_json(INFO, self.info)
        self.directory.clear_state()

    def _save(self, state: dict[str, Any], rows: Sequence[Row]) -> None:
        self.directory.save_state(state)
        write_epochs(self.directory, rows)

    def _write(
        self,
        name: str,
        head: LinearHead,
        network: dict[str, Tensor] | None = None,
        row: dict[str, float] | None = None,
    ) -> None:
        """A checkpoint with this head and the backbone as it was, or as it is in `network`."""
        made = self.backbone.classifier.provenance
        tensors = self.backbone.tensors
        if network is not None:
            tensors = {n: network[n] for n in tensors}
        save_checkpoint(
            self.directory.path / name,
            Checkpoint(
                architecture=made.name,
                classes=self.classes,
                preprocess=self.backbone.classifier.preprocess,
                backbone=tensors,
                weight=head.weight,
                bias=head.bias,
                config={
                    **self.config.to_dict(),
                    "backbone_weights": made.weights,
                    "backbone_sha256": made.sha256,
                },
                metrics=dict(row or {}),
                versions=made.versions,
            ),
        )

    def _lap(self, name: str, clock: float) -> float:
        self.seconds[name] = time.perf_counter() - clock
        return time.perf_counter()


def _images(examples: Examples) -> Images:
    return Images(examples.paths, examples.contents, examples.targets)


def _blank(backbone: Backbone, dataset: Dataset) -> LinearHead:
    classes = len(dataset.classes)
    return LinearHead(torch.zeros(classes, backbone.channels), torch.zeros(classes))


def _finished(directory: TrainDirectory) -> Outcome | None:
    """The outcome of a run that needs no resuming."""
    info = json.loads((directory.path / INFO).read_text("utf-8"))
    if info.get("status") != "finished" or not (directory.path / BEST).is_file():
        return None
    scores = json.loads((directory.path / SUMMARY).read_text("utf-8"))
    return Outcome(directory.path / BEST, scores, info["skipped"], info["seconds"])
