"""What a network returns, where neither the user nor the network says: the first images may.

On photographs an age is no logit, and numbers that are spread over 0 to 1 and stay there are none
either. What was concluded is said, with the option that says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import torch
from torch import Tensor

from camcli.batch.explain import read
from camcli.data.sources.label_tables import Tabled, split_labels
from camcli.data.sources.refs import ImageRef
from camcli.data.sources.source import Source
from camcli.errors import CamcliError, ImageError
from camcli.models.classes.label_index import label_index
from camcli.models.classifier import Classifier
from camcli.models.outputs import Output, is_two_named
from camcli.printable import some

FIRST = 8
"""So many images are looked at."""
# A logit this far from 0 on half of the images would be a probability of exactly 0 or 1 for each.
_FAR = 16.0
# Of a few images, which may all be of one class.
_FARTHER = 25.0
# Logits of a network that was never trained may all be a little above 0, and near each other.
_SPREAD = 0.5
# Logits of classes that exclude each other have a mean near 0: their training leaves it where it
# began. That of labels, most of which are absent, is well below.
_BELOW = -1.0
# Of fewer images that may be chance.
_ENOUGH = 4
# Whose outputs are known: logits of classes that exclude each other.
_KNOWN = ("bundled", "torchvision", "timm", "random", "checkpoint")


def understood(
    classifier: Classifier,
    refs: Iterable[ImageRef],
    say: Callable[[str], None],
    warn: Callable[[str], None],
) -> Classifier:
    """The same network, its outputs taken for what the first images show them to be.

    Args:
        classifier: any; images are read only where what it returns was assumed.
        refs: of the run, in its order.
        say: told what may be otherwise than it is taken for.
        warn: told what was concluded, against what was said when the network was loaded.
    """
    output = classifier.output
    if not output.assumed or classifier.provenance.source in _KNOWN:
        return classifier
    first = list(islice(refs, FIRST))
    labels: Sequence[str | None] = [ref.label for ref in first]
    if isinstance(refs, Source) and isinstance(refs.labeller, Tabled):
        labels = refs.labeller.every()
    if output.kind == "softmax" and (twice := _several(labels, classifier.classes)):
        warn(
            f"An image has several labels, {twice}, so the network's outputs are taken for logits "
            "of labels that do not exclude each other; --output softmax says otherwise."
        )
        return classifier.taken_for(Output("sigmoid"))
    outputs = _outputs(classifier, first)
    if outputs is None:
        return classifier
    # Who names two classes knows that it is no value.
    two = output.kind == "binary" and is_two_named(classifier.classes)
    found, told = _found(outputs, output, two)
    if found is not output:
        warn(told)
        return classifier.taken_for(found)
    if told:
        say(told)
    return classifier


def _several(labels: Iterable[str | None], classes: tuple[str, ...]) -> str:
    """More than one of the network's classes, as the labels of one image; empty for none."""
    for label in dict.fromkeys(labels):
        if label and label_index(label, classes) is None:
            names = [name for name in split_labels(label) if label_index(name, classes) is not None]
            if len(names) > 1:
                return some(names)
    return ""


def _outputs(classifier: Classifier, refs: Sequence[ImageRef]) -> Tensor | None:
    """What the network says of the images that can be read, (n, C); None for none."""
    rows = []
    for ref in refs:
        try:
            image = read(ref, classifier, lambda rgb: rgb[:0])
            if isinstance(image, ImageError):
                continue
            logits = classifier.look(image.pixels[None]).logits
        except (CamcliError, RuntimeError):  # whoever explains the image says so
            continue
        if logits.isfinite().all():
            rows.append(logits.float().cpu())
    return torch.cat(rows) if rows else None


def _found(outputs: Tensor, output: Output, two: bool = False) -> tuple[Output, str]:
    """What outputs (n, C) are, and what to say; `output` itself where they show nothing else.

    Args:
        outputs: of n images.
        output: what they are taken for.
        two: whether one output is known to tell two classes apart.
    """
    count = len(outputs)
    images = "image" if count == 1 else f"{count} images"
    if output.kind == "binary":
        z = outputs[:, 1]
        low, high = float(z.min()), float(z.max())
        between = f"{low:.4g}" if count == 1 else f"{low:.4g} to {high:.4g}"
        if count >= _ENOUGH and low >= 0 and high <= 1 and not output.unbounded:
            return _one_within(low, high, between, images, output)
        if two:
            return output, ""
        # A logit that is far from 0 is so on both sides of it, as long as both classes are there.
        one_side = low > 0 or high < 0
        if one_side and float(z.abs().median()) >= (_FAR if count >= _ENOUGH else _FARTHER):
            return Output("none"), (
                f"Of the first {images} the network's one output is {between}, far beyond any "
                "logit, so it is taken for a value: there are no classes, and maps show what "
                "raises it. --output binary says otherwise."
            )
        return output, ""
    within = bool(((outputs >= 0) & (outputs <= 1)).all()) and not output.unbounded
    if within and float(outputs.max() - outputs.min()) > _SPREAD:
        return Output("probabilities", several=True), (
            f"Of the first {images} all of the network's outputs are between 0 and 1 and do not "
            "sum to 1, so they are taken for probabilities of labels that do not exclude each "
            "other; --output softmax says otherwise."
        )
    if outputs.shape[1] > 2 and count >= _ENOUGH:
        shift = outputs.mean(1) / outputs.std(1).clamp(min=1e-6)
        if float(shift.median()) < _BELOW:
            return output, (
                "The network's outputs are taken for logits of classes that exclude each other "
                f"(softmax), but of the first {images} most of them are far below 0, as those of "
                "labels are: say --output sigmoid if several can be right at once."
            )
    if float(outputs.abs().amin(1).median()) >= _FAR:
        return output, (
            "The network's outputs are taken for logits of classes that exclude each other "
            f"(softmax), but of the first {images} all of them are far beyond any logit: say "
            "--output none if they are values."
        )
    return output, ""


def _one_within(
    low: float, high: float, between: str, images: str, output: Output
) -> tuple[Output, str]:
    """What one output is that stays between 0 and 1, as ``softmax(z)[:, 1]`` does."""
    seen = f"Of the first {images} the network's one output is {between}"
    if high - low > _SPREAD:
        return Output("probabilities"), (
            f"{seen}, as a probability is, so it is taken for that of the second class; --output "
            "binary says otherwise, and --output none if it is a value."
        )
    return output, (
        f"{seen}: say --output probabilities if it is the probability of the second class already."
    )
