"""What decides a training run: defaults, a TOML file over them, the command line over both."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from camcli.data.decode.fit import FITS, Fit
from camcli.errors import UsageError
from camcli.files import read_regular
from camcli.models.pooling.pooling import Pooling
from camcli.models.spec import check_input_size
from camcli.printable import some
from camcli.settings import check_types

SplitRule = Literal["given", "video"]
HeadKind = Literal["linear", "prototype", "neighbours"]
Solver = Literal["adamw", "sgd", "lbfgs"]
ClassWeights = Literal["none", "balanced", "effective"]
Loss = Literal["auto", "ce", "bce", "focal", "mse", "huber"]
Objective = Literal["ce", "bce", "focal", "mse", "huber"]
VALUE_LOSSES: tuple[Objective, ...] = ("mse", "huber")
"""Those whose targets are values."""
BatchNorm = Literal["frozen", "train"]
Variation = Literal["none", "mirror", "parts"]
LearntOutput = Literal["auto", "softmax", "sigmoid", "value"]
ThresholdRule = Literal["f1", "half"]
CHOICES: dict[str, tuple[str, ...]] = {
    "split": get_args(SplitRule),
    "fit": FITS,
    "head": get_args(HeadKind),
    "solver": get_args(Solver),
    "class_weights": get_args(ClassWeights),
    "loss": get_args(Loss),
    "bn": get_args(BatchNorm),
    "augment2": get_args(Variation),
    "output": get_args(LearntOutput),
    "thresholds": get_args(ThresholdRule),
}
"""The settings that take one of a few words."""
_UNSET = {"fit": (None,), "solver": (None,), "augment2": (None,)}
_MAX_BYTES = 1 << 20
MEMBERS = ("pretrained", "random", "reinit")
"""What the weights of an ensemble's member are at the start."""
# What is beyond can only be a slip, and does not fit into what it is counted with.
_AT_MOST = {
    "epochs": 10**9, "epochs2": 10**9, "batch_size": 10**9, "ensemble": 1000, "augment": 10_000,
    "patience": 10**9, "folds": 1000, "seed": 2**32 - 1, "weight_decay": 1e30,
    "warmup": 1e9, "l2": 1e30, "layer_decay": 1, "mixup": 1e3, "randaugment": 30,
    "focal_gamma": 100,
}  # fmt: skip
_LOSSES: dict[str, tuple[str, ...]] = {
    "softmax": ("auto", "ce", "focal"), "sigmoid": ("auto", "bce", "focal"),
    "value": ("auto", "mse", "huber"),
}  # fmt: skip
_NOT_SEARCHED = ("focal", "mse", "huber")
# What is another way to say the same, so that it takes the place of what was said before.
_INSTEAD_OF = {
    "domain": ("train_domain", "test_domain"),
    "train_domain": ("domain",),
    "test_domain": ("domain",),
    "ensemble": ("members",),
    "members": ("ensemble",),
    "weights": ("weights_key",),  # which is a key of that file
}
PATIENCE2 = 4
"""Epochs of fine-tuning without a better one, after which it stops."""
FOUND = (
    "weights", "fit", "input_size", "pooling", "head", "solver", "epochs", "batch_size", "lr",
    "weight_decay", "warmup", "l2", "patience", "augment", "ensemble", "members", "unfreeze",
    "epochs2", "lr2", "bn",
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
"""What that is without a search."""
EVALUATE = "evaluate"
"""The table of a configuration that `camcli evaluate` reads."""


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
        for name, words in CHOICES.items():
            if getattr(self, name) not in (*words, *_UNSET.get(name, ())):
                raise UsageError(
                    f"{_option(name)} takes {', '.join(words)}, not {getattr(self, name)!r}."
                )
        at_least = {
            "epochs": 1, "batch_size": 1, "ensemble": 1, "epochs2": 1, "patience": 0, "augment": 0,
            "folds": 0, "seed": 0, "weight_decay": 0, "warmup": 0, "l2": 0, "mixup": 0,
            "randaugment": 0, "focal_gamma": 0,
        }  # fmt: skip
        for name, least in at_least.items():
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise UsageError(f"{_option(name)} must be at least {least}, not {_short(value)}.")
        for name, most in _AT_MOST.items():
            value = getattr(self, name)
            if value is not None and value > most:
                raise UsageError(f"{_option(name)} must be at most {most}, not {_short(value)}.")
        check_input_size(self.input_size)
        Pooling.read(self.pooling)
        for name in ("lr", "lr2"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"{_option(name)} must be above 0, not {value}.")
        for name in ("label_smoothing", "ema"):
            if not 0 <= (value := getattr(self, name)) < 1:
                raise UsageError(f"{_option(name)} is in [0, 1), not {_short(value)}.")
        if not 0 < self.layer_decay <= 1:
            raise UsageError(f"--layer-decay is above 0 and at most 1, not {self.layer_decay}.")
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
        seconds(self.time_limit)
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

    @property
    def network(self) -> str:
        """The backbone, where no search chooses it."""
        return DEFAULT_BACKBONE if self.backbone == AUTO else self.backbone

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
        if self.learnt == "value":
            self.check_head(measured=True)
        for name in SOLVED if not self.search else ("search",):
            if getattr(self, name) != _DEFAULT[name]:
                raise UsageError(
                    f"--head {self.head} is made of the training images as they are, which "
                    f"{_option(name)} has no part in: leave one of them out."
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


def seconds(text: str) -> float:
    """A time as people write it, in seconds: ``90s``, ``5m``, ``1.5h``, or ``300``.

    Raises:
        UsageError: it is none, or not above 0.

    Example:
        >>> seconds("5m")
        300.0
    """
    found = re.fullmatch(r"\s*(\d{1,12}(?:\.\d{0,6})?)\s*([smh]?)\s*", text, re.ASCII)
    number = float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]] if found else 0.0
    if not number > 0:
        raise UsageError(f"--time-limit is a time such as 90s, 5m or 1h, not {_short(text)!r}.")
    return number


