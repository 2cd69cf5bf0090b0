"""The network of a finished run, loaded again so that its photographs can be shown to it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from camcli.batch.run_files.recorded_paths import find_network_file, recorded_paths
from camcli.batch.run_files.settings import class_digest
from camcli.cam.method_facts import FACTS
from camcli.errors import UsageError
from camcli.models import spec
from camcli.printable import printable


def recorded_network(info: Mapping[str, Any], run: Path, own: bool = False) -> dict[str, Any]:
    """The settings of `camcli.jobs.model.ModelJob` that load the network that a run names.

    Only what is read as plain tensors is loaded from a record: a module of somebody's own is code,
    and a folder that came from somewhere is no reason to run it.

    Args:
        info: the content of ``run.json``.
        run: its folder.
        own: whether the user names the network: then only how it sees photographs is the record's.

    Raises:
        UsageError: the record names no network, one that only its owner should load, or one whose
            file is not there.
    """
    config = info.get("config")
    seen = config.get("preprocess") if isinstance(config, Mapping) else None
    how: dict[str, Any] = {}
    if isinstance(seen, Mapping):
        fit, size = seen.get("fit"), seen.get("size")
        how = {"fit": fit if isinstance(fit, str) else None}
        how |= {"input_size": size} if type(size) is int else {}
    if own:
        return how
    how["offline"] = True  # no record makes anything be fetched from anywhere
    provenance = info.get("provenance")
    if not isinstance(provenance, Mapping) or not provenance.get("name"):
        raise UsageError("run.json does not say which network the run was made with")
    name, source = str(provenance["name"]), provenance.get("source")
    weights = str(provenance.get("weights"))
    if source == "random":
        raise UsageError(f"the run's network, {name}, had random weights")
    if source != "checkpoint" and spec.is_own_code(name):
        raise UsageError(
            f"the run's network, {name}, is code of your own, and none is run because a record "
            "names it: say it with --model"
        )
    if weights == spec.IN_MEMORY:
        raise UsageError(
            f"the run's network, {printable(name)}, was one in a program's memory: audit the run "
            "from there, camcli.audit(RUN, network)"
        )
    digest, key = provenance.get("sha256"), provenance.get("key")
    file = partial(
        find_network_file, info=info, run=run, sha256=digest if isinstance(digest, str) else None
    )
    if source == "checkpoint":
        return {"checkpoint": file(weights), **how}
    if source != "user":
        return {"model": name, **how}
    how |= {"weights_key": key} if isinstance(key, str) else {}
    # A folder's name alone is a path where the folder lies, and only a word elsewhere.
    if name == weights or spec.is_path(name) or Path(name) in Path(weights).parents:
        return {"model": str(file(name)), **how}
    return {"model": name, "weights": str(file(weights)), **how}


def recorded_classes(info: Mapping[str, Any], run: Path) -> Path | None:
    """The file of class names that was typed for the run, if it is still there.

    What it says is compared with the run's own names by `check_same`.

    Args:
        info: the content of ``run.json``.
        run: its folder.
    """
    command = info.get("command")
    if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        return None
    option = "--classes"
    named = [after for word, after in pairwise(command) if word == option]
    named += [word.partition("=")[2] for word in command if word.startswith(f"{option}=")]
    if not named or not named[-1]:
        return None
    paths = recorded_paths(named[-1], info, run)
    return next((path for path in paths if os.path.isfile(path)), None)  # noqa: PTH113 - False for what is no path


def check_same(
    info: Mapping[str, Any], sha256: str | None, classes: Sequence[str] | None = None
) -> None:
    """Refuse a network that is not the one that the run was made with.

    Args:
        info: the content of ``run.json``.
        sha256: of the network's weights.
        classes: its classes; None where they are not compared.

    Raises:
        UsageError: its weights are others, or its classes are called otherwise, so that nothing
            that it says could be compared with what the run says.
    """
    provenance = info.get("provenance")
    recorded = provenance.get("sha256") if isinstance(provenance, Mapping) else None
    if recorded and sha256 and recorded != sha256:
        raise UsageError(
            f"its weights have changed since (sha256 {sha256[:12]}, and {str(recorded)[:12]} in "
            "run.json)"
        )
    config = info.get("config")
    named = config.get("classes") if isinstance(config, Mapping) else None
    if classes and isinstance(named, str) and named != (own := class_digest(classes)):
        raise UsageError(
            f"the network's classes have other names ({own}) than in the run "
            f"({printable(named)}): name them with --classes FILE, as for the run"
        )


def recorded_method(info: Mapping[str, Any]) -> str:
    """The method whose maps a run kept; Grad-CAM where that is none of today's."""
    config = info.get("config")
    name = config.get("method") if isinstance(config, Mapping) else None
    return name if isinstance(name, str) and name in FACTS else "gradcam"
