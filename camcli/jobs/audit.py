"""What a network looks at across a data set: what ``camcli audit`` is asked, and how it is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from camcli.cam.method_facts import find_facts
from camcli.data.sources.find import Images
from camcli.errors import UsageError
from camcli.jobs.model import ModelJob
from camcli.jobs.photographs import called, find_photographs, tell_notes
from camcli.settings import Settings
from camcli.train.progress import Listener, LogListener

if TYPE_CHECKING:
    from camcli.evaluate.audit.map_stats import Fact
    from camcli.evaluate.audit.result import AuditResult
    from camcli.models.classifier import Classifier

Clusters = Literal["kmeans", "spectral"]
"""How alike maps are found; spectral also finds how many clusters there are (as SpRAy)."""

EVERYTHING = ModelJob(fit="squash")
"""The bundled network, which is shown all of each photograph."""


@dataclass(frozen=True, slots=True)
class AuditJob(Settings):
    """An audit that is to be made; ``camcli audit --help`` says more of each setting.

    Attributes:
        source: a run directory of ``camcli batch``, or photographs: a folder, a glob, ``@list.txt``
            or a list of paths.
        masks: folder of masks with the photographs' relative paths.
        labels: where labels come from.
        method: name of the CAM.
        network: that looks at the photographs; one that is loaded already will do, but cannot be
            pickled.
        clusters: how alike maps are found.
        k: most clusters a class; None for 10, or a third of its photographs if that is fewer.
        stretch: stretch each map's histogram before clustering.
        texture: take heat off flat parts of the photographs before clustering.
        merge: also merge the clusters' maps of each class into one.
        out: folder for what is found; None to write nothing.
        overwrite: replace an earlier audit there.
    """

    source: Images
    masks: Path | None = None
    labels: str = "auto"
    method: str = "gradcam"
    network: ModelJob | Classifier = EVERYTHING
    clusters: Clusters = "kmeans"
    k: int | None = None
    stretch: bool = False
    texture: bool = False
    merge: bool = False
    out: Path | None = None
    overwrite: bool = False

    @property
    def is_of_run(self) -> bool:
        """Whether the maps of a run are audited, rather than photographs."""
        from camcli.batch.run_files.run_paths import CSV

        return isinstance(self.source, str | Path) and (Path(self.source) / CSV).is_file()

    def check(self, given: Sequence[str] = ()) -> None:
        """Refuse, without torch and before photographs are looked for, what cannot be meant.

        Args:
            given: settings that were chosen, also where they are the plain ones.

        Raises:
            UsageError: an unknown name, a number out of range, settings of the network beside a
                run, or an audit that may not be replaced.
            CamcliError: a checkpoint that holds no weights.
        """
        from camcli.evaluate.audit.audit_files import check_out

        find_facts(self.method)
        if self.clusters not in get_args(Clusters):
            known = ", ".join(get_args(Clusters))
            raise UsageError(f"--clusters takes {known}, not {self.clusters!r}.")
        if self.k is not None and self.k < 1:
            raise UsageError(f"-k must be at least 1, not {self.k}.")
        if self.out is not None:
            check_out(self.out, overwrite=self.overwrite)
        if self.is_of_run:
            self._check_run(given)
        elif isinstance(self.network, ModelJob):
            self.network.check()

    def _check_run(self, given: Sequence[str]) -> None:
        """Refuse what says how maps are made, which a run's are already."""
        plain = AuditJob("")
        chosen = [n for n in ("labels", "method") if getattr(self, n) != getattr(plain, n)]
        if not isinstance(self.network, ModelJob):
            chosen.append("classifier")
        else:
            told, usual = asdict(self.network), asdict(EVERYTHING)
            chosen += [name for name in told if told[name] != usual[name]]
        making = ("labels", "method", *(each.name for each in fields(ModelJob)))
        chosen += [name for name in given if name in making and name not in chosen]
        if chosen:
            words = " and ".join(
                "the classifier" if name == "classifier" else f"--{name.replace('_', '-')}"
                for name in chosen
            )
            raise UsageError(f"{self.source} is a run, whose maps are made: leave {words} out.")

    def run(self, listener: Listener | None = None, given: Sequence[str] = ()) -> AuditResult:
        """Look at all maps, find what is suspicious, and write it down.

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
        if self.is_of_run:
            from camcli.evaluate.audit.audit_inputs import from_run

            facts = from_run(Path(str(self.source)), self.masks)
        else:
            facts = self._seen(listener, failures)
        if not facts:
            raise UsageError(f"There is no map to audit in {called(self.source)}.")

        from camcli.evaluate.audit.audit import summarise, suspicions
        from camcli.evaluate.audit.audit_files import save
        from camcli.evaluate.audit.map_clusters import Grouping, group
        from camcli.evaluate.audit.result import AuditResult

        found = suspicions(facts)
        rows = summarise(facts, found)
        how = Grouping(self.clusters == "spectral", self.k, self.stretch, self.texture, self.merge)
        alike = group(facts, how)
        files: tuple[str, ...] = ()
        if self.out is not None:
            source = str(self.source) if isinstance(self.source, str | Path) else ""
            files = save(self.out, facts, found, rows, alike, how, source)
            listener.say(f"Wrote {', '.join(files)} to {self.out}.")
        return AuditResult(
            called(self.source), tuple(found), tuple(rows), tuple(facts), alike,
            self.masks is not None, tuple(failures), self.out, files,
        )  # fmt: skip

    def _seen(self, listener: Listener, failures: list[str]) -> list[Fact]:
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
        from camcli.evaluate.audit.audit_inputs import from_photographs

        told, source = source.notes, settled(source, classifier, listener.say)
        tell_notes(source.numbered(classifier.classes), listener, told=told)
        refs = source.renamed(refs, classifier.classes)
        with listener.bar("audit", len(refs), "image") as bar:
            return from_photographs(
                classifier, refs, self.method, self.masks,
                failed=lambda error: failures.append(str(error)), progress=lambda: bar.advance(1),
            )  # fmt: skip
