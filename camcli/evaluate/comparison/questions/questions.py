"""What is asked of each network and method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from camcli.evaluate.measured.annotations import Annotations
from camcli.evaluate.measured.map_scaling import MapScaling
from camcli.evaluate.measured.part_scenes import PartScenes


@dataclass(frozen=True, slots=True)
class Questions:
    """What to measure.

    Attributes:
        annotations: localization against these; none when empty.
        scale: how maps become scores, see `canvas.paint`.
        threshold: of TPR and FPR, as a share of a map's maximum.
        tolerance: of the pointing game, in the photograph's pixels.
        faithfulness: ask the network again without what the maps show.
        deletion: ask it again without each patch, which faithfulness does as well.
        fidelity: ask it again without some of what the maps show, at random.
        grid: cells a side of the grid pointing games.
        grid_if: of those that are played where there are photographs for them, and else left out.
        grid_confidence: least probability of a photograph in the grid.
        repeats: bootstrap draws; 0 for none.
        seed: of everything that is drawn.
        parts: the protocol of scenes that are there again without their parts, with these.
        without: relative paths of photographs that a method learnt from, by method: its row does
            not count them.
    """

    annotations: Annotations = field(default_factory=Annotations)
    scale: MapScaling = "relu"
    threshold: float = 0.5
    tolerance: float = 15
    faithfulness: bool = False
    deletion: bool = False
    fidelity: bool = False
    grid: tuple[int, ...] = ()
    grid_if: tuple[int, ...] = ()
    grid_confidence: float = 0.9
    repeats: int = 500
    seed: int = 0
    parts: PartScenes | None = None
    without: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def counts(self, method: str, rel: str) -> bool:
        """Whether a photograph counts in a method's row."""
        return rel not in self.without.get(method, ())

    @property
    def of_predictions(self) -> str:
        """The option that asks about probabilities; empty where none does."""
        if self.faithfulness:
            return "--faithfulness"
        if self.deletion or self.fidelity:
            return "--suite"
        return "--grid" if self.grid else ""

    @property
    def without_patches(self) -> bool:
        """Whether photographs are shown to the network without each patch."""
        return self.deletion or self.faithfulness

    @property
    def only_of_parts(self) -> bool:
        """Whether all maps are those of the scenes with parts, of several classes of each."""
        return self.parts is not None and not (self.annotations or self.of_predictions)
