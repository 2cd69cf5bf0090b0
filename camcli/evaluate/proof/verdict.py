"""When a network was shown to use what it is suspected of.

The rule, in words. A suspect is taken away from photographs that have it, and put on others that do
not. Beside each stands a control: as much of something else, at the same place of the same
photograph. The network **uses** it when taking away, or putting on, shows one of these:

1. **It turns predictions.** The share of photographs that turn away from the class (or to it) is
   larger than the control's by at least `LEAST_BEYOND`, and at least `LEAST_RATIO` times as large:
   where any change of that size turns most predictions, turning a few more shows nothing. Less may
   be a true effect, and yet the class does not rest on it.
2. **It makes much of the lead.** The mean log-odds of the class move by at least `LEAST_LEAD` of
   what they were away from even, beyond the control's. So it is where the object would do as well:
   no prediction turns, but what remains would not bear much. (Scenes drawn with a mark on all of a
   class reach 0.3 to 0.7; photographs of cats, four in five with a sticker, 0.14 to 0.27.)

Neither counts by chance. Photographs that only the change turned are weighed against those that
only the control turned, or, for the lead, those whose log-odds the change moved further against
those that the control did; so many of them must have a probability of at most `CHANCE`, divided by
twice the number of suspects that were tried (exact sign test, Bonferroni). And the mean log-odds
must have moved the right way in either case.

It is **not used** when it was tried on at least `FEWEST` photographs, nothing shows it, and the
interval of what was tried leaves no room for more than `ROOM`. It is **unproved** when it could not
be tried on so many, or so few that what they show may be chance, and may be not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from camcli.evaluate.findings.finding import Effect, Measured, Verdict
from camcli.evaluate.proof.intervals import by_chance, difference, mean, share

FEWEST = 5  # photographs on which a change must have been tried
LEAST_BEYOND = 0.15
LEAST_RATIO = 1.5
LEAST_LEAD = 0.4
ROOM = 0.3  # ten photographs, none of which turns, leave as much
CHANCE = 0.01


@dataclass(frozen=True, slots=True)
class Tried:
    """One photograph, changed and with the control.

    Attributes:
        rel: relative path.
        changed: whether the prediction turned: away from the class where something was taken
            away, to it where something was put on.
        control: whether it turned with the control.
        log_odds: of the class, after the change less before.
        control_log_odds: the same with the control.
        before: log-odds of the class before: at least 0 where something was taken away.
    """

    rel: str
    changed: bool
    control: bool
    log_odds: float
    control_log_odds: float
    before: float


def effect_of(trials: Sequence[Tried], how: str, control_is: str) -> Effect | None:
    """What a change did to the photographs it was tried on; None for fewer than `FEWEST`."""
    n = len(trials)
    if n < FEWEST:
        return None
    both, first, second = counts(trials)
    return Effect(
        how, control_is, n,
        changed=share(both + first, n),
        control=share(both + second, n),
        beyond=beyond(trials),
        log_odds=mean([t.log_odds for t in trials]),
        control_log_odds=mean([t.control_log_odds for t in trials]),
    )  # fmt: skip


def counts(trials: Sequence[Tried]) -> tuple[int, int, int]:
    """Photographs that turned with both, with the change only, and with the control only."""
    both = sum(t.changed and t.control for t in trials)
    return both, sum(t.changed for t in trials) - both, sum(t.control for t in trials) - both


def beyond(trials: Sequence[Tried]) -> Measured:
    """The share that turned with the change, less that with the control; at least one trial."""
    both, first, second = counts(trials)
    return difference(both, first, second, len(trials) - both - first - second)


def shows(trials: Sequence[Tried], towards: int, tried: int) -> bool:
    """Whether one kind of change shows that the network uses the suspect; see the module.

    Args:
        trials: of that change.
        towards: 1 where it is to raise the log-odds (putting on), -1 where it is to lower them.
        tried: suspects of the audit.
    """
    if len(trials) < FEWEST:
        return False
    limit = CHANCE / (2 * max(tried, 1))
    both, first, second = counts(trials)
    moved = [towards * (t.log_odds - t.control_log_odds) for t in trials]
    if float(np.mean(moved)) <= 0:
        return False
    turns = (
        beyond(trials).value >= LEAST_BEYOND
        and both + first >= LEAST_RATIO * (both + second)
        and by_chance(first, second) <= limit
    )
    leads = (
        share_of_lead(trials, towards) >= LEAST_LEAD
        and by_chance(sum(m > 0 for m in moved), sum(m < 0 for m in moved)) <= limit
    )
    return turns or leads


def share_of_lead(trials: Sequence[Tried], towards: int) -> float:
    """How much of what the log-odds are away from even a change moves, beyond its control.

    Args:
        trials: at least one.
        towards: as for `shows`.
    """
    lead = abs(float(np.mean([t.before for t in trials])))
    moved = float(np.mean([t.log_odds - t.control_log_odds for t in trials]))
    return towards * moved / lead if lead else 0.0


def verdict(removed: Sequence[Tried], added: Sequence[Tried], tried: int) -> Verdict:
    """What the trials of one suspect show; see the module."""
    if shows(removed, -1, tried) or shows(added, 1, tried):
        return "used"
    found = [beyond(trials) for trials in (removed, added) if len(trials) >= FEWEST]
    open_ = any(each.value >= LEAST_BEYOND and each.high >= ROOM for each in found)
    closed = any(each.high < ROOM for each in found)
    return "not used" if closed and not open_ else "unproved"
