"""What decides a training run, and which of its settings go together."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from camcli.data.decode.fit import Fit
from camcli.errors import UsageError
from camcli.models.pooling.pooling import Pooling
from camcli.models.spec import check_input_size
from camcli.printable import some
from camcli.settings import check_types
from camcli.train.ranges import (
    BatchNorm,
    ClassWeights,
    HeadKind,
    LearntOutput,
    Loss,
    Objective,
    Solver,
    SplitRule,
    ThresholdRule,
    Variation,
    check_each,
    option,
)

MEMBERS = ("pretrained", "random", "reinit")
"""What the weights of an ensemble's member are at the start."""
_LOSSES: dict[str, tuple[str, ...]] = {
    "softmax": ("auto", "ce", "focal"), "sigmoid": ("auto", "bce", "focal"),
    "value": ("auto", "mse", "huber"),
}  # fmt: skip
_NOT_SEARCHED = ("focal", "mse", "huber")
KEEP = "keep"
"""The head that a network has; what is trained is a localizer beside it."""
PATIENCE2 = 4
"""Epochs of fine-tuning without a better one, after which it stops."""
FOUND = (
    "weights", "fit", "input_size", "pooling", "head", "solver", "epochs", "batch_size", "lr",
    "weight_decay", "warmup", "l2", "patience", "augment", "mirror", "ensemble", "members",
    "unfreeze", "epochs2", "lr2", "bn",
)  # fmt: skip
"""What says how to look or what the head is: a run that says any of it is not searched for."""
SOLVED = (
    "solver", "epochs", "batch_size", "lr", "weight_decay", "warmup", "l2", "label_smoothing",
    "class_weights", "loss", "patience", "ensemble", "members", "unfreeze",
)  # fmt: skip
"""What says how a head is solved for, or what goes on from one that was."""
AUTO = "auto"
"""The backbone is chosen among those that are here."""
DEFAULT_BACKBONE = "resnet50"
"""What that is where weights are given, or none is here."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """All settings of a run; `camcli train --help` says what each one means.

    None stands for "as fits the rest": ``weights`` for the backbone's own, ``solver`` for
    `head_solver`, ``lr`` for the solver's, ``l2`` for the best on validation, ``fit`` and
    ``input_size`` for the weights' own, ``patience`` for `patience_of`, ``augment2`` for
    `variation`, ``search`` for whether anything is left to be found (`searches`).
    """

    data: str = ""
    data_dir: str | None = None
    labels: str = "auto"
    split: SplitRule = "given"
    merge_varieties: bool = False
    domain: str | None = None
    train_domain: str | None = None
    test_domain: str | None = None
    group: str | None = None
    ignore_label: str | None = None
    val: float = 0.15
    test: float = 0.0
    backbone: str = AUTO
    weights: str | None = None
    weights_key: str | None = None
    fit: Fit | None = None
    input_size: int | None = None
    pooling: str = "mean"
    head: HeadKind = "linear"
    boxes: str | None = None
    solver: Solver | None = None
    epochs: int = 5
    batch_size: int = 32
    lr: float | None = None
    weight_decay: float = 1e-4
    warmup: float = 0.5
    l2: float | None = None
    label_smoothing: float = 0.0
    loss: Loss = "auto"
    focal_gamma: float = 2.0
    class_weights: ClassWeights = "none"
    patience: int | None = None
    augment: int = 0
    mirror: bool = False
    cache: bool = True
    ensemble: int = 1
    members: str | None = None
    unfreeze: str | None = None
    epochs2: int = 8
    lr2: float | None = None
    bn: BatchNorm = "frozen"
    augment2: Variation | None = None
    layer_decay: float = 0.7
    ema: float = 0.98
    mixup: float = 0.0
    randaugment: int = 0
    folds: int = 5
    output: LearntOutput = "auto"
    thresholds: ThresholdRule = "f1"
    tensorboard: bool = False
    search: bool | None = None
    time_limit: str = "5m"
    explainable: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check_each(self)
        check_input_size(self.input_size)
        Pooling.read(self.pooling)
        if self.unfreeze and self.fit == "whole":
            raise UsageError(
                "--fit whole gives inputs of different shapes, and --unfreeze learns from batches "
                "of one shape: use crop, squash or pad."
            )
        self._check_members()
        self._check_loss()
        if self.solver == "lbfgs" and not self.cache:
            raise UsageError(
                "--solver lbfgs looks at all features many times, so it needs them cached: leave "
                "--no-cache out."
            )
        self._check_search()
        self._check_head()

    @property
    def searches(self) -> bool:
        """Whether the way of looking and the head are to be found (`camcli.train.search`).

        Where it is not said, they are if features are cached and nothing of them was said.
        """
        if self.search is not None:
            return self.search
        return self.cache and self.loss not in _NOT_SEARCHED and not self.said()

    def said(self) -> list[str]:
        """The settings of the look and of the head that are not as they are by default."""
        return [name for name in FOUND if getattr(self, name) != _DEFAULT[name]]

    def _check_search(self) -> None:
        """Refuse a search that was asked for and could not be made."""
        if not self.search:
            return
        if not self.cache:
            raise UsageError(
                "--search tries many heads on the features of each image, so it needs them cached: "
                "leave --no-cache out."
            )
        if self.members:
            raise UsageError(
                "--search looks for one way of looking, and --members are networks that differ: "
                "leave one of them out."
            )
        if self.loss in _NOT_SEARCHED or self.learnt == "value":
            what = f"--loss {self.loss}" if self.loss in _NOT_SEARCHED else "--output value"
            raise UsageError(
                f"--search compares heads of classes and of labels by their log-loss, and {what} "
                "is something else: leave one of them out."
            )
        if self.solver not in (None, "lbfgs"):
            raise UsageError(
                f"--search compares heads at their optimum, which --solver {self.solver} does not "
                "go to: leave one of them out."
            )

    def _check_head(self) -> None:
        """Refuse what a head that is not solved for has no use for."""
        if self.head == "linear":
            return
        if self.head == KEEP:
            self._check_kept()
            return
        if self.learnt == "value":
            self.check_head(measured=True)
        for name in SOLVED if not self.search else ("search",):
            if getattr(self, name) != _DEFAULT[name]:
                raise UsageError(
                    f"--head {self.head} is made of the training images as they are, which "
                    f"{option(name)} has no part in: leave one of them out."
                )

    def _check_kept(self) -> None:
        """Refuse what a network that stays as it is has no use for."""
        if not self.boxes:
            raise UsageError(
                f"--head {KEEP} leaves the network as it is and trains a localizer on boxes: give "
                "--boxes, or leave --head out."
            )
        if self.backbone == AUTO:
            raise UsageError(
                f"--head {KEEP} leaves a network as it is: name it with --backbone NAME, or a "
                "checkpoint's file."
            )
        kept = ("head", "weights", "fit", "input_size")
        for name in dict.fromkeys(("search", *FOUND, *SOLVED)):
            if name not in kept and getattr(self, name) != _DEFAULT[name]:
                raise UsageError(
                    f"--head {KEEP} leaves the network as it is, which {option(name)} has no part "
                    "in: leave one of them out."
                )

    def check_head(self, *, measured: bool) -> None:
        """Refuse a head of examples for values, of which there are no classes.

        Args:
            measured: whether the data set is of values.
        """
        if measured and self.head != "linear":
            raise UsageError(f"--head {self.head} is for classes, not for values: leave it out.")

    def kinds(self) -> tuple[str, ...]:
        """The networks of the run, each by what its weights are at the start, from `MEMBERS`.

        Heads on one frozen backbone share a network; what learns in its layers is one of its own.
        """
        if self.members:
            return tuple(name.strip() for name in self.members.split(","))
        return ("pretrained",) * (self.ensemble if self.unfreeze else 1)

    def head_solver(self, *, measured: bool = False) -> Solver:
        """How the head is found: what was given, or AdamW, or, where layers learn after it, L-BFGS.

        Layers that learn should begin from the head's optimum: what a head that is half learnt
        asks of them first distorts what they know (Kumar et al. 2022).

        Args:
            measured: whether it is of values, whose optimum is one system of equations.
        """
        if self.solver:
            return self.solver
        to_optimum = (self.unfreeze or measured) and self.cache and self.loss != "focal"
        return "lbfgs" if to_optimum else "adamw"

    def variation(self) -> Variation:
        """How pictures are varied while layers learn, which costs nothing there."""
        return self.augment2 or ("parts" if self.augment else "mirror")

    @property
    def views(self) -> int:
        """How many views of each training image a head learns from."""
        return 2 * self.mirror + self.augment or 1

    def patience_of(self, stage: int) -> int:
        """After how many epochs without a better one to stop; 0 for never.

        Args:
            stage: 1 for the head, 2 for layers, whose epochs take minutes.
        """
        return (PATIENCE2 if stage == 2 else 0) if self.patience is None else self.patience

    @property
    def learnt(self) -> LearntOutput:
        """What is learned, as ``output`` and ``loss`` together say it."""
        if self.output != "auto":
            return self.output
        said: dict[str, LearntOutput] = {
            "ce": "softmax", "bce": "sigmoid", "mse": "value", "huber": "value"
        }  # fmt: skip
        return said.get(self.loss, "auto")

    def objective(self, *, measured: bool) -> Objective:
        """What is minimised.

        Args:
            measured: whether the data set is of values.
        """
        if self.loss == "auto":
            return "mse" if measured else "ce"
        return self.loss

    def _check_loss(self) -> None:
        fits = _LOSSES.get(self.learnt, ())
        if self.learnt != "auto" and self.loss not in fits:
            raise UsageError(
                f"--loss {self.loss} is not for --output {self.output}, which takes "
                f"{some(list(fits))}: leave one of them out."
            )
        if self.loss == "focal" and self.solver == "lbfgs":
            raise UsageError(
                "--solver lbfgs goes to the optimum, and --loss focal may have several: take "
                "--solver adamw, or --loss auto."
            )
        if self.learnt == "value" and (self.class_weights != "none" or self.label_smoothing):
            what = "--label-smoothing" if self.label_smoothing else "--class-weights"
            raise UsageError(f"{what} is for classes, and values have none: leave it out.")

    def _check_members(self) -> None:
        kinds = self.kinds()
        if odd := [kind for kind in kinds if kind not in MEMBERS]:
            raise UsageError(
                f"--members takes {', '.join(MEMBERS)}, with commas between, not {odd[0]!r}."
            )
        if self.members and self.ensemble not in (1, len(kinds)):
            raise UsageError(
                f"--ensemble {self.ensemble} and {len(kinds)} --members: leave --ensemble out, or "
                "name as many."
            )
        if "reinit" in kinds and not self.unfreeze:
            raise UsageError(
                "--members reinit draws the weights of the layers that --unfreeze names anew, and "
                "none are named: say for instance --unfreeze layer4."
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON and a checkpoint's header."""
        values = asdict(self)
        if self.weights_key is None:  # only where it was given
            del values["weights_key"]
        return values


_DEFAULT = {each.name: each.default for each in fields(TrainConfig)}
