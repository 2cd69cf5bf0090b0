"""What was judged, in words for a person; read without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LITTLE, WIDE = 0.005, 0.04
"""A gain below which more photographs are hardly worth it; a width from which on it is unknown."""


def twice_in_words(gain: float, low: float, high: float) -> str:
    """What twice as many photographs would give.

    Args:
        gain: by how much the error would fall.
        low: of its 95% interval.
        high: likewise.

    Example:
        >>> twice_in_words(0.0153, 0.004, 0.026)
        'twice the photographs would give about +1.5 points (0.4 to 2.6)'
    """
    ends = f"({100 * low:.1f} to {100 * high:.1f})"
    if high < LITTLE:
        return f"twice the photographs would give hardly more: under {100 * LITTLE:g} points"
    if high - low > WIDE or low < 0:
        return f"what twice the photographs would give cannot be told: {ends[1:-1]} points"
    return f"twice the photographs would give about {100 * gain:+.1f} points {ends}"


def judged_lines(judged: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and text of each line on how good a run's head really is.

    Args:
        judged: as `camcli.train.judging.judge` records it.
    """
    lines = []
    if folds := judged.get("out_of_fold"):
        some = folds.get("folds_judged", folds["folds"])  # of a large set not all
        dealt = f"{'' if some == folds['folds'] else f'{some} of '}{folds['folds']} folds"
        text = (
            f"{_told(folds)} on {folds['images']:,} training images, each judged by a head that "
            f"had not seen it ({dealt})"
        )
        if folds["of"] != "the head":
            text += f"; {folds['of']}"
        if folds.get("searched"):
            text += "; the search chose by the same images, so this may be a little too good"
        if folds["groups"] < folds["images"]:
            text += f"; {folds['groups']:,} groups"
        lines.append(("Out of fold", text))
    if control := judged.get("controls"):
        says = control["majority"]["says"]
        always = f"always {says[0]!r}" if len(says) == 1 else "always the most frequent answer"
        near = control["neighbours"]
        lines.append(
            (
                "Controls",
                f"{near['k']} nearest neighbours {near['accuracy']:.3f}, {always} "
                f"{control['majority']['accuracy']:.3f}, the head {control['head']:.3f}",
            )
        )
    if sure := judged.get("temperature"):
        before, after = sure.get(_by(sure), {}), sure["value"]
        lines.append(
            (
                "Calibration",
                f"error {before['ece_before']:.3f}, then {before['ece']:.3f} with temperature "
                f"{after:.2f} (by {sure['by']})",
            )
        )
    if curve := judged.get("learning_curve"):
        text = twice_in_words(**curve["twice"])
        lines.append(("More data", text))
    return lines


def _told(folds: Mapping[str, Any]) -> str:
    return f"accuracy {folds['accuracy']:.4f} ({folds['low']:.3f} to {folds['high']:.3f})"


def _by(sure: Mapping[str, Any]) -> str:
    return "val" if sure["by"] == "validation" else "out_of_fold"
