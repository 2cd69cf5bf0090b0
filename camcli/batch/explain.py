"""One batch: decoded images in, Results out. Everything that needs the network happens here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from camcli.batch.differences import differences_of
from camcli.batch.explanation import Explanation
from camcli.batch.features import pooled_features
from camcli.cam.automatic import suited
from camcli.cam.box_choice import chosen
from camcli.cam.explainer import check_influence, layer_of, maps_of, watching
from camcli.cam.map_options import (
    MapOptions,
    check_asked_classes,
    check_fuse,
    make_map_options,
    of_values,
    settled,
    why_at_the_cut,
)
from camcli.cam.margins import without_margins
from camcli.cam.method_facts import AUTO
from camcli.cam.postprocess import describe
from camcli.cam.views import framed
from camcli.data.decode.images import Picture, load_picture, printable
from camcli.data.decode.memory_budget import BUDGET
from camcli.data.decode.preprocess import View, stacked
from camcli.data.sources.refs import ImageRef
from camcli.errors import ImageError, of_image, stage
from camcli.models.classes.label_index import label_index, label_indices, unknown_indices
from camcli.models.classifier import Classifier, Look
from camcli.result import Heat, Result

# Letters of one image's error: whole paths of a disk fit, each byte of which is shown as four.
_LONGEST_ERROR = 20_000

# Reads and decodes one image, or raises ImageError.
Load = Callable[[ImageRef], Picture]

# A decoded photograph larger than this is not kept until its overlay is drawn but decoded again:
# memory then does not depend on the size of the photographs.
KEEP_BYTES = 8 << 20


@dataclass(slots=True)
class Decoded:
    """An image on its way to the network."""

    ref: ImageRef
    width: int
    height: int
    view: View
    pixels: Tensor
    rgb: np.ndarray | None
    predicting: Tensor | None = None  # what is predicted from, where that is not `pixels`


def read(
    ref: ImageRef,
    classifier: Classifier,
    keep: Callable[[np.ndarray], np.ndarray],
    load: Load = load_picture,
) -> Decoded | ImageError:
    """Decode and resize one image; whatever is raised for it comes back, not as an exception.

    Args:
        ref: the image.
        classifier: whose preprocessing to apply.
        keep: what to remember of the decoded (H, W, 3) pixels for the overlay.
        load: reads and decodes.

    Raises:
        CamcliError: something that concerns every image.
    """
    try:
        with BUDGET.held():
            return _decoded(ref, classifier, keep, load)
    except Exception as error:
        return of_image(error, printable(ref.path))


def _decoded(
    ref: ImageRef,
    classifier: Classifier,
    keep: Callable[[np.ndarray], np.ndarray],
    load: Load,
) -> Decoded:
    """`read`, but for its errors. All of the picture's pixels are gone when it returns."""
    second = classifier.predicting
    with stage("decode"):  # where the loader does not say it better
        rgb, width, height = load(ref)
    with stage("resize"):
        kept = keep(rgb)
        return Decoded(
            ref,
            width,
            height,
            classifier.preprocess.view(width, height),
            classifier.preprocess.pixels(rgb, (width, height)),
            kept if kept.nbytes <= KEEP_BYTES else None,
            None if second is None else second.pixels(rgb, (width, height)),
        )


def explain_batch(
    classifier: Classifier, images: Sequence[Decoded], what: Explanation
) -> list[Result]:
    """Predict and explain a batch.

    Args:
        classifier: the network.
        images: at least one.
        what: method and target.

    Returns:
        One Result an image, in order; an error where its own numbers are not finite, or cannot be
        told.

    Raises:
        Exception: what the network or the method raises for any of the images; `stage_of` says
            which of the two.
    """
    shapes = {_shapes(image) for image in images}
    if len(shapes) > 1:  # whole photographs: those of one shape share a forward pass
        groups = [
            [n for n, image in enumerate(images) if _shapes(image) == shape] for shape in shapes
        ]
        by_number = {
            n: result
            for group in groups
            for n, result in zip(
                group, explain_batch(classifier, [images[n] for n in group], what), strict=True
            )
        }
        return [by_number[n] for n in range(len(images))]
    predicting = [image.predicting for image in images if image.predicting is not None]
    with stage("network"):
        predicted = classifier.look(stacked(predicting)).logits if predicting else None
        seen = classifier.look(
            stacked([image.pixels for image in images]),
            watching((one.how for one in what.alone()), named=not classifier.usual_layer),
        )
        seen = framed(seen, classifier, [(one.view, (one.width, one.height)) for one in images])
        logits = seen.logits if predicted is None else predicted
        good = (logits.isfinite() & seen.logits.isfinite()).all(1).cpu().tolist()
    if not any(good):  # methods may raise anything on such numbers
        return [failed(image.ref, _not_finite(image, "network", "scores")) for image in images]
    first, *others = (
        _explained(classifier, images, seen, logits, good, one) for one in what.alone()
    )
    if not others:
        return first
    return [replace(one, beside=tuple(more)) for one, *more in zip(first, *others, strict=True)]


