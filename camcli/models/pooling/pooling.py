"""Which statistics of which layers a head is given, as people write it: ``mean+max+std@blocks.2``.

Read without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from camcli.errors import UsageError
from camcli.models.spec import LAST

KINDS = ("mean", "max", "gem", "std")
"""Of each channel of a map: its mean; its maximum; its generalised mean of power 3 (Radenovic et
al. 2018); its standard deviation."""


class Statistic(NamedTuple):
    """One statistic of one layer: as many numbers as the layer has channels.

    Attributes:
        kind: one of `KINDS`.
        layer: as `camcli.models.cutting.cut` takes it.
    """

    kind: str
    layer: str = LAST

    def __str__(self) -> str:
        return self.kind if self.layer == LAST else f"{self.kind}@{self.layer}"


@dataclass(frozen=True, slots=True)
class Pooling:
    """What a head is given of a picture, in this order.

    Attributes:
        statistics: at least one.
        unit: whether the numbers are divided by their length, as cosine heads want it.
    """

    statistics: tuple[Statistic, ...] = (Statistic("mean"),)
    unit: bool = False

    @classmethod
    def read(cls, text: str) -> Pooling:
        """From ``mean``, ``mean+max``, ``gem``, ``mean+std@layer2`` or, unit length, ``|mean|``.

        Raises:
            UsageError: it is not understood; the message says what there is.

        Example:
            >>> Pooling.read("mean+std@layer2").layers
            ('last', 'layer2')
        """
        unit = len(text) > 2 and text[0] == text[-1] == "|"
        inner = text[1:-1] if unit else text
        found = []
        for word in inner.split("+"):
            kind, at, layer = word.strip().partition("@")
            if kind not in KINDS or (at and not layer):
                raise UsageError(
                    f"--pooling takes {', '.join(KINDS)}, with + between and @LAYER behind, such "
                    f"as mean+max+std@layer2, not {text[:60]!r}."
                )
            found.append(Statistic(kind, layer or LAST))
        if len(set(found)) < len(found):
            raise UsageError(f"--pooling {text[:60]} names a statistic twice.")
        return cls(tuple(found), unit)

    def __str__(self) -> str:
        text = "+".join(map(str, self.statistics))
        return f"|{text}|" if self.unit else text

    @property
    def plain(self) -> bool:
        """Whether it is the global average of the last map and nothing else."""
        return self == Pooling()

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that are looked at, each once, in the order of the statistics."""
        return tuple(dict.fromkeys(each.layer for each in self.statistics))

    def columns(self, channels: Mapping[str, int]) -> dict[Statistic, slice]:
        """Where each statistic's numbers are.

        Args:
            channels: K of each layer.
        """
        found, start = {}, 0
        for each in self.statistics:
            found[each] = slice(start, start + channels[each.layer])
            start += channels[each.layer]
        return found
