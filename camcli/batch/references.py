"""The features of reference photographs, one after another, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from torch import Tensor

from camcli.batch.batch_size import START, by_halves
from camcli.batch.explain import Decoded, read
from camcli.batch.lanes import Lanes
from camcli.data.decode.images import printable
from camcli.data.decode.preprocess import stacked
from camcli.data.sources.refs import ImageRef
from camcli.errors import ImageError
from camcli.models.classifier import Classifier
from camcli.models.runtime.openvino import available_cores

_NOT_FINITE = "network: {}: features that are not finite (NaN or infinity)."


def features_of(
    classifier: Classifier,
    refs: Sequence[ImageRef],
    failed: dict[int, str],
    advance: Callable[[int], object] = lambda count: None,
    note: Callable[[int, np.ndarray], object] | None = None,
) -> Iterator[Tensor]:
    """What a network sees in photographs, as `explain` looks at them.

    Args:
        classifier: its first layer that is explained is taken.
        refs: the photographs.
        failed: gets the error of each that cannot be read, or on which the network fails, by its
            index.
        advance: called with a number of finished ones.
        note: given the index of each that can be read and its pixels (H, W, 3), by any thread.

    Yields:
        A (K, h, w) float32 on the CPU, of all others in their order.
    """

    def look(images: Sequence[Decoded]) -> list[Tensor | ImageError]:
        alike: dict[tuple[int, ...], list[int]] = {}
        for i, image in enumerate(images):  # whole photographs have shapes of their own
            alike.setdefault(tuple(image.pixels.shape), []).append(i)
        found: dict[int, Tensor | ImageError] = {}
        for some in alike.values():
            A = classifier.look(stacked([images[i].pixels for i in some])).parts[0].A.cpu()
            for i, one in zip(some, A, strict=True):
                finite = bool(one.isfinite().all())
                name = printable(images[i].ref.path)
                found[i] = one if finite else ImageError(_NOT_FINITE.format(name))
        return [found[i] for i in range(len(images))]

    def work(
        group: Sequence[ImageRef], read: list[Decoded | ImageError]
    ) -> list[Tensor | ImageError]:
        images = [one for one in read if isinstance(one, Decoded)]
        seen = iter(
            by_halves(look, images, classifier.device, lambda image: printable(image.ref.path))
        )
        return [next(seen) if isinstance(one, Decoded) else one for one in read]

    numbers = {id(ref): i for i, ref in enumerate(refs)} if note else {}

    def opened(ref: ImageRef) -> Decoded | ImageError:
        def keep(rgb: np.ndarray) -> np.ndarray:
            if note is not None:
                note(numbers[id(ref)], rgb)
            return rgb[:0]

        return read(ref, classifier, keep)

    groups = (refs[i : i + START] for i in range(0, len(refs), START))
    count = available_cores() if classifier.device.type == "cpu" else 1
    number = 0
    with Lanes(classifier.device, count) as lanes:
        for outcomes in lanes.run(groups, opened, work):
            for outcome in outcomes:
                if isinstance(outcome, ImageError):
                    failed[number] = str(outcome)
                else:
                    yield outcome
                number += 1
                advance(1)