def _explained(
    classifier: Classifier,
    images: Sequence[Decoded],
    seen: Look,
    logits: Tensor,
    good: Sequence[bool],
    what: Explanation,
) -> list[Result]:
    """`explain_batch` by one method, once the network has looked."""
    output = classifier.output
    best = output.best(logits, max(what.top, what.topk, 2))
    if what.target is None:
        targets = best[:, : what.topk]
    else:
        targets = torch.full((len(images), 1), what.target, device=logits.device)
    explained = targets.shape[1]
    truths = [_true(image.ref.label, classifier) for image in images]
    # One forward pass a channel, or masked image, is too much for a map on the side.
    if what.truth and what.method.class_specific and what.how.is_cheap(classifier):
        targets = _with_truths(targets, [_only(truth) for truth in truths])
    with stage("map"):
        maps = torch.stack(
            [maps_of(classifier, seen, targets[:, n], what.how) for n in range(targets.shape[1])],
            dim=1,
        ).float().cpu().numpy()  # fmt: skip
        known = list(map(_only, truths))
        others, differences = differences_of(classifier, seen, best, known, what)
    shown = logits if output.measures else classifier.probabilities(logits)
    target_shown = shown.gather(1, targets).cpu().tolist()
    best_shown = shown.gather(1, best).cpu().tolist()
    best_rows, target_rows = best.cpu().tolist(), targets.cpu().tolist()
    numbers = shown.cpu().tolist() if output.multi_label or output.measures else None
    versus = what.how.versus
    alike = pooled_features(seen.parts[-1].A) if what.features else [None] * len(images)

    def result(b: int) -> Result:
        image, pred, truth = images[b], best_rows[b][0], truths[b]
        size = image.width, image.height
        heats = tuple(
            describe(
                without_margins(maps[b, n], image.view, size), image.view, size,
                target=classifier.classes[c], index=c,
                prob=None if output.measures else target_shown[b][n],
                value=target_shown[b][n] if output.measures else None,
                threshold=what.how.box_threshold,
            )
            for n, c in enumerate(target_rows[b])
            if n < explained or c not in target_rows[b][:explained]
        )  # fmt: skip
        common = Result(
            ref=image.ref,
            status="empty" if heats[0].empty else "ok",
            numbers=() if numbers is None else tuple(numbers[b]),
            method=what.method.name,
            layer=layer_of(what.how, classifier),
            score=what.score if what.method.class_specific else None,
            versus=None if versus is None else classifier.classes[versus],
            heats=heats[:explained],
            view=image.view,
            width=image.width,
            height=image.height,
            truth=heats[explained] if len(heats) > explained else None,
            features=alike[b],
        )
        if (other := others[b]) is not None and np.isfinite(differences[b]).all():
            signed = without_margins(differences[b], image.view, size)
            common = replace(
                common,
                difference=Heat(
                    classifier.classes[pred], pred, best_shown[b][0], signed, empty=not signed.any()
                ),
                against=classifier.classes[other],
            )
        if output.measures:
            return replace(common, value=heats[0].value)
        positives, untold = output.positives(common.numbers), frozenset[int]()
        if output.multi_label:
            untold = unknown_indices(image.ref.label, classifier.classes)
            correct = None if truth is None else set(positives) - untold == truth
        else:
            correct = None if truth is None else truth == {pred}
        return replace(
            common,
            pred=classifier.classes[pred],
            pred_index=pred,
            prob=best_shown[b][0],
            correct=correct,
            top=tuple(
                (classifier.classes[c], p) for c, p in zip(best_rows[b], best_shown[b], strict=True)
            )[: what.top],
            positives=tuple((classifier.classes[c], common.numbers[c]) for c in positives),
            labels=tuple(classifier.classes[c] for c in sorted(truth))
            if output.multi_label and truth is not None
            else None,
            unknown=() if truth is None else tuple(classifier.classes[c] for c in sorted(untold)),
        )

    finite = np.isfinite(maps).all((1, 2, 3)).tolist()
    results: list[Result] = []
    for b, image in enumerate(images):
        try:
            if not good[b]:
                raise _not_finite(image, "network", "scores")
            if not finite[b]:
                raise _not_finite(image, "map", f"values of {what.method.name}")
            with stage("numbers"):
                results.append(result(b))
        except Exception as error:
            results.append(failed(image.ref, error))
    return results


