"""Thresholds of boxes that were chosen by a few true ones: a record of each, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from camcli.printable import counted, printable

TABLE = "box_threshold"
"""Name of the tables of a calibration in its TOML file, and of the entry in a checkpoint."""
_MOST = 1_000


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold that was chosen by the boxes of a few photographs.

    Attributes:
        share: of a map's maximum, above 0 and below 1.
        maps: what decides the maps that it is of, as
            `camcli.cam.box_threshold.described` has them.
        found: what it was chosen on: ``photographs``, ``low`` and ``high`` of its interval,
            the mean ``iou`` there, and those of other boxes.
    """

    share: float
    maps: Mapping[str, str | int | float]
    found: Mapping[str, str | int | float] = field(default_factory=dict)

    def told(self) -> str:
        """Which boxes it gives, by what it was chosen and how good it was, as far as it is told."""
        words = (
            f"Boxes of {self.maps['method']} maps go around what is above {self.share:.3g} of the "
            "maximum"
        )
        count, reached = self.found.get("photographs"), self.found.get("iou_held_out")
        if type(count) is int:
            words += f", chosen by the boxes of {counted(count, 'photograph')}"
        if type(reached) is float and isfinite(reached):
            words += f" (mean IoU {reached:.2f}, each by the others' threshold)"
        return printable(words)

    def record(self) -> dict[str, Any]:
        """As plain values: what `read_records` takes."""
        return {"threshold": self.share, **self.found, "maps": dict(self.maps)}


def read_records(values: Any) -> tuple[Calibration, ...]:
    """Calibrations from plain values that anybody may have written.

    Args:
        values: a list of what `Calibration.record` gives; None for none.

    Raises:
        ValueError: it is something else; says what.
    """
    if values is None:
        return ()
    if not isinstance(values, list) or len(values) > _MOST:
        raise ValueError(f"its {TABLE} is no list of tables")
    found = []
    for value in values:
        share = value.get("threshold") if isinstance(value, dict) else None
        if not isinstance(share, int | float) or isinstance(share, bool) or not 0 < share < 1:
            raise ValueError(f"a {TABLE} has no threshold above 0 and below 1")
        maps = value.get("maps")
        if not isinstance(maps, dict) or not isinstance(maps.get("method"), str):
            raise ValueError(f"a {TABLE} does not say of which maps it is")
        rest = {name: each for name, each in value.items() if name not in ("threshold", "maps")}
        for each in (*maps.values(), *rest.values()):
            if type(each) not in (str, int, float):
                raise ValueError(f"a {TABLE} has a value that is neither text nor number")
        found.append(Calibration(float(share), maps, rest))
    return tuple(found)


def merged(before: Sequence[Calibration], now: Sequence[Calibration]) -> tuple[Calibration, ...]:
    """Calibrations of a checkpoint, where the new ones take the place of those of the same maps."""
    said = [_maps(each) for each in now]
    return (*(each for each in before if _maps(each) not in said), *now)


def _maps(one: Calibration) -> dict[str, str | int | float]:
    """Which maps these are, whatever the file that their network is in."""
    return {name: each for name, each in one.maps.items() if name not in ("network", "sha256")}
