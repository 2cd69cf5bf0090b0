"""Which order number folders are in: found out by what the network sees in a few photographs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from math import sqrt

import torch

from camcli.batch.explain import Decoded, read
from camcli.data.sources.numbered_folders import FolderOrders
from camcli.data.sources.refs import ImageRef
from camcli.data.sources.source import Source
from camcli.models.classifier import Classifier
from camcli.printable import counted

PHOTOGRAPHS = 64
"""That are looked at, as evenly from the folders as they are listed."""
_LISTED = 50_000
_BATCH = 8


def settled(source: Source, classifier: Classifier, say: Callable[[str], object]) -> Source:
    """A source whose number folders are in the order that the network's predictions show.

    Asked is only where the two orders differ and the user has said nothing. As the folders count
    is what is taken, unless the other order is right beyond doubt: on half of the photographs or
    more, and three standard deviations of a coin ahead. Both are told.

    Args:
        source: as `find_images` gives it.
        classifier: whose classes the folders are.
        say: told what was found.
    """
    orders = source.folder_orders(classifier.classes)
    if orders is None or not orders.differ or classifier.output.measures:
        return source
    refs = _some(source, orders)
    predicted = _predicted(refs, classifier)
    by_index = sum(orders.index[label] == best for label, best in predicted)
    by_text = sum(orders.imagefolder[label] == best for label, best in predicted)
    moved = next(name for name, rank in orders.imagefolder.items() if orders.index[name] != rank)
    measured = (
        f"Of {counted(len(predicted), 'photograph')} from folders where it matters, {by_index} are "
        f"predicted as what their folder is by its number and {by_text} as what it is in "
        f"ImageFolder's order, where {moved!r} is output {orders.imagefolder[moved]}"
    )
    if _beyond_doubt(by_text, by_index, len(predicted)):
        say(
            f"{measured}: the labels are taken in ImageFolder's order; --labels index takes the "
            "numbers."
        )
        return replace(source, order="imagefolder")
    if _beyond_doubt(by_index, by_text, len(predicted)):
        say(f"{measured}: the labels are the numbers.")
    else:
        say(
            f"{measured}: that does not tell them apart, so the labels are the numbers; --labels "
            "imagefolder takes the other order, --labels folder the names as they are."
        )
    return source


def renamed(
    source: Source, refs: Sequence[ImageRef], classifier: Classifier, say: Callable[[str], object]
) -> list[ImageRef]:
    """References of a source with labels as `settled` has them, in the same order."""
    return settled(source, classifier, say).renamed(refs, classifier.classes)


def _beyond_doubt(better: int, worse: int, count: int) -> bool:
    return better - worse > 3 * sqrt(better + worse) and 2 * better >= count


def _some(source: Source, orders: FolderOrders) -> list[ImageRef]:
    """Labelled photographs of folders whose two orders differ."""
    moved = {name for name, rank in orders.imagefolder.items() if orders.index[name] != rank}
    most = -(-PHOTOGRAPHS // len(moved))
    taken: Counter[str] = Counter()
    found = []
    for ref in islice(source, _LISTED):
        label = ref.label
        if label is not None and label in moved:
            taken[label] += 1
            if taken[label] <= most:
                found.append(ref)
        if len(found) >= PHOTOGRAPHS:
            break
    return found


def _predicted(refs: Sequence[ImageRef], classifier: Classifier) -> list[tuple[str, int]]:
    """Label and predicted output of those that can be read."""
    found: list[tuple[str, int]] = []
    for start in range(0, len(refs), _BATCH):
        group = [read(ref, classifier, lambda rgb: rgb[:0]) for ref in refs[start : start + _BATCH]]
        decoded = [one for one in group if isinstance(one, Decoded)]
        shapes = dict.fromkeys(one.pixels.shape for one in decoded)
        for shape in shapes:  # whole photographs of different shapes cannot share a pass
            same = [one for one in decoded if one.pixels.shape == shape]
            best = classifier.look(torch.stack([one.pixels for one in same])).logits.argmax(1)
            found += [(one.ref.label or "", int(b)) for one, b in zip(same, best, strict=True)]
    return found
