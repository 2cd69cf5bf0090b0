"""Which networks a run can take that names none: those whose weights are here.

Read without torch.
"""

from __future__ import annotations

from dataclasses import replace

from camcli.errors import CamcliError
from camcli.models.loading.named.catalogue import file_of
from camcli.models.weights.bundled_file import BUNDLED
from camcli.train.config import AUTO, DEFAULT_BACKBONE, TrainConfig


def backbones(config: TrainConfig) -> list[str]:
    """The networks that a search tries: the one that is named, or those whose weights are here.

    The bundled ones come first, the smallest before the larger ones.
    """
    if config.backbone != AUTO:
        return [config.backbone]
    if config.weights is not None:  # which belong to the default
        return [DEFAULT_BACKBONE]
    found = [name for name, file in BUNDLED.items() if file.is_here()]
    try:
        has = file_of(DEFAULT_BACKBONE) is not None
    except CamcliError:
        has = False
    return [*found, DEFAULT_BACKBONE] if has or not found else found


def with_backbone(config: TrainConfig) -> TrainConfig:
    """The settings of a run without a search, with the network that it takes.

    Where none is named that is the one that a search would try first: nothing is fetched for it.
    """
    return replace(config, backbone=backbones(config)[0])


def why_this_one(config: TrainConfig) -> str | None:
    """A sentence on the network of a run that names none and makes no search; None for others."""
    if config.backbone != AUTO or config.searches or config.weights is not None:
        return None
    said = [f"--{name.replace('_', '-')}" for name in config.said()]
    if config.search is None and said:
        why = f"No search is made, as {said[0]} is given (--search makes one all the same)"
    else:
        why = "No search is made"
    name = backbones(config)[0]
    return f"{why}:\n  the network is {name}, which is here; --backbone takes another."
