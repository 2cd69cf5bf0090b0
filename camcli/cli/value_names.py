"""What stands behind an option in the help: a word for its value, never the name of a type."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

# By option, where the kind of its value says too little; an option's own `metavar` comes first.
WORDS = {
    "--alpha": "SHARE", "--cache-dir": "DIR", "--cache-limit": "SIZE", "--checkpoint": "FILE",
    "--colormap": "NAME", "--confidence": "P", "--config": "FILE", "--contact-order": "ORDER",
    "--contact-sheet": "ROWSxCOLS", "--data-dir": "DIR", "--device": "NAME", "--dir": "DIR",
    "--domain": "NAME", "--fail-on": "SHARE", "--group": "REGEX", "--ignore-label": "LABEL",
    "--input-size": "PIXELS", "--labels": "HOW", "--layer": "NAME", "--masks": "DIR",
    "--max-size": "PIXELS", "--method": "NAME", "--methods": "NAMES", "--min-size": "PIXELS",
    "--model": "NAME|FILE", "--models": "NAMES", "--name-template": "TEMPLATE",
    "--pooling": "KIND", "--shortcut": "CLASS", "--shortcut-share": "SHARE", "--size": "PIXELS",
    "--target": "CLASS", "--test-domain": "NAME", "--time-limit": "TIME", "--to": "DIR",
    "--tolerance": "PIXELS", "--train-domain": "NAME", "--unfreeze": "LAYERS",
    "--unused-for": "DAYS", "--versus": "CLASS", "--backbone": "NAME", "--members": "NAMES",
}  # fmt: skip


def name_value(param: Any) -> None:
    """Have the help say what an option or an argument takes as a person would.

    Args:
        param: of a command; changed in place. A switch is said to take nothing, an argument is
            called by its own name alone.
    """
    if param.param_type_name == "argument":
        param.display_type_rich = lambda ctx: None
    elif param.metavar is None:
        param.metavar = _word(param)
    low, high = getattr(param, "min", None), getattr(param, "max", None)
    if low is not None or high is not None:
        param._get_number_range_help_str = lambda: _between(low, high)


def _word(param: Any) -> str:
    if getattr(param, "is_flag", False) or getattr(param, "is_bool_flag", False):
        return ""
    # Typer's own description of a type; of older versions that of click.
    descriptor, old = getattr(param, "type_descriptor", None), getattr(param, "type", None)
    choices = getattr(descriptor, "choices", None) or getattr(old, "choices", None)
    if choices:
        return "|".join(str(getattr(each, "value", each)) for each in choices)
    if word := WORDS.get(param.opts[0]):
        return word
    if descriptor is None:
        kinds = {"integer": "N", "float": "NUMBER", "path": "PATH"}
        name = getattr(old, "name", "")
        return next((word for kind, word in kinds.items() if kind in name), "TEXT")
    annotation = descriptor.annotation
    inner = next(iter(typing.get_args(annotation)), annotation)
    if isinstance(inner, type) and issubclass(inner, Path):
        return "PATH"
    return {int: "N", float: "NUMBER"}.get(inner, "TEXT")


def _between(low: float | None, high: float | None) -> str:
    """The bounds of a number in words."""
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"
