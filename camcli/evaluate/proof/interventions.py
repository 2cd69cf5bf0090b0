"""One suspect, taken away from photographs and put on others; the network says what that does."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from camcli.evaluate.findings.audited_photo import AuditedPhoto, reduced
from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.findings.finding import RETRIED, Retried
from camcli.evaluate.findings.pixel_cache import PixelCache
from camcli.evaluate.findings.suspect import Suspect
from camcli.evaluate.proof.asking import SaidClass, ask
from camcli.evaluate.proof.verdict import LEAST_BEYOND, LEAST_LEAD, Tried, beyond, share_of_lead
from camcli.models.classifier import Classifier

SHOWN = 2  # photographs of each kind of change that a person is shown
CHUNK = 8  # photographs that are changed at a time: sixteen pictures, one forward pass
ENOUGH = 24  # photographs after which a change that cannot show anything any more is given up

Changing = Callable[[AuditedPhoto, np.ndarray, np.random.Generator], np.ndarray | None]


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """One photograph before and after, and whether its prediction turned."""

    turned: bool
    retried: Retried


@dataclass(slots=True)
class Outcome:
    """What came of one kind of change.

    Attributes:
        tried: one record a photograph.
        shown: `SHOWN` of them, before and after: those that turned first.
    """

    tried: list[Tried] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)


class Bench:
    """Where photographs are changed and shown to the network.

    Args:
        classifier: the network.
        photos: those that it has seen once; several records of one photograph where it has several
            labels.
        pixels: reads them.
        clock: how long that may take.
    """

    def __init__(
        self,
        classifier: Classifier,
        photos: Sequence[AuditedPhoto],
        pixels: PixelCache,
        clock: Clock,
    ) -> None:
        self.classifier, self.pixels, self.clock = classifier, pixels, clock
        self.photos = photos
        self._before: dict[str, Tensor | None] = {}

    def having(self, suspect: Suspect) -> list[AuditedPhoto]:
        """Photographs of the class that have it, rightly predicted where labels are known.

        In an order by chance, so that the first ones stand for all.
        """
        denied = suspect.label not in self.classifier.classes  # a label that was not found
        return _shuffled(
            p for p in self.photos
            if p.rel in suspect.regions and p.pred == suspect.label and (p.right or denied)
        )  # fmt: skip

    def lacking(self, suspect: Suspect) -> list[AuditedPhoto]:
        """Correct photographs of other classes that do not have it, classes in turn."""
        own = {p.rel for p in self.photos if suspect.label in (p.pred, p.label)}
        found = _shuffled(
            p for p in self.photos
            if p.rel not in own and p.right
            and p.rel not in suspect.having and p.rel not in suspect.regions
        )  # fmt: skip
        turns: dict[str, int] = {}
        keyed = []
        for n, photo in enumerate(found):
            turn = turns[photo.pred] = turns.get(photo.pred, -1) + 1
            keyed.append((turn, n, photo))
        return [photo for _, _, photo in sorted(keyed, key=lambda key: key[:2])]

    def before(self, photos: Sequence[AuditedPhoto]) -> list[Tensor | None]:
        """What the network says of photographs as they are, in the pixels that are changed."""
        new = [p for p in photos if p.rel not in self._before]
        read = {p.rel: rgb for p in new if (rgb := self.pixels(p)) is not None}
        self._before |= {p.rel: None for p in new}
        self._before |= zip(read, ask(self.classifier, list(read.values())), strict=True)
        return [self._before[p.rel] for p in photos]

    def tried(
        self,
        photos: Sequence[AuditedPhoto],
        change: Changing,
        control: Changing,
        said: SaidClass,
        how: str,
        *,
        taken: bool,
        most: int,
        progress: Callable[[int], object],
    ) -> Outcome:
        """Change photographs, and see what the network says.

        Args:
            photos: in the order in which they are tried.
            change: what is done to them.
            control: what is done to them beside it.
            said: the class.
            how: the change, as a past participle.
            taken: whether something is taken away from photographs of the class; else something
                is put on others.
            most: photographs to try.
            progress: told how many more were tried.

        Returns:
            The photographs on which both could be done; fewer than `most` also where time
            ran out, or it is clear that no more can come of it.
        """
        outcome = Outcome()
        trials, at = outcome.tried, 0
        while at < len(photos) and len(trials) < most and not self.clock.over:
            part = photos[at : at + min(CHUNK, most - len(trials))]
            at += len(part)
            before = len(trials)
            self._chunk(outcome, part, (change, control), said, how, taken)
            progress(len(trials) - before)
            if len(trials) >= ENOUGH and _hopeless(trials, -1 if taken else 1):
                break
        return outcome

    def _chunk(
        self,
        outcome: Outcome,
        photos: Sequence[AuditedPhoto],
        changes: tuple[Changing, Changing],
        said: SaidClass,
        how: str,
        taken: bool,
    ) -> None:
        """Add a few photographs to an outcome."""
        made: list[tuple[AuditedPhoto, np.ndarray, Tensor]] = []
        pictures: list[np.ndarray] = []
        for photo, before in zip(photos, self.before(photos), strict=True):
            rgb = self.pixels(photo)
            if before is None or rgb is None or said.of(before) != taken:
                continue
            # In the same state for both, so that they are at the same place.
            seed = zlib.crc32(photo.rel.encode("utf-8", "surrogateescape"))
            both = [change(photo, rgb, np.random.default_rng(seed)) for change in changes]
            if all(each is not None for each in both):
                made.append((photo, rgb, before))
                pictures += [each for each in both if each is not None]
        after = ask(self.classifier, pictures)
        for n, (photo, rgb, before) in enumerate(made):
            changed, control = after[2 * n], after[2 * n + 1]
            if changed is None or control is None:
                continue
            odds = said.log_odds(before)
            turned = said.of(changed) != taken
            outcome.tried.append(
                Tried(
                    photo.rel, turned, said.of(control) != taken,
                    said.log_odds(changed) - odds, said.log_odds(control) - odds,
                    odds,
                )
            )  # fmt: skip
            of_these = sum(shown.turned for shown in outcome.shown)
            if len(outcome.shown) < SHOWN or (turned and of_these < SHOWN):
                retried = Retried(
                    photo.rel, how,
                    reduced(rgb, RETRIED).copy(), reduced(pictures[2 * n], RETRIED).copy(),
                    said.told(before, self.classifier.classes),
                    said.told(changed, self.classifier.classes),
                )  # fmt: skip
                outcome.shown.append(Shown(turned, retried))
                outcome.shown.sort(key=lambda one: not one.turned)
                del outcome.shown[SHOWN:]


def _shuffled(photos: Iterable[AuditedPhoto]) -> list[AuditedPhoto]:
    """Each photograph once, in an order that is by chance and yet the same every time."""
    once = {p.rel: p for p in photos}
    names = sorted(once)
    np.random.default_rng(0).shuffle(names)
    return [once[name] for name in names]


def _hopeless(trials: Sequence[Tried], towards: int) -> bool:
    """Whether even the upper end of the difference's interval would show nothing, or nearly so."""
    least = 0.7 * LEAST_LEAD
    return beyond(trials).high < LEAST_BEYOND and share_of_lead(trials, towards) < least
