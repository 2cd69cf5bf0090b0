"""ONNX networks, read and run by OpenVINO."""

from __future__ import annotations

from pathlib import Path

from camcli.errors import CamcliError
from camcli.models.forms.graph.building import built
from camcli.models.forms.graph.onnx_file import about
from camcli.models.forms.graph.reading import read
from camcli.models.forms.registry import path_of
from camcli.models.loading.builder import BuiltModel
from camcli.models.loading.sources import AskedModel
from camcli.models.weights.places import sha256_of


def build(asked: AskedModel) -> BuiltModel:
    """The classifier in an ONNX file.

    Raises:
        UsageError: it is no classifier of pictures.
        CamcliError: it is damaged, or a file with its tensors is not there.
    """
    path = path_of(asked.name)
    said = about(path)
    beside = {name: _beside(path, name) for name in said.beside}
    made = f", made by {said.producer}" if said.producer else ""
    opset = f" (opset {said.opset}{made})" if said.opset else ""
    return built(
        asked, read(path), path, what=f"an ONNX network{opset}, run by OpenVINO",
        texts=said.metadata, beside=beside,
    )  # fmt: skip


def _beside(path: Path, name: str) -> str:
    """The SHA-256 of a file with tensors.

    Raises:
        CamcliError: it is not there.
    """
    file = path.parent / name
    if not file.is_file():
        raise CamcliError(
            f"{path.name} keeps its weights in {name}, which is not in {path.parent}: copy both."
        )
    return sha256_of(file)
