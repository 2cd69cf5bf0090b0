"""The Python API: a classifier of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from camcli.errors import UsageError
from camcli.jobs.record import filled
from camcli.jobs.train import TrainJob
from camcli.printable import printable
from camcli.train.config import TrainConfig
from camcli.train.config_file import changed, check_values, resolve
from camcli.train.progress import Listener

if TYPE_CHECKING:
    from camcli.train.result import TrainResult

J = TrainJob()


def train(
    data: str | Path | None = None,
    out: str | Path = J.out,
    *,
    config: TrainConfig | str | Path | None = None,
    resume: bool = J.resume,
    overwrite: bool = J.overwrite,
    download: bool = J.download,
    device: str = J.device,
    offline: bool = J.offline,
    cache_dir: str | Path | None = J.cache_dir,
    cache_limit: str | None = J.cache_limit,
    listener: Listener | None = None,
    **settings: Any,
) -> TrainResult:
    """Train a classifier on one's own images: a new linear head on a frozen, pretrained backbone.

    The backbone looks at each image once; its features are kept, so epochs take seconds.

    Args:
        data: a folder (class per folder, with or without train/val/test, or files such as
            cat.0.jpg), a CSV of path,label[,split] (several labels with ``|`` between, or in
            columns of 0 and 1; or a column of numbers to predict), or a name: fruits360,
            office31, synthetic.
        out: the run's folder: gets ``best.safetensors``, metrics and charts.
        config: settings to begin with: a `TrainConfig`, or a TOML file of its names.
        resume: go on with an interrupted run in `out`.
        overwrite: replace an earlier run there.
        download: fetch a named data set that is not here.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        offline: never touch the network for weights.
        cache_dir: where features are kept; by default the user's cache folder.
        cache_limit: how much of them, such as ``20GB``, or ``none``: what was not used for the
            longest time goes first. By default what ``$CAMCLI_CACHE_LIMIT`` says, or 10GB.
        listener: hears what is going on, as `camcli.train.progress.Listener` says: that of
            ``camcli.cli.terminal.progress`` draws bars. By default the logger ``camcli`` is told.
        settings: the fields of `camcli.train.config.TrainConfig`, such as ``backbone``, ``epochs``,
            ``solver``, ``unfreeze``, ``val``, ``seed`` or ``boxes``, a file of boxes of some of the
            photographs, by which a localizer is trained as well; they win over `config`.

    Returns:
        Where the checkpoint is and what it reached: ``result.checkpoint`` is for
        `load_classifier`, ``result.scores["val"]["top1"]`` is the accuracy; of labels there are
        ``mean_ap``, ``f1_micro`` and ``exact``, see `SplitLabelScores`; of values ``r2``, see
        `SplitValueScores`.

    Raises:
        UsageError: an unknown or wrong setting, a data set that is not fit for training, or a
            folder that is in use.
        UnavailableError: the data set or the weights are not on this machine.
        CamcliError: what a disk or a damaged file can do; or training that diverged.

    Example:
        >>> import camcli
        >>> result = camcli.train("photos", "run", backbone="efficientnet_lite0")  # doctest: +SKIP
        >>> mine = camcli.load_classifier(checkpoint=result.checkpoint)            # doctest: +SKIP
        >>> camcli.explain("new.jpg", mine).pred                                   # doctest: +SKIP
    """
    options, given = locals(), dict(settings)
    if data is not None:
        given["data"] = str(data)
    plain = {name: str(v) if isinstance(v, Path) else v for name, v in given.items()}
    values = check_values(plain, "camcli.train")
    if isinstance(config, TrainConfig):
        chosen = changed(config, values)
    elif not isinstance(config, str | Path | None):
        raise UsageError(f"config is a TrainConfig or a TOML file, not {printable(repr(config))}.")
    else:
        chosen = resolve(None if config is None else Path(config), values)
    return filled(TrainJob, options, config=chosen).run(listener)
