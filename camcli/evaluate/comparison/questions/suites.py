"""Sets of questions with a name, for those who do not want to choose; without torch."""

from __future__ import annotations

from dataclasses import dataclass

from camcli.errors import UsageError


@dataclass(frozen=True, slots=True)
class Suite:
    """What is asked.

    Attributes:
        deletion: without each patch (``sds``, ``idsds``), and how small the heat is.
        faithfulness: without what each map shows; includes `deletion`.
        fidelity: without some of it, at random (``ffid``).
        sanity: randomised copies of the network.
        grid: cells a side of the grid pointing game, which is played where it can be.
        words: what it measures and what it costs.
    """

    deletion: bool
    faithfulness: bool
    fidelity: bool
    sanity: bool
    grid: tuple[int, ...]
    words: str


SUITES: dict[str, Suite] = {
    "quick": Suite(
        True, False, False, False, (),
        "single deletion and how small the heat is, 20 passes a photograph",
    ),
    "standard": Suite(
        True, True, False, False, (2,),
        "also --faithfulness, and --grid 2 where it can be played; about 90 passes more a map",
    ),
    "full": Suite(
        True, True, True, True, (2,),
        "also F-Fidelity and --sanity; about 80 passes more a map",
    ),
}  # fmt: skip
"""From quick to thorough; each asks all that the one before asks."""


SUITE_METHODS = "auto,layercam,eigencam"
"""What a suite compares where no method is named: what suits, for outlines, for no class."""


ATTENTION_METHODS = "attnlrp"
"""What it compares besides where what suits follows attention: the other way to do so."""


def find_suite(name: str | None) -> Suite | None:
    """The suite called `name`; None for none.

    Raises:
        UsageError: there is none.
    """
    if name is None:
        return None
    if name not in SUITES:
        raise UsageError(f"--suite takes {', '.join(SUITES)}, not {name!r}.")
    return SUITES[name]
