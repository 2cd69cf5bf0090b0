"""What is wrong with data: what ``camcli check`` is asked, and how it is done."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from camcli.data.sources.find import Images
from camcli.errors import UnavailableError, UsageError
from camcli.jobs.model import ModelJob
from camcli.jobs.photographs import called
from camcli.printable import counted, some
from camcli.settings import Settings
from camcli.train.config import TrainConfig
from camcli.train.progress import Listener, LogListener

if TYPE_CHECKING:
    from camcli.evaluate.check.looking import Frozen
    from camcli.evaluate.check.result import CheckResult

NETWORK = ModelJob()
"""The bundled network, which looks at photographs as it does in training."""


@dataclass(frozen=True, slots=True)
class CheckJob(Settings):
    """A check that is to be made; ``camcli check --help`` says more of each setting.

    Attributes:
        data: a data set as ``camcli train`` takes it, or photographs as ``camcli batch`` does.
        labels: where labels come from.
        ignore_label: labels that are none, with | between them; their photographs are left out.
        data_dir: where named data sets are looked for first.
        by_run: the folder of a run of training, by whose held-out predictions labels are judged;
            None to make some here.
        network: whose features tell what is alike.
        export: a file for the paths of what has an issue; None for none.
        export_kinds: which kinds of issues, with commas between; ``all`` for every one.
        time_limit: seconds after which what is left is left out, and named; None for no limit.
        cache: keep features on disk.
        cache_dir: where; None for the user's cache folder.
        out: folder for what is found; None to write nothing.
        overwrite: replace an earlier check there, and the list.
    """

    data: Images
    labels: str = "auto"
    ignore_label: str | None = None
    data_dir: Path | None = None
    by_run: Path | None = None
    network: ModelJob = NETWORK
    export: Path | None = None
    export_kinds: str = "all"
    time_limit: float | None = None
    cache: bool = True
    cache_dir: Path | None = None
    out: Path | None = None
    overwrite: bool = False

    def check(self) -> None:
        """Refuse, without torch and before photographs are looked for, what cannot be meant.

        Raises:
            UsageError: an unknown name or kind, a number out of range, files that may not be
                replaced, or a run without predictions.
            CamcliError: a checkpoint that holds no weights.
        """
        from camcli.evaluate.check.check_files import check_export, check_out, kinds_of

        kinds_of(self.export_kinds)
        if self.export is None and self.export_kinds != "all":
            raise UsageError("--export-kinds says what --export writes: add --export FILE.")
        if self.time_limit is not None and not 0 < self.time_limit < math.inf:
            raise UsageError(f"--time-limit is in seconds, and more than 0, not {self.time_limit}.")
        if self.out is not None:
            check_out(self.out, overwrite=self.overwrite)
        if self.export is not None:
            check_export(self.export, out=self.out, overwrite=self.overwrite)
        if self.by_run is not None:
            from camcli.evaluate.check.by_run import check_run

            check_run(self.by_run)
        self.network.check()

    def run(self, listener: Listener | None = None) -> CheckResult:
        """Look at all photographs, and write down what is wrong with them; none is changed.

        Args:
            listener: hears what is going on; by default the log does.

        Raises:
            UsageError: as `check` does; no photographs, or labels that are not where they should
                be.
            UnavailableError: the data set or the weights are not on this machine.
            CamcliError: a file that cannot be read or written.
        """
        listener = listener or LogListener()
        self.check()
        from camcli.evaluate.check.check_files import kinds_of, save, write_export
        from camcli.evaluate.check.reading import read_checked
        from camcli.evaluate.check.result import CheckResult
        from camcli.evaluate.findings.clock import Clock

        clock = Clock(self.time_limit)
        run = None
        if self.by_run is not None:
            from camcli.evaluate.check.by_run import read_run

            run = read_run(self.by_run)
        name = called(self.data)
        with listener.slow(f"Looking for photographs in {name} ..."):
            data = read_checked(self.data, self.labels, self.data_dir, self.ignore_label)
        for note in data.notes:
            listener.say(note)

        from camcli.evaluate.audit.looked import shuffled
        from camcli.evaluate.check.check import check

        if self.time_limit is not None:  # whatever it reaches is a sample of all classes
            data = replace(data, photos=tuple(shuffled(data.photos)))
        found = check(
            data,
            lambda: self._backbone(listener),
            run=run,
            cache=self.cache,
            cache_dir=self.cache_dir,
            clock=clock,
            listener=listener,
        )
        result = CheckResult(
            name, data.photos, data.classes, found.issues, found.findings, found.looked,
            found.looked_for, found.not_looked, found.unreadable,
        )  # fmt: skip
        if self.out is not None:
            source = str(self.data) if isinstance(self.data, str | Path) else ""
            with listener.slow("Drawing what was found ..."):
                files = save(self.out, result, source)
            listener.say(f"Wrote {', '.join(files)} to {self.out}.")
            result = replace(result, out=self.out, files=files)
        if self.export is not None:
            count, inside = write_export(self.export, result, kinds_of(self.export_kinds))
            listener.say(
                f"Wrote {counted(count, 'path')} to {self.export}"
                + (f": camcli batch @{self.export}" if count else ".")
            )
            if inside:
                listener.warn(
                    f"{counted(len(inside), 'photograph')} in tar or zip files cannot be listed by "
                    f"path: {some(inside, 3)}."
                )
            result = replace(result, exported=count)
        return result

    def _backbone(self, listener: Listener) -> Frozen:
        """The network that looks, and what training calls its features, so that they are shared."""
        from camcli.evaluate.check.looking import Frozen, frozen
        from camcli.train.prepare import load_backbones

        network = self.network.settled()
        listener.say(f"Loading {network.called} ...")
        if network.checkpoint is None and not (network.preprocess or network.trust_pickle):
            config = TrainConfig(
                backbone=network.model,
                weights=None if network.weights is None else str(network.weights),
                fit=network.fit,
                input_size=network.input_size,
            )
            try:
                (backbone,) = load_backbones(config, network.device, network.offline)
                return Frozen(backbone.classifier, backbone.digest)
            except UsageError:  # one that cannot be trained on; it may still be looked with
                pass
            except UnavailableError as error:
                raise UnavailableError(str(error).replace("--backbone ", "--model ")) from error
        classifier = network.load(say=listener.say, warn=listener.warn)
        return frozen(classifier, None if network.checkpoint is None else Path(network.checkpoint))
