"""What a run against references says when it is over: how many images are unusual, and which."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from camcli.cli.terminal.closing import heading, rows
from camcli.cli.terminal.console import say
from camcli.ours import finite_number
from camcli.printable import counted, percent

if TYPE_CHECKING:
    from camcli.models.reference.compared import References

SHOWN = 5
"""So many images are named."""


def tell_differences(table: Iterable[Mapping[str, str]], references: References) -> None:
    """How many images differ more than all references, and which differ most.

    Args:
        table: the rows of a run's table.
        references: what was compared with.
    """
    from camcli.models.reference.compared import DIFFERENCE, PLACE
    from camcli.render.verdict import number

    images = beyond = 0
    most: list[tuple[float, int, str, float]] = []
    for row in table:
        value = finite_number(row.get(f"value_{DIFFERENCE}"))
        place = finite_number(row.get(f"value_{PLACE}"))
        if value is None or place is None:
            continue
        images += 1
        beyond += place == 1
        # Of equal ones the first.
        heapq.heappush(most, (value, -images, row.get("path", ""), place))
        if len(most) > SHOWN:
            heapq.heappop(most)
    if not images:
        return
    chance = images / (references.count + 1)
    expected = "none" if chance < 0.5 else f"about {chance:.0f}"
    more = "one more like those" if images == 1 else f"{images} more like those"
    verb = "differs" if beyond == 1 else "differ"
    say(
        f"{beyond} of {counted(images, 'image')} {verb} more than every one of the "
        f"{counted(references.count, 'photograph')} of {references.source}; of {more} it "
        f"would be {expected}."
    )
    heading("Most different:" if len(most) > 1 else "How different:")
    rows(
        [
            (path, f"{number(value)}, more than {percent(place)} of them")
            for value, _, path, place in sorted(most, reverse=True)
        ]
    )
