"""Settings with a name, each chosen on one half of a set and reported on the other."""

from __future__ import annotations

from dataclasses import dataclass

from camcli.cam.map_options import Smooth
from camcli.cam.method_facts import AUTO
from camcli.data.decode.fit import Fit
from camcli.errors import UsageError
from camcli.evaluate.measured.map_scaling import MapScaling


@dataclass(frozen=True, slots=True)
class Preset:
    """How maps are made and read.

    Attributes:
        method: the CAM.
        fit: of photographs to the input; None for the network's own.
        input_size: side of the input, in pixels; None for the network's own.
        smooth: how maps are smoothed; None for not at all.
        scale: how maps become scores.
        told: what is wrong with its boxes as they are written, and what to do, where nobody chose
            their threshold; empty for nothing.
    """

    method: str
    fit: Fit | None
    input_size: int | None
    smooth: Smooth | None
    scale: MapScaling
    told: str = ""


PLAIN = Preset(AUTO.name, None, None, None, "relu")
"""What is taken where nothing is asked for."""

PRESETS: dict[str, Preset] = {
    # docs/evaluation.md says how it was found and what it reaches.
    "localize": Preset(
        "cam",
        "squash",
        384,
        "aug",
        "relu",
        "--preset localize finds boxes well at a threshold that fits, and 20% of the maximum, at "
        "which a box is written unless a checkpoint says another, was none: on 20 "
        "photographs of dogs a mean IoU of 0.49, where a centred box has 0.68 and a threshold that "
        "five boxes chose 0.74. Choose it: --calibrate with the boxes of a few photographs, and "
        "--store to keep it for batch and explain.",
    ),
}


def find_preset(name: str) -> Preset:
    """The preset called `name`.

    Raises:
        UsageError: there is none.
    """
    if name not in PRESETS:
        raise UsageError(f"Unknown preset {name!r}. There is {', '.join(PRESETS)}.")
    return PRESETS[name]
