"""What all commands share: numbers that are none are refused, and help that fits a screen."""

from __future__ import annotations

import copy
import math
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from camcli.cli.completion import complete
from camcli.cli.short_help import PANELS, shown
from camcli.cli.value_names import name_value
from camcli.printable import printable

# Beyond, floats no longer tell neighbours apart, and C libraries overflow not far away.
_LARGEST = 2**53


class Group(TyperGroup):
    """Commands under one name, whose own options are told in words, too."""

    def get_params(self, ctx: Any) -> Any:
        """All parameters."""
        params = super().get_params(ctx)
        for param in params:
            name_value(param)
        return params


class Command(TyperCommand):
    """A command whose numbers are numbers, and whose ``--help`` shows what a newcomer needs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        order = PANELS.get(self.name or "", [])
        # In a group as they were written; what has none, such as --help, stays in front.
        self.params.sort(key=lambda param: _place(getattr(param, "rich_help_panel", None), order))
        for param in self.params:
            complete(param)
            name_value(param)

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Read the options; where images are no argument but an option, say which."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            said = getattr(error, "message", "")
            if told := _plainly(error.__cause__):
                error.message = told  # type: ignore[attr-defined]
            named = any("--data" in param.opts for param in self.params)
            if named and isinstance(said, str) and said.startswith("Got unexpected extra"):
                error.message = f"{said}. Images are given by --data."  # type: ignore[attr-defined]
            several = any("--models" in param.opts for param in self.params)
            if several and said in ("No such option: --model", "No such option: --checkpoint"):
                error.message = f"{said}. --models names networks, files and checkpoints."  # type: ignore[attr-defined]
            raise

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

    def get_params(self, ctx: Any) -> Any:
        """All parameters; where ``--help`` leaves some out, ``--help-all`` is one of them."""
        params = super().get_params(ctx)
        for param in params:  # --help is made when it is asked for
            name_value(param)
        usual = self.get_help_option(ctx)
        if usual is not None and len(shown(self.name or "")):
            everything: Any = copy.copy(usual)
            everything.name = "help_all"
            everything.opts = ["--help-all"]
            everything.help = "Show all options, in full."
            everything.callback = self._help_all
            params = [*params, everything]
        return params

    def _help_all(self, ctx: Any, _param: Any, wanted: bool) -> None:
        if wanted and not ctx.resilient_parsing:
            super(Command, self._literal()).format_help(ctx, ctx.make_formatter())
            raise typer.Exit

    def _literal(self) -> Command:
        """The same, whose help says ``[evaluate]`` as written; rich takes it for a style."""
        from rich.markup import escape

        plain = copy.copy(self)
        plain.help = escape(_flowing(self.help or ""))
        plain.params = [copy.copy(param) for param in self.params]
        for param in plain.params:
            if text := getattr(param, "help", None):
                param.help = escape(text)  # type: ignore[attr-defined]
        return plain

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help; of a command with many options those that `short_help` names."""
        words = shown(self.name or "")
        short = self._literal()
        if not words:
            return super(Command, short).format_help(ctx, formatter)
        options = [p for p in self.params if p.param_type_name == "option"]
        short.params = [_brief_argument(p) for p in short.params if p.param_type_name != "option"]
        for param in options:
            if param.opts[0] in words:
                brief: Any = copy.copy(param)
                brief.help, brief.rich_help_panel = words[param.opts[0]], None
                if isinstance(param.default, str) and param.default:
                    brief.help += f" [dim]\\[{param.default}][/]"
                brief.show_default = False
                short.params.append(brief)
        # What it does, and the first of its examples.
        what, *others = (short.help or "").split("\n\n")
        short.help = "\n\n".join([what, *[o for o in others if o.startswith("camcli ")][:1]])
        short.epilog = (
            f"{len(options) - len(words)} more options: [bold]{ctx.command_path} --help-all[/]"
        )
        return super(Command, short).format_help(ctx, formatter)


# By pydantic's names of what is wrong: what the value must be, and the bound that it names.
_MUST = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
    "int_parsing": ("a whole number", ""),
    "int_from_float": ("a whole number", ""),
    "float_parsing": ("a number", ""),
}


def _plainly(cause: BaseException | None) -> str:
    """What is wrong with an option's value, naming it.

    Typer's newer versions hand on pydantic's words, which do not.

    Args:
        cause: of the mistake that Typer tells.

    Returns:
        A sentence; empty where the mistake is none of pydantic's.
    """
    errors = getattr(cause, "errors", None)
    if not callable(errors):
        return ""
    wrong = errors()[0]
    if wrong["type"] not in _MUST:
        return str(wrong["msg"]).removeprefix("Value error, ")
    words, bound = _MUST[wrong["type"]]
    must = f"{words} {wrong['ctx'][bound]:g}" if bound else words
    return f"it must be {must}, not {printable(str(wrong['input']))}."


def _place(panel: object, order: list[str]) -> int:
    """Where a group of options stands; those without a place of their own come last."""
    if not order or panel is None:
        return -1
    return order.index(str(panel)) if panel in order else len(order)


def _flowing(text: str) -> str:
    """A help text whose paragraphs are wrapped where they are shown, not where they were written.

    Examples and lists stay as they are.
    """
    kept = ("camcli ", "- ", "\b", " ")
    return "\n\n".join(
        part if any(line.startswith(kept) for line in part.split("\n")) else part.replace("\n", " ")
        for part in text.split("\n\n")
    )


def _brief_argument(param: Any) -> Any:
    """The first sentence of what an argument is."""
    brief = copy.copy(param)
    brief.help = (param.help or "").split(". ")[0].removesuffix(".") + "."
    return brief
