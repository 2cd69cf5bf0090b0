"""How well heads got used to pictures without patches, in words: beside the numbers it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from camcli.printable import percent

LITTLE = 0.1
"""Share of what there was to learn, below which a head learned next to nothing."""
ALREADY = 0.9
"""Share of pictures that a network answers without a patch as with it, so that little is left."""
_PLAIN = {"idsds": "sds", "ffid": "rfid"}

_GONE = {"idsds": "a patch", "ffid": "a random tenth"}


def heads_told(adapted: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """A sentence for each network and metric.

    Args:
        adapted: by network and metric what `camcli.train.fitting.adapted_head` learned.
    """
    lines = []
    for name, by_metric in adapted.items():
        for metric, told in by_metric.items():
            after, before = told["kept_after"], told["kept_before"]
            line = (
                f"{metric} ({name}): without {_GONE[metric]} its head says in {percent(after)} of "
                f"pictures what it says of the whole one, and in {percent(before)} before it got "
                "used to them"
            )
            if told["learned"] < LITTLE:
                line += (
                    f". It learned next to nothing ({percent(told['learned'])} of what there was "
                    f"to learn), so {metric} is hardly more than {_PLAIN[metric]}: "
                )
                line += (
                    "there was little to learn, as holes hardly change what it says"
                    if told["kept_before"] >= ALREADY
                    else "more photographs may help"
                )
            lines.append(f"{line}.")
    return lines
