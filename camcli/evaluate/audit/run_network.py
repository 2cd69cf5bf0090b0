"""The network of a finished run, loaded again so that its photographs can be shown to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from camcli.cam.method_facts import FACTS
from camcli.errors import UsageError
from camcli.models import spec


def recorded_network(info: Mapping[str, Any], own: bool = False) -> dict[str, Any]:
    """The settings of `camcli.jobs.model.ModelJob` that load the network that a run names.

    Only what is read as plain tensors is loaded from a record: a module of somebody's own is code,
    and a folder that came from somewhere is no reason to run it.

    Args:
        info: the content of ``run.json``.
        own: whether the user names the network: then only how it sees photographs is the record's.

    Raises:
        UsageError: the record names no network, or one that only its owner should load.
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
    if source == "checkpoint":
        return {"checkpoint": Path(weights), **how}
    if spec.is_own_code(name):
        raise UsageError(
            f"the run's network, {name}, is code of your own, and none is run because a record "
            "names it: say it with --model"
        )
    if source == "user" and not spec.is_path(name):
        return {"model": name, "weights": weights, **how}
    return {"model": name, **how}


def check_same(info: Mapping[str, Any], sha256: str | None) -> None:
    """Refuse a network whose weights are not those that the run was made with.

    Raises:
        UsageError: they are not.
    """
    provenance = info.get("provenance")
    recorded = provenance.get("sha256") if isinstance(provenance, Mapping) else None
    if recorded and sha256 and recorded != sha256:
        raise UsageError(
            f"its weights have changed since (sha256 {sha256[:12]}, and {str(recorded)[:12]} in "
            "run.json)"
        )


def recorded_method(info: Mapping[str, Any]) -> str:
    """The method whose maps a run kept; Grad-CAM where that is none of today's."""
    config = info.get("config")
    name = config.get("method") if isinstance(config, Mapping) else None
    return name if isinstance(name, str) and name in FACTS else "gradcam"
