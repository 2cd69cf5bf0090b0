"""What the page needs to know of the maps of differences: whether there are any, and why not."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from typing import Any

from camcli.cam.difference_facts import why_no_difference
from camcli.cam.method_facts import NAMED
from camcli.data.decode.images import printable
from camcli.data.sources.containers.lookup import ref_again
from camcli.ours import Inside
from camcli.render.report.rows.image_rows import ImageRow, RunData
from camcli.render.report.settings.looks import shared_scale, unit

# Options of ``camcli batch`` that ``camcli explain`` has, too, and that decide the network and its
# maps; with what follows, and alone.
WITH_VALUE = (
    "--model", "--checkpoint", "--weights", "--weights-key", "--classes", "--layer", "--fit",
    "--input-size", "--preprocess", "--output", "--threshold", "--method", "--fuse", "--smooth",
    "--samples", "--channels", "--converge", "--box-threshold", "--against",
)  # fmt: skip
ALONE = ("--trust-pickle", "--native-predictions")
# What decides the map, too, where it is to be as in the run.
SCORE_WITH_VALUE, SCORE_ALONE = ("--score", "--versus"), ("--signed",)
SHORT = {"-m": "--model", "-c": "--checkpoint"}


def difference_settings(run: RunData, rows: Sequence[ImageRow], side: int = 0) -> dict[str, Any]:
    """What the scripts get.

    Args:
        run: one side of the rows.
        rows: of the page.
        side: which.

    Returns:
        ``differences``, whether a row has one; ``noDifference``, why not, in a clause;
        ``differenceScale`` and ``differenceUnit`` as the maps of classes have them; ``explain``,
        the beginning of a command that explains one photograph as the run did, None where its own
        command is not known; ``source``, where the photographs are; ``signedMethod``, whether such
        a command can draw both signs.
    """
    found = any(row.sides[side].difference for row in rows)
    facts = NAMED.get(str(run.setting("method")))
    return {
        "differences": found,
        "noDifference": None if found else _why_not(run),
        "differenceScale": shared_scale(rows, side, lambda it: it.difference),
        "differenceUnit": _unit(run),
        "explain": explain_command(run.info.get("command")) if _can_be_named(run, rows) else None,
        "source": printable(str(run.source.absolute())),
        "signedMethod": bool(facts and facts.signed and "," not in str(run.setting("layer"))),
    }


def _why_not(run: RunData) -> str:
    facts = NAMED.get(str(run.setting("method")))
    output = run.setting("output") or "softmax"
    reason = facts and why_no_difference(
        facts, smooth=run.setting("smooth"), several_layers="," in str(run.setting("layer")),
        output=output, several_labels=output == "sigmoid",
    )  # fmt: skip
    return reason or (
        "the run was made before there were such maps, or has no mistakes while more than a linear "
        "layer follows the map, where each takes a pass of its own"
    )


def _can_be_named(run: RunData, rows: Sequence[ImageRow]) -> bool:
    """Whether ``--versus`` means something of it, and its photographs are files with plain names.

    Those within a container are no files.
    """
    facts = NAMED.get(str(run.setting("method")))
    exclusive = run.setting("output") not in ("sigmoid", "none")
    folder = str(run.source.absolute())
    ref = ref_again(Inside(run.source), run.source, rows[0].path) if rows else None
    files = printable(folder) == folder and not (ref and ref.blob)
    return bool(facts and facts.class_specific) and exclusive and files


def _unit(run: RunData) -> str:
    """Differences are of logits, also where the run explains probabilities."""
    of_maps = unit(run)
    logits = run.setting("score") == "probability" and run.setting("output") != "probabilities"
    return "logits" if logits and of_maps == "probability" else of_maps


def explain_command(
    command: Any, *, same_score: bool = False, without: Collection[str] = ()
) -> str | None:
    """``camcli explain`` with the network and the method of a ``camcli batch``.

    Args:
        command: the words of the latter, as ``run.json`` has them.
        same_score: with what the run explains, where what follows does not say that itself.
        without: options to leave out.

    Returns:
        As for a shell; None where it is another command, or a script's.
    """
    if not (isinstance(command, list) and len(command) > 1 and command[1] == "batch"):
        return None
    found, words = ["camcli", "explain"], iter(map(str, command[2:]))
    alone = (*ALONE, *SCORE_ALONE) if same_score else ALONE
    with_value = (*WITH_VALUE, *SCORE_WITH_VALUE) if same_score else WITH_VALUE
    for word in words:
        name, equals, value = word.partition("=")
        name = SHORT.get(name, name)
        if name in alone:
            found.append(name)
        elif name in with_value:
            option = [name, value if equals else next(words, "")]
            found += [] if name in without else option
    return printable(shlex.join(found))
