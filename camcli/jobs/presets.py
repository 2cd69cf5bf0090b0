"""Settings with a name, each chosen on one half of a set and reported on the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from camcli.cam.box_threshold import USUAL_SHARE
from camcli.cam.map_options import Smooth
from camcli.cam.method_facts import AUTO
from camcli.data.decode.fit import Fit
from camcli.errors import UsageError
from camcli.evaluate.measured.map_scaling import MapScaling
from camcli.models.spec import BUNDLED
from camcli.printable import printable

if TYPE_CHECKING:
    from camcli.models.classifier import Classifier


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
        draw_box: whether pictures have that box.
    """

    method: str
    fit: Fit | None
    input_size: int | None
    smooth: Smooth | None
    scale: MapScaling
    box: float = USUAL_SHARE
    draw_box: bool = False


PLAIN = Preset(AUTO.name, None, None, None, "relu")
"""What is taken where nothing is asked for."""

PRESETS: dict[str, Preset] = {
    # docs/evaluation.md says how it was found and what it reaches: the threshold by the boxes of
    # 77 photographs that are judged nowhere else.
    "localize": Preset("cam", "squash", 384, "views", "relu", 0.15, draw_box=True),
}


def find_preset(name: str | None) -> Preset:
    """The preset called `name`; `PLAIN` for None.

    Raises:
        UsageError: there is none.
    """
    if name is None:
        return PLAIN
    if name not in PRESETS:
        raise UsageError(
            f"Unknown preset '{printable(name)}'. --preset takes {', '.join(PRESETS)}."
        )
    return PRESETS[name]


def described(name: str) -> str:
    """A preset as the options of a run that it stands for."""
    own = find_preset(name)
    return (
        f"--method {own.method} --fit {own.fit} --input-size {own.input_size} --smooth "
        f"{own.smooth} --box-threshold {own.box:g}{' --draw-box' if own.draw_box else ''}"
    )


@dataclass(frozen=True, slots=True)
class SettledMaps:
    """What maps are made with beside a preset: its settings, and those that a user chose.

    Attributes:
        method: several with commas between.
        fit: of photographs to the input; None for the network's own.
        input_size: side of the input; likewise.
        smooth: how maps are smoothed; None for not at all.
    """

    method: str
    fit: Fit | None
    input_size: int | None
    smooth: Smooth | None

    def differing(self, preset: str) -> dict[str, str]:
        """The options that make of a preset's maps these, without dashes, with their values."""
        own = find_preset(preset)
        pairs = {
            "method": (self.method, own.method), "fit": (self.fit, own.fit),
            "input-size": (self.input_size, own.input_size), "smooth": (self.smooth, own.smooth),
        }  # fmt: skip
        return {name: str(mine) for name, (mine, usual) in pairs.items() if mine != usual}


def told_of_boxes(preset: str, maps: SettledMaps, more: str) -> str:
    """What is to be known of a preset's boxes.

    Args:
        preset: its name.
        maps: what they are made of.
        more: what chooses another threshold by the boxes of a few photographs.
    """
    own = find_preset(preset)
    if maps.differing(preset):
        suits = f"was chosen for the maps that --preset {preset} makes by itself, not for these"
    else:
        suits = "suits the bundled network's maps on average"
    return (
        f"--preset {preset} draws boxes around what is above {own.box:g} of a map's maximum, "
        f"which {suits}. Large things want less, small ones more: {more} with the boxes of a "
        "few photographs chooses it."
    )


def tuned_by(preset: str, maps: SettledMaps, *, other: bool) -> str:
    """The command that chooses the threshold of these maps' boxes.

    Args:
        preset: its name.
        maps: of which the boxes are.
        other: whether they are of another network than the one that camcli brings.
    """
    options = ({"models": "NETWORK"} if other else {}) | {"preset": preset}
    for option, value in maps.differing(preset).items():
        options["methods" if option == "method" else option] = value
    return f"'camcli evaluate PHOTOS {_written(options)} --calibrate BOXES'"


def drawn_alike(preset: str, maps: SettledMaps, *, other: bool = False) -> str:
    """How a run draws the boxes that are measured, in a sentence; arguments as `tuned_by` has."""
    options = ({"model": "NETWORK"} if other else {}) | {"preset": preset}
    options |= maps.differing(preset)
    if "," in maps.method:  # a run has one
        options["method"] = "METHOD"
    return f"'camcli batch PHOTOS {_written(options)}' draws the same."


def _written(options: Mapping[str, str]) -> str:
    return " ".join(f"--{option} {value}" for option, value in options.items())


def told_of_network(preset: str, classifier: Classifier) -> str | None:
    """What is to be known where a preset is used with a network it was not chosen for.

    Args:
        preset: its name.
        classifier: the network.

    Returns:
        A sentence; None for the network that camcli brings.
    """
    made = classifier.provenance
    if made.name == BUNDLED and made.weights == "bundled":
        return None
    return (
        f"--preset {preset} was chosen for the bundled network and not for {printable(made.name)}: "
        "its boxes may be worse here than one in the middle, as they were with a head that tells "
        "cats from dogs. 'camcli evaluate PHOTOS --models NETWORK --boxes BOXES --preset "
        f"{preset}' measures both."
    )


@contextmanager
def blaming(
    preset: str | None,
    *,
    methods: str | None,
    fit: str | None,
    input_size: int | None,
    smooth: str | None,
    option: str = "--method",
) -> Iterator[None]:
    """Say of a mistake within that the preset made it, where it chose what no user did.

    Args:
        preset: which was asked for; None for none.
        methods: as the user gave them; None for not at all, as the next ones.
        fit: likewise.
        input_size: likewise.
        smooth: likewise.
        option: what `methods` are called.

    Raises:
        UsageError: the mistake.
    """
    try:
        yield
    except UsageError as error:
        own, told = PRESETS.get(preset or ""), str(error)
        if own is None or f"--preset {preset}" in told:  # is blamed already
            raise
        if input_size is None:
            wide = f"eave --preset out, whose inputs are {own.input_size} pixels wide"
            told = told.replace("eave --input-size out", wide)
        brought = [
            words
            for words, given, named in (
                (f"{option} {own.method}", methods, told.startswith(f"{own.method} ")),
                (f"--fit {own.fit}", fit, "--fit" in told),
                (f"--input-size {own.input_size}", input_size, "--input-size" in told),
                (f"--smooth {own.smooth}", smooth, "--smooth" in told),
            )
            if given is None and named
        ]
        if brought:
            told += f" --preset {preset} takes {' '.join(brought)} where nothing else is given."
        if told == str(error):
            raise
        raise UsageError(told) from error.__cause__
