"""Why this class and not that one: the map of the difference of two classes' logits."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from camcli.cam.explainer import maps_of
from camcli.cam.map_options import MapOptions
from camcli.models.classifier import Classifier, Look


def can_differ(how: MapOptions, classifier: Classifier) -> bool:
    """Whether the map of a difference has a meaning, and costs little.

    It has none of methods that look at no class, or show a principal component, of labels that do
    not exclude each other, of values, and of several layers, each of which is cut off at zero
    before they become one. It costs many passes of methods that run the network on changed images,
    or backwards through all of it.

    Args:
        how: method and options.
        classifier: the network.
    """
    output, method = classifier.output, how.method
    exclusive = not (output.measures or output.multi_label) and len(classifier.classes) > 1
    of_evidence = method.class_specific and (method.signed or method.weighted)
    plain = how.smooth is None and "," not in classifier.layer
    return exclusive and of_evidence and plain and how.is_cheap(classifier)


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
    found = maps_of(classifier, seen, index, how, other)
    if how.method.signed:
        return found
    return found - maps_of(classifier, seen, other, how, index)
