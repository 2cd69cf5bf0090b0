"""The networks of an evaluation: which they are, and how each is opened when its turn comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from camcli.errors import UsageError
from camcli.evaluate.comparison.turn.networks import ComparedNetwork
from camcli.files import expanded
from camcli.jobs.model import ModelJob
from camcli.models import spec
from camcli.train.progress import Listener

if TYPE_CHECKING:
    from camcli.evaluate.comparison.measuring.randomised import Copies
    from camcli.models.classifier import Classifier


def files_of(networks: Sequence[ComparedNetwork]) -> dict[str, str]:
    """The checkpoints among the networks, by the names in the table."""
    return {
        each.name: str(file.absolute())
        for each in networks
        if spec.is_checkpoint_name(each.name) and (file := expanded(each.name)).is_file()
    }


def network_of(name: str, model: ModelJob) -> ComparedNetwork:
    """A network that is loaded when its turn comes.

    Args:
        name: in the table.
        model: which it is.
    """
    return ComparedNetwork(
        name, model.layer, model.known_classes, partial(_load, model), partial(_copies, model)
    )


def loaded(name: str, classifier: Classifier) -> ComparedNetwork:
    """A network that is open already; it has the layer at which it was cut.

    Args:
        name: in the table.
        classifier: as `camcli.load_classifier` gave it.
    """

    def load(layer: str, listener: Listener) -> Classifier:
        return classifier

    return ComparedNetwork(name, classifier.layer, classifier.classes, load, None)


def _load(model: ModelJob, layer: str, listener: Listener) -> Classifier:
    listener.say(f"Loading {model.called} ...")
    return replace(model, layer=layer).load(say=listener.say, warn=listener.warn)


def _copies(model: ModelJob) -> Copies:
    """Copies that know less and less, for the sanity check."""
    from camcli.evaluate.comparison.measuring.randomised import (
        copies_of_checkpoint,
        copies_of_model,
    )

    if model.checkpoint is not None:
        return copies_of_checkpoint(
            Path(model.checkpoint), lambda path: replace(model, checkpoint=path).load()
        )
    return copies_of_model(
        model.model, weights=model.weights, weights_key=model.weights_key, classes=model.classes,
        offline=model.offline, fit=model.fit, input_size=model.input_size, device=model.device,
        layer=model.layer, output=model.output, preprocess=model.preprocess,
        trust_pickle=model.trust_pickle,
    )  # fmt: skip


def checkpoint_of(name: str) -> Path | None:
    """A model's name as a checkpoint's file, if it is one."""
    if spec.is_path(name) and not expanded(name).exists():
        raise UsageError(f"There is no checkpoint {name}, and no other file or folder.")
    return expanded(name) if spec.is_checkpoint_name(name) else None
