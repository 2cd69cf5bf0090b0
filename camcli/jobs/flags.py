"""What is known to be wrong with a run's network or its photographs, from an audit or a check."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from camcli.errors import CamcliError
from camcli.jobs.beside.findings import audit_of, check_of
from camcli.jobs.report import read_run
from camcli.train.progress import Listener

_CALM = "not used"
"""The verdict on what is there and does no harm."""


@dataclass(frozen=True, slots=True)
class Flagged:
    """An audit or a check that found something.

    Attributes:
        folder: where it is, as a person would type it.
        titles: of what it found, the most important first; what does no harm is left out.
    """

    folder: str
    titles: list[str]


def flags_of(run: Path) -> list[Flagged]:
    """What an audit and a check that lie beside a run, or in it, found out before.

    Args:
        run: its directory.

    Returns:
        None for what found nothing, is of something else, or cannot be read: nobody asked for it.
    """
    found = []
    for look in (audit_of, check_of):
        try:
            known = look(read_run(run, Listener()), None, Listener())
        except CamcliError:
            continue
        titles = [
            str(one["title"])
            for one in (known or {}).get("findings", [])
            if one["verdict"] != _CALM
        ]
        if known and titles:
            found.append(Flagged(str(known["folder"]), titles))
    return found
