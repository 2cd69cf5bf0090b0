"""Where the objects of a photograph are, as a person said, and how much heat lies on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(slots=True)
class Objects:
    """The boxes and the mask of one photograph, for its page.

    Attributes:
        boxes: (x0, y0, x1, y1) in thousandths of the photograph's width and height.
        outlines: around the mask, each x, y, x, y, ... likewise; those of holes, too.
        share: of the heat that lies on them; None where there is no map.
    """

    boxes: list[list[int]] = field(default_factory=list)
    outlines: list[list[int]] = field(default_factory=list)
    share: float | None = None


class Annotator(Protocol):
    """Knows where the objects are: whoever can read boxes and masks hands it over.

    Attributes:
        options: words of a command that name the boxes and masks; none if no user named them.
    """

    options: tuple[str, ...]

    def __contains__(self, path: object) -> bool:
        """Whether a photograph, by its relative path, has any."""

    def objects(
        self,
        path: str,
        size: tuple[int, int],
        view: list[float] | None,
        heat: Mapping[str, Any] | None,
        labels: int,
    ) -> Objects | None:
        """Those of one photograph; None where they cannot be told.

        Args:
            path: relative.
            size: (width, height) of the photograph in pixels.
            view: the part that the network saw; None if not known.
            heat: ``target`` and ``values``, (h, w), of the map that is shown; None if there is
                none.
            labels: how many labels the photograph has, of a network that gives any number; else 1.
        """
