"""The steps of a training run, from features to the numbers in its folder."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from camcli.batch.run_files.rundir import now
from camcli.data.datasets.load import Dataset, Item
from camcli.data.sources.splits import Split
from camcli.models.loading.checkpoint import (
    Checkpoint,
    join_checkpoints,
    load_checkpoint,
    save_checkpoint,
    with_temperature,
    without_temperature,
)
from camcli.ours import told_folder
from camcli.train.config import TrainConfig
from camcli.train.feature_pass.examples import (
    Examples,
    Looker,
    check_trained,
    class_weights,
    label_weights,
    of_labels,
)
from camcli.train.fitting.head import DEFAULT_LR
from camcli.train.fitting.head_stage import EpochRow
from camcli.train.fitting.loop import Recipe, hits
from camcli.train.fitting.losses import value_scores
from camcli.train.judged_run import interval, judge_run
from camcli.train.judging.judge import Judgement
from camcli.train.judging.outputs import write_judgement
from camcli.train.live.follower import Follower
from camcli.train.member import EnsembleMember
from camcli.train.prepare import Backbone
from camcli.train.processes import Team
from camcli.train.progress import Listener
from camcli.train.result import TrainResult
from camcli.train.run_folder.label_scores import best_thresholds
from camcli.train.run_folder.outputs import write_epochs, write_results
from camcli.train.run_folder.rundir import BEST, LAST, SUMMARY, TrainDirectory, telling_how_to_go_on

SPLITS: tuple[Split, ...] = ("train", "val", "test")


class Steps:
    """What the steps of one run share, and the steps: look, train each member, judge, finish."""

    def __init__(
        self,
        config: TrainConfig,
        directory: TrainDirectory,
        dataset: Dataset,
        backbones: list[Backbone],
        listener: Listener,
        team: Team,
    ) -> None:
        self.team = team
        self.config, self.directory, self.dataset = config, directory, dataset
        self.listener = listener
        self.classes = dataset.classes
        self.thresholds: tuple[float, ...] | None = None
        self.temperature, self.judgement = 1.0, Judgement()
        self.title = f"{config.backbone} on {dataset.root.name}"
        self.follower = Follower(directory, config, self.title)
        self.seconds: dict[str, float] = {}
        self._clock = time.perf_counter()
        several = len(backbones) > 1
        self.members = [
            EnsembleMember(
                config=config,
                backbone=backbone,
                classes=dataset.classes,
                best=directory.path / (f"member-{n}.safetensors" if several else BEST),
                last=directory.path / (f"member-{n}-last.safetensors" if several else LAST),
                heads=1 if config.members or config.unfreeze else config.ensemble,
                title=f"member {n}: " if several else "",
                team=team,
                several=dataset.several,
            )
            for n, backbone in enumerate(backbones, 1)
        ]
        first = backbones[0].classifier
        made = [b.classifier.provenance for b in backbones]
        self.info: dict[str, Any] = {
            "command": "train",
            **told_folder(),
            "status": "running",
            "started": now(),
            "config": config.to_dict(),
            "backbone": {
                "name": made[0].name,
                "weights": made[0].weights,
                "sha256": made[0].sha256,
            },
            "preprocess": first.preprocess.to_dict(),
            "device": str(first.device),
            "versions": made[0].versions,
            "data": {"root": dataset.place, "layout": dataset.layout, "folder": dataset.folder},
            "notes": list(dataset.notes),
            "classes": list(dataset.classes),
            **({"output": "sigmoid"} if dataset.several else {}),
            **({"output": "none"} if dataset.measured else {}),
            "counts": dict(dataset.counts()),
        }
        if several:
            self.info["members"] = [
                {"start": b.kind, "weights": m.weights, "sha256": m.sha256}
                for b, m in zip(backbones, made, strict=True)
            ]

    def begun(self, before: Steps) -> None:
        """Take over when the run began and what it has taken: a search went before."""
        self.info["started"], self._clock = before.info["started"], before._clock
        self._lap("search")

    def go(self, cache: Path | None, state: dict[str, Any]) -> TrainResult:
        """All steps, beginning where `state` says; `cache` is the folder of cached features."""
        labels = len(self.classes) if self.dataset.several else 0
        splits = {
            name: Examples.of(
                self.dataset.split(name),
                labels,
                self.listener,
                measured=len(self.classes) * self.dataset.measured,
            )
            for name in SPLITS
        }
        rows: list[EpochRow] = state.get("before", [])
        with ExitStack() as stack:
            stack.enter_context(self.follower)
            lookers = []
            for member in self.members:
                kept, backbone = None, member.backbone
                if cache:
                    kept = stack.enter_context(backbone.cache(cache))
                lookers.append(Looker(backbone.sight, kept, self.listener, self.team))
            for n, (member, looker) in enumerate(zip(self.members, lookers, strict=True)):
                if n >= state.get("member", 0):
                    own = state if n == state.get("member", 0) else {}
                    rows = self._train(n, member, looker, splits, own, rows)
            return self._judge(splits, lookers, rows)

    def _train(
        self,
        number: int,
        member: EnsembleMember,
        looker: Looker,
        splits: dict[Split, Examples],
        state: dict[str, Any],
        before: list[EpochRow],
    ) -> list[EpochRow]:
        """One member; returns the rows of all so far."""

        def so_far(rows: list[EpochRow]) -> list[EpochRow]:
            if len(self.members) == 1:
                return rows
            return before + [{"member": number + 1, **row} for row in rows]

        def save(state: dict[str, Any], rows: list[EpochRow]) -> None:
            self.directory.save_state({"member": number, "before": before, **state})
            write_epochs(self.directory, so_far(rows))
            self.follower.epochs(so_far(rows))

        views, val = member.look(splits, looker)
        self._lap("features")
        recipe = self._recipe(number, splits["train"], looker.skipped)
        if number == 0:
            self._warn_of_validation(splits["val"])
        done = so_far(
            member.train(splits, views, val, recipe, self.listener, state, save, self._lap)
        )
        if number + 1 < len(self.members):
            self.directory.save_state({"member": number + 1, "before": done, "stage": 1})
        return done

    def _warn_of_validation(self, val: Examples) -> None:
        there = {label for item in val.items for label in item.labels}
        lost = [name for c, name in enumerate(self.classes) if c not in there]
        if not val.items:
            self.listener.warn(
                "there are no validation images, so the last epoch counts as the best one."
            )
        elif lost and not val.measured:
            more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
            self.listener.warn(
                f"no validation image is of {', '.join(lost[:5])}{more}: the numbers say nothing "
                "of that."
            )

    def _recipe(self, number: int, train: Examples, skipped: dict[str, str]) -> Recipe:
        config = self.config
        counts = check_trained(train, self.classes, skipped)
        several, C = self.dataset.several, len(self.classes)
        weights, rule = None, config.class_weights
        solver = config.head_solver(measured=self.dataset.measured)
        if rule != "none":
            weights = (
                label_weights(train.targets, rule) if several else class_weights(counts, C, rule)
            )
        return Recipe(
            objective=config.objective(measured=self.dataset.measured),
            gamma=config.focal_gamma,
            solver=solver,
            epochs=config.epochs,
            batch_size=config.batch_size,
            lr=config.lr or DEFAULT_LR.get(solver, 1.0),
            weight_decay=config.weight_decay,
            warmup=config.warmup,
            label_smoothing=config.label_smoothing,
            class_weight=weights,
            patience=config.patience_of(1),
            seed=config.seed + number,
        )

    def _judge(
        self, splits: dict[Split, Examples], lookers: list[Looker], rows: list[EpochRow]
    ) -> TrainResult:
        """Evaluate the best checkpoint and write down what was found."""
        found = [
            member.judge(splits, looker, self.listener)
            for member, looker in zip(self.members, lookers, strict=True)
        ]
        # The mean of the logits, which is what the joined checkpoint computes.
        judged = {
            name: (splits[name].items, torch.stack([each[name] for each in found]).mean(0))
            for name in found[0]
        }
        self.judgement = judge_run(
            self.config, self.members, lookers, splits, {n: z for n, (_, z) in judged.items()},
            lambda n: self._recipe(n, splits["train"], lookers[n].skipped), rows,
            searched="search" in self.info, leads=self.team.leads, listener=self.listener,
        )  # fmt: skip
        self.temperature = self.team.agree(self.judgement.temperature)
        judged = {name: (items, z / self.temperature) for name, (items, z) in judged.items()}
        self.thresholds = self._thresholds(judged)
        results = write_results(
            self.directory, judged, self.classes, rows, self.title, several=self.dataset.several,
            thresholds=self.thresholds, measured=self.dataset.measured,
        )  # fmt: skip
        scores: dict[str, dict[str, Any]] = {
            name: results[name].summary() | interval(logits, splits[name])
            for name, (items, logits) in judged.items()
            if items
        }
        write_judgement(
            self.directory, self.judgement, splits, judged, self.classes, self.thresholds,
            self.title,
        )  # fmt: skip
        self.directory.write_json(SUMMARY, {**scores, **self.judgement.record})
        for warning in self.judgement.warnings:
            self.listener.warn(warning)
        alone = [_top1(each, splits) for each in found] if len(found) > 1 else []
        write_epochs(self.directory, rows)
        self.follower.epochs(rows)
        skipped = {rel: error for looker in lookers for rel, error in looker.skipped.items()}
        if skipped:
            table = ({"path": rel, "error": error} for rel, error in skipped.items())
            self.directory.write_csv("skipped.csv", table)
        self._lap("evaluation")
        if self.team.leads:
            self._finish(judged, scores, alone, len(skipped))
        return TrainResult(
            self.directory.path / BEST, scores, len(skipped), self.seconds, alone,
            self.team.leads, self.judgement.record,
        )  # fmt: skip

    def _thresholds(
        self, judged: dict[Split, tuple[list[Item], Tensor]]
    ) -> tuple[float, ...] | None:
        """The probabilities above which labels are predicted: by validation, or one half."""
        if not self.dataset.several or self.config.thresholds == "half" or "val" not in judged:
            return None
        items, logits = judged["val"]
        return best_thresholds(logits, of_labels(items, len(self.classes)))

    def _finish(
        self,
        judged: dict[Split, tuple[list[Item], Tensor]],
        scores: dict[str, dict[str, Any]],
        alone: list[dict[str, float]],
        skipped: int,
    ) -> None:
        """Put the final numbers into the checkpoint and ``run.json``; only then it is finished."""
        path = self.directory.path
        if len(self.members) > 1:
            last = _joined([m.last for m in self.members])
            with telling_how_to_go_on(path):
                save_checkpoint(path / LAST, replace(last, thresholds=self.thresholds))
            best = _joined([m.best for m in self.members])
        else:
            best = without_temperature(load_checkpoint(path / BEST))
        best = replace(
            with_temperature(best, self.temperature), metrics={**best.metrics, **scores},
            thresholds=self.thresholds,
        )  # fmt: skip
        with telling_how_to_go_on(path):
            save_checkpoint(path / BEST, best)
        self.follower.finished(scores, path / BEST, judged, self.info["device"])
        self.info |= {
            "status": "finished",
            "finished": now(),
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "skipped": skipped,
            "metrics": scores,
            "judged": self.judgement.record,
        }
        verdicts = [member.verdict.to_dict() for member in self.members if member.verdict]
        if verdicts:
            self.info["fine_tuning"] = verdicts
        if alone:
            self.info["members"] = [
                {**told, "top1": top1}
                for told, top1 in zip(self.info["members"], alone, strict=True)
            ]
        self.directory.finish(self.info)
        self.directory.clear_state()

    def _lap(self, name: str) -> None:
        """Book the time since the last call."""
        clock = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + clock - self._clock
        self._clock = clock


def _joined(paths: list[Path]) -> Checkpoint:
    parts = [load_checkpoint(path) for path in paths]
    config = dict(parts[0].config)
    for name in ("backbone_weights", "backbone_sha256"):  # each member has its own
        config[name] = [part.config[name] for part in parts]
    return join_checkpoints(parts, config=config, metrics={})


def _top1(logits: dict[Split, Tensor], splits: dict[Split, Examples]) -> dict[str, float]:
    """Accuracy of one member in each split; of labels, the share of images exactly right.

    Of values it is their mean R².
    """
    found: dict[str, float] = {}
    for name, each in logits.items():
        examples = splits[name]
        if examples.measured:
            raw = replace(examples, scale=None).targets
            found[name] = value_scores(each.cpu().double(), raw).get("val_r2", 0.0)
        else:
            found[name] = float(hits(each, examples.targets).cpu().double().mean())
    return found
