"""The data set that the settings of a training run name; read without torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from camcli.data.datasets.load import Dataset, load_dataset
from camcli.errors import UsageError
from camcli.printable import some
from camcli.train.config import TrainConfig


def read_data(config: TrainConfig) -> Dataset:
    """The data set that the settings name.

    Raises:
        UsageError: none is named, or it is not fit for training.
        UnavailableError: it is not on this machine.
    """
    if not config.data:
        raise UsageError(
            "Nothing to train on: name a folder, a CSV of path,label[,split] or a data set with "
            "--data."
        )
    found = load_dataset(
        config.data,
        data_dir=Path(config.data_dir) if config.data_dir else None,
        labels=config.labels,
        split=config.split,
        merge_varieties=config.merge_varieties,
        domain=config.domain,
        train_domain=config.train_domain,
        test_domain=config.test_domain,
        group=config.group,
        val=config.val,
        test=config.test,
        seed=config.seed,
        ignore=config.ignore_label,
        values={"auto": None, "value": True}.get(config.learnt, False),
    )
    if found.measured:
        _check_measured(found, config)
        return found
    if config.learnt == "softmax" and found.several:
        said = "--output softmax" if config.output == "softmax" else "--loss ce"
        many = next(item for item in found.items if len(item.labels) != 1)
        raise UsageError(
            f"{said} is for classes of which each image has one, and {many.ref.rel!a} "
            f"has {len(many.labels)}: leave it out."
        )
    if config.learnt == "sigmoid" and not found.several:
        items = tuple(item._replace(target=-1, targets=item.labels) for item in found.items)
        return replace(found, items=items, several=True)
    return found


def _check_measured(found: Dataset, config: TrainConfig) -> None:
    """Refuse what means nothing of values, where the table alone says that they are some."""
    if config.loss == "focal" or config.class_weights != "none" or config.label_smoothing:
        what = (
            "--loss focal"
            if config.loss == "focal"
            else "--class-weights"
            if config.class_weights != "none"
            else "--label-smoothing"
        )
        raise UsageError(
            f"{what} is for classes, and {some(list(found.classes))} in {found.place} is taken for "
            "values: leave it out, or say --output softmax if each number is a class."
        )
