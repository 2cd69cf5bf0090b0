"""Settings with a name, each chosen on one half of a set and reported on the other."""

from __future__ import annotations

from dataclasses import dataclass

from camcli.cam.box_threshold import USUAL_SHARE
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
        box: from which share of its maximum on a map is inside its box, where nobody chose it.
        told: of boxes with that threshold; empty for nothing.
    """

    method: str
    fit: Fit | None
    input_size: int | None
    smooth: Smooth | None
    scale: MapScaling
    box: float = USUAL_SHARE
    told: str = ""


PLAIN = Preset(AUTO.name, None, None, None, "relu")
"""What is taken where nothing is asked for."""

PRESETS: dict[str, Preset] = {
    # docs/evaluation.md says how it was found and what it reaches: the threshold by the boxes of
    # 77 photographs that are judged nowhere else.
    "localize": Preset(
        "cam",
        "squash",
        384,
        "views",
        "relu",
        0.15,
        "--preset localize draws boxes around what is above 0.15 of a map's maximum, which suits "
        "the bundled network's maps on average. Large things want less, small ones more: "
        "--calibrate with the boxes of a few photographs chooses it. 'camcli batch' draws the same "
        "with --method cam --fit squash --input-size 384 --smooth views --box-threshold 0.15.",
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


def blamed(error: UsageError, preset: str | None, input_size: int | None) -> UsageError:
    """What is wrong, blamed on the preset where it chose the input size and no user did.

    Args:
        error: what was found.
        preset: which was asked for; None for none.
        input_size: as the user gave it.
    """
    if preset is None or input_size is not None:
        return error
    wide = f"leave --preset out, whose inputs are {find_preset(preset).input_size} pixels wide"
    told = str(error).replace("leave --input-size out", wide)
    return error if told == str(error) else UsageError(told)
