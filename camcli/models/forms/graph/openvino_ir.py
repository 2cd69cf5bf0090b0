"""Networks in OpenVINO's own form: a graph in ``.xml`` and its weights in ``.bin`` beside it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from camcli.errors import CamcliError
from camcli.models.forms.graph.building import built
from camcli.models.forms.graph.reading import read
from camcli.models.forms.registry import path_of
from camcli.models.loading.builder import BuiltModel
from camcli.models.loading.sources import AskedModel
from camcli.models.weights.places import sha256_of

# How deep the tree of what a file says is looked into.
_DEPTH = 4


def build(asked: AskedModel) -> BuiltModel:
    """The classifier in an IR.

    Raises:
        UsageError: it is no classifier of pictures.
        CamcliError: it is damaged, or its weights are not there.
    """
    path = path_of(asked.name)
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise CamcliError(
            f"{path.name} keeps its weights in {weights.name}, which is not in {path.parent}: copy "
            "both."
        )
    model = read(path)
    return built(
        asked, model, path, what="an OpenVINO network (IR)", texts=_texts(model),
        beside={weights.name: sha256_of(weights)},
    )  # fmt: skip


def _texts(model: Any) -> dict[str, str]:
    """What a file says beside its graph, by key."""
    found: dict[str, str] = {}

    def walk(value: Any, key: str, depth: int) -> None:
        if isinstance(value, dict):
            for name, inner in value.items() if depth < _DEPTH else ():
                walk(inner, f"{key}/{name}", depth + 1)
        elif not isinstance(value, str):
            with suppress(RuntimeError):  # what is not written as text
                found[key] = value.astype(str)
        else:
            found[key] = value

    for name in ("model_info", "framework"):
        if model.has_rt_info([name]):
            walk(model.get_rt_info()[name], name, 0)
    return found
