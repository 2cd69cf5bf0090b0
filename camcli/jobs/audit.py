"""What a network looks at across a data set: what ``camcli audit`` is asked, and how it is done."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from camcli.cam.method_facts import AUTO, find_facts
from camcli.data.sources.find import Images
from camcli.errors import CamcliError, UsageError
from camcli.jobs.learnt import tell_learnt
from camcli.jobs.model import ModelJob
from camcli.jobs.photographs import called, find_photographs, tell_notes
from camcli.printable import counted
from camcli.settings import Settings
from camcli.train.progress import Listener, LogListener

if TYPE_CHECKING:
    from camcli.evaluate.audit.looked import Looked
    from camcli.evaluate.audit.result import AuditResult
    from camcli.evaluate.findings.clock import Clock
    from camcli.models.classifier import Classifier

Clusters = Literal["kmeans", "spectral"]
"""How alike maps are found; spectral also finds how many clusters there are (as SpRAy)."""

LEAST_SAMPLE = 10
LOOKING = 0.5  # of the time that there is goes to looking at all photographs
PLAIN = ModelJob()
"""The bundled network. It sees photographs in its own way, as it does where it is used: what it
never sees, it cannot use."""


@dataclass(frozen=True, slots=True)
class AuditJob(Settings):
    """An audit that is to be made; ``camcli audit --help`` says more of each setting.

    Attributes:
        source: a run directory of ``camcli batch``, or photographs: a folder, a glob, ``@list.txt``
            or a list of paths.
        masks: folder of masks with the photographs' relative paths.
        labels: where labels come from.
        method: name of the CAM; ``auto`` for the one that suits the network.
        network: that looks at the photographs; one that is loaded already will do, but cannot be
            pickled.
        clusters: how alike maps are found.
        k: most clusters a class; None for 10, or a third of its photographs if that is fewer.
        stretch: stretch each map's histogram before clustering.
        texture: take heat off flat parts of the photographs before clustering.
        merge: also merge the clusters' maps of each class into one.
        sample: photographs of a predicted class that are compared with each other, and changed.
        time_limit: seconds after which what is left is left out, and named; None for no limit.
        out: folder for what is found; None to write nothing.
        overwrite: replace an earlier audit there.
    """

    source: Images
    masks: Path | None = None
    labels: str = "auto"
    method: str = AUTO.name
    network: ModelJob | Classifier = PLAIN
    clusters: Clusters = "kmeans"
    k: int | None = None
    stretch: bool = False
    texture: bool = False
    merge: bool = False
    sample: int = 60
    time_limit: float | None = None
    out: Path | None = None
    overwrite: bool = False

    @property
    def is_of_run(self) -> bool:
        """Whether the maps of a run are audited, rather than photographs."""
        from camcli.batch.run_files.run_paths import CSV

        return isinstance(self.source, str | Path) and (Path(self.source) / CSV).is_file()

    @property
    def _names_network(self) -> bool:
        """Whether the user says which network it is."""
        if not isinstance(self.network, ModelJob):
            return True
        naming = ("model", "checkpoint", "weights")
        return any(getattr(self.network, n) != getattr(PLAIN, n) for n in naming)

    def check(self, given: Sequence[str] = ()) -> None:
        """Refuse, without torch and before photographs are looked for, what cannot be meant.

        Args:
            given: settings that were chosen, also where they are the plain ones.

        Raises:
            UsageError: an unknown name, a number out of range, settings of the maps beside a
                run, or an audit that may not be replaced.
            CamcliError: a checkpoint that holds no weights.
        """
        from camcli.evaluate.audit.audit_files import check_out

        if find_facts(self.method).joins:
            raise UsageError(
                f"--method {self.method} joins layers, and an audit compares the channels of one: "
                "take another method."
            )
        if self.clusters not in get_args(Clusters):
            known = ", ".join(get_args(Clusters))
            raise UsageError(f"--clusters takes {known}, not {self.clusters!r}.")
        if self.k is not None and self.k < 1:
            raise UsageError(f"-k must be at least 1, not {self.k}.")
        if self.sample < LEAST_SAMPLE:
            raise UsageError(
                f"--sample must be at least {LEAST_SAMPLE}, not {self.sample}: fewer photographs "
                "prove nothing."
            )
        if self.time_limit is not None and not 0 < self.time_limit < math.inf:
            raise UsageError(f"--time-limit is in seconds, and more than 0, not {self.time_limit}.")
        if self.out is not None:
            check_out(self.out, overwrite=self.overwrite)
        if self.is_of_run:
            self._check_run(given)
        elif isinstance(self.network, ModelJob):
            self.network.check()

    def _check_run(self, given: Sequence[str]) -> None:
        """Refuse what says how maps are made, which a run's are already."""
        plain = AuditJob("")
        making = ("labels", "method")
        chosen = [n for n in making if getattr(self, n) != getattr(plain, n)]
        chosen += [n for n in given if n in making and n not in chosen]
        if isinstance(self.network, ModelJob):
            seeing = ("fit", "input_size", "preprocess")
            chosen += [
                name
                for name in seeing
                if name in given or getattr(self.network, name) != getattr(PLAIN, name)
            ]
            self.network.check()
        if chosen:
            words = " and ".join(f"--{name.replace('_', '-')}" for name in chosen)
            raise UsageError(f"{self.source} is a run, whose maps are made: leave {words} out.")

    def run(self, listener: Listener | None = None, given: Sequence[str] = ()) -> AuditResult:
        """Look at all photographs, find what gives classes away, prove it, and write it down.

        Args:
            listener: hears what is going on; by default the log does.
            given: see `check`.

        Raises:
            UsageError: as `check` does; no photographs, masks or maps; or a folder of maps that
                explain something else than the predictions.
            UnavailableError: weights are not on this machine.
            CamcliError: a file that cannot be read or written.
        """
        listener = listener or LogListener()
        self.check(given)
        failures: list[str] = []

        from camcli.evaluate.findings.clock import Clock

        clock = Clock(self.time_limit)
        if self.is_of_run:
            looked, classifier = self._run_again(listener, clock)
        else:
            looked, classifier = self._seen(listener, failures, clock)
        if not looked.facts:
            raise self._nothing(failures, clock, looked)

        if not isinstance(classifier, str) and classifier.provenance.source == "checkpoint":
            weights = Path(classifier.provenance.weights or "")
            tell_learnt([weights], [photo.ref.path for photo in looked.photos], listener)

        from camcli.evaluate.audit.audit import summarise, suspicions
        from camcli.evaluate.audit.audit_files import save
        from camcli.evaluate.audit.investigate import investigate
        from camcli.evaluate.audit.map_clusters import Grouping, group
        from camcli.evaluate.audit.result import AuditResult

        facts = looked.facts
        heat = suspicions(facts)
        found = investigate(
            looked, heat, classifier, most=self.sample, clock=clock, listener=listener
        )
        rows = summarise(facts, found.findings)
        how = Grouping(self.clusters == "spectral", self.k, self.stretch, self.texture, self.merge)
        with listener.slow("Clustering the maps ..."):
            alike = group(facts, how)
        result = AuditResult(
            called(self.source), found.findings, tuple(rows), facts, alike, self.masks is not None,
            tuple(heat), found.duplicates, found.looked_for, found.not_looked, tuple(failures),
        )  # fmt: skip
        if self.out is None:
            return result
        source = str(self.source) if isinstance(self.source, str | Path) else ""
        with listener.slow("Drawing what was found ..."):
            network = None if isinstance(classifier, str) else classifier.provenance
            files = save(self.out, result, how, source, network)
        listener.say(f"Wrote {', '.join(files)} to {self.out}.")
        return replace(result, out=self.out, files=files)

    def _nothing(self, failures: Sequence[str], clock: Clock, looked: Looked) -> CamcliError:
        """Why there is no photograph to speak of."""
        name = called(self.source)
        if failures:
            of = (
                f"None of {counted(len(failures), 'photograph')}"
                if failures[1:]
                else "The photograph"
            )
            return CamcliError(f"{of} in {name} could be looked at. {failures[0]}")
        if clock.skipped and self.time_limit is not None:
            return UsageError(
                f"Not a single photograph of {name} was looked at within --time-limit "
                f"{self.time_limit:g}, in which the network is loaded as well: give it more time."
            )
        return UsageError(" ".join([f"There is no map to audit in {name}.", *looked.left_out]))

    def _seen(
        self, listener: Listener, failures: list[str], clock: Clock
    ) -> tuple[Looked, Classifier]:
        """What the network looks at in photographs."""
        from camcli.evaluate.measured.annotations import find_masks

        source, refs = find_photographs(self.source, self.labels, listener)
        if self.masks:
            find_masks(self.masks, refs)  # whether there are any, before the network looks
        classifier = self.network
        if isinstance(classifier, ModelJob):
            listener.say(f"Loading {classifier.called} ...")
            classifier = classifier.load(say=listener.say, warn=listener.warn)

        from camcli.batch.folder_order import settled
        from camcli.cam.automatic import suited
        from camcli.cam.map_options import make_map_options
        from camcli.evaluate.audit.audit_inputs import from_photographs
        from camcli.evaluate.audit.looked import shuffled

        told, source = source.notes, settled(source, classifier, listener.say)
        tell_notes(source.numbered(classifier.classes), listener, told=told)
        refs = source.renamed(refs, classifier.classes)
        how = suited(make_map_options(self.method), classifier)
        if how.chosen:
            listener.say(how.chosen)
        if self.time_limit is not None:  # whatever it reaches is a sample of all classes
            refs = shuffled(refs)
        with listener.bar("look", len(refs), "image") as bar:
            looked = from_photographs(
                classifier, refs, how.method.name, self.masks,
                failed=lambda error: failures.append(str(error)), progress=lambda: bar.advance(1),
                clock=clock.part(LOOKING),
            )  # fmt: skip
        return looked, classifier

    def _run_again(self, listener: Listener, clock: Clock) -> tuple[Looked, Classifier | str]:
        """What a run kept, its photographs, and its network; or why that cannot be had."""
        from camcli.batch.run_files.rundir import RunDirectory
        from camcli.evaluate.audit.audit_inputs import from_photographs, from_run, seen_again
        from camcli.evaluate.audit.looked import shuffled, updated
        from camcli.evaluate.audit.run_network import recorded_method

        folder = Path(str(self.source))
        info = RunDirectory(folder).read_info()
        kept = from_run(folder, self.masks)
        classifier = self._network_of_run(info, folder, listener)
        refs = list({photo.rel: photo.ref for photo in kept.photos}.values())
        if self.time_limit is not None:
            refs = shuffled(refs)
        part = clock.part(LOOKING)
        with listener.bar("look again", len(refs), "image") as bar:
            if isinstance(classifier, str):
                looked = seen_again(kept, refs, part, lambda: bar.advance(1))
            else:
                gone: list[str] = []
                fresh = from_photographs(
                    classifier, refs, recorded_method(info), self.masks,
                    failed=lambda error: gone.append(str(error)), progress=lambda: bar.advance(1),
                    clock=part,
                )  # fmt: skip
                looked = updated(kept, fresh, gone)
        if not looked.photos:
            if part.over:
                return looked, "there was no time to look at its photographs again"
            return looked, "the photographs of the run cannot be read"
        return looked, classifier

    def _network_of_run(
        self, info: dict[str, Any], run: Path, listener: Listener
    ) -> Classifier | str:
        """The network that a run was made with, or why it cannot be loaded."""
        from camcli.evaluate.audit.run_network import (
            check_same,
            recorded_classes,
            recorded_network,
        )

        network = self.network
        # What the user has named is meant, and is no reason to go on without.
        asked = self._names_network or (isinstance(network, ModelJob) and bool(network.classes))
        try:
            if isinstance(network, ModelJob):
                how = recorded_network(info, run, own=self._names_network)
                network = replace(network, **how)
                if not network.checkpoint and not network.classes:
                    network = replace(network, classes=recorded_classes(info, run))
                listener.say(f"Loading {network.called}, which the run was made with ...")
                network = network.load(say=listener.say, warn=listener.warn)
            check_same(info, network.provenance.sha256, network.classes)
        except CamcliError as error:
            if asked:
                raise
            return str(error).rstrip(".")
        return network
