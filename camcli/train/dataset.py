"""The data set that the settings of a training run name; read without torch."""

from __future__ import annotations

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
    return load_dataset(
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
    )
