"""What all commands share: numbers that are none, or beyond all counting, are refused."""

from __future__ import annotations

import math
from typing import Any

import typer
from typer.core import TyperCommand

# Beyond, floats no longer tell neighbours apart, and C libraries overflow not far away.
_LARGEST = 2**53


class Command(TyperCommand):
    """A command whose numbers are numbers, whatever range each of its options has."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises:
            BadParameter: a value is not finite, or too large to mean anything.
        """
        names = {param.name: param.opts[0] for param in self.params}
        for name, value in ctx.params.items():
            for one in value if isinstance(value, list | tuple) else [value]:
                if not isinstance(one, int | float):
                    continue
                if not math.isfinite(one):
                    raise typer.BadParameter(f"{one} is not a number.", param_hint=names[name])
                if abs(one) > _LARGEST:
                    raise typer.BadParameter(f"{one:.3g} is too large.", param_hint=names[name])
        return super().invoke(ctx)
