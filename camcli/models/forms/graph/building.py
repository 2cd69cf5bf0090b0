"""From a graph and what its file says to a `BuiltModel`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib import metadata as installed
from pathlib import Path
from typing import Any

from camcli.data.decode.preprocess import Preprocess
from camcli.data.decode.preprocess_words import described, normalised
from camcli.errors import CamcliError, UsageError
from camcli.models.forms.graph.cutter import GraphCutter
from camcli.models.forms.graph.metadata import SaidPixels, class_names, pixels
from camcli.models.forms.graph.module import GraphNetwork
from camcli.models.forms.graph.opening import Opened, opened
from camcli.models.forms.graph.reading import reason
from camcli.models.loading.builder import BuiltModel, Provenance, name_outputs
from camcli.models.loading.sources import AskedModel
from camcli.models.weights.places import sha256_of

log = logging.getLogger(__name__)


def built(
    asked: AskedModel, model: Any, path: Path, *, what: str, texts: Mapping[str, str],
    beside: Mapping[str, str] | None = None,
) -> BuiltModel:  # fmt: skip
    """The classifier that a graph is.

    Args:
        asked: what the user says of it.
        model: OpenVINO's graph.
        path: its file.
        what: what that is, in words.
        texts: what it says beside the graph, by key.
        beside: other files that its weights are in, with their SHA-256.

    Raises:
        UsageError: it is no classifier of pictures, or cannot look at pictures of this size.
        CamcliError: OpenVINO cannot run it.
    """
    said = pixels(texts)
    side = asked.input_size or (
        said.size[0] if said.size and said.size[0] == said.size[1] else None
    )
    try:
        found = opened(model, path.name, side, asked.weights_key)
    except CamcliError:
        raise
    except Exception as error:  # whatever OpenVINO meets in a foreign graph
        log.debug("cannot be run", exc_info=True)
        raise CamcliError(f"OpenVINO cannot run {path}: {reason(error)}.") from error
    names, named = class_names(texts, found.outputs)
    preprocess, assumed = _preprocess(found, said, asked)
    about = "; ".join(
        filter(
            None,
            [
                f"{path.name}: {what}", _outputs(found), *found.told, named if not asked.classes
                else "", _input(found), assumed,
            ],
        )
    )  # fmt: skip
    made = Provenance(
        asked.name, str(path), sha256_of(path), "user",
        {"openvino": installed.version("openvino"), "torch": installed.version("torch")},
        asked.weights_key, (about + ".",), dict(beside or {}),
    )  # fmt: skip
    return BuiltModel(
        GraphNetwork(GraphCutter(found.network)),
        name_outputs(asked.classes or names, found.outputs, path.name),
        preprocess,
        made,
    )


def _outputs(found: Opened) -> str:
    return f"{found.outputs} outputs" if found.outputs > 1 else "one output"


def _input(found: Opened) -> str:
    way, (height, width) = found.entrance, found.size
    sized = f"input {height}x{width}"
    if way.size is None:
        sized += ", which its graph leaves open"
    one = found.network.batch
    alone = f"{one} image{'s' * (one > 1)} at a time, as its graph is written" if one else ""
    return "; ".join(filter(None, [sized, way.told, alone]))


def _preprocess(found: Opened, said: SaidPixels, asked: AskedModel) -> tuple[Preprocess, str]:
    """How pixels are prepared, and what of that was assumed.

    Raises:
        UsageError: its channels are not those of pictures.
    """
    way, (height, width) = found.entrance, found.size
    if way.channels not in (1, 3, 4):
        raise UsageError(
            f"{found.network.origin} takes pictures of {way.channels} channels, and photographs "
            "have 3, 1 in grey, or 4 with how opaque they are."
        )
    own = Preprocess(
        size=height, width=None if width == height else width, grey=way.channels == 1,
        alpha=way.channels == 4, fit="crop" if width == height else "squash",
    )  # fmt: skip
    how = described(own).split(", ", 1)[1]  # the size is told before
    placed = how.removesuffix(f", {normalised(own)}")
    if said.mean or said.scale:
        mean, scale = said.mean or (0.0,), said.scale or (1.0,)
        own = own.with_(mean=_three(mean, 255), std=_three(scale, 255))
        told = f"pixels prepared as its metadata says: {said.told}"
    elif way.span == "bytes":
        own = own.with_(mean=(0.0,) * 3, std=(1 / 255,) * 3)
        told = "given pixels of 0 to 255"
    elif way.span == "unit":
        own = own.with_(mean=(0.0,) * 3, std=(1.0,) * 3)
        told = "given pixels of 0 to 1"
    elif asked.preprocess is None:
        return own, f"{how} ASSUMED: --preprocess says otherwise"
    else:
        told = ""
    told += f"; {placed} ASSUMED: --preprocess says otherwise"
    return own, told if asked.preprocess is None else ""


def _three(values: tuple[float, ...], by: float) -> tuple[float, float, float]:
    three = [value / by for value in (values * 3 if len(values) == 1 else values)[:3]]
    return three[0], three[1], three[2] if len(three) > 2 else three[0]
