"""From the shared options to a classifier, with the warnings that a user should see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, Unpack

from camcli.cli.options import Fit, Outputs
from camcli.cli.terminal.console import say, warn
from camcli.errors import UsageError
from camcli.models import spec
from camcli.models.classes.names_file import read_class_names
from camcli.models.weights.formats import check_checkpoint, inside

if TYPE_CHECKING:
    from camcli.models.classifier import Classifier

DEFAULT_MODEL = spec.BUNDLED


class Described(TypedDict):
    """The options of a command that say which classifier is meant, and how it looks."""

    model: str
    weights: str | None
    checkpoint: Path | None
    classes: Path | None
    device: str
    offline: bool
    fit: Fit | None
    input_size: int | None
    layer: str
    native_predictions: NotRequired[bool]
    weights_key: NotRequired[str | None]
    output: NotRequired[Outputs]


def check(**options: Unpack[Described]) -> None:
    """Refuse, without torch, what cannot be a classifier whatever is in its files.

    Raises:
        UsageError: options that contradict each other, a name that nothing has, a number out of
            range, a file that is not there, or class names that cannot be read.
        CamcliError: a file that holds no weights.
    """
    model, checkpoint, weights = options["model"], options["checkpoint"], options["weights"]
    named = model != DEFAULT_MODEL and not spec.is_own_code(model)
    if checkpoint is not None and (weights or options["classes"] or named):
        raise UsageError(
            "--checkpoint is a whole classifier: leave --model, --weights and --classes out."
        )
    if options.get("native_predictions") and options["input_size"] is None:
        raise UsageError(
            "--native-predictions keeps the predictions at the network's own size while the maps "
            "come from a larger one: add --input-size N, or leave it out."
        )
    spec.check_device(options["device"])
    spec.check_input_size(options["input_size"])
    spec.layer_names(options["layer"])
    if checkpoint is not None:
        if not checkpoint.exists() or checkpoint.is_dir():
            raise UsageError(
                f"There is no checkpoint {checkpoint}; 'camcli train' writes one."
                + inside(checkpoint)
            )
        check_checkpoint(checkpoint)
    else:
        spec.check_model(model)
        spec.check_weights(weights, model)
    classes = options["classes"]
    if classes is not None and (not classes.exists() or classes.is_dir()):
        raise UsageError(f"There is no file of class names {classes}.")
    read_class_names(classes)


def load(*, quiet: bool = False, **options: Unpack[Described]) -> Classifier:
    """The classifier that the options describe.

    Args:
        quiet: do not say that it takes a while.
        options: see `Described`.

    Raises:
        UsageError: options that contradict each other, or another layer than the network's last.
    """
    check(**options)
    if not quiet:
        say(f"Loading {options['checkpoint'] or options['model']} ...")

    from camcli.models.classifier import load_classifier

    classifier = load_classifier(**_plain(options))
    for note in classifier.provenance.notes:
        say(note)
    if classifier.preprocess.grey:
        say(
            "The network takes one channel: it sees the luminance of the photographs, normalised "
            "by the mean of its three channels' means and deviations."
        )
    if classifier.output.told:
        say(classifier.output.told)
    if classifier.provenance.source == "random":
        warn(
            "these weights are RANDOM: predictions and heatmaps mean nothing. "
            "Fine for a smoke test, not for looking at."
        )
    return classifier


def found(classifier: Classifier, layer: str) -> str | None:
    """Where the maps of one's own network come from, and how to choose; None for other networks.

    Args:
        classifier: as loaded.
        layer: as the user named it.
    """
    name = classifier.provenance.name
    if layer != spec.LAST or not spec.is_own_code(name):
        return None
    return (
        f"The maps are those of {classifier.layer!r}, the last ones before the logits of {name}: "
        f"--layer takes others, and 'camcli layers {name}' lists them."
    )


def loader(**options: Unpack[Described]) -> Callable[[], Classifier]:
    """The same as something that another process, or machine, can do for itself; picklable."""
    from camcli.models.classifier import load_classifier

    checkpoint, weights = options["checkpoint"], options["weights"]
    classes, device = options["classes"], options["device"]
    there = options | {
        "checkpoint": checkpoint and checkpoint.absolute(),
        "weights": Path(weights).absolute() if weights and Path(weights).is_file() else weights,
        "classes": classes and classes.absolute(),
        # There cuda:1 is another machine's, or the only one that a worker is shown.
        "device": "auto" if device.startswith("cuda") else device,
    }
    return partial(load_classifier, **_plain(there))


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `load_classifier`."""
    fit, output = options["fit"], options.get("output")
    return {
        **options,
        "fit": fit.value if fit else None,
        "output": output.value if output else "auto",
    }
