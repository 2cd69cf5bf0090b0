"""What each setting of a training run may be, taken by itself: its words, its range."""

from __future__ import annotations

import re
from typing import Any, Literal, get_args

from camcli.data.decode.fit import FITS
from camcli.errors import UsageError

SplitRule = Literal["given", "video"]
HeadKind = Literal["linear", "prototype", "neighbours", "keep"]
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
_AT_LEAST = {
    "epochs": 1, "batch_size": 1, "ensemble": 1, "epochs2": 1, "patience": 0, "augment": 0,
    "folds": 0, "seed": 0, "weight_decay": 0, "warmup": 0, "l2": 0, "mixup": 0,
    "randaugment": 0, "focal_gamma": 0,
}  # fmt: skip
# What is beyond can only be a slip, and does not fit into what it is counted with.
_AT_MOST = {
    "epochs": 10**9, "epochs2": 10**9, "batch_size": 10**9, "ensemble": 1000, "augment": 10_000,
    "patience": 10**9, "folds": 1000, "seed": 2**32 - 1, "weight_decay": 1e30,
    "warmup": 1e9, "l2": 1e30, "layer_decay": 1, "mixup": 1e3, "randaugment": 30,
    "focal_gamma": 100,
}  # fmt: skip


def check_each(record: Any) -> None:
    """Hold each setting against its own words and range.

    Args:
        record: a `camcli.train.config.TrainConfig`, with values of the right types.

    Raises:
        UsageError: names the option, what it takes, and what it was given.
    """
    for name, words in CHOICES.items():
        if getattr(record, name) not in (*words, *_UNSET.get(name, ())):
            raise UsageError(
                f"{option(name)} takes {', '.join(words)}, not {getattr(record, name)!r}."
            )
    for name, least in _AT_LEAST.items():
        value = getattr(record, name)
        if value is not None and not value >= least:
            raise UsageError(f"{option(name)} must be at least {least}, not {short(value)}.")
    for name, most in _AT_MOST.items():
        value = getattr(record, name)
        if value is not None and value > most:
            raise UsageError(f"{option(name)} must be at most {most}, not {short(value)}.")
    if record.folds == 1:
        raise UsageError(
            "--folds 1 leaves no images to learn from: take 2 or more, or 0 to judge no head by "
            "folds."
        )
    for name in ("lr", "lr2"):
        value = getattr(record, name)
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{option(name)} must be above 0, not {value}.")
    for name in ("label_smoothing", "ema"):
        if not 0 <= (value := getattr(record, name)) < 1:
            raise UsageError(f"{option(name)} is in [0, 1), not {short(value)}.")
    if not 0 < record.layer_decay <= 1:
        raise UsageError(f"--layer-decay is above 0 and at most 1, not {record.layer_decay}.")
    seconds(record.time_limit)


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
        raise UsageError(f"--time-limit is a time such as 90s, 5m or 1h, not {short(text)!r}.")
    return number


def short(value: Any) -> Any:
    """The value for a message: as it is, if that is short."""
    text = str(value)
    return value if len(text) <= 60 else f"{text[:57]}..."


def option(name: str) -> str:
    """The option of the command line that a setting has."""
    return "--" + name.replace("_", "-")
