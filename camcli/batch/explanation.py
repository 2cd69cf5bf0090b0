"""What a run explains: the method and its options, and of which classes."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

from camcli.cam.automatic import USUAL
from camcli.cam.map_options import MapOptions
from camcli.cam.method_facts import FACTS, Facts
from camcli.cam.scores import Score


@dataclass(frozen=True, slots=True)
class Explanation:
    """What to explain.

    Attributes:
        how: method and its options.
        target: index of the class to explain; None for the predicted one.
        topk: explain each of the k best classes instead (1: only the best).
        top: how many predictions a Result lists.
        truth: also explain the true class where it is known and not explained anyway, as
            `Result.truth`, and the difference of the prediction to it, or to the second best, as
            `Result.difference`; where that costs little.
        features: also tell what each photograph is to the network, as `Result.features`.
        beside: further methods, whose maps are made of the same forward pass, as `Result.beside`.
        auto: whether the score was left to camcli.
        note: what to tell of where the method looks and of boxes; empty for nothing.
    """

    how: MapOptions
    target: int | None = None
    topk: int = 1
    top: int = 5
    truth: bool = False
    features: bool = False
    beside: tuple[MapOptions, ...] = ()
    auto: bool = False
    note: str = ""

    @property
    def method(self) -> Facts:
        """Which CAM."""
        return self.how.method

    def with_lanes(self, pool: Executor, lanes: int) -> Explanation:
        """The same, with the many passes of one image shared out to a pool of so many threads."""
        return self.with_effort(pool=pool, lanes=lanes)

    def with_effort(self, **changed: Any) -> Explanation:
        """The same, with other values of `Effort` for each of its methods."""
        how, *beside = (
            replace(each, effort=replace(each.effort, **changed))
            for each in (self.how, *self.beside)
        )
        return replace(self, how=how, beside=tuple(beside))

    def alone(self) -> list[Explanation]:
        """Each of its methods by itself, in order."""
        return [replace(self, how=how, beside=()) for how in (self.how, *self.beside)]

    @property
    def score(self) -> Score:
        """What number of the class."""
        return self.how.score or self.method.score

    @property
    def told(self) -> str:
        """What was chosen for the user, in a sentence; empty where nothing was."""
        changed = [one for one in self.alone() if one.score != one.method.score]
        if not (self.auto and changed):
            return self.note
        one = changed[0]
        told = (
            "The network has two classes, of which only the difference decides: maps explain the "
            f"difference to the other class (--score {one.score}); --score {one.method.score} "
            "explains the class alone."
        )
        return f"{told} {self.note}".strip()

    def as_before(self, recorded: Mapping[str, Any]) -> Explanation:
        """The same as a run did it that was begun before, in what was left to camcli.

        Args:
            recorded: that run's settings.
        """
        same, method = self, recorded.get("method")
        if self.how.chosen and method == USUAL != self.method.name:
            told = f"Maps by {method}, as the run was begun (--method auto)."
            same = replace(self, how=replace(self.how, method=FACTS[USUAL], chosen=told))
        if not same.auto or recorded.get("score") != same.method.score:
            return same
        return replace(same, how=replace(same.how, score=same.method.score))
