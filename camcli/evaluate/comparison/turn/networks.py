"""What is compared: networks that can be opened, and methods by name; without torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from camcli.cam.box_threshold import USUAL_SHARE
from camcli.cam.map_options import MASKED, MapOptions, make_map_options
from camcli.cam.method_facts import find_facts
from camcli.errors import UsageError
from camcli.train.progress import Listener

if TYPE_CHECKING:
    from camcli.evaluate.comparison.measuring.randomised import Copies
    from camcli.models.classifier import Classifier


@dataclass(frozen=True, slots=True)
class ComparedNetwork:
    """One network of the table; whoever asks for it knows how it is opened.

    Attributes:
        name: as the user wrote it.
        layer: whose maps are explained.
        known_classes: its classes, where they are known before it is opened.
        load: opens it, cut at a layer by its name; the listener hears of it.
        copies: that know less and less, for the sanity check; None where none can be made.
    """

    name: str
    layer: str
    known_classes: tuple[str, ...] | None
    load: Callable[[str, Listener], Classifier]
    copies: Callable[[], Copies] | None


def split_names(text: str, option: str) -> list[str]:
    """``a,b,c`` as names.

    Raises:
        UsageError: one is empty or occurs twice.
    """
    names = [name.strip() for name in text.split(",")]
    if "" in names or len(set(names)) < len(names):
        raise UsageError(f"{option} takes different names with commas between, not {text!r}.")
    return names


def find_methods(
    text: str,
    smooth: str | None,
    converge: float | None,
    box_threshold: float | str | Path | None = None,
    usual: float = USUAL_SHARE,
) -> dict[str, MapOptions]:
    """The methods in the user's order, behind ``random``.

    Args:
        text: names with commas between.
        smooth: how all of them are smoothed.
        converge: where those that mask channels stop.
        box_threshold: of their boxes; a file is not asked for what ``random`` has.
        usual: that of the methods where nobody chose one.

    Raises:
        UsageError: an unknown method, one that is named twice, or none that could stop.
    """
    hows = {}
    for name in split_names(text, "--methods"):
        stop = converge if find_facts(name).name in MASKED else None
        how = make_map_options(name, smooth=smooth, converge=stop, box_threshold=box_threshold)
        how = replace(how, usual=usual)
        if how.method.name in hows:
            raise UsageError(f"--methods names {how.method.name} twice.")
        hows[how.method.name] = how
    if converge is not None and not hows.keys() & set(MASKED):
        raise UsageError(f"--converge is for {', '.join(MASKED)}; --methods names none of them.")
    control = make_map_options("random", box_threshold=box_threshold)
    if isinstance(control.box, tuple):
        control = replace(control, box=None)
    return {"random": control, **hows}
