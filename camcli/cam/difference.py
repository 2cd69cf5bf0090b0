"""Why this class and not that one: the map of the difference of two classes' logits."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from camcli.cam.difference_facts import ONE_MORE, UNCUT, why_no_difference
from camcli.cam.explainer import maps_of
from camcli.cam.map_options import MapOptions
from camcli.models.classifier import Classifier, Look


def can_differ(how: MapOptions, classifier: Classifier) -> bool:
    """Whether the map of a difference has a meaning, and costs little.

    See `why_no_difference`; behind more than a linear layer some methods take a pass for each
    channel or cell.

    Args:
        how: method and options.
        classifier: the network.
    """
    output = classifier.output
    reason = why_no_difference(
        how.method, smooth=how.smooth, several_layers="," in classifier.layer, output=output.kind,
        several_labels=output.multi_label,
    )  # fmt: skip
    able = how.method.name in ONE_MORE or how.is_cheap(classifier)
    return reason is None and len(classifier.classes) > 1 and able


def difference_maps(
    classifier: Classifier, seen: Look, index: Tensor, other: Tensor, how: MapOptions
) -> Tensor:
    """The map of S_index - S_other, signed: above zero is for the first class, below for the other.

    Logits, whatever the run explains: the softmax decides between two classes by nothing else, and
    the weights of a linear head are then w_index - w_other. Of methods that keep what is positive
    only it is what they say for the first minus what they say for the other.

    Args:
        classifier: which looked, and `can_differ`.
        seen: what it saw.
        index: (B,) int64.
        other: (B,) int64, another class than `index` in each image.
        how: method and options.

    Returns:
        (B, h, w), unscaled.
    """
    how = replace(how, score="logit", versus=None)
    uncut = how.method.name in UNCUT
    found = maps_of(classifier, seen, index, how, other, both_signs=uncut)
    if how.method.signed or uncut:
        return found
    return found - maps_of(classifier, seen, other, how, index)