def read_config(path: Path) -> dict[str, Any]:
    """The settings that a TOML file gives, checked for name and type.

    Args:
        path: a flat table of `TrainConfig`'s names; dashes may stand for underscores. A table
            `EVALUATE` is left to `camcli evaluate`.

    Raises:
        UsageError: it cannot be read, is not TOML, or has an unknown key or a value of the wrong
            type.
    """
    values = {key.replace("-", "_"): value for key, value in read_toml(path).items()}
    if isinstance(values.get(EVALUATE), dict):
        del values[EVALUATE]
    return check_values(values, str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file holds.

    Raises:
        UsageError: it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(read_regular(path, _MAX_BYTES).decode("utf-8"))
    except OSError as error:
        raise UsageError(f"Cannot read the configuration {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text, as TOML has to be.") from error
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits
        raise UsageError(f"{path} is not well-formed TOML: {error}.") from error


def check_values(values: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Settings with known names and the right types; a whole number may stand for a float.

    Raises:
        UsageError: names the setting, and the nearest one that exists.
    """
    hints = typing.get_type_hints(TrainConfig)
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if name not in hints:
            near = difflib.get_close_matches(name, hints, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(hints)}."
            raise UsageError(f"{origin}: there is no setting {_short(name)!r}; {hint}")
        kinds = _kinds(hints[name])
        if float in kinds and type(value) is int and abs(value) < 1e300:
            value = float(value)
        if type(value) not in kinds:
            wanted = " or ".join(_WORDS[k] for k in kinds if k is not type(None))
            raise UsageError(f"{origin}: {name} must be {wanted}, not {_short(value)!r}.")
        if isinstance(value, str) and "\0" in value:
            raise UsageError(f"{origin}: {name} has a NUL in it, which no name or path has.")
        checked[name] = value
    return checked


def resolve(file: Path | None, given: Mapping[str, Any]) -> TrainConfig:
    """The command line over the file over the defaults.

    Args:
        file: a TOML file, or None.
        given: what the command line says, and only that.

    Raises:
        UsageError: see `read_config` and `TrainConfig`.
    """
    config = TrainConfig()
    if file is not None:
        try:
            config = replace(config, **read_config(file))
        except UsageError as error:
            text = str(error)
            raise UsageError(text if str(file) in text else f"{file}: {text}") from error
    return changed(config, given)


def changed(config: TrainConfig, given: Mapping[str, Any]) -> TrainConfig:
    """Settings with others over them.

    Where two settings exclude each other, the one that is given wins: ``domain`` over a training
    and a test domain of the configuration, for instance.

    Args:
        config: what was settled before.
        given: what was said later, by name.

    Raises:
        UsageError: see `TrainConfig`; what is given contradicts itself.
    """
    defaults = TrainConfig()
    dropped = {other for name in given for other in _INSTEAD_OF.get(name, ())} - given.keys()
    return replace(config, **{name: getattr(defaults, name) for name in dropped}, **given)


def to_toml(config: TrainConfig) -> str:
    """The settings as a file that `read_config` reads back; None is left out."""
    lines = ["# What this run was made with; use it again with --config."]
    for field in fields(config):
        value = getattr(config, field.name)
        if value is not None:
            # JSON's strings, numbers and booleans are TOML's, once DEL and lone surrogates are out.
            lines.append(f"{field.name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, str):
        # TOML has no surrogates: a path that is not Unicode cannot be written as it is.
        text = value.encode("utf-8", "replace").decode()
        return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


_WORDS = {str: "a text in quotes", int: "a whole number", float: "a number", bool: "true or false"}


def _short(value: Any) -> Any:
    """The value for a message: as it is, if that is short."""
    text = str(value)
    return value if len(text) <= 60 else f"{text[:57]}..."


def _kinds(hint: Any) -> tuple[type, ...]:
    """The types that a value may have; a choice is a text."""
    if typing.get_origin(hint) is Literal:
        return (str,)
    parts = get_args(hint)  # of a union
    return tuple(kind for part in parts for kind in _kinds(part)) if parts else (hint,)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
