"""The same thing in photograph after photograph of one predicted class, and not in the others.

No masks are needed, and no idea of what a mark looks like: local features of the photographs of a
class are matched with each other, matches of one thing are put together, the thing is cut out, and
looked for in all photographs again. What is found in all classes alike gives no class away, and is
told apart; so are photographs that match as a whole.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.findings.pixel_cache import PixelCache
from camcli.evaluate.findings.suspect import Region, Suspect
from camcli.evaluate.marks.anywhere.flat_patches import flat_colours, flat_mark, telling_colours
from camcli.evaluate.marks.anywhere.patch_change import PatchChange
from camcli.evaluate.marks.anywhere.same_things import (
    Sets,
    SharedPart,
    Thing,
    same_things,
    shared_parts,
)
from camcli.evaluate.marks.anywhere.search import Sought, sought
from camcli.evaluate.marks.anywhere.usual_place import box_of
from camcli.evaluate.marks.chance import more_than_chance
from camcli.evaluate.marks.place_words import place_words, size_words
from camcli.evaluate.matching.alignment import alignments, inverse, moved, whole_picture
from camcli.evaluate.matching.local_features import LocalFeatures, local_features
from camcli.evaluate.matching.matches import all_matches
from camcli.train.progress import Listener

OTHERS = 60  # photographs of all other classes in which a class's marks are looked for
FEWEST = 4  # photographs that must have something for it to be a mark
_SHARE = 0.06  # of a class's photographs, at the least
_PAIR = 4  # features that agree in a pair of photographs
_P = 0.01  # by chance, corrected
_EFFECT = 0.1  # share of the class that has it, less the others'
_THINGS = 8  # of a class are looked at closely, those in most photographs
_LARGEST = 0.4  # share of a photograph that a mark covers; what covers more is a scene
_DONORS = 12  # pieces of other photographs, for the controls


@dataclass(frozen=True, slots=True)
class SamePhotograph:
    """Two photographs of one predicted class that match as a whole.

    Attributes:
        one: relative path.
        other: relative path.
        label: predicted class of both.
    """

    one: str
    other: str
    label: str


@dataclass(frozen=True, slots=True)
class RepeatedFound:
    """What photographs have in common.

    Attributes:
        suspects: marks that one class has more often than the others.
        everywhere: marks that other classes have as often; they give no class away.
        duplicates: near-duplicates and frames of one video, which are no marks.
        unread: relative paths of photographs that could not be read.
    """

    suspects: list[Suspect] = field(default_factory=list)
    everywhere: list[Suspect] = field(default_factory=list)
    duplicates: list[SamePhotograph] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def repeated_marks(
    groups: Mapping[str, Sequence[AuditedPhoto]],
    pixels: PixelCache,
    clock: Clock,
    listener: Listener,
) -> RepeatedFound:
    """Marks of each predicted class.

    Args:
        groups: predicted class -> a sample of the photographs that were said to be it.
        pixels: where their pixels are read.
        clock: when it is over, the classes that are left are not looked at, and it says so.
        listener: is told of the progress.
    """
    return _Search(groups, pixels, clock, listener).found()


class _Search:
    """One look at all classes; keeps the features of what is looked at again."""

    def __init__(
        self,
        groups: Mapping[str, Sequence[AuditedPhoto]],
        pixels: PixelCache,
        clock: Clock,
        listener: Listener,
    ) -> None:
        self._groups = {label: list(photos) for label, photos in groups.items() if photos}
        self._photos = {p.rel: p for photos in self._groups.values() for p in photos}
        self._pixels = pixels
        self._clock = clock
        self._listener = listener
        # Of many classes a few photographs each are the others of all.
        self._each = math.ceil(OTHERS / max(1, len(self._groups) - 1))
        self._kept: dict[str, LocalFeatures] = {}
        self._flat_colours: dict[str, np.ndarray] = {}
        self._out = RepeatedFound()
        self._known: list[dict[str, Region]] = []
        self._candidates: list[Suspect] = []

    def found(self) -> RepeatedFound:
        total = sum(len(photos) for photos in self._groups.values())
        with self._listener.bar("repeated marks", total, "photograph") as bar:
            for label, photos in self._groups.items():
                if self._clock.over:
                    self._clock.skip(
                        f"repeated marks in photographs predicted {label}, for want of time"
                    )
                    continue
                self._class(label, photos)
                bar.advance(len(photos))
        self._judge()
        return self._out

    def _features(self, photos: Sequence[AuditedPhoto]) -> dict[str, LocalFeatures]:
        """Of photographs that can be read; several at a time, as OpenCV holds no lock."""
        missing = [p for p in photos if p.rel not in self._kept]
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            jobs = {}
            for photo in missing:
                rgb = self._pixels(photo)
                if rgb is None:
                    if photo.rel not in self._out.unread:
                        self._out.unread.append(photo.rel)
                    continue
                jobs[photo.rel] = pool.submit(local_features, rgb)
            new = {rel: job.result() for rel, job in jobs.items()}
        return {
            p.rel: f for p in photos if (f := self._kept.get(p.rel) or new.get(p.rel)) is not None
        }

    def _others(self, label: str) -> dict[str, LocalFeatures]:
        """Features of some photographs of the other classes, which are kept."""
        chosen = []
        for other, photos in self._groups.items():
            if other != label:
                chosen += photos[: self._each]
        found = self._features(chosen)
        self._kept.update(found)
        return found

    def _class(self, label: str, photos: Sequence[AuditedPhoto]) -> None:
        features = self._features(photos)
        for photo in photos[: self._each]:
            if photo.rel in features:
                self._kept[photo.rel] = features[photo.rel]
        names = list(features)
        things, scenes = self._things(label, names, list(features.values()))
        # Copies and frames of one scene are one photograph: what they share is the scene.
        first = {scenes.of(k): rel for k, rel in reversed([*enumerate(names)])}
        once = {rel: f for rel, f in features.items() if rel in {*first.values()}}
        fewest = max(FEWEST, math.ceil(_SHARE * len(once)))
        tried = 0
        for thing in things:
            if len({scenes.of(p) for p in thing.members}) < fewest or tried == _THINGS:
                continue
            if self._is_known(thing, names, once):
                continue
            if self._clock.over:
                self._clock.skip(
                    f"some repeated marks in photographs predicted {label}, for want of time"
                )
                return
            tried += 1
            others = self._others(label)
            sighted = sought(thing, once, others, self._rgb, fewest)
            if sighted is not None:
                self._keep(label, sighted, once, others)
        if len(once) >= fewest:
            self._flat(label, once, fewest)

    def _flat(self, label: str, features: Mapping[str, LocalFeatures], fewest: int) -> None:
        """Marks without corners, which features do not find."""
        others = self._others(label)
        mine = [self._colours(rel) for rel in features]
        theirs = [self._colours(rel) for rel in others]
        shapes = {rel: f.shape for rel, f in features.items()}
        other_shapes = {rel: f.shape for rel, f in others.items()}
        for colour in telling_colours(mine, theirs):
            if self._clock.over:
                self._clock.skip(
                    f"marks of one colour in photographs predicted {label}, for want of time"
                )
                return
            sighted = flat_mark(colour, shapes, other_shapes, self._rgb, fewest)
            if sighted is not None and sum(rel in features for rel in sighted.places) >= fewest:
                self._keep(label, sighted, features, others)

    def _colours(self, rel: str) -> np.ndarray:
        """`flat_colours` of a photograph, which are few numbers and are kept."""
        if rel not in self._flat_colours:
            rgb = self._rgb(rel)
            none = np.zeros(0, np.int64)
            self._flat_colours[rel] = none if rgb is None else flat_colours(rgb)
        return self._flat_colours[rel]

    def _things(
        self, label: str, names: list[str], features: list[LocalFeatures]
    ) -> tuple[list[Thing], Sets]:
        """What photographs of a class have in common, and which of them are of one scene."""
        scenes = Sets(len(names))
        matches: list[SharedPart] = []
        for found in all_matches(features, fewest=_PAIR):
            for m in found:
                one, other = features[m.one], features[m.other]
                here = alignments(one, other, m.pairs, _PAIR)
                if any(len(a.pairs) >= 8 and whole_picture(one, other, a) for a in here):
                    scenes.join(m.one, m.other)
                    self._out.duplicates.append(SamePhotograph(names[m.one], names[m.other], label))
                    continue
                for a in here:
                    matches += shared_parts(m.one, m.other, a, one, _PAIR)
        # Frames of one video share what they show, also where they do not match as a whole.
        matches = [m for m in matches if scenes.of(m.one) != scenes.of(m.other)]
        return same_things(features, matches), scenes

    def _rgb(self, rel: str) -> np.ndarray | None:
        return self._pixels(self._photos[rel])

    def _is_known(
        self, thing: Thing, names: list[str], features: Mapping[str, LocalFeatures]
    ) -> bool:
        """Whether a thing is at the places of a mark that was found already, or beside it.

        What more photographs of this class have than of the one where it was found is looked at
        again: mistakes of the network have the mark of another class.
        """
        middles = {}
        for photo, matrix in thing.members.items():
            if names[photo] not in features:
                continue
            here = moved(inverse(matrix), thing.features.points).mean(0)
            height, width = features[names[photo]].shape
            middles[names[photo]] = here[0] / width, here[1] / height
        return bool(middles) and any(
            sum(rel in known and _within(known[rel], middles[rel]) for rel in middles)
            >= 0.5 * len(middles)
            and suspect.present / suspect.looked >= len(middles) / len(features)
            for known, suspect in zip(self._known, self._candidates, strict=True)
        )

    def _keep(
        self,
        label: str,
        sighted: Sought,
        mine: Mapping[str, LocalFeatures],
        others: Mapping[str, LocalFeatures],
    ) -> None:
        """Make a suspect of a mark, if it is one, and not one that is known."""
        shapes = {rel: f.shape for rel, f in {**mine, **others}.items()}
        covered = np.median([
            sighted.mark.alpha.sum() * np.linalg.det(m[0][:, :2]) / math.prod(shapes[rel])
            for rel, m in sighted.places.items()
        ])  # fmt: skip
        if covered > _LARGEST:
            return
        boxes = {
            rel: _region(sighted.usual.size, matrices[0], shapes[rel])
            for rel, matrices in sighted.places.items()
        }
        here = {rel: boxes[rel] for rel in boxes if rel in mine}
        again = None
        for n, known in enumerate(self._known):
            same = sum(rel in known and _within(known[rel], _middle(here[rel])) for rel in here)
            if same >= 0.5 * len(here):
                before = self._candidates[n]
                if before.present / before.looked >= len(here) / len(mine):
                    return
                again = n
        elsewhere = [rel for rel in boxes if rel in others]
        effect = len(here) / len(mine) - len(elsewhere) / max(1, len(others))
        sizes = [self._own_size(rel, boxes[rel]) for rel in here]
        words = f"a mark of {size_words(sizes)}, {place_words(list(here.values()))}"
        suspect = Suspect(
            kind="mark", label=label, what=words, regions=dict(here), looked=len(mine),
            elsewhere=len(elsewhere), elsewhere_looked=len(others), effect=max(0.0, effect),
            p=more_than_chance(len(here), len(mine), len(elsewhere), len(others)),
            change=self._change(sighted), picture=sighted.mark.picture,
            having=frozenset(elsewhere),
        )  # fmt: skip
        if again is None:
            self._known.append(boxes)
            self._candidates.append(suspect)
        else:
            self._known[again], self._candidates[again] = boxes, suspect

    def _own_size(self, rel: str, region: Region) -> tuple[float, float]:
        width, height = self._photos[rel].size
        return (region[2] - region[0]) * width, (region[3] - region[1]) * height

    def _change(self, sighted: Sought) -> PatchChange:
        """How the mark is taken away and put on, with pieces of photographs that do not have it."""
        rng = np.random.default_rng(0)
        size = sighted.usual.size
        without = [rel for rel in self._kept if rel not in sighted.places]
        donors = []
        for k in rng.permutation(len(without))[: 2 * _DONORS].tolist():
            rgb = self._rgb(without[k])
            if rgb is None:
                continue
            ratio = min(1.0, rgb.shape[0] / size[1], rgb.shape[1] / size[0])
            width, height = max(1, int(size[0] * ratio)), max(1, int(size[1] * ratio))
            left = int(rng.integers(rgb.shape[1] - width + 1))
            top = int(rng.integers(rgb.shape[0] - height + 1))
            piece = rgb[top : top + height, left : left + width]
            donors.append(np.asarray(cv2.resize(piece, size, interpolation=cv2.INTER_AREA)))
            if len(donors) == _DONORS:
                break
        if not donors:  # all have it: its own pixels, in another order
            own = sighted.mark.rgb.reshape(-1, 3)
            donors = [rng.permutation(own).reshape(sighted.mark.rgb.shape)]
        return PatchChange(sighted.mark, sighted.places, sighted.usual, donors)

    def _judge(self) -> None:
        """Which of the candidates belong to a class, now that it is known how many there are."""
        tests = max(1, len(self._candidates))
        for suspect in self._candidates:
            judged = replace(suspect, p=min(1.0, suspect.p * tests))
            if judged.p <= _P and judged.effect >= _EFFECT:
                self._out.suspects.append(judged)
            elif judged.elsewhere >= max(FEWEST, _SHARE * judged.elsewhere_looked):
                self._out.everywhere.append(judged)
        self._out.suspects.sort(key=lambda s: (-s.effect, s.p))


def _region(size: tuple[int, int], matrix: np.ndarray, shape: tuple[int, int]) -> Region:
    """The box of a mark in a photograph, as shares."""
    low, high = box_of(size, matrix)
    sides = np.array([shape[1], shape[0]])
    low, high = np.clip(low / sides, 0, 1), np.clip(high / sides, 0, 1)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _middle(region: Region) -> tuple[float, float]:
    return (region[0] + region[2]) / 2, (region[1] + region[3]) / 2


def _within(region: Region, point: tuple[float, float]) -> bool:
    """Whether a point is in a region, or right beside it, as the other half of a line is."""
    width, height = region[2] - region[0], region[3] - region[1]
    reach = 0.5 * min(width, height) + 0.1 * max(width, height)
    return (
        region[0] - reach <= point[0] <= region[2] + reach
        and region[1] - reach <= point[1] <= region[3] + reach
    )
