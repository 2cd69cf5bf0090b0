"""What a contact sheet is to show, as a user says it; read without torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from camcli.errors import UsageError

Order = Literal["first", "worst", "random"]


@dataclass(frozen=True, slots=True)
class SheetGrid:
    """What a contact sheet shows: `rows` x `cols` results in this order."""

    rows: int
    cols: int
    order: Order


def parse_grid(text: str, order: str) -> SheetGrid:
    """``4x6`` and an order.

    Raises:
        UsageError: malformed.
    """
    match = re.fullmatch(r"(\d+)[xX×](\d+)", text.strip())
    rows, cols = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (1 <= rows <= 50 and 1 <= cols <= 50):
        raise UsageError(f"--contact-sheet takes ROWSxCOLS, 1 to 50 each, like 4x6; not {text!r}.")
    for known in get_args(Order):
        if order == known:
            return SheetGrid(rows, cols, known)
    raise UsageError(f"--contact-order is first, worst or random, not {order!r}.")
