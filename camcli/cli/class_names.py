"""Class names on the command line: found, or refused, before a network is loaded where possible."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from camcli.cli.terminal.console import say


def check_names(
    asked: Sequence[str | None],
    *,
    model: str,
    checkpoint: Path | None,
    weights: str | None,
    classes: Path | None,
) -> None:
    """Refuse names of classes that the network cannot have, and tell of namesakes.

    Nothing is checked where the names are not known before the network is loaded.

    Args:
        asked: what the user named, None for nothing.
        model: the options that say which network it is, as `camcli.cli.load_model.load` takes them.
        checkpoint: likewise.
        weights: likewise.
        classes: likewise.

    Raises:
        UsageError: a name is no class's, or several classes'.
    """
    from camcli.models.classes.imagenet import imagenet_classes
    from camcli.models.classes.named_class import match_class, namesakes

    own = ":" in model or checkpoint is not None or classes is not None
    if own or not (weights in (None, "random", "bundled") or str(weights).startswith("IMAGENET1K")):
        return
    known = imagenet_classes()
    for name in asked:
        if name is not None and (note := namesakes(name, match_class(name, known), known)):
            say(note)
