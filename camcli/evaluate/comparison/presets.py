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
    """

    method: str
    fit: Fit | None
    input_size: int | None
    smooth: Smooth | None
    scale: MapScaling
    box: float = USUAL_SHARE


PLAIN = Preset(AUTO.name, None, None, None, "relu")
"""What is taken where nothing is asked for."""

PRESETS: dict[str, Preset] = {
    # docs/evaluation.md says how it was found and what it reaches: the threshold by the boxes of
    # 77 photographs that are judged nowhere else.
    "localize": Preset("cam", "squash", 384, "views", "relu", 0.15),
}


def find_preset(name: str) -> Preset:
    """The preset called `name`.

    Raises:
        UsageError: there is none.
    """
    if name not in PRESETS:
        raise UsageError(f"Unknown preset {name!r}. There is {', '.join(PRESETS)}.")
    return PRESETS[name]


def told_of_boxes(
    name: str, methods: str, fit: Fit | None, input_size: int | None, smooth: Smooth | None
) -> str:
    """What is to be known of a preset's boxes, and how a run draws the same.

    Args:
        name: of the preset.
        methods: which were settled on, with commas between several.
        fit: likewise.
        input_size: likewise.
        smooth: likewise.
    """
    own = find_preset(name)
    if (methods, fit, input_size, smooth) == (own.method, own.fit, own.input_size, own.smooth):
        suits = "suits the bundled network's maps on average"
    else:
        suits = f"was chosen for the maps that --preset {name} makes by itself, not for these"
    options = {
        "method": "METHOD" if "," in methods else methods,
        "fit": fit,
        "input-size": input_size,
        "smooth": smooth,
        "box-threshold": f"{own.box:g}",
    }
    same = " ".join(f"--{option} {value}" for option, value in options.items() if value)
    return (
        f"--preset {name} draws boxes around what is above {own.box:g} of a map's maximum, "
        f"which {suits}. Large things want less, small ones more: --calibrate with the boxes of a "
        f"few photographs chooses it. 'camcli batch' draws the same with {same}."
    )


def blamed(
    error: UsageError, preset: str | None, input_size: int | None, methods: str | None
) -> UsageError:
    """What is wrong, blamed on the preset for what it chose and no user did.

    Args:
        error: what was found.
        preset: which was asked for; None for none.
        input_size: as the user gave it.
        methods: likewise.
    """
    told = str(error)
    if preset is None:
        return error
    chosen = find_preset(preset)
    if input_size is None:
        wide = f"leave --preset out, whose inputs are {chosen.input_size} pixels wide"
        told = told.replace("leave --input-size out", wide)
    if methods is None and told.startswith(f"{chosen.method} needs "):
        told += f" --preset {preset} takes {chosen.method} where --methods names no other."
    return error if told == str(error) else UsageError(told)
