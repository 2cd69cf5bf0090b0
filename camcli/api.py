"""The Python API: the commands as functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from camcli.batch.engine import stream
from camcli.batch.explain import make_explanation
from camcli.batch.run import Run
from camcli.batch.rundir import RunDirectory
from camcli.batch.sinks import Style
from camcli.data.sources import ImageRef, find_images
from camcli.models.classifier import Classifier, load_classifier
from camcli.models.runtimes import with_runtime
from camcli.result import Result


def explain(
    image: str | Path,
    classifier: Classifier | None = None,
    *,
    method: str = "gradcam",
    target: str | int | None = None,
    topk: int = 1,
    score: str | None = None,
) -> Result:
    """Predict and explain one image.

    Args:
        image: path of the image.
        classifier: from `load_classifier`; by default the bundled one, loaded anew at each call.
        method: name of the CAM method, as ``camcli explain --help`` lists them.
        target: class name or index to explain; by default the predicted class.
        topk: explain each of the k best classes instead.
        score: ``logit``, ``probability`` or ``contrast``; by default the method's own.

    Returns:
        The Result; ``status`` is ``error`` when the image cannot be read.

    Raises:
        UsageError: an unknown method, class or score.

    Example:
        >>> import camcli
        >>> result = camcli.explain("sample_images/cat.jpg")          # doctest: +SKIP
        >>> print(result.pred, result.heats[0].box)                   # doctest: +SKIP
    """
    classifier = classifier or load_classifier()
    what = make_explanation(classifier, method, target=target, topk=topk, score=score)
    path = Path(image)
    ref = ImageRef(path.absolute(), path.name)
    (result,) = stream([ref], classifier, what, batch_size=1)
    return result


def batch(
    images: str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    classifier: Classifier | None = None,
    *,
    method: str = "gradcam",
    target: str | int | None = None,
    topk: int = 1,
    score: str | None = None,
    labels: str = "auto",
    limit: int | None = None,
    name_template: str | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    runtime: str = "auto",
    precision: str = "float32",
    resume: bool = False,
    overwrite: bool = False,
    **style: Any,
) -> Iterator[Result]:
    """Predict and explain any number of images, one at a time, with bounded memory.

    Args:
        images: a folder, a glob, ``@list.txt``, or a list of paths.
        out: run directory for overlays, ``predictions.csv`` and ``run.json``; without it nothing
            is written.
        classifier: from `load_classifier`; by default the bundled one.
        method: name of the CAM method.
        target: class name or index to explain; by default the predicted class of each image.
        topk: explain each of the k best classes instead.
        score: ``logit``, ``probability`` or ``contrast``; by default the method's own.
        labels: how to find true labels, as `camcli.data.sources.find_images` says.
        limit: stop after this many images.
        name_template: names of the overlays, such as ``{stem}_pred_{pred}``.
        batch_size: images in one forward pass.
        workers: threads that decode and draw.
        runtime: ``auto``, ``torch`` or ``openvino`` (`camcli.models.runtimes.with_runtime`).
        precision: ``float32``, or in OpenVINO ``bfloat16`` or ``int8``.
        resume: go on with an interrupted run in `out`.
        overwrite: replace an earlier run in `out`.
        style: ``colormap``, ``alpha``, ``panel``, ``max_size``, ``quality`` of the overlays.

    Returns:
        An iterator of Results in the order of the images. Everything is checked before it is
        returned; the work is done as it is consumed.

    Raises:
        UsageError: an unknown name, or a run directory that is not free.

    Example:
        >>> import camcli
        >>> for result in camcli.batch("sample_images", out="run"):   # doctest: +SKIP
        ...     print(result.ref.rel, result.pred, result.overlay)
    """
    classifier = classifier or load_classifier()
    what = make_explanation(classifier, method, target=target, topk=topk, score=score)
    source = find_images(images, limit=limit, labels=labels).numbered(classifier.classes)
    classifier = with_runtime(
        classifier, runtime, precision=precision, images=source,
        passes=what.how.passes(classifier),
    )  # fmt: skip
    if out is None:
        return stream(source, classifier, what, batch_size=batch_size, workers=workers)
    run = Run(
        source, classifier, what, RunDirectory(Path(out)), Style(**style), name_template,
        batch_size=batch_size, workers=workers,
    )  # fmt: skip
    run.prepare(resume=resume, overwrite=overwrite)
    return iter(run)
