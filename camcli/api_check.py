"""The Python API: what is wrong with data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from camcli.data.decode.fit import Fit
from camcli.data.sources.find import Images
from camcli.jobs.check import NETWORK, CheckJob
from camcli.jobs.model import ModelJob
from camcli.jobs.record import filled
from camcli.train.progress import Listener

if TYPE_CHECKING:
    from camcli.evaluate.check.result import CheckResult

# The settings' defaults come from the record that is filled.
C = CheckJob("")


def check(
    data: Images,
    out: str | Path | None = C.out,
    *,
    labels: str = C.labels,
    ignore_label: str | None = C.ignore_label,
    data_dir: str | Path | None = C.data_dir,
    by_run: str | Path | None = C.by_run,
    export: str | Path | None = C.export,
    export_kinds: str = C.export_kinds,
    time_limit: float | None = C.time_limit,
    model: str = NETWORK.model,
    checkpoint: str | Path | None = NETWORK.checkpoint,
    weights: str | Path | None = NETWORK.weights,
    fit: Fit | None = NETWORK.fit,
    input_size: int | None = NETWORK.input_size,
    preprocess: str | None = NETWORK.preprocess,
    trust_pickle: bool = NETWORK.trust_pickle,
    device: str = NETWORK.device,
    offline: bool = NETWORK.offline,
    cache: bool = C.cache,
    cache_dir: str | Path | None = C.cache_dir,
    overwrite: bool = C.overwrite,
    listener: Listener | None = None,
) -> CheckResult:
    """Find what is wrong with data: labels, duplicates, outliers, unreadable and odd pictures.

    No file of the data is changed.

    Args:
        data: a data set as `camcli.train` takes it, or photographs as `camcli.batch` does.
        out: folder for check.csv, check.html and check.json; by default nothing is written.
        labels: where labels come from, as for `camcli.train`; or ``none``.
        ignore_label: photographs with this label are left out, as `camcli.train` does.
        data_dir: where named data sets are looked for first.
        by_run: the folder of a run of `camcli.train`, by whose held-out predictions labels are
            judged; by default folds are made here.
        export: a file for the paths of the photographs with an issue.
        export_kinds: which kinds of issues, with commas between, or ``all``.
        time_limit: seconds after which what is left is left out, and named.
        model: the network whose features tell what is alike; by default the bundled one.
        checkpoint: a file of `camcli.train` instead of a named network.
        weights: a file with its weights, or ``random``.
        fit: how photographs are fitted to its input.
        input_size: side of the input in pixels.
        preprocess: how a network of your own wants its pixels, as `load_classifier` takes it.
        trust_pickle: whether code that its file names may run.
        device: where it runs.
        offline: never touch the network for weights.
        cache: keep features on disk, where `camcli.train` finds them again.
        cache_dir: where; by default the user's cache folder.
        overwrite: replace an earlier check in `out`, and the file of `export`.
        listener: hears what is going on; by default the logger ``camcli`` does.

    Returns:
        All issues, the same by kind, and what was not looked at.

    Raises:
        UsageError: no photographs, labels that are not where they should be, an unknown name.
        UnavailableError: the data set or the weights are not on this machine.
        CamcliError: a file that cannot be read or written.

    Example:
        >>> import camcli
        >>> found = camcli.check("photos")                                # doctest: +SKIP
        >>> [(i.rel, i.suggestion) for i in found.of("suspect label")]    # doctest: +SKIP
    """
    options = locals()
    return filled(CheckJob, options, network=filled(ModelJob, options)).run(listener)
