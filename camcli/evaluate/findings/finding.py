"""A finding of an audit or a check: terminal, JSON, CSV and page are drawn from these alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from camcli.evaluate.findings.suspect import Region

AuditKind = Literal[
    # Something in the photographs.
    "mark", "frame",
    # Where the heat lies (see `camcli.evaluate.audit.heat`).
    "stray", "corner", "border",
    # Properties of whole photographs.
    "size", "aspect", "brightness", "contrast", "colour cast", "saturation", "grey", "blur",
    "noise", "jpeg quality", "file format", "camera", "software", "date",
]  # fmt: skip
CheckKind = Literal[
    "suspect label", "exact duplicate", "near duplicate", "duplicate across splits",
    "duplicate of another label", "outlier", "unreadable", "dark", "bright", "blurred", "tiny",
    "blank", "odd aspect", "small class", "telling property",
]  # fmt: skip
RETRIED = 480  # pixels of the longer side of a photograph before and after
KINDS: tuple[str, ...] = (*get_args(AuditKind), *get_args(CheckKind))

Verdict = Literal["used", "not used", "unproved", "data"]
"""``used``: changing it was shown to change what the network says, beyond the control; ``not
used``: it was tried, and did not; ``unproved``: it could not be tried (`Finding.words` says why);
``data``: a finding of `camcli check`, which is about the data alone."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A mean over photographs, with its 95% interval.

    Attributes:
        value: the mean.
        low: lower end of the interval.
        high: upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Effect:
    """What one intervention did to the predictions, beside its control.

    Attributes:
        how: ``inpainted``, ``pasted`` ...
        control_is: what the control was, in words.
        photographs: how many were changed.
        changed: share of them whose prediction changed: with ``remove`` away from the class, with
            ``add`` to the class.
        control: the same for the control.
        beyond: ``changed`` less ``control``, of the same photographs.
        log_odds: mean change of the class's log-odds, in nats.
        control_log_odds: the same for the control.
    """

    how: str
    control_is: str
    photographs: int
    changed: Measured
    control: Measured
    beyond: Measured
    log_odds: Measured
    control_log_odds: Measured


@dataclass(frozen=True, slots=True)
class HeatShare:
    """How much of the evidence lies on a suspect.

    Attributes:
        share: mean share of the positive evidence of the difference to the runner-up.
        area: mean share of the picture that it covers: what chance would give.
        photographs: how many it was measured on.
    """

    share: float
    area: float
    photographs: int


@dataclass(frozen=True, slots=True)
class Sighting:
    """A photograph that a finding is about.

    Attributes:
        rel: relative path.
        region: where in it; None for all of it.
        note: what there is to say of this one: ``labelled cat, looks like dog (0.97)``.
        score: how strongly, in [0, 1]; the order in which they are shown.
        other: another photograph that it is a pair with, or None.
    """

    rel: str
    region: Region | None = None
    note: str = ""
    score: float = 0.0
    other: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Retried:
    """One photograph before and after a change, so that a person sees what was done.

    Attributes:
        rel: relative path.
        how: ``inpainted``, ``pasted``, or what a control is.
        before: the photograph, (h, w, 3) uint8, the longer side at most `RETRIED` pixels.
        after: as it was changed; its shape may be another.
        said_before: what the network said, for a person: ``alpha 0.98``.
        said_after: what it says now.
    """

    rel: str
    how: str
    before: np.ndarray
    after: np.ndarray
    said_before: str
    said_after: str


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """One thing that a person should know, and what to do about it.

    Attributes:
        kind: one of `KINDS`.
        label: the class that it is about, or None.
        verdict: see `Verdict`.
        title: one line: ``cat rests on this mark``.
        words: a sentence or a few, with the numbers.
        advice: what to do about it, a sentence or a few.
        sightings: the photographs, those that show it best first.
        present: photographs of the class that have it.
        looked: photographs of the class in which it was looked for.
        elsewhere: photographs of other classes that have it.
        elsewhere_looked: photographs of other classes in which it was looked for.
        effect: size of the association, see `Suspect`.
        p: see `Suspect`.
        remove: what taking it away did; None where that was not tried.
        add: what putting it on did; None where that was not tried.
        heat: how much of the evidence lies on it; None where that is not known.
        picture: what it looks like, (h, w, 3) uint8, or None.
        retried: a few photographs before and after: one or two where it was removed, one or two
            where it was added.
    """

    kind: str
    label: str | None
    verdict: Verdict
    title: str
    words: str
    advice: str
    sightings: tuple[Sighting, ...] = ()
    present: int = 0
    looked: int = 0
    elsewhere: int = 0
    elsewhere_looked: int = 0
    effect: float = 0.0
    p: float = 1.0
    remove: Effect | None = None
    add: Effect | None = None
    heat: HeatShare | None = None
    picture: np.ndarray | None = None
    retried: tuple[Retried, ...] = ()
