"""Commands that find out more about a run: what a tab says that has nothing to show yet."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from camcli.models import spec
from camcli.ours import recorded_absolute
from camcli.render.report.rows.image_rows import RunData

# What stands for the weights of a network that brings them itself.
_NO_FILE = ("factory", spec.IN_MEMORY)


def commands(run: RunData) -> dict[str, str]:
    """Commands to copy, by what they fill.

    Args:
        run: whose photographs and network they name.

    Returns:
        ``evaluation``, ``boxes`` and ``report``; the last makes the page again.
    """
    where = shlex.quote(str(run.path))
    provenance = run.info.get("provenance")
    told = provenance if isinstance(provenance, Mapping) else {}
    name, weights, source = (told.get(key) for key in ("name", "weights", "source"))
    network = ""
    if source == "checkpoint" and isinstance(weights, str):
        network = f" --models {shlex.quote(recorded_absolute(weights, run.info))}"
    elif isinstance(name, str) and name:
        file = name == weights or spec.is_path(name)
        network = f" --models {shlex.quote(recorded_absolute(name, run.info) if file else name)}"
        if source == "user" and isinstance(weights, str) and not file and weights not in _NO_FILE:
            network += f" --weights {shlex.quote(recorded_absolute(weights, run.info))}"
    photographs = run.setting("source")
    data = shlex.quote(photographs) if isinstance(photographs, str) and photographs else "DATA"
    # With the boxes that the page has, it measures whether the heat hits what is in them, too.
    options = run.annotator.options if run.annotator else ()
    objects = "".join(f" {shlex.quote(word)}" for word in options)
    return {
        "evaluation": f"camcli evaluate {data}{network}{objects} --out {where}-evaluation",
        "boxes": f"camcli report {where} --boxes BOXES",
        "report": f"camcli report {where}",
    }
