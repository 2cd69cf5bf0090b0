"""What one network cannot be asked: told before the work, not after it."""

from __future__ import annotations

import torch

from camcli.cam.explainer import check_influence
from camcli.cam.map_options import MapOptions
from camcli.errors import UsageError, reason
from camcli.evaluate.comparison.measuring.part_rows import check_parts
from camcli.evaluate.comparison.questions.questions import Questions
from camcli.models.classifier import Classifier


def check_questions(
    classifier: Classifier, name: str, hows: dict[str, MapOptions], ask: Questions
) -> None:
    """Refuse what this network cannot be asked.

    Args:
        classifier: the network.
        name: its name in the table.
        hows: methods by name.
        ask: what is to be measured.

    Raises:
        UsageError: probabilities of a network of values; a grid of more classes than it has, or of
            larger pictures than it takes; scenes whose classes it does not know; or a method whose
            maps can only be empty at its layer.
    """
    if classifier.output.measures and ask.of_predictions:
        raise UsageError(
            f"{name} returns values and no probabilities, which {ask.of_predictions} is about: "
            "leave it out. Where its maps lie can be measured against --boxes or --masks."
        )
    if few := [n for n in ask.grid if len(classifier.classes) < n * n]:
        n = few[0]
        raise UsageError(
            f"The {n}x{n} grid shows {n * n} classes side by side, and {name} has "
            f"{len(classifier.classes)}: leave --grid {n} out."
        )
    for how in hows.values():
        check_influence(how, classifier)
    if ask.parts is not None:
        check_parts(classifier, name, ask.parts)
    for n in ask.grid:
        if why := why_no_grid(classifier, n):
            raise UsageError(f"{name} {why}: leave --grid {n} out.")


def why_no_grid(classifier: Classifier, n: int) -> str:
    """Why a network cannot play on n x n photographs side by side; empty where it can.

    It is shown a grey picture of that size: many transformers take one size only.

    Args:
        classifier: the network.
        n: cells a side.
    """
    looks = classifier.preprocess
    if looks.width not in (None, looks.size):  # no cell is square, which is said by itself
        return ""
    side = n * looks.size
    grey = torch.zeros(1, 3, side, side, device=classifier.device)
    try:
        classifier.see(grey)
    except Exception as error:  # whatever a network says of a size that it was not made for
        return (
            f"does not take pictures of {side}x{side} pixels, as the {n}x{n} grid is "
            f"({reason(error)})"
        )
    return ""
