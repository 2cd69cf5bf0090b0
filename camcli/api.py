"""The Python API: the commands as functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from camcli.batch.engine import keep_big_blocks, stream
from camcli.batch.explain import Explanation, make_explanation
from camcli.batch.run import Run
from camcli.batch.run_files.rundir import RunDirectory
from camcli.cam.map_options import check_layer, make_map_options
from camcli.data.sources.find import ImageRef, find_images
from camcli.errors import UsageError
from camcli.models.classifier import Classifier, load_classifier
from camcli.models.runtime.policy import with_runtime
from camcli.models.spec import LAST
from camcli.render.style import Style
from camcli.result import Result


def explain(
    image: str | Path,
    classifier: Classifier | str | None = None,
    *,
    method: str = "gradcam",
    target: str | int | None = None,
    topk: int = 1,
    score: str | None = None,
    versus: str | int | None = None,
    layer: str | None = None,
    fuse: str = "mean",
    smooth: str | None = None,
    samples: int | None = None,
    channels: int | None = None,
    converge: float | None = None,
    input_size: int | None = None,
    native_predictions: bool = False,
    runtime: str = "torch",
) -> Result:
    """Predict and explain one image.

    Args:
        image: path of the image.
        classifier: from `load_classifier`, or a model's name; by default the bundled one. What is
            not loaded yet is loaded anew at each call.
        method: name of the CAM method, as ``camcli methods`` lists them.
        target: class name or index to explain; by default the predicted class.
        topk: explain each of the k best classes instead.
        score: ``logit``, ``probability`` or ``contrast``; by default the method's own.
        versus: class to compare with: what speaks for the target rather than for this one.
        layer: which layer's maps to explain, or several, ``"layer3,layer4"``, as ``camcli layers``
            lists them; by default the last. A `classifier` that is loaded has its layer already.
        fuse: how the maps of several layers become one: ``mean``, ``max`` or ``product``.
        smooth: ``aug``, ``noise`` or ``eigen``; by default not at all.
        samples: noisy copies for ``smooth="noise"``, smoothgradcam++, sscam and iscam.
        channels: scorecam, sscam and iscam look at this many channels instead of all.
        converge: scorecam stops when its map has settled to about this cosine.
        input_size: side of the network's input in pixels, for finer maps; likewise a property of a
            `classifier` that is loaded.
        native_predictions: with `input_size`: take only the map from that size, and predictions
            and probabilities from a second pass at the weights' own; likewise.
        runtime: see `batch`; of use for methods with many passes.

    Returns:
        The Result; ``status`` is ``error`` when the image cannot be read. Its maps are signed:
        what is below zero speaks against the class, where the method defines that.

    Raises:
        UsageError: an unknown method, class, layer or score, or options that do nothing together.

    Example:
        >>> import camcli
        >>> result = camcli.explain("sample_images/cat.jpg")          # doctest: +SKIP
        >>> print(result.pred, result.heats[0].box)                   # doctest: +SKIP
    """
    classifier = _loaded(
        classifier, layer=layer, input_size=input_size,
        native_predictions=native_predictions or None,
    )  # fmt: skip
    what = _explanation(
        classifier, method, target, topk, versus, score=score, fuse=fuse, smooth=smooth,
        samples=samples, channels=channels, converge=converge, layer=layer,
    )  # fmt: skip
    classifier = with_runtime(classifier, runtime)
    path = Path(image)
    ref = ImageRef(path.absolute(), path.name)
    (result,) = stream([ref], classifier, what, batch_size=1)
    return result


def batch(
    images: str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    classifier: Classifier | str | None = None,
    *,
    method: str = "gradcam",
    target: str | int | None = None,
    topk: int = 1,
    score: str | None = None,
    versus: str | int | None = None,
    layer: str | None = None,
    fuse: str = "mean",
    smooth: str | None = None,
    samples: int | None = None,
    channels: int | None = None,
    converge: float | None = None,
    input_size: int | None = None,
    native_predictions: bool = False,
    labels: str = "auto",
    limit: int | None = None,
    name_template: str | None = None,
    only: str | None = None,
    overlays: bool = True,
    batch_size: int | None = None,
    workers: int | None = None,
    runtime: str = "auto",
    precision: str = "float32",
    isolate: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    retry_failed: bool = False,
    **style: Any,
) -> Iterator[Result]:
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
        input_size: see `explain`.
        native_predictions: see `explain`.
        labels: how to find true labels, as `camcli.data.sources.find.find_images` says.
        limit: stop after this many images.
        name_template: names of the overlays, such as ``{stem}_pred_{pred}``.
        only: draw overlays only for ``wrong``, ``below 0.6`` or ``class NAME``.
        overlays: whether to draw any.
        batch_size: images in one forward pass; found by itself, and halved where memory is short.
        workers: threads that decode and draw.
        runtime: ``auto``, ``torch``, ``compile`` or ``openvino``
            (`camcli.models.runtime.policy.with_runtime`).
        precision: ``float32``; ``bfloat16`` on GPUs and in OpenVINO; ``float16`` on GPUs; ``int8``
            in OpenVINO.
        isolate: decode in separate processes, for files that may crash a decoder; needs `out`.
        resume: go on with an interrupted run in `out`.
        overwrite: replace an earlier run in `out`.
        retry_failed: with `resume`: try the images again whose row is an error.
        style: of the overlays: ``colormap``, ``alpha``, ``panel``, ``max_size``, ``min_size``,
            ``quality``, and ``signed`` for negative evidence in a second colour.

    Returns:
        An iterator of Results in the order of the images. Everything is checked before it is
        returned; the work is done as it is consumed.

    Raises:
        UsageError: an unknown name, options that do nothing together, or a run directory that is
            not free.

    Example:
        >>> import camcli
        >>> for result in camcli.batch("sample_images", out="run"):   # doctest: +SKIP
        ...     print(result.ref.rel, result.pred, result.overlay)
    """
    if isolate and out is None:
        raise UsageError("isolate is for runs that are written: give it an `out`.")
    keep_big_blocks()  # before a runtime starts threads of its own
    classifier = _loaded(
        classifier, layer=layer, input_size=input_size,
        native_predictions=native_predictions or None,
    )  # fmt: skip
    what = _explanation(
        classifier, method, target, topk, versus, score=score, fuse=fuse, smooth=smooth,
        samples=samples, channels=channels, converge=converge, layer=layer,
    )  # fmt: skip
    source = find_images(images, limit=limit, labels=labels).numbered(classifier.classes)
    classifier = with_runtime(
        classifier, runtime, precision=precision, images=source,
        passes=what.how.passes(classifier),
    )  # fmt: skip
    if out is None:
        return stream(source, classifier, what, batch_size=batch_size, workers=workers)
    run = Run(
        source, classifier, what, RunDirectory(Path(out)), Style(**style), name_template,
        only=only, overlays=overlays, batch_size=batch_size, workers=workers, isolate=isolate,
        labels=labels,
    )  # fmt: skip
    run.prepare(resume=resume, overwrite=overwrite, retry_failed=retry_failed)
    return iter(run)


def _loaded(classifier: Classifier | str | None, **options: Any) -> Classifier:
    """A classifier that may have to be loaded, with these options of `load_classifier`."""
    given = {name: value for name, value in options.items() if value is not None}
    if not isinstance(classifier, Classifier):
        name = () if classifier is None else (classifier,)
        return load_classifier(*name, **given)
    if given:
        names = " and ".join(given)
        raise UsageError(
            f"This classifier is loaded already: give {names} to load_classifier instead."
        )
    return classifier


def _explanation(
    classifier: Classifier,
    method: str,
    target: str | int | None,
    topk: int,
    versus: str | int | None,
    *,
    layer: str | None,
    **options: Any,
) -> Explanation:
    how = make_map_options(method, **options)
    check_layer(how, layer or LAST)
    return make_explanation(classifier, how, target=target, topk=topk, versus=versus)
