"""Methods and networks side by side: what ``camcli evaluate`` is asked, and how it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camcli.cam.map_options import MASKED, MapOptions, Smooth, check_views, note_of_all_layers
from camcli.cam.method_facts import find_facts
from camcli.data.decode.fit import Fit
from camcli.data.sources.find import Images
from camcli.errors import UsageError
from camcli.evaluate.comparison.questions.suites import ATTENTION_METHODS, SUITE_METHODS, find_suite
from camcli.evaluate.comparison.questions.wanted import GIVE, MEASURES
from camcli.evaluate.comparison.result.result import EvaluationResult
from camcli.evaluate.comparison.result.result_files import check_out
from camcli.evaluate.comparison.rows.losses import Losses
from camcli.evaluate.comparison.turn.networks import ComparedNetwork, find_methods, split_names
from camcli.evaluate.measured.map_scaling import MAP_SCALINGS, MapScaling
from camcli.jobs.calibration import check_calibration, store
from camcli.jobs.learnt import tell_learnt
from camcli.jobs.model import ModelJob
from camcli.jobs.networks import checkpoint_of, files_of, network_of
from camcli.jobs.photographs import called, find_photographs
from camcli.jobs.presets import (
    SettledMaps,
    blaming,
    drawn_alike,
    find_preset,
    told_of_boxes,
    told_of_network,
)
from camcli.models import spec
from camcli.models.spec import AskedOutput
from camcli.printable import counted
from camcli.settings import Settings
from camcli.train.progress import Listener, LogListener

if TYPE_CHECKING:
    from camcli.evaluate.comparison.rows.answers import Answers
    from camcli.models.classifier import Classifier

GRIDS = (2, 3)
"""Cells a side that the grid pointing game is played with."""
MOST_DRAWS = 100_000
SURE = 0.9
"""Least probability of a photograph in the grid, where none is asked for."""


_STOPPING = "Stopping: what was measured is being kept; once more to leave it."


@dataclass(frozen=True, slots=True)
class EvaluateJob(Settings):
    """An evaluation that is to be made; ``camcli evaluate --help`` says more of each setting.

    None stands for what the preset says, or else for the plain choice: ``methods`` for auto,
    ``scale`` for relu, ``fit``, ``input_size`` and ``smooth`` for the network's own and none.

    Attributes:
        data: a folder, a glob or ``@list.txt`` of photographs, or a list of paths.
        methods: names with commas between; ``random`` is always added.
        models: names and checkpoints, likewise.
        weights: for the networks that are no checkpoints, in order.
        weights_key: which of several sets in the file of `weights`.
        classes: file of class names, for weights of one's own.
        preset: ``localize``.
        boxes: where the photographs' boxes are.
        masks: folder of their masks.
        trimap: whether the masks are trimaps.
        parts: folder of scenes that are there again without each of their parts.
        labels: where labels come from.
        suite: ``quick``, ``standard`` or ``full``: sets of questions, see `SUITES`.
        faithfulness: ask the network again without what each map shows.
        sanity: compare the maps with those of randomised copies.
        grid: cells a side of the grid pointing games.
        confidence: also judge the predictions of at least this probability.
        scale: how a map becomes scores.
        threshold: of tpr and fpr, as a share of a map's maximum.
        tolerance: of the pointing game, in the photograph's pixels.
        bootstrap: sets drawn for the intervals; 0 for none.
        limit: only the first so many photographs.
        smooth: ``aug``, ``noise``, ``eigen`` or ``views``.
        converge: where methods that mask channels stop, as a cosine.
        layer: whose maps are explained.
        fit: how photographs are fitted to the input.
        input_size: side of the input in pixels.
        preprocess: how networks of one's own want their pixels, in words.
        trust_pickle: whether code that a network's file names may run.
        output: what networks of one's own return.
        label_threshold: as ``threshold`` of a `ModelJob`: above which a label is predicted.
        device: where they run.
        offline: never touch the network.
        calibrate: boxes of a few photographs, by which the thresholds of boxes are chosen; these
            photographs do not count among those of `boxes`.
        store: where that is written: a new .toml, or a .safetensors that is a copy of the network's
            checkpoint with its thresholds.
        box_threshold: from which share of its maximum on a map is inside its box; as that of a
            `MapJob`.
        out: folder for tables and charts; None to write nothing.
        overwrite: replace earlier results there.
    """

    data: Images
    methods: str | None = None
    models: str = spec.BUNDLED
    weights: list[str] | None = None
    weights_key: str | None = None
    classes: Path | None = None
    preset: str | None = None
    boxes: Path | None = None
    masks: Path | None = None
    trimap: bool = False
    parts: Path | None = None
    labels: str = "auto"
    suite: str | None = None
    faithfulness: bool = False
    sanity: bool = False
    grid: list[int] | None = None
    confidence: float | None = None
    scale: MapScaling | None = None
    threshold: float = 0.5
    tolerance: float = 15
    bootstrap: int = 500
    limit: int | None = None
    smooth: Smooth | None = None
    converge: float | None = None
    layer: str = spec.LAST
    fit: Fit | None = None
    input_size: int | None = None
    preprocess: str | None = None
    trust_pickle: bool = False
    output: AskedOutput = "auto"
    label_threshold: float | str | Path | None = None
    calibrate: Path | None = None
    store: Path | None = None
    box_threshold: float | str | Path | None = None
    device: str = "auto"
    offline: bool = False
    out: Path | None = None
    overwrite: bool = False

    def check(self) -> None:
        """Refuse, without torch and before photographs are looked for, what cannot be meant.

        Raises:
            UsageError: an unknown name, a number out of range, options that do nothing together,
                nothing to measure, or results that may not be replaced.
            CamcliError: a file that holds no weights.
        """
        with self._blaming():
            self.settled()._check(self.networks())

    def settled(self) -> EvaluateJob:
        """The same with the preset's settings, and the plain ones, where none were chosen."""
        named = find_preset(self.preset)
        suite = find_suite(self.suite)
        return replace(
            self,
            methods=self.methods or (SUITE_METHODS if suite and not self.preset else named.method),
            scale=self.scale or named.scale,
            smooth=self.smooth or named.smooth,
            fit=self.fit or named.fit,
            input_size=self.input_size or named.input_size,
        )

    def hows(self) -> dict[str, MapOptions]:
        """The methods by name, ``random`` first.

        Raises:
            UsageError: see `find_methods`.
        """
        job = self.settled()
        usual = find_preset(job.preset).box
        return find_methods(job.methods or "", job.smooth, job.converge, job.box_threshold, usual)

    @property
    def masks_channels(self) -> bool:
        """Whether a method is among the asked ones that `converge` is for."""
        names = split_names(self.settled().methods or "", "--methods")
        return any(find_facts(name).name in MASKED for name in names)

    def networks(self) -> list[ComparedNetwork]:
        """The networks of the table, checked; none is opened.

        Raises:
            UsageError: a name that nothing has, or another number of weights than networks.
            CamcliError: a file that holds no weights.
        """
        return [network_of(name, job) for name, job in self._models().items()]

    def run(
        self,
        listener: Listener | None = None,
        networks: Sequence[ComparedNetwork] | None = None,
        stopped: Callable[[EvaluationResult], object] = lambda result: None,
    ) -> EvaluationResult:
        """Find the photographs, ask each network, and write what was found.

        Args:
            listener: hears what is going on; by default the log does.
            networks: those of the table instead of the ones that `models` names.
            stopped: given what was measured until then, and written, where a person stops it
                (Ctrl-C, SIGTERM); that is raised after it.

        Returns:
            What was found. What failed after something had been measured is told in its ``lost``,
            also that a file could not be written.

        Raises:
            UsageError: as `check` does; no photographs; broken annotations, or none that belongs
                to a photograph; or nothing that could be measured.
            UnavailableError: weights are not on this machine.
            CamcliError: a file that cannot be read, or a place where nothing can be written.
        """
        listener = listener or LogListener()
        job = self.settled()
        own = self.suite is not None and not (self.methods or self.preset)
        with self._blaming():
            networks = self.networks() if networks is None else networks
            job._check(networks)
            if self.preset:
                networks = [
                    replace(each, load=partial(_told, self.preset, each.load)) for each in networks
                ]
            return job._asked(networks, listener, ATTENTION_METHODS if own else None, stopped)

    def _blaming(self) -> AbstractContextManager[None]:
        """Mistakes of the preset's are told as its own, not as the user's."""
        return blaming(
            self.preset, methods=self.methods, fit=self.fit, input_size=self.input_size,
            smooth=self.smooth, option="--methods",
        )  # fmt: skip

    def _check(self, networks: Sequence[ComparedNetwork]) -> None:
        """`check`, of settled settings."""
        if self.scale not in MAP_SCALINGS:
            raise UsageError(f"--scale takes {', '.join(MAP_SCALINGS)}, not {self.scale!r}.")
        self.hows()
        if odd := [n for n in self.grid or () if n not in GRIDS]:
            raise UsageError(f"--grid takes 2 or 3, not {odd[0]}.")
        if self._only_labels and self.labels == "none":
            raise UsageError(f"Nothing to measure: {GIVE}, or --labels other than none.")
        check_calibration(
            self.calibrate, self.store, self.box_threshold, overwrite=self.overwrite,
            checkpoints=self._checkpoints(),
        )  # fmt: skip
        if self.models:  # those that are given as they are say themselves how they see
            check_views(self.smooth, self.fit, self.input_size)
        called = [each.name for each in networks]
        if twice := [name for name in called if called.count(name) > 1]:
            raise UsageError(
                f"Two networks of the table are called {twice[0]!r}: give a dict of names and "
                "networks."
            )
        if self.sanity and (stuck := [each.name for each in networks if each.copies is None]):
            raise UsageError(
                f"The sanity check makes randomised copies of {', '.join(stuck)}, which is given "
                "as it is: name it as a model or a checkpoint instead."
            )
        if self.out:
            check_out(self.out, overwrite=self.overwrite)
        if not 0 <= self.threshold < 1:
            raise UsageError("--threshold must be at least 0 and below 1.")
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise UsageError(f"--confidence is in [0, 1], not {self.confidence}.")
        if not 0 <= self.tolerance < float("inf"):
            raise UsageError(f"--tolerance must be at least 0, not {self.tolerance}.")
        if not 0 <= self.bootstrap <= MOST_DRAWS:
            raise UsageError(f"--bootstrap is in [0, {MOST_DRAWS}], not {self.bootstrap}.")
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"--limit must be at least 1, not {self.limit}.")
        if self.trimap and self.masks is None:
            raise UsageError("--trimap says how --masks are read: give them.")

    @property
    def _only_labels(self) -> bool:
        """Whether nothing but predictions can be measured."""
        return not any(getattr(self, name) for name in MEASURES)

    def _checkpoints(self) -> list[Path | None]:
        if not self.models:  # all of them are given as they are
            return []
        return [checkpoint_of(name) for name in split_names(self.models, "--models")]

    def _models(self) -> dict[str, ModelJob]:
        """The networks by name, in the user's order."""
        job = self.settled()
        names = split_names(job.models, "--models")
        files = {name: checkpoint_of(name) for name in names}
        named = [name for name in names if files[name] is None]
        if job.weights and len(job.weights) != len(named):
            raise UsageError(
                f"--weights is given {len(job.weights)} times, and --models names {len(named)} "
                "networks that are no checkpoints: give it once for each of them, in order."
            )
        if job.weights_key and not job.weights:
            raise UsageError(
                "--weights-key chooses one of several sets in a file: add --weights FILE."
            )
        own = dict(zip(named, job.weights or (), strict=False))
        layer = job.layer
        if layer == spec.LAST and any(how.method.joins for how in job.hows().values()):
            layer = spec.PYRAMID
        common = ModelJob(
            fit=job.fit, input_size=job.input_size, layer=layer, device=job.device,
            offline=job.offline, trust_pickle=job.trust_pickle, threshold=job.label_threshold,
        )  # fmt: skip
        found = {
            name: replace(common, checkpoint=file)
            if (file := files[name])
            else replace(
                common, model=name, weights=own.get(name), weights_key=job.weights_key,
                classes=job.classes, output=job.output, preprocess=job.preprocess,
            )
            for name in names
        }  # fmt: skip
        for each in found.values():
            try:
                each.check()
            except UsageError as error:  # which calls it as the other commands do
                told = str(error).replace("--threshold", "--label-threshold")
                raise UsageError(told) from error
        return found

    def _asked(
        self,
        networks: Sequence[ComparedNetwork],
        listener: Listener,
        attentive: str | None,
        stopped: Callable[[EvaluationResult], object],
    ) -> EvaluationResult:
        """`run`, of settled settings; `attentive` are methods for transformers besides."""
        from camcli.evaluate.comparison.questions.truths import find_truths, without
        from camcli.evaluate.comparison.turn.session import (
            ask_all,
            check_labels,
            questions,
        )

        if self.models and (note := note_of_all_layers(self.hows().values(), self.layer)):
            listener.say(note)
        source, refs = find_photographs(self.data, self.labels, listener, self.limit)
        truths = find_truths(
            refs, boxes=self.boxes, masks=self.masks, trimap=self.trimap, listener=listener
        )
        suite = find_suite(self.suite)
        scenes = None
        if self.parts is not None:
            from camcli.evaluate.measured.part_scenes import read_part_scenes

            scenes = read_part_scenes(self.parts)
            scenes.matching(refs)
        calibrating: dict[str, Any] = {}
        if self.calibrate:
            calibrating = find_truths(
                refs,
                boxes=self.calibrate,
                masks=None,
                trimap=False,
                listener=None,
                warn=listener.warn,
            ).boxes
            truths = without(truths, calibrating, listener)
        if self._only_labels:
            check_labels(refs, networks, named=source.renamed)
        from camcli.batch.folder_order import renamed  # with torch

        drawn = (self.boxes or self.masks) and not self.calibrate and self.box_threshold is None
        if self.preset and drawn:
            maps = SettledMaps(self.methods or "", self.fit, self.input_size, self.smooth)
            told = told_of_boxes(self.preset, maps, "--calibrate")
            other = self.models != spec.BUNDLED or bool(self.weights)
            listener.say(f"{told} {drawn_alike(self.preset, maps, other=other)}")
        # Before seconds of silence.
        listener.say(f"{counted(len(refs), 'photograph')}, {counted(len(networks), 'network')}.")
        tell_learnt(self._checkpoints(), [ref.path for ref in refs], listener)
        ask = questions(
            truths, scale=self.scale, threshold=self.threshold, tolerance=self.tolerance,
            faithfulness=self.faithfulness or bool(suite and suite.faithfulness),
            deletion=bool(suite), fidelity=bool(suite and suite.fidelity),
            grid=tuple(dict.fromkeys(self.grid or ())), grid_if=suite.grid if suite else (),
            grid_confidence=SURE if self.confidence is None else self.confidence,
            repeats=self.bootstrap, parts=scenes,
        )  # fmt: skip
        losses = Losses(listener.warn)
        found = ask_all(
            networks, refs, self.hows(), ask, confidence=self.confidence, sanity=self.sanity,
            sanity_if=bool(suite and suite.sanity), timed=bool(suite or scenes),
            named=lambda refs, known: renamed(source, refs, known, listener.say),
            listener=listener, losses=losses, labeller=source.labeller, calibrating=calibrating,
            attentive=find_methods(attentive, self.smooth, None, self.box_threshold)
            if attentive else {},
            only_labels=self._only_labels,
        )  # fmt: skip
        if found.stopped:
            listener.say(f"{_STOPPING} {' '.join(found.partial)}")
        result = EvaluationResult(
            called(self.data), len(refs), tuple(found.rows), tuple(found.checks), found.predictions,
            found.learned, tuple(sorted(found.failures)),
            {**self._recorded(), "source": str(source.finder.root), "networks": files_of(networks)},
            advice=tuple(found.advice), adapted=found.adapted, lost=tuple(losses.sentences),
            partial=tuple(found.partial),
        )  # fmt: skip
        result = self._written(result, found, losses, listener)
        if found.stopped:
            stopped(result)
            raise found.stopped
        return result

    def _written(
        self, result: EvaluationResult, found: Answers, losses: Losses, listener: Listener
    ) -> EvaluationResult:
        """The result, kept where it was asked for; what cannot be written is not lost with it."""
        from camcli.evaluate.comparison.result.table import save

        if self.out is not None:
            with losses.only("files of the results"):
                write = partial(
                    save, self.out, result.rows, result.sanity, result.record(), result.advice,
                    losses,
                )  # fmt: skip
                try:
                    files = write()
                except BaseException as error:
                    if isinstance(error, Exception) or found.stopped:
                        raise
                    # A person's wish after the work: all that it costs is what takes time now.
                    found.stopped = error
                    listener.say(f"{_STOPPING} All was measured.")
                    losses.say("No pictures: it was stopped while they were drawn.")
                    files = write(pictures=False)
                result = replace(result, out=self.out, files=files)
                listener.say(f"Wrote {', '.join(files)} to {self.out}.")
                listener.say("'camcli report' of a run over these photographs shows it, too.")
        if self.store is not None and found.calibrations:
            with losses.only("file of the thresholds"):
                store(self.store, found.calibrations, self._checkpoints(), listener)
        return replace(result, lost=tuple(losses.sentences))

    def _recorded(self) -> dict[str, Any]:
        """What decided the numbers, for the record."""
        return {
            "fit": self.fit, "input_size": self.input_size, "layer": self.layer,
            "smooth": self.smooth,
            **({"suite": self.suite} if self.suite else {}),
            **({} if self.output == "auto" else {"output": self.output}),
            **({"preprocess": self.preprocess} if self.preprocess else {}),
            "converge": self.converge, "scale": self.scale, "threshold": self.threshold,
            "label_threshold": None if self.label_threshold is None else str(self.label_threshold),
            "tolerance": self.tolerance, "preset": self.preset,
            # Where it lies: a page of a run over the same photographs finds it by this.
            **{
                name: str(path.absolute())
                for name, path in (
                    ("boxes", self.boxes), ("masks", self.masks), ("parts", self.parts)
                ) if path
            },
            **({"trimap": True} if self.trimap else {}),
            **({"calibrate": str(self.calibrate.absolute())} if self.calibrate else {}),
            **({} if self.box_threshold is None else {"box_threshold": str(self.box_threshold)}),
        }  # fmt: skip


def _told(
    preset: str, load: Callable[[str, Listener], Classifier], layer: str, listener: Listener
) -> Classifier:
    """A network that is loaded; the listener hears whether the preset was chosen for another."""
    classifier = load(layer, listener)
    if note := told_of_network(preset, classifier):
        listener.warn(note)
    return classifier