def _true(label: str | None, classifier: Classifier) -> frozenset[int] | None:
    """The classes that a label names; None where it is unknown, or names none of the network's."""
    if label is None or classifier.output.measures:
        return None
    if classifier.output.multi_label:
        return label_indices(label, classifier.classes)
    index = label_index(label, classifier.classes)
    return None if index is None else frozenset([index])


def _only(truth: frozenset[int] | None) -> int | None:
    """The true class where there is one and no other."""
    return next(iter(truth)) if truth is not None and len(truth) == 1 else None


def _shapes(image: Decoded) -> tuple[torch.Size, torch.Size | None]:
    return image.pixels.shape, None if image.predicting is None else image.predicting.shape


def _with_truths(targets: Tensor, truths: Sequence[int | None]) -> Tensor:
    """Targets (B, n) with a column for the true classes, if any of them needs one."""
    rows = targets.tolist()
    if all(truth is None or truth in row for truth, row in zip(truths, rows, strict=True)):
        return targets
    column = [row[0] if truth is None else truth for truth, row in zip(truths, rows, strict=True)]
    return torch.cat([targets, targets.new_tensor(column)[:, None]], dim=1)


def _not_finite(image: Decoded, where: str, what: str) -> ImageError:
    """NaN compares as nothing, so it would pass for a prediction."""
    name = printable(image.ref.path)
    return ImageError(f"{where}: {name}: {what} that are not finite (NaN or infinity).")


def failed(ref: ImageRef, error: Exception) -> Result:
    """The Result of an image for which some stage raised an exception.

    Args:
        ref: the image.
        error: anything.

    Raises:
        CamcliError: `error` itself, where it concerns every image.
    """
    text = str(of_image(error, printable(ref.path)))
    if len(text) > _LONGEST_ERROR:  # of a name that somebody's list makes up
        text = f"{text[: _LONGEST_ERROR // 2]} ... {text[-_LONGEST_ERROR // 2 :]}"
    return Result(ref=ref, status="error", error=text)


def make_explanation(
    classifier: Classifier,
    method: str | MapOptions = AUTO.name,
    *,
    target: str | int | None = None,
    topk: int = 1,
    score: str | None = None,
    versus: str | int | None = None,
    top: int = 5,
) -> Explanation:
    """Check a user's words against the network.

    Args:
        classifier: the network.
        method: name of the method, or the method with its options; ``auto`` is the one that suits
            the network.
        target: class to explain, by name or index; by default the predicted one.
        topk: explain each of the k best classes instead.
        score: ``logit``, ``probability`` or ``contrast``; by default, ``auto``, the difference for
            two classes that exclude each other, and else the method's own.
        versus: class whose score is taken off: what speaks for the target rather than for it.
        top: how many predictions a Result lists.

    Raises:
        UsageError: unknown method, class or score, `target` together with `topk`, a layer whose
            map has no influence, or what means nothing of values.
    """
    from camcli.errors import UsageError
    from camcli.models.classes.named_class import match_class

    check_asked_classes(target, topk)
    if top < 1:
        raise UsageError("A Result lists at least one prediction.")
    index = None if target is None else match_class(str(target), classifier.classes)
    how = method if isinstance(method, MapOptions) else make_map_options(method, score=score)
    how = suited(how, classifier)
    if classifier.output.measures:
        how = of_values(how, len(classifier.classes), versus=versus is not None)
    check_influence(how, classifier)
    if versus is not None:
        other = match_class(str(versus), classifier.classes)
        if other == index:
            raise UsageError(
                f"--target and --versus are both {classifier.classes[other]!r}: nothing is left."
            )
        how = replace(how, versus=other)
    check_fuse(how, classifier.layer)
    auto = how.score is None
    asked, (how, note) = how, chosen(settled(how, classifier), classifier)
    where = why_at_the_cut(asked, how, classifier.layer)
    return Explanation(how, index, topk, top, auto=auto, note=f"{where} {note}".strip())
