"""What may give a class away: found in the photographs, not yet proved to be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from camcli.evaluate.findings.audited_photo import AuditedPhoto

Region = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of a photograph's width and height, in [0, 1]."""


class Change(Protocol):
    """How a suspect is taken away from photographs and put on others, beside a control.

    All take a photograph and its pixels (H, W, 3) uint8, as `AuditedPhoto.rgb` gives them, and
    return pixels of the same kind (of another shape where the change is one of shape), or None
    where that cannot be done in this photograph. What is drawn by chance comes from `rng`: a change
    and its control are given generators in the same state, so that what is drawn first, such as the
    place, is the same for both.
    A control changes as many pixels in the same way, but not what is suspected: it says what such
    a change does to any photograph.
    """

    removed_by: str
    """How it is taken away, as a past participle: ``inpainted``; empty where it cannot be."""
    added_by: str
    """How it is put on: ``pasted``; empty where it cannot be."""
    control: str
    """What the control is: ``a patch of the same size from another photograph``.

    Where that of putting it on is another one than that of taking it away, both, the latter first,
    with a semicolon and a space between them.
    """

    def remove(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The photograph, which has it, without it."""

    def remove_control(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The photograph, which has it, with as much of something else taken away."""

    def add(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """A photograph that does not have it, with it."""

    def add_control(
        self, photo: AuditedPhoto, rgb: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray | None:
        """The same photograph, with something else of its size at its place."""


@dataclass(frozen=True, slots=True, eq=False)
class Suspect:
    """Something that photographs of one predicted class have, and others have less often.

    Attributes:
        kind: one word or two of `finding.KINDS`: ``mark``, ``frame``, ``colour cast`` ...
        label: the predicted class whose photographs have it.
        what: a noun phrase for a person: ``a mark of about 60 x 40 pixels, bottom right``.
        regions: relative path -> where it is, for the photographs of the class that have it; None
            where it is all of the photograph.
        looked: photographs of the class in which it was looked for.
        elsewhere: photographs of other classes that have it.
        elsewhere_looked: photographs of other classes in which it was looked for.
        effect: size of the association, in [0, 1]: |share that has it - share of the others|, or
            for a number |2 AUC - 1|.
        p: of such an association by chance, corrected for everything that was tested.
        change: how it is taken away and put on; None where no pixel shows it (EXIF).
        picture: what it looks like, (h, w, 3) uint8; None where there is nothing to show.
        having: relative paths of photographs of other classes that have it, so that it is not put
            on them a second time.
    """

    kind: str
    label: str
    what: str
    regions: Mapping[str, Region | None]
    looked: int
    elsewhere: int
    elsewhere_looked: int
    effect: float
    p: float
    change: Change | None
    picture: np.ndarray | None = None
    having: frozenset[str] = frozenset()

    @property
    def present(self) -> int:
        """Photographs of the class that have it."""
        return len(self.regions)
