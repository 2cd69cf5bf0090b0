"""The Python API: a network, loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from camcli.data.decode.fit import Fit
from camcli.data.decode.preprocess_said import Said
from camcli.jobs.against import check_against, compared_with
from camcli.models import load
from camcli.models.classifier import Classifier
from camcli.models.spec import BUNDLED, LAST
from camcli.settings import check_arguments


def load_classifier(
    model: str | Path | nn.Module = BUNDLED,
    *,
    checkpoint: str | Path | None = None,
    weights: str | Path | None = None,
    weights_key: str | None = None,
    classes: str | Path | Sequence[str] | None = None,
    device: str = "auto",
    offline: bool = False,
    fit: Fit | None = None,
    input_size: int | None = None,
    native_predictions: bool = False,
    layer: str = LAST,
    output: str = "auto",
    threshold: float | str | Path | None = None,
    preprocess: Said | None = None,
    trust_pickle: bool = False,
    against: str | Path | Sequence[str | Path] | None = None,
) -> Classifier:
    """Load a classifier, or take one from memory, and cut it at its last map or at other layers.

    Args:
        model: ``efficientnet_lite0`` (bundled), a torchvision name, ``timm:NAME``, a file or folder
            with a trained network, or ``package.module:factory`` or ``path/file.py:factory`` for
            your own code; or a network that is in memory, which is copied and left as it is.
        checkpoint: a file that ``camcli train`` wrote; it replaces `model`, `weights`, `classes`.
            One that was trained on ``module:factory`` needs this as `model`, too: a file does not
            decide which code is run.
        weights: a file, or ``random`` for seeded random weights.
        weights_key: which of several sets of weights in that file, such as ``model_ema``.
        classes: class names, or a file of them, for weights of your own.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        offline: never touch the network.
        fit: override how a photograph is fitted to the network's square input.
        input_size: override the side of the input, in pixels.
        native_predictions: with `input_size`: only the maps come from a pass at that size, and
            the predictions from a second one at the weights' own.
        layer: which layer's maps to explain, as the network names it (``layer3``), or several
            with commas between; ``last`` is the last map before the logits.
        output: what the network returns: logits of classes that exclude each other, ``softmax``;
            logits of labels that do not, ``sigmoid``; one logit that tells two classes apart,
            ``binary``; ``probabilities``; or ``none`` of these but values; by default it is found
            out.
        threshold: probability above which a label is predicted, or from which on the second of two
            classes is; a number, or a CSV file with ``class,threshold``; None for one half.
        preprocess: how the network wants its pixels: words or a file, as ``--preprocess`` takes
            them; a `Preprocess`; a dict of its values; or a transform from a PIL picture to a
            tensor. Transforms of torchvision are read where they can be; others are run as they
            are, and maps are then laid over the whole photograph. By default its own way.
        trust_pickle: whether code that a file names may run: a pickled network can do anything.
        against: photographs to compare with, of good pieces say: a folder, a glob, ``@list.txt`` or
            a list of paths. What is then predicted and explained of a photograph is how different
            it is from these, and no class: any network will do.

    Returns:
        The classifier, ready for `camcli.explain` and `camcli.batch`.

    Raises:
        UsageError: an unknown model, device or layer, `native_predictions` alone, or references
            that nothing can be compared with.
        UnavailableError: the weights are not on this machine.
        CamcliError: the network cannot be cut.

    Example:
        >>> import camcli
        >>> classifier = camcli.load_classifier()
        >>> len(classifier.classes)
        1000
    """
    options = locals()
    check_arguments(load_classifier, options)
    if against is not None:
        check_against(
            against, layer, output=output, threshold=threshold,
            native_predictions=native_predictions,
        )  # fmt: skip
    del options["against"]
    classifier = load.load_classifier(**options)
    return classifier if against is None else compared_with(classifier, against)
