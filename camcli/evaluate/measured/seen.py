"""What every comparison starts from: photographs, seen once, explained by several methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from camcli.batch.batch_size import by_halves, check_alive
from camcli.batch.explain import Decoded, read
from camcli.cam.explainer import maps_of, watching
from camcli.cam.map_options import MapOptions, settled
from camcli.cam.margins import without_margins
from camcli.cam.postprocess import scaled
from camcli.cam.views import framed
from camcli.data.decode.images import (
    Picture,
    decode_picture,
    load_picture,
    printable,
    read_bytes,
)
from camcli.data.decode.preprocess import View
from camcli.data.sources.refs import ImageRef
from camcli.errors import CamcliError, ImageError, out_of_memory, stage
from camcli.models.classes.label_index import label_index, label_indices, unknown_indices
from camcli.models.classifier import Classifier, Look

RANDOM = "random"
"""The control that is a method of the network's features, and none of the user's."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One photograph and its maps.

    Attributes:
        ref: the image.
        size: (width, height) of the photograph in pixels.
        view: the part that the network saw, in its pixels.
        image: normalised, (3, H, W).
        logits: (C,), on the CPU.
        probs: (C,), likewise.
        label: index of the true class, None where it is unknown.
        index: of the explained class: the true one where it is known, else the predicted one.
        maps: (h, w) float32, signed and unscaled, by method.
        features: A (K, h, w) at the explained layer, of several the last, if asked for.
        labels: indices of the true labels where a photograph has any number; None where they are
            unknown, and of other networks.
        untold: indices of the labels of which alone nobody knows whether they are true.
        first: whether it is the first record of its photograph: one with several labels has a
            record of each, where that is asked for.
    """

    ref: ImageRef
    size: tuple[int, int]
    view: View
    image: Tensor
    logits: Tensor
    probs: Tensor
    label: int | None
    index: int
    maps: dict[str, np.ndarray]
    features: Tensor | None = None
    labels: frozenset[int] | None = None
    untold: frozenset[int] = frozenset()
    first: bool = True


def see_photographs(
    classifier: Classifier,
    refs: Iterable[ImageRef],
    hows: dict[str, MapOptions],
    *,
    batch: int = 8,
    index: dict[str, int] | None = None,
    features: bool = False,
    every_label: bool = False,
    predicted: bool = False,
    failed: Callable[[ImageError], object] = lambda error: None,
    also: Callable[[ImageRef, np.ndarray, bytes], object] | None = None,
    lost: Callable[[str, Exception, ImageRef], object] | None = None,
) -> Iterator[Seen]:
    """Run the network once for each photograph and make all maps from what it saw.

    Args:
        classifier: the network.
        refs: the photographs.
        hows: methods with their options, by the name of their row.
        batch: photographs in a forward pass.
        index: the class to explain, by relative path, instead of the true or predicted one.
        features: keep A as well.
        every_label: of a network of labels, yield a record for each true label of a photograph;
            else one, of the likeliest of them.
        predicted: explain the predicted class also where another one is right. Of a network of
            labels it changes nothing where labels are known.
        failed: told of each image that cannot be read or explained, which is left out.
        also: shown each photograph's pixels, (H, W, 3) uint8, and its file's bytes, while they are
            at hand; what it raises is the photograph's error.
        lost: told of a method, its exception and the photograph, where the method fails and another
            one of the user's makes its map: it is left out from then on, as it would take every
            photograph with it. By default its failure is the photograph's.

    Yields:
        One record a photograph that could be explained, in order.

    Raises:
        CamcliError: what concerns every photograph.
    """
    load = load_picture if also is None else partial(_loaded, also)
    hows = dict(hows)  # one that is lost is taken out
    iterator = iter(refs)
    while group := list(islice(iterator, batch)):
        decoded: list[Decoded] = []
        for ref in group:
            one = read(ref, classifier, lambda rgb: rgb[:0], load)
            if isinstance(one, ImageError):
                failed(one)
            else:
                decoded.append(one)
        # Whole photographs of different shapes cannot share a pass.
        shapes = list(dict.fromkeys(one.pixels.shape for one in decoded))
        found: dict[int, list[Seen]] = {}
        for shape in shapes:
            same = [one for one in decoded if one.pixels.shape == shape]
            work = partial(
                _see,
                classifier,
                hows=hows,
                given=index or {},
                features=features,
                every_label=every_label,
                predicted=predicted,
                lost=lost,
            )
            outcomes = by_halves(work, same, classifier.device, lambda one: printable(one.ref.path))
            for one, seen in zip(same, outcomes, strict=True):
                if isinstance(seen, ImageError):
                    failed(seen)
                else:
                    found[id(one)] = seen
        for one in decoded:
            yield from found.get(id(one), ())


def _loaded(also: Callable[[ImageRef, np.ndarray, bytes], object], ref: ImageRef) -> Picture:
    """`load_picture`, of which somebody sees the pixels and the bytes."""
    with stage("read"):
        name, data = read_bytes(ref)
    with stage("decode"):
        picture = decode_picture(data, name)
    also(ref, picture[0], data)
    return picture


def _see(
    classifier: Classifier,
    decoded: Sequence[Decoded],
    hows: dict[str, MapOptions],
    given: dict[str, int],
    features: bool,
    every_label: bool = False,
    predicted: bool = False,
    lost: Callable[[str, Exception, ImageRef], object] | None = None,
) -> list[list[Seen]]:
    look = classifier.look(
        torch.stack([one.pixels for one in decoded]),
        watching(hows.values(), named=not classifier.usual_layer),
    )
    look = framed(look, classifier, [(one.view, (one.width, one.height)) for one in decoded])
    output, classes = classifier.output, classifier.classes
    truths: list[frozenset[int] | None] = [None] * len(decoded)
    if output.multi_label:
        truths = [
            None if one.ref.label is None else label_indices(one.ref.label, classes)
            for one in decoded
        ]
    untold = [
        unknown_indices(one.ref.label, classes) if output.multi_label else frozenset[int]()
        for one in decoded
    ]
    best = look.logits.argmax(1).tolist()
    if output.thresholds and not output.multi_label:
        best = output.best(look.logits, 1)[:, 0].tolist()
    # Values are no probabilities: there are none.
    if output.measures:
        best = [0] * len(decoded)
    probs = look.logits if output.measures else classifier.probabilities(look.logits)
    probs = probs.cpu()
    targets: list[list[tuple[int | None, int]]] = []  # of each photograph: label, explained class
    for n, one in enumerate(decoded):
        label: int | None = None
        if one.ref.label is not None and not (output.multi_label or output.measures):
            label = label_index(one.ref.label, classes)
        own = sorted(truths[n] or (), key=lambda c: -float(probs[n, c]))
        if one.ref.rel in given:
            targets.append([(label, given[one.ref.rel])])
        elif own:
            targets.append([(c, c) for c in (own if every_label else own[:1])])
        else:
            targets.append([(label, best[n] if label is None or predicted else label)])
    name = printable(decoded[0].ref.path)
    if not look.logits.isfinite().all():
        raise ImageError(f"{name}: scores that are not finite (NaN or infinity).")
    found: list[list[Seen]] = [[] for _ in decoded]
    for turn in range(max(map(len, targets))):
        # A photograph with fewer labels takes part with its last one, and is left out.
        pairs = [own[min(turn, len(own) - 1)] for own in targets]
        with stage("map"):
            alone = lost if len(decoded) == 1 else None
            own_index = [index for _, index in pairs]
            maps, failures = _each_map(classifier, look, own_index, hows, name, alone is not None)
        for method, error in failures.items():
            assert alone is not None
            alone(method, error, decoded[0].ref)
            del hows[method]
        for n, (one, (label, index)) in enumerate(zip(decoded, pairs, strict=True)):
            if turn >= len(targets[n]):
                continue
            size = one.width, one.height
            found[n].append(
                Seen(
                    one.ref, size, one.view, look.images[n], look.logits[n].cpu(), probs[n],
                    label, index,
                    {m: without_margins(values[n], one.view, size) for m, values in maps.items()},
                    look.parts[-1].A[n].clone() if features else None,
                    truths[n], untold[n], turn == 0,
                )
            )  # fmt: skip
    return found


def _each_map(
    classifier: Classifier,
    look: Look,
    index: Sequence[int],
    hows: dict[str, MapOptions],
    name: str,
    apart: bool,
) -> tuple[dict[str, np.ndarray], dict[str, Exception]]:
    """Maps (B, h, w) by method, and what each method raised that failed while another did not.

    A method fails by itself only `apart`, of one photograph: in a batch another photograph may be
    at fault, or the memory. Where all of the user's methods fail, it is the photograph or the
    network, whatever the control does.
    """
    maps: dict[str, np.ndarray] = {}
    failures: dict[str, Exception] = {}
    for method, how in hows.items():
        try:
            values = explained(classifier, look, index, {method: how})[method]
            if not np.isfinite(values).all():
                raise ImageError(f"{name}: values of {method} that are not finite (NaN).")
        except Exception as error:
            concerns_all = isinstance(error, CamcliError) and not isinstance(error, ImageError)
            if not apart or concerns_all or out_of_memory(error):
                raise
            check_alive(classifier.device, error)
            failures[method] = error.with_traceback(None)  # which holds on to tensors
        else:
            maps[method] = values
    if failures and not maps.keys() - {RANDOM}:
        raise next(iter(failures.values()))
    return maps, failures


def explained(
    classifier: Classifier, look: Look, index: Sequence[int], hows: dict[str, MapOptions]
) -> dict[str, np.ndarray]:
    """Maps (B, h, w) of a batch by each method, which explain what a run of it explains."""
    targets = torch.tensor(index, device=classifier.device)
    return {
        name: maps_of(classifier, look, targets, settled(how, classifier)).float().cpu().numpy()
        for name, how in hows.items()
    }


def probability_of(classifier: Classifier, index: int, *, chunk: int = 16) -> Callable:
    """Normalised images (n, 3, H, W) -> the probability of a class (n,), in small batches."""

    def ask(images: Tensor) -> Tensor:
        logits = torch.cat([classifier.see(part).logits for part in images.split(chunk)])
        return classifier.probabilities(logits)[:, index].cpu()

    return ask


def logit_of(classifier: Classifier, index: int, *, chunk: int = 16) -> Callable:
    """Normalised images (n, 3, H, W) -> the logit of a class (n,)."""

    def ask(images: Tensor) -> Tensor:
        return torch.cat(
            [classifier.see(part).logits[:, index] for part in images.split(chunk)]
        ).cpu()

    return ask


def mapper(classifier: Classifier, seen: Seen, how: MapOptions) -> Callable[[Tensor], Tensor]:
    """Changed copies (n, 3, H, W) of a photograph's image -> their maps (n, h, w) of its class."""
    how = settled(how, classifier)

    def explain(images: Tensor) -> Tensor:
        targets = torch.full((len(images),), seen.index, device=classifier.device)
        look = classifier.see(images, watching([how], named=not classifier.usual_layer))
        look = framed(look, classifier, [(seen.view, seen.size)] * len(images))
        return maps_of(classifier, look, targets, how).float().cpu()

    return explain


def heat_on(image: Tensor, heatmap: np.ndarray) -> Tensor:
    """A map cut off at 0, divided by its maximum and spread over its input, (H, W); 0 if empty."""
    small = scaled(heatmap)
    if small is None:
        return torch.zeros(image.shape[1:], device=image.device)
    small_t = torch.from_numpy(small)[None, None].to(image.device)
    return torch.nn.functional.interpolate(small_t, image.shape[1:], mode="bilinear")[0, 0]
