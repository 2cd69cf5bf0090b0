"""The data set that the settings of a training run name; read without torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from camcli.data.datasets.load import Dataset, load_dataset
from camcli.errors import UsageError
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
        values={"auto": None, "value": True}.get(config.output, False),
    )
    if found.measured:
        return found
    if config.output == "softmax" and found.several:
        many = next(item for item in found.items if len(item.labels) != 1)
        raise UsageError(
            f"--output softmax is for classes of which each image has one, and {many.ref.rel!a} "
            f"has {len(many.labels)}: leave it out."
        )
    if config.output == "sigmoid" and not found.several:
        items = tuple(item._replace(target=-1, targets=item.labels) for item in found.items)
        return replace(found, items=items, several=True)
    return found
