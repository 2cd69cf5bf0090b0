"""The search: looks are raced on few images, the better ones on more, and the best head is taken.

Only training images are looked at. Each candidate is judged by cross-validation within them:
validation images stay for the number that is told at the end, test images for nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from camcli.data.datasets.load import Dataset
from camcli.errors import UsageError
from camcli.models.pooling.pooling import Pooling
from camcli.train.backbones import backbones
from camcli.train.config import TrainConfig
from camcli.train.feature_pass.examples import Examples, Looker
from camcli.train.feature_pass.features import ImageView
from camcli.train.judging.folds import ALWAYS, folds_of
from camcli.train.prepare import SPLITS, Backbone
from camcli.train.processes import Team
from camcli.train.progress import Listener
from camcli.train.ranges import HeadKind, seconds
from camcli.train.search.choice import Contender, better_poolings, choose, halve
from camcli.train.search.images import TrialImages, Unworried, even_order
from camcli.train.search.judge import Judged, Task, judge, judge_by_examples
from camcli.train.search.looks import ImageLook, looks, may_be_of_examples, poolings
from camcli.train.search.networks import Networks, part
from camcli.train.search.table import HEAD, line, summary
from camcli.train.search.views import AS_IT_IS, NUMBERS, LearntViews, ways

FOLDS = 5
FEW = 300
"""So many images are enough to tell which looks are far behind."""
PER_CLASS = 12
"""And so many of each class."""
MOST = 12_000
"""More images than that tell two heads apart no better than is of use."""
WORK = 4_000_000
"""Logits of all folds that are held at once."""
GOOD = 0.99
"""From here on larger networks have less than a point to gain."""
STEP = 8
"""The next comparison is on at most so many times the images."""
GRACE = 10.0
"""Seconds that the heads on a look have at least: half-solved ones say nothing of it."""
BY_EXAMPLES: tuple[HeadKind, ...] = ("prototype", "neighbours")
"""Heads beside the one that is solved for."""
AFTER = 5.0
"""Seconds that charts and tables take, and loading what was found."""
FALLBACK = 0.1
"""The strength where there are too few images to find one: of features of mean square 1."""


@dataclass(frozen=True)
class Settled:
    """What a search ended in.

    Attributes:
        config: the settings, of which nothing is open.
        rows: a row a candidate, best first.
        told: the same in short, for ``run.json``.
    """

    config: TrainConfig
    rows: list[dict[str, Any]]
    told: dict[str, Any]


class Search:
    """A search over the looks and the heads that the settings leave open."""

    def __init__(
        self,
        config: TrainConfig,
        dataset: Dataset,
        device: str,
        offline: bool,
        listener: Listener,
        team: Team,
    ) -> None:
        """Load the first network, so that what cannot be had is told before anything is written.

        Raises:
            UsageError: as `camcli.train.prepare.load_backbones`.
            UnavailableError: likewise.
        """
        self._config, self._dataset = config, dataset
        self._listener, self._team = listener, team
        self._started = time.perf_counter()
        self._limit = seconds(config.time_limit)
        self._names = backbones(config)
        self._networks = Networks(config, device, offline)
        self._speed: dict[ImageLook, float] = {}
        self._rest: dict[ImageLook, float] = {}
        self._judging = 0.0
        self._left_out: list[str] = []
        self._networks.open(self._names[0])

    @property
    def first(self) -> Backbone:
        """The first network, as it looks by itself."""
        return self._networks.first

    def go(self, cache: Path) -> Settled:
        """Search; `cache` is the folder of cached features."""
        self._cache = cache
        labels = len(self._dataset.classes) if self._dataset.several else 0
        with ExitStack() as stack:
            self._stack = stack
            return self._go(Examples.of(self._dataset.split("train"), labels))

    def _go(self, train: Examples) -> Settled:
        first = looks(self._config, self._names[0], self._networks.native[self._names[0]])
        order = even_order(train, self._config.seed)
        few, most = self._rungs(len(order))
        self._images = TrialImages(
            train, order, folds_of(train, FOLDS, self._config.seed), self._config,
            len(self._dataset.classes), self._looker,
        )  # fmt: skip
        if len(set(self._images.folds.tolist()) - {ALWAYS}) < 2:
            self._listener.say(
                "There are too few training images of each class to compare heads: the head is "
                "solved for as usual."
            )
            return self._found([], [], first[0], len(order))
        self._listener.say(
            f"Searching for the best look and head on {most} training images, "
            f"{self._config.time_limit} at most:"
        )
        self._listener.say(HEAD)
        tried = self._try(first[0], few)
        if not tried:
            return self._found([], [], first[0], len(order))
        for look in first[1:]:
            if all(bool(each.judged.right.all()) for each in tried):
                self._listener.say("  None of the unseen images is wrong: nothing is left to gain.")
                break
            tried += self._try(look, few)
        best = max(each.judged.accuracy for each in tried)
        if best < GOOD:
            tried += self._larger(halve(tried)[0], few)
        images, before = few, list[Contender]()
        while images < most:
            ranked, kept = halve(tried), better_poolings(tried)
            self._rest = {look: rest for look, rest in self._rest.items() if look in ranked}
            images = min(most, STEP * images)
            again: list[Contender] = []
            for look in ranked:
                again += self._try(look, images, kept[look], must=not again)
            if not again:
                break
            before += tried
            tried = again
        return self._found(tried, before, first[0], len(order))

    def _larger(self, best: ImageLook, images: int) -> list[Contender]:
        """The other networks that are here, as the best look so far looks."""
        tried: list[Contender] = []
        for name in self._names[1:]:
            if self._left() <= 0:  # loading it takes a while, too
                self._left_out.append(name)
                self._listener.say(f"  {name}: left out, no time is left")
                continue
            try:
                self._networks.open(name)
            except UsageError as error:
                if not self._config.unfreeze:
                    raise
                self._listener.say(f"  {name} is left out. {error}")
                continue
            ways = looks(self._config, name, self._networks.native[name])
            alike = [w for w in ways if bool(w.input_size) == bool(best.input_size)] or ways
            alike = [w for w in alike if w.fit == best.fit] or alike
            tried += self._try(alike[0], images)
        return tried

    def _rungs(self, images: int) -> tuple[int, int]:
        """How many images the first comparison is on, and the last one."""
        classes = len(self._dataset.classes)
        most = min(images, MOST, max(FEW, WORK // (FOLDS * classes)))
        few = min(max(FEW, PER_CLASS * classes), most)
        return (most if most < 1.5 * few else few), most

    # --- one look --------------------------------------------------------------------------------

    def _try(
        self,
        look: ImageLook,
        images: int,
        near: dict[Pooling, float] | None = None,
        *,
        must: bool = False,
    ) -> list[Contender]:
        """Judge the heads on one look at the first so many images; none where time is short.

        `near` says which poolings, and which strengths were the best for fewer images.
        """
        must = must or not self._speed
        if not must and self._too_dear(look, images):
            return []
        begun = time.perf_counter()
        backbone = self._networks.load(look)
        features, own, task = self._images.look(look, backbone, images)
        self._speed[look] = self._team.agree((time.perf_counter() - begun) / max(1, images))
        self._rest[look] = (len(self._dataset.items) - images) * self._speed[look]
        found: list[Contender] = []
        near = near or {}
        for pooling in near or poolings(self._config, self._networks.whole[look.backbone]):
            if found and self._left() <= 0:
                break
            start = time.perf_counter()
            rows, blocks = part(backbone, features, pooling)
            judged = self._judged("linear", rows, task, blocks, near.get(pooling))
            if judged is not None:
                took = (time.perf_counter() - start) * len(self._images.folds) / max(1, len(rows))
                self._judging = max(self._judging, took)
                found.append(Contender(
                    look, self._networks.cost(look), pooling, rows.shape[1], len(rows),
                    self._images.spread(judged, own), time.perf_counter() - start,
                ))  # fmt: skip
        if found:
            best = min(found, key=lambda each: each.judged.loss)
            self._listener.say(line(best, time.perf_counter() - begun))
        return found

    def _by_examples(self, best: Contender) -> list[Contender]:
        """The heads of examples, on what the best linear head so far is given."""
        backbone = self._networks.load(best.look)
        features, own, task = self._images.look(best.look, backbone, best.images)
        rows, blocks = part(backbone, features, best.pooling)
        found = []
        for kind in BY_EXAMPLES:
            start = time.perf_counter()
            judged = self._judged(kind, rows, task, blocks)
            if judged is not None:
                found.append(replace(
                    best, judged=self._images.spread(judged, own), head=kind,
                    seconds=time.perf_counter() - start,
                ))  # fmt: skip
        return found

    def _with_views(self, best: Contender) -> list[Contender]:
        """What is best so far, learning from views of the images; judged by the images alone."""
        given = LearntViews.given(self._config) != AS_IT_IS
        if not given and best.judged.accuracy >= GOOD:
            return []
        found: list[Contender] = []
        backbone = self._networks.load(best.look)
        features, own, task = self._images.look(best.look, backbone, best.images)
        rows, blocks = part(backbone, features, best.pooling)
        del features
        for seen in ways(self._config):
            if not given and not self._affords(seen, best):
                break
            start = time.perf_counter()
            views = []
            for view in seen.others(backbone.classifier, self._config.seed):
                others = self._images.look(best.look, backbone, best.images, view)[0]
                if len(others) != len(rows):  # they left between two views
                    return found
                views.append(part(backbone, others, best.pooling)[0])
            near = best.judged.l2
            judged = self._judged(
                "linear", rows, task, blocks, near, views=views, plain=seen.plain
            )  # fmt: skip
            if judged is None:
                break
            took = self._team.agree(time.perf_counter() - start)
            found.append(
                replace(best, judged=self._images.spread(judged, own), seen=seen, seconds=took)
            )
            self._listener.say(line(found[-1], took))
            if judged.loss >= best.judged.loss:  # the dearer ones have mirrored images as well
                break
        return found

    def _judged(
        self,
        kind: HeadKind,
        rows: Tensor,
        task: Task,
        blocks: Sequence[int],
        near: float | None = None,
        *,
        views: Sequence[Tensor] = (),
        plain: bool = True,
    ) -> Judged | None:
        """What a head is worth, computed by the first process."""
        judged = None
        if self._team.leads and kind == "linear":
            until = max(self._started + self._limit, time.perf_counter() + GRACE)
            judged = judge(
                rows, task, blocks, self._config.l2, near, until=until, views=views, plain=plain
            )  # fmt: skip
        elif self._team.leads:
            judged = judge_by_examples(kind, rows, task, blocks)
        return self._team.agree(judged)

    def _looker(self, backbone: Backbone) -> Looker:
        kept = self._stack.enter_context(backbone.cache(self._cache))
        return Looker(backbone.sight, kept, Unworried(self._listener), self._team)

    # --- the clock -------------------------------------------------------------------------------

    def _left(self) -> float:
        """Seconds that are left for the search, by the first process's clock.

        What follows it is kept free: judging what it ends in is much as judging a head here.
        """
        kept = min(AFTER + self._judging, self._limit / 2)
        return self._team.agree(self._limit - kept - (time.perf_counter() - self._started))

    def _too_dear(self, look: ImageLook, images: int) -> bool:
        """Whether there is no time for so many images, and then for the others if it is taken.

        Nor may it take the time that the others of a look need that may win.
        """
        speed = self._speed.get(look)
        if speed is None:  # as much as the dearest network so far, by the share of pixels
            size = look.input_size or self._networks.native[look.backbone].size
            speed = max(
                known
                * (size / (other.input_size or self._networks.native[other.backbone].size)) ** 2
                for other, known in self._speed.items()
            )
        rest = [needed for other, needed in self._rest.items() if other != look]
        needs = images * speed
        after = max([*rest, (len(self._dataset.items) - images) * speed])
        left = self._left()
        if needs + after <= left:
            return False
        if str(look) not in self._left_out:
            self._left_out.append(str(look))
            self._listener.say(
                f"  {look}: left out, it would take {needs + after:.0f} s, and "
                f"{max(left, 0):.0f} s are left"
            )
        return True

    def _affords(self, seen: LearntViews, best: Contender) -> bool:
        """Whether there is time for views of the images, of which a few are looked at to know."""
        if best.channels * best.images * (seen.number + 1) > NUMBERS:
            return False
        backbone = self._networks.load(best.look)
        view = seen.others(backbone.classifier, self._config.seed)[-1]
        a_view = 0.0
        if self._left() > 0:
            everything = len(self._images.folds)
            a_view = self._images.seconds_of(best.look, backbone, everything, view)
        # Its heads, once here and once when the run is judged by its folds.
        needs = a_view * (seen.number - 1) + 2 * seen.number * best.seconds
        needs = self._team.agree(needs) + self._rest.get(best.look, 0.0)
        left = self._left()
        if needs <= left:
            return True
        self._left_out.append(f"{best.look} {seen}")
        self._listener.say(
            f"  {seen}: left out, about {needs:.0f} s, and {max(left, 0):.0f} s are left "
            "(--time-limit)"
        )
        return False

    # --- the end ---------------------------------------------------------------------------------

    def _found(
        self, last: list[Contender], before: list[Contender], native: ImageLook, images: int
    ) -> Settled:
        """What is taken of the candidates of the last comparison."""
        config = replace(self._config, solver="lbfgs", search=False, l2=self._config.l2 or FALLBACK)
        if not last:
            config = native.applied(config)
            return Settled(config, [], {"images": images, "candidates": 0})
        won = self._team.agree(choose(last, self._images.groups) if self._team.leads else None)
        assert won is not None
        if may_be_of_examples(self._config):
            others = self._by_examples(won)
            last = [*last, *others]
            allowed = [won, *(x for x in others if x.explained or not self._config.explainable)]
            won = self._team.agree(
                choose(allowed, self._images.groups) if self._team.leads else None
            )
            assert won is not None
        if won.head == "linear" and (seen := self._with_views(won)):
            last = [*last, *seen]
            allowed = seen if LearntViews.given(config) != AS_IT_IS else [won, *seen]
            won = self._team.agree(
                choose(allowed, self._images.groups) if self._team.leads else None
            )
            assert won is not None
        self._look_at_the_rest(won.look)
        # The sum of the losses outweighs the strength the more, the more images there are.
        l2 = won.judged.l2 * won.images / images
        config = won.look.applied(replace(config, pooling=str(won.pooling)))
        if won.head != "linear":
            config = replace(config, solver=None, l2=None, head=won.head)
        else:
            config = replace(config, l2=l2)
            if won.seen != AS_IT_IS:
                config = won.seen.applied(config)
        tried = [*last, *before]
        table = sorted(tried, key=lambda each: (-each.images, each.judged.loss))
        told = summary(table, won, self._left_out, time.perf_counter() - self._started)
        for text in told.pop("lines"):
            self._listener.say(text)
        return Settled(config, told.pop("rows"), told)

    def _look_at_the_rest(self, look: ImageLook) -> None:
        """At all that the run will look at, while the network is at hand."""
        if len(self._dataset.items) > MOST:  # whose features would be much to hold
            return
        backbone = self._networks.load(look)
        view = ImageView(backbone.classifier)
        for split in SPLITS:
            rest = Examples.of(self._dataset.split(split))
            if rest.items:
                self._looker(backbone).look(rest, view, f"{look} {split} features")
