"""What the shell offers after an option when a user presses the tab key.

Nothing here imports torch, but for the layers of a network that nobody has asked for before.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr, suppress
from typing import Any

Choices = Callable[[Any, str], Iterable[str]]


def _models(_ctx: Any, begun: str) -> Iterable[str]:
    from camcli.models.loading.sources import names

    return names(begun)


def _methods(ctx: Any, _begun: str) -> Iterable[str]:
    from camcli.cam.listed_facts import names_for

    return names_for(ctx.command.name)


def _layers(ctx: Any, _begun: str) -> Iterable[str]:
    from camcli.models.spec import BUNDLED, LAST

    if ctx.params.get("checkpoint"):
        return [LAST]
    with suppress(Exception), redirect_stderr(io.StringIO()):
        return [LAST, *_main_layers(ctx.params.get("model") or BUNDLED)]
    return [LAST]


def _main_layers(model: str) -> list[str]:
    """The layers that ``camcli layers`` lists, kept on the disk: a network takes seconds to build.

    A network of the user's own has none: nobody's code runs for the sake of a tab key.
    """
    from camcli import __version__
    from camcli.data.datasets.paths import cache_home
    from camcli.files import write_whole
    from camcli.models.spec import is_own_code, is_path

    if is_own_code(model) or is_path(model):
        return []
    kept = cache_home() / "layers" / f"{model.replace(':', '-')}-{__version__}.json"
    if kept.is_file():
        names: list[str] = json.loads(kept.read_text("utf-8"))
        return names
    from camcli.models.cutting.listing import list_layers
    from camcli.models.loading.zoo import build_model

    built = build_model(model, weights="random")
    layers = list_layers(built.module, built.preprocess.shape)
    names = [layer.name for layer in layers if layer.main]
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_whole(kept, json.dumps(names).encode())
    return names


def _colormaps(_ctx: Any, _begun: str) -> Iterable[str]:
    from camcli.render.colormaps import COLORMAPS

    return COLORMAPS


def _runtimes(_ctx: Any, _begun: str) -> Iterable[str]:
    from camcli.models.runtime.registry import RUNTIMES

    return RUNTIMES


def _precisions(_ctx: Any, _begun: str) -> Iterable[str]:
    from camcli.models.runtime.registry import PRECISIONS

    return PRECISIONS


def _overlay_formats(_ctx: Any, _begun: str) -> Iterable[str]:
    from camcli.render.picture_files import KINDS

    return KINDS


def _formats(ctx: Any, _begun: str) -> Iterable[str]:
    if ctx.command.name == "evaluate":
        return ("table", "csv", "markdown")
    return ("csv", "jsonl", "parquet")


def _of(*words: str) -> Choices:
    return lambda _ctx, _begun: words


CHOICES: dict[str, Choices] = {
    "--model": _models,
    "--models": _models,
    "--backbone": _models,
    "--method": _methods,
    "--methods": _methods,
    "--layer": _layers,
    "--colormap": _colormaps,
    "--runtime": _runtimes,
    "--precision": _precisions,
    "--overlay-format": _overlay_formats,
    "--device": _of("auto", "cpu", "cuda", "mps"),
    "--labels": _of("auto", "folder", "prefix", "index", "imagefolder", "none"),
    "--only": _of("wrong", "below 0.6", "class "),
    "--contact-order": _of("first", "worst", "random"),
    "--engine": _of("local", "ray"),
    "--format": _formats,
}
# Those that take several, with commas: the last one begun is completed.
SEVERAL = ("--models", "--methods", "--layer")
# And, of one command, these.
SEVERAL_OF = {"explain": ("--method",)}


# Arguments by their names in Python: `camcli layers`, and `where` and `fetch` of `camcli weights`.
ARGUMENTS: dict[str, Choices] = {"model": _models, "models": _models}


def complete(param: Any) -> None:
    """Let the shell complete the values of `param` where they are known."""
    is_option = param.param_type_name == "option"
    choices = CHOICES.get(param.opts[0]) if is_option else ARGUMENTS.get(param.name)
    if choices is not None:
        option = param.opts[0] if is_option else ""
        param.shell_complete = lambda ctx, incomplete: _items(choices, ctx, incomplete, option)


def _items(choices: Choices, ctx: Any, incomplete: str, option: str) -> Sequence[Any]:
    item: Any = _item_type()
    several = option in SEVERAL or option in SEVERAL_OF.get(ctx.command.name, ())
    before, comma, begun = incomplete.rpartition(",") if several else ("", "", incomplete)
    return [
        item(before + comma + choice) for choice in choices(ctx, begun) if choice.startswith(begun)
    ]


def _item_type() -> Any:
    with suppress(ImportError):  # a Typer that brings its own Click
        from typer._click.shell_completion import CompletionItem

        return CompletionItem
    from click.shell_completion import CompletionItem as ItemOfClick

    return ItemOfClick
