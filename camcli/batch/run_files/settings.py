"""What decides the rows of a run, as ``run.json`` records it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

from camcli.cam.box_threshold import USUAL_SHARE
from camcli.cam.map_options import Effort
from camcli.render.style import Style


@dataclass(frozen=True, slots=True)
class RunSettings:
    """The same settings give the same rows and pictures.

    What has a default here may be missing in ``run.json``, of a run that an earlier camcli made,
    say: that run had the default. So a new option is a field with the default that changes nothing,
    and the runs of before can still be gone on with and merged. What never had another value than
    the default until it was recorded needs nothing else.

    Attributes:
        source: the images' folder.
        model: name, weights, their sha256, and which of several sets in their file.
        preprocess: `Preprocess.to_dict`.
        method: the CAM's name.
        layer: whose maps.
        score: what number of the class.
        labels: where labels come from, in the user's words.
        classes: the network's class names, in a few words that no other names have.
        precision: what the network computes in.
        predict_size: side of the input that predictions are taken from, if it is another.
        output: what the network returns.
        thresholds: probability above which a label, or from which on the second of two classes is
            predicted: one for all, or one a class; None for one half.
        target: index of the class that is explained; None for the predicted one.
        topk: how many of the best classes are explained.
        top: how many predictions a row has.
        versus: index of the class that is compared with.
        smooth: how maps are smoothed.
        fuse: how those of several layers become one.
        channels: most channels of Score-CAM's family.
        converge: where it stops.
        samples: noisy copies.
        box_threshold: from which share of its maximum on a map is inside its box, or by its
            histogram.
        style: how pictures look.
        name_template: of their names.
        only: which results have one.
        overlays: whether there are any.
        against: which photographs are compared with, how many they are and their contents' SHA-256;
            None where the network's own outputs are explained.
    """

    source: str
    model: Mapping[str, str | None]
    preprocess: Mapping[str, Any]
    method: str
    layer: str
    score: str
    labels: str
    classes: str
    precision: str = "float32"
    predict_size: int | None = None
    output: str = "softmax"
    thresholds: float | Sequence[float] | None = None
    target: int | None = None
    topk: int = 1
    top: int = 5
    versus: int | None = None
    smooth: str | None = None
    fuse: str = "mean"
    channels: int | None = None
    converge: float | None = None
    samples: int = Effort().samples
    box_threshold: float | str = USUAL_SHARE
    style: Mapping[str, Any] = field(default_factory=lambda: asdict(Style()))
    name_template: str | None = None
    only: str | None = None
    overlays: bool = True
    against: Mapping[str, Any] | None = None

    def recorded(self) -> dict[str, Any]:
        """As plain values, for ``run.json``; without what nobody chose and few would look for."""
        usual = usual_settings()
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in _TOLD_IF_CHOSEN or value != usual[name]
        }


# A page of the run lists what is recorded.
_TOLD_IF_CHOSEN = {
    "predict_size", "output", "thresholds", "versus", "smooth", "fuse", "channels", "converge",
    "samples", "box_threshold", "against",
}  # fmt: skip


def usual_settings() -> dict[str, Any]:
    """What a run had that does not say otherwise: the defaults, as plain values."""
    found: dict[str, Any] = {}
    for each in fields(RunSettings):
        if each.default_factory is not MISSING:
            found[each.name] = each.default_factory()
        elif each.default is not MISSING:
            found[each.name] = each.default
    return found


def class_digest(classes: Sequence[str]) -> str:
    """Class names in a few words that no other names have."""
    digest = hashlib.sha256(json.dumps(list(classes)).encode()).hexdigest()
    return f"{len(classes)} from {classes[0]!r} to {classes[-1]!r} ({digest[:12]})"
