"""The Python API: what maps are worth, and what a network looks at across a data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camcli.cam.map_options import Smooth
from camcli.data.decode.fit import Fit
from camcli.data.sources.find import Images
from camcli.errors import UsageError
from camcli.evaluate.comparison.result.result import EvaluationResult
from camcli.evaluate.comparison.turn.networks import ComparedNetwork
from camcli.evaluate.measured.map_scaling import MapScaling
from camcli.jobs.audit import PLAIN, AuditJob, Clusters
from camcli.jobs.evaluate import EvaluateJob
from camcli.jobs.model import ModelJob
from camcli.jobs.networks import loaded, network_of
from camcli.jobs.record import filled
from camcli.models.spec import AskedOutput
from camcli.printable import printable
from camcli.train.progress import Listener

if TYPE_CHECKING:
    from camcli.evaluate.audit.result import AuditResult
    from camcli.models.classifier import Classifier

    OneModel = str | Path | ModelJob | Classifier
    Models = OneModel | Sequence[OneModel] | Mapping[str, OneModel]

# The settings' defaults: each function takes them from the record that it fills.
E, A = EvaluateJob(""), AuditJob("")


def evaluate(
    data: Images,
    models: Models = E.models,
    *,
    methods: str | Iterable[str] | None = E.methods,
    weights: str | Path | Iterable[str | Path] | None = E.weights,
    weights_key: str | None = E.weights_key,
    classes: str | Path | None = E.classes,
    preset: str | None = E.preset,
    boxes: str | Path | None = E.boxes,
    masks: str | Path | None = E.masks,
    calibrate: str | Path | None = E.calibrate,
    store: str | Path | None = E.store,
    box_threshold: float | str | Path | None = E.box_threshold,
    trimap: bool = E.trimap,
    parts: str | Path | None = E.parts,
    labels: str = E.labels,
    suite: str | None = E.suite,
    faithfulness: bool = E.faithfulness,
    sanity: bool = E.sanity,
    grid: int | Iterable[int] | None = E.grid,
    confidence: float | None = E.confidence,
    scale: MapScaling | None = E.scale,
    threshold: float = E.threshold,
    tolerance: float = E.tolerance,
    bootstrap: int = E.bootstrap,
    limit: int | None = E.limit,
    smooth: Smooth | None = E.smooth,
    converge: float | None = E.converge,
    layer: str = E.layer,
    fit: Fit | None = E.fit,
    input_size: int | None = E.input_size,
    preprocess: str | None = E.preprocess,
    trust_pickle: bool = E.trust_pickle,
    output: AskedOutput = E.output,
    label_threshold: float | str | Path | None = E.label_threshold,
    device: str = E.device,
    offline: bool = E.offline,
    out: str | Path | None = E.out,
    overwrite: bool = E.overwrite,
    listener: Listener | None = None,
) -> EvaluationResult:
    """Compare methods and networks: does the heat hit the object, does it tell the truth?

    A centred box, a centre Gaussian, noise and randomly weighted features are always among the
    rows: a map that does not beat them shows nothing.

    Args:
        data: a folder, a glob or ``@list.txt`` of photographs, or a list of paths. Labels that name
            the network's classes say which class is explained; else it is the predicted one.
        models: what is compared: names and checkpoints with commas between; classifiers from
            `load_classifier`; a list of either; or a dict, whose keys name them in the table.
        methods: names of CAM methods, with commas between or as a list; by default ``auto``.
        weights: for the named networks that are no checkpoints, in order.
        weights_key: which of several sets in the file of `weights`.
        classes: file of class names, for weights of one's own.
        preset: ``localize``: input size, fit and smoothing that find boxes best.
        boxes: a folder of Pascal VOC .xml files, a COCO .json, a .csv (path,x0,y0,x1,y1) or
            wsolevaluation's localization.txt.
        masks: folder of mask pictures with the photographs' relative paths.
        calibrate: boxes of a few photographs, by which it is chosen from which share of its maximum
            on a map is inside its box; `boxes` measures it on the others.
        store: where that is kept: a new .toml for `box_threshold`, or a .safetensors, which is a
            copy of the checkpoint.
        box_threshold: a share of a map's maximum, ``0.2@90``, ``otsu``, or such a file.
        trimap: the masks are trimaps: 1 object, 2 background, 3 ignored.
        parts: folder of scenes that are there again without each of their parts.
        labels: where labels come from: ``auto``, ``folder``, ``prefix``, ``none``, or a regular
            expression for the relative path whose first group is the label.
        suite: a set of questions, ``quick``, ``standard`` or ``full``; how long it will take is
            told before it begins, and which method to use after it.
        faithfulness: also ask the network again without what each map shows.
        sanity: also compare the maps with those of randomised copies of the network.
        grid: also play the grid pointing game with mosaics of 2x2 or 3x3 photographs: 2, 3 or both.
        confidence: also say how accurate the predictions of at least this probability are; the grid
            takes photographs above it (by default 0.9).
        scale: how a map becomes scores: ``relu``, as it is drawn, or ``minmax``; by default
            ``relu``, or the preset's.
        threshold: share of a map's maximum above which tpr and fpr take a pixel as found.
        tolerance: how many pixels of the photograph the maximum may miss the object by.
        bootstrap: sets drawn for the 95% intervals; 0 for none.
        limit: only the first so many photographs.
        smooth: ``aug``, ``noise``, ``eigen`` or ``views``.
        converge: where methods that mask channels stop, as a cosine.
        layer: whose maps are explained. This and the next are for networks that are not loaded.
        fit: how photographs are fitted to the input: ``crop``, ``squash``, ``pad`` or ``whole``.
        input_size: side of the input in pixels.
        preprocess: how networks of your own want their pixels, as `load_classifier` takes it.
        trust_pickle: whether code that a network's file names may run.
        output: what networks of one's own return.
        label_threshold: probability above which a label is predicted: ``threshold`` of
            `load_classifier`.
        device: where they run.
        offline: never touch the network for weights.
        out: folder for tables, charts and a confusion matrix; by default nothing is written.
        overwrite: replace earlier results there.
        listener: hears what is going on, as `camcli.train.progress.Listener` says: that of
            ``camcli.cli.terminal.progress`` draws bars. By default the logger ``camcli`` is told.

    Returns:
        The rows, the predictions' worth and what could not be read; a notebook shows the tables.

    Raises:
        UsageError: an unknown name, a number out of range, options that do nothing together, or
            nothing that could be measured.
        UnavailableError: weights are not on this machine.
        CamcliError: a file that cannot be read or written.

    Example:
        >>> import camcli
        >>> found = camcli.evaluate("photos", boxes="boxes.csv")          # doctest: +SKIP
        >>> found.row("gradcam").metrics["maxboxacc_v2"]                      # doctest: +SKIP
    """
    options = locals()
    named = list(_named(models))
    names = [str(each) for _, each in named if isinstance(each, str | Path)]
    job = filled(
        EvaluateJob, options, models=",".join(names), methods=_joined(methods),
        weights=_listed(weights), grid=[grid] if isinstance(grid, int) else grid,
    )  # fmt: skip
    if len(names) < len(named):
        _check_loaded(job)
    by_name = iter(job.networks() if names else ())
    networks = [
        replace(next(by_name), name=name) if isinstance(each, str | Path) else _opened(name, each)
        for name, each in named
    ]
    return job.run(listener, networks)


def audit(
    source: Images,
    classifier: Classifier | ModelJob | str | None = None,
    *,
    masks: str | Path | None = A.masks,
    labels: str = A.labels,
    method: str = A.method,
    checkpoint: str | Path | None = PLAIN.checkpoint,
    weights: str | Path | None = PLAIN.weights,
    weights_key: str | None = PLAIN.weights_key,
    classes: str | Path | Sequence[str] | None = PLAIN.classes,
    fit: Fit | None = PLAIN.fit,
    input_size: int | None = PLAIN.input_size,
    preprocess: str | None = PLAIN.preprocess,
    trust_pickle: bool = PLAIN.trust_pickle,
    output: AskedOutput = PLAIN.output,
    threshold: float | str | Path | None = PLAIN.threshold,
    device: str = PLAIN.device,
    offline: bool = PLAIN.offline,
    clusters: Clusters = A.clusters,
    k: int | None = A.k,
    stretch: bool = A.stretch,
    texture: bool = A.texture,
    merge: bool = A.merge,
    sample: int = A.sample,
    time_limit: float | None = A.time_limit,
    out: str | Path | None = A.out,
    overwrite: bool = A.overwrite,
    listener: Listener | None = None,
) -> AuditResult:
    """Find what gives classes away (a mark, a frame, light, blur), and prove that it is used.

    Args:
        source: a run directory of `camcli.batch`, or photographs: a folder, a glob, ``@list.txt``
            or a list of paths.
        classifier: from `load_classifier`, or a model's name; by default the bundled one.
        masks: folder of masks with the photographs' relative paths. With them, heat away from the
            object is looked for as well.
        labels: where labels come from, as for `evaluate`.
        method: name of the CAM method, or ``auto``.
        checkpoint: a file of `camcli.train` instead of a named network.
        weights: a file of weights for a named network, as `load_classifier` takes it.
        weights_key: which of several sets in that file.
        classes: its class names, or a file of them.
        fit: how photographs are fitted to the input, by default as the network was trained. This
            and the next are for networks that are not loaded.
        input_size: side of the input in pixels; a larger one gives finer maps.
        preprocess: how a network of your own wants its pixels, as `load_classifier` takes it.
        trust_pickle: whether code that its file names may run.
        output: what a network of one's own returns.
        threshold: probability above which a label is predicted, see `load_classifier`.
        device: where it runs.
        offline: never touch the network for weights.
        clusters: ``kmeans``; or ``spectral``, which also finds how many clusters there are.
        k: most clusters a class; by default 10, or a third of its photographs if that is fewer.
        stretch: stretch the histogram of each map before clustering.
        texture: take heat off flat parts of the photographs before clustering.
        merge: also merge the clusters' maps of each class into one.
        sample: photographs of a predicted class that are compared with each other, and changed.
        time_limit: seconds after which what is left is left out, and named in the result.
        out: folder for audit.json, images.csv and pictures; by default nothing is written.
        overwrite: replace an earlier audit there.
        listener: see `evaluate`.

    Returns:
        What was found and proved, every class in numbers, every photograph's heat, its clusters,
        and what was not looked at.

    Raises:
        UsageError: an unknown name, settings of the maps beside a run, or nothing to audit.
        UnavailableError: weights are not on this machine.
        CamcliError: a file that cannot be read or written.

    Example:
        >>> import camcli
        >>> found = camcli.audit("photos", checkpoint="best.safetensors")  # doctest: +SKIP
        >>> [(flag.label, flag.kind, flag.words) for flag in found.flagged]  # doctest: +SKIP
    """
    options = locals()
    usual = {name: getattr(PLAIN, name) for name in _LOADING}
    given = {name: options[name] for name in _LOADING if options[name] != usual[name]}
    if isinstance(classifier, str) or classifier is None:
        model = PLAIN.model if classifier is None else classifier
        network: ModelJob | Classifier = replace(PLAIN, model=model, **given)
    elif isinstance(classifier, ModelJob):
        network = replace(classifier, **given)
    elif given:
        raise _too_late(list(given))
    else:
        network = classifier
    job = filled(AuditJob, options, network=network)
    return job.run(listener)


_LOADING = (
    "checkpoint", "weights", "weights_key", "classes", "fit", "input_size", "preprocess",
    "trust_pickle", "output", "threshold", "device", "offline",
)  # fmt: skip


def _named(models: Models) -> Iterator[tuple[str, OneModel]]:
    """The networks and what they are called in the table."""
    if isinstance(models, str):
        models = [name.strip() for name in models.split(",")]
    elif not isinstance(models, Sequence | Mapping):
        models = [models]
    for each in models.values() if isinstance(models, Mapping) else models:
        if not isinstance(each, str | Path | ModelJob) and not hasattr(each, "provenance"):
            raise UsageError(
                "models are names, ModelJobs, or what load_classifier gives, not "
                f"{printable(repr(each))}."
            )
    if isinstance(models, Mapping):
        yield from ((str(name), each) for name, each in models.items())
        return
    for each in models:
        if isinstance(each, str | Path):
            yield str(each), each
        else:
            yield each.called if isinstance(each, ModelJob) else each.provenance.name, each


def _opened(name: str, model: OneModel) -> ComparedNetwork:
    """A network that was given as it is."""
    if isinstance(model, ModelJob):
        model.check()
        return network_of(name, model)
    assert not isinstance(model, str | Path), "these are named in the job"
    return loaded(name, model)


def _check_loaded(job: EvaluateJob) -> None:
    """Refuse what decides how a network is loaded, where one is loaded already."""
    settled, plain = job.settled(), EvaluateJob("").settled()
    # `EvaluateJob.threshold` is about maps.
    names = ("layer", *(name for name in _LOADING[1:] if name != "threshold"))
    given = [name for name in names if getattr(settled, name) != getattr(plain, name)]
    if given:
        raise _too_late(given)


def _too_late(given: Sequence[str]) -> UsageError:
    return UsageError(
        f"This classifier is loaded already: give {' and '.join(given)} to load_classifier instead."
    )


def _joined(names: str | Iterable[str] | None) -> Any:
    """Names with commas between; what is none is left to the job, which refuses it."""
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        return names
    several: list[Any] = list(names)
    return ",".join(several) if all(isinstance(each, str) for each in several) else several


def _listed(values: str | Path | Iterable[str | Path] | None) -> Any:
    """Weights as texts; what is none is left to the job, which refuses it."""
    if isinstance(values, str | Path):
        return [str(values)]
    if not isinstance(values, Iterable):
        return values
    return [str(each) if isinstance(each, Path) else each for each in values]
