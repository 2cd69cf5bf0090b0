"""The Python API: the commands as functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from camcli.api_load import load_classifier
from camcli.batch.results import BatchResults
from camcli.data.sources.refs import ImageRef
from camcli.errors import UsageError
from camcli.jobs.batch import BatchJob
from camcli.jobs.concepts import ConceptPictures, ConceptsJob
from camcli.jobs.explain import ExplainJob
from camcli.jobs.layers import FoundLayers, LayersJob
from camcli.jobs.maps import MapJob
from camcli.jobs.model import ModelJob
from camcli.jobs.presets import find_preset
from camcli.jobs.record import filled
from camcli.models.classifier import Classifier
from camcli.render.style import Style
from camcli.result import Result

Network = Classifier | ModelJob | nn.Module | str | None
# The settings' defaults: each function takes them from the records that it fills.
N, M, S = ModelJob(), MapJob(), Style()
E, B, C, L = ExplainJob(()), BatchJob(()), ConceptsJob(()), LayersJob()


def explain(
    image: str | Path,
    classifier: Network = None,
    *,
    method: str | Sequence[str] | None = M.method,
    target: str | int | None = M.target,
    topk: int = M.topk,
    score: str | None = M.score,
    versus: str | int | None = M.versus,
    layer: str | None = N.layer,
    fuse: str = M.fuse,
    smooth: str | None = M.smooth,
    samples: int | None = M.samples,
    channels: int | None = M.channels,
    converge: float | None = M.converge,
    box_threshold: float | str | Path | None = M.box_threshold,
    preset: str | None = M.preset,
    input_size: int | None = N.input_size,
    native_predictions: bool = N.native_predictions,
    against: str | Path | Sequence[str | Path] | None = N.against,
    runtime: str | None = None,
    out: str | Path | None = E.out,
    topk_files: bool = E.topk_files,
    save_raw: bool = E.save_raw,
    overwrite: bool = E.overwrite,
    colormap: str = S.colormap,
    alpha: float = S.alpha,
    panel: bool = S.panel,
    max_size: int | None = S.max_size,
    min_size: int = S.min_size,
    quality: int = S.quality,
    overlay_format: str = S.overlay_format,
    draw_box: bool = S.draw_box,
    signed: bool = S.signed,
) -> Result:
    """Predict and explain one image.

    Args:
        image: path of the image.
        classifier: from `load_classifier`, a model's name, or a network in memory; by default the
            bundled one. What is not loaded yet is loaded anew at each call.
        method: name of the CAM method, as ``camcli methods`` lists them, or ``auto``, the default,
            for the one that suits the network; or of several, as a list or with commas between: one
            forward pass, and one picture of all of them.
        target: class name or index to explain; by default the predicted class.
        topk: explain each of the k best classes instead.
        score: ``logit``, ``probability`` or ``contrast``; by default, ``auto``, the difference to
            the other class where there are two that exclude each other (it is the contrast), and
            else the method's own.
        versus: class to compare with: what speaks for the target rather than for this one.
        layer: which layer's maps to explain, or several, ``"layer3,layer4"``, as ``camcli layers``
            lists them; by default the last. A `classifier` that is loaded has its layer already.
        fuse: how the maps of several layers become one: ``mean``, ``max`` or ``product``.
        smooth: ``aug``, ``noise``, ``eigen`` or ``views``; by default not at all.
        samples: noisy copies for ``smooth="noise"``, smoothgradcam++, sscam and iscam.
        channels: scorecam, sscam and iscam look at this many channels instead of all.
        converge: scorecam stops when its map has settled to about this cosine.
        box_threshold: from which share of its maximum on a map is inside its box: a share,
            ``0.2@90``, ``otsu``, or a file of ``camcli evaluate --calibrate``; by default what the
            checkpoint says, or else 0.2.
        preset: ``localize``: method, input size, fit, smoothing and threshold that find boxes best
            with the bundled network; what is given beside it goes over it. A `classifier` that is
            loaded has its input size and fit already.
        input_size: side of the network's input in pixels, for finer maps; likewise a property of a
            `classifier` that is loaded.
        native_predictions: with `input_size`: take only the map from that size, and predictions
            and probabilities from a second pass at the weights' own; likewise.
        against: photographs to compare with, of good pieces say: a folder, a glob, ``@list.txt`` or
            a list: what is predicted and explained is how different the image is from these, by
            DiffCAM, and no class; likewise.
        runtime: see `batch`; of use for methods with many passes. A command takes ``auto``, but
            here each call would start the runtime anew: None leaves the network to what runs it,
            which is torch, or OpenVINO for ONNX and IR.
        out: a folder for the picture, or its file (cat.jpg, .png, .webp); by default none is drawn.
        topk_files: with `topk`: one picture for each class instead of one side by side.
        save_raw: also write NAME.npz beside the picture: the signed, unscaled maps.
        overwrite: replace a picture that exists already.
        colormap: of the heat: ``jet``, ``viridis``, ``turbo``, ``magma``, ``inferno`` or
            ``cividis``.
        alpha: weight of the heat over the photograph, 0 to 1.
        panel: original, heatmap and overlay side by side.
        max_size: longest side of the photograph in the picture, in pixels.
        min_size: smaller photographs are enlarged to this many pixels; 0: never.
        quality: of a JPEG or WebP file, 1 to 100.
        overlay_format: what the picture is written as: ``jpeg``, ``png`` or ``webp``.
        draw_box: outline each map's box, as ``preset="localize"`` does by itself.
        signed: also draw what speaks against the class, in a second colour.

    Returns:
        The Result; ``status`` is ``error`` when the image cannot be read. Its maps are signed:
        what is below zero speaks against the class, where the method defines that. ``overlay`` is
        the picture, or the first of them, where some were drawn; ``beside`` has a Result for each
        further method.

    Raises:
        UsageError: an unknown method, class, layer or score, options that do nothing together, or a
            picture that exists already.

    Example:
        >>> import camcli
        >>> result = camcli.explain("sample_images/cat.jpg")          # doctest: +SKIP
        >>> print(result.pred, result.heats[0].box)                   # doctest: +SKIP
    """
    options = locals()
    if method is not None and not isinstance(method, str):
        options["method"] = ",".join(method)
    job = filled(
        ExplainJob, options, images=[image], network=_network(options),
        maps=filled(MapJob, options), style=filled(Style, options),
    )  # fmt: skip
    job.check()
    path = Path(image)
    # Named as it is: neither a pattern nor a folder.
    found = job.pictures([ImageRef(path.absolute(), path.name)])
    ((result, written),) = job.start(found)
    return replace(result, overlay=str(written[0])) if written else result


def batch(
    images: str | Path | Sequence[str | Path],
    out: str | Path | None = B.out,
    classifier: Network = None,
    *,
    method: str | None = M.method,
    target: str | int | None = M.target,
    topk: int = M.topk,
    score: str | None = M.score,
    versus: str | int | None = M.versus,
    layer: str | None = N.layer,
    fuse: str = M.fuse,
    smooth: str | None = M.smooth,
    samples: int | None = M.samples,
    channels: int | None = M.channels,
    converge: float | None = M.converge,
    box_threshold: float | str | Path | None = M.box_threshold,
    preset: str | None = M.preset,
    input_size: int | None = N.input_size,
    native_predictions: bool = N.native_predictions,
    against: str | Path | Sequence[str | Path] | None = N.against,
    labels: str = B.labels,
    limit: int | None = B.limit,
    name_template: str | None = B.name_template,
    only: str | None = B.only,
    overlays: bool = B.overlays,
    batch_size: int | None = B.batch_size,
    workers: int | None = B.workers,
    processes: int = B.processes,
    devices: str = B.devices,
    runtime: str = B.runtime,
    precision: str = B.precision,
    isolate: bool = B.isolate,
    resume: bool = B.resume,
    overwrite: bool = B.overwrite,
    retry_failed: bool = B.retry_failed,
    shard: str | None = B.shard,
    engine: str = B.engine,
    address: str | None = B.address,
    table_format: str = B.table_format,
    contact_sheet: str | None = B.contact_sheet,
    contact_order: str = B.contact_order,
    colormap: str = S.colormap,
    alpha: float = S.alpha,
    panel: bool = S.panel,
    max_size: int | None = S.max_size,
    min_size: int = S.min_size,
    quality: int = S.quality,
    overlay_format: str = S.overlay_format,
    draw_box: bool = S.draw_box,
    signed: bool = S.signed,
) -> BatchResults:
    """Predict and explain any number of images, one at a time, with bounded memory.

    Args:
        images: a folder, a glob, ``@list.txt``, or a list of paths.
        out: run directory for overlays, ``predictions.csv`` and ``run.json``; without it nothing
            is written.
        classifier: see `explain`.
        method: see `explain`; so are `score`, `versus`, `layer`, `fuse`, `smooth`, `samples`,
            `channels`, `converge`, `input_size` and `native_predictions`.
        target: class name or index to explain; by default the predicted class of each image.
        topk: explain each of the k best classes instead.
        score: see `explain`.
        versus: see `explain`.
        layer: see `explain`.
        fuse: see `explain`.
        smooth: see `explain`.
        samples: see `explain`.
        channels: see `explain`.
        converge: see `explain`.
        box_threshold: see `explain`.
        preset: see `explain`.
        input_size: see `explain`.
        native_predictions: see `explain`.
        against: see `explain`; each Result has its place among the references, too.
        labels: how to find true labels, as `camcli.data.sources.find.find_images` says.
        limit: stop after this many images.
        name_template: names of the overlays, such as ``{stem}_pred_{pred}``.
        only: draw overlays only for ``wrong``, ``below 0.6`` or ``class NAME``.
        overlays: whether to draw any.
        batch_size: images in one forward pass; found by itself, and halved where memory is short.
        workers: threads that decode and draw.
        processes: processes of Python on each device; more than one need an `out`, and a
            `classifier` that is not loaded yet.
        devices: of the processes: several GPUs, as ``cuda:0,1``; one device is a property of the
            `classifier`.
        runtime: ``auto``, ``torch``, ``compile`` or ``openvino``
            (`camcli.models.runtime.policy.with_runtime`).
        precision: ``float32``; ``bfloat16`` on GPUs and in OpenVINO; ``float16`` on GPUs; ``int8``
            in OpenVINO.
        isolate: decode in separate processes, for files that may crash a decoder; needs `out`.
        resume: go on with an interrupted run in `out`.
        overwrite: replace an earlier run in `out`.
        retry_failed: with `resume`: try the images again whose row is an error.
        shard: part i of n, ``"2/8"``; ``camcli merge`` then joins them.
        engine: ``local``: this process; ``ray``: the workers of a Ray cluster, or one for each core
            of this machine, each of which loads the network itself.
        address: of the Ray cluster; by default ``$RAY_ADDRESS``, or none.
        table_format: also write the table as ``jsonl`` or ``parquet`` when all is done.
        contact_sheet: ``"4x6"``: also draw a grid of so many results when all is done.
        contact_order: what it shows: ``first``, ``worst`` or ``random``.
        colormap: of the heat: ``jet``, ``viridis``, ``turbo``, ``magma``, ``inferno`` or
            ``cividis``.
        alpha: weight of the heat over the photograph, 0 to 1.
        panel: original, heatmap and overlay side by side.
        max_size: longest side of the photograph in the picture, in pixels.
        min_size: smaller photographs are enlarged to this many pixels; 0: never.
        quality: of a JPEG or WebP file, 1 to 100.
        overlay_format: what the picture is written as: ``jpeg``, ``png`` or ``webp``.
        draw_box: outline each map's box, as ``preset="localize"`` does by itself.
        signed: also draw what speaks against the class, in a second colour.

    Returns:
        An iterator of Results in the order of the images. Everything is checked before it is
        returned; the work is done as it is consumed. A notebook shows how far it has come; its
        ``all()`` is a list, of which a notebook shows some.

    Raises:
        UsageError: an unknown name, options that do nothing together, or a run directory that is
            not free.

    Example:
        >>> import camcli
        >>> for result in camcli.batch("sample_images", out="run"):   # doctest: +SKIP
        ...     print(result.ref.rel, result.pred, result.overlay)
    """
    options = locals()
    job = filled(
        BatchJob, options, network=_network(options),
        maps=filled(MapJob, options), style=filled(Style, options),
    )  # fmt: skip
    return BatchResults(job.results())


def concepts(
    images: str | Path | Sequence[str | Path],
    out: str | Path | None = C.out,
    classifier: Network = None,
    *,
    number: int = C.number,
    layer: str | None = N.layer,
    input_size: int | None = N.input_size,
    native_predictions: bool = N.native_predictions,
    alpha: float = C.alpha,
    max_size: int | None = C.max_size,
    quality: int = C.quality,
    overwrite: bool = C.overwrite,
) -> ConceptPictures:
    """Find what a network takes images to be made of: the parts that they have in common for it.

    Args:
        images: a folder, a glob, ``@list.txt``, or a list of paths.
        out: folder for a picture of each image; by default none are drawn.
        classifier: see `explain`; so are `layer`, `input_size` and `native_predictions`.
        number: how many concepts, 1 to 8, for all images together.
        layer: see `explain`; one.
        input_size: see `explain`.
        native_predictions: see `explain`.
        alpha: weight of the colours over the photograph, 0 to 1.
        max_size: longest side of the photograph in a picture, in pixels.
        quality: of the JPEG, 1 to 100.
        overwrite: replace pictures that exist already.

    Returns:
        The concepts with the classes that they speak for, each image's, and the pictures.

    Raises:
        UsageError: several layers, a number out of range, no images, or a picture that exists
            already.

    Example:
        >>> import camcli
        >>> made = camcli.concepts("sample_images", number=4)         # doctest: +SKIP
        >>> made.found.concepts[0].classes, made.found.images[0].shares  # doctest: +SKIP
    """
    options = locals()
    job = filled(ConceptsJob, options, network=_network(options))
    return job.run()


def layers(
    model: str = L.model,
    *,
    checkpoint: str | Path | None = L.checkpoint,
    input_size: int | None = L.input_size,
    preprocess: str | None = L.preprocess,
    trust_pickle: bool = L.trust_pickle,
) -> FoundLayers:
    """The layers of a network that have maps: `load_classifier` takes their names.

    Args:
        model: the network's name, see `load_classifier`.
        checkpoint: a file that ``camcli train`` wrote, see there.
        input_size: side of the network's input in pixels; by default the weights' own.
        preprocess: how it wants its pixels, see `load_classifier`.
        trust_pickle: whether code that its file names may run.

    Returns:
        The layers with the shapes of their maps, and which of them is the default.

    Raises:
        UsageError: there is no such network.
        CamcliError: it cannot be cut.

    Example:
        >>> import camcli
        >>> [layer.name for layer in camcli.layers().layers if layer.main][-1]  # doctest: +SKIP
        'bn2'
    """
    return filled(LayersJob, locals()).run()


def _network(options: dict[str, Any]) -> Classifier | ModelJob:
    """What a function was given as its `classifier`, with what it was told besides."""
    classifier: Network = options["classifier"]
    given = {
        name: options[name]
        for name in ("layer", "input_size", "native_predictions", "against")
        if options.get(name) not in (None, getattr(N, name))
    }
    if isinstance(classifier, nn.Module):
        named = find_preset(options.get("preset"))
        look = {"fit": named.fit, "input_size": named.input_size}
        return load_classifier(classifier, **look | given)
    if not isinstance(classifier, Classifier):
        if not isinstance(classifier, ModelJob):
            classifier = N if classifier is None else ModelJob(classifier)
        return replace(classifier, **given)
    if given:
        names = " and ".join(given)
        raise UsageError(
            f"This classifier is loaded already: give {names} to load_classifier instead."
        )
    return classifier
