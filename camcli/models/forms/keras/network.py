"""Networks of Keras 3, ``.keras`` and ``.h5``, on its torch backend."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import nn

from camcli.data.decode.preprocess import Preprocess
from camcli.errors import CamcliError, UsageError
from camcli.files import open_regular
from camcli.models.forms.keras.file import KerasFile, check_file, preprocess_of
from camcli.models.forms.keras.graph import AsAWhole, FromKeras, is_graph, same_answer
from camcli.models.forms.keras.weights import is_zip
from camcli.models.forms.registry import path_of
from camcli.models.loading.builder import BuiltModel, name_outputs, provenance, reason
from camcli.models.loading.own.input_size import answers_of
from camcli.models.loading.sources import AskedModel
from camcli.models.weights.places import sha256_of

log = logging.getLogger(__name__)
_BACKEND = "KERAS_BACKEND"


def build(asked: AskedModel) -> BuiltModel:
    """The network of a file.

    Raises:
        UsageError: it holds code that is not to be trusted, or does not say how it wants its
            pixels, or has several inputs or outputs.
        UnavailableError: Keras is not installed.
        CamcliError: it is damaged, or this process runs Keras on another backend.
    """
    path = path_of(asked.name)
    found = check_file(path, asked.trust_pickle)
    network = _loaded(path, asked.trust_pickle)
    shape = _input_shape(path, network)
    told = ""
    if asked.preprocess is None:
        preprocess, told = preprocess_of(found, shape)
    else:
        preprocess = asked.preprocessed(_plain(found, shape))
    preprocess = preprocess.with_(size=asked.input_size)
    module = _torchs(network, preprocess)
    outputs, preprocess = answers_of(module, preprocess, asked.name, asked.input_size)
    application = found.application()
    of = f", {application.name} of keras.applications by its layers," if application else ""
    notes = [
        f"{path.name}: a network of Keras{of} with {outputs} "
        f"{'output' if outputs == 1 else 'outputs'}.",
        told,
    ]
    made = provenance(asked.name, str(path), sha256_of(path), "user", notes=notes)
    made.versions["keras"] = metadata.version("keras")
    return BuiltModel(module, name_outputs(asked.classes, outputs, asked.name), preprocess, made)


def _plain(found: KerasFile, shape: tuple[int | None, int | None, int | None]) -> Preprocess:
    """The size and fit of an input whose colours the user tells."""
    try:
        return preprocess_of(found, shape)[0]
    except UsageError:  # no colours; any will do
        height = shape[0] or 224
        width = shape[1] or height
        return Preprocess(
            size=height, width=None if width == height else width, fit="squash", antialias=False,
            grey=shape[2] == 1,
        )  # fmt: skip


@contextmanager
def _on_torch() -> Iterator[None]:
    """Within, Keras is imported on torch; the environment is left as it was.

    Raises:
        CamcliError: it is imported already, on another backend.
    """
    before = os.environ.get(_BACKEND)
    if "keras" not in sys.modules:
        os.environ[_BACKEND] = "torch"
    try:
        import keras

        if keras.backend.backend() != "torch":
            raise CamcliError(
                f"Keras runs on {keras.backend.backend()} in this process, and is needed on torch: "
                "set KERAS_BACKEND=torch before it is imported."
            )
        yield
    finally:
        if before is None:
            os.environ.pop(_BACKEND, None)
        else:
            os.environ[_BACKEND] = before


def _loaded(path: Path, trust: bool) -> Any:
    with _on_torch():
        import keras

        try:
            with keras.device("cpu"):
                return _as_it_is(path, not trust)
        except Exception as error:  # whatever Keras meets in a file
            # Keras' HDF5 forgets operations between layers, which its own format keeps.
            old = not is_zip(path)
            way = " Where it was made, model.save('network.keras') keeps all of it." if old else ""
            why = reason(error)
            if "safe_mode" in why or "unsafe" in why:  # advice that runs what is in there
                why = "it holds what Keras' safe mode refuses"
            raise UsageError(f"Keras cannot load {path}: {why}.{way}") from error


def _as_it_is(path: Path, safe: bool) -> Any:
    """The network by what the file is: Keras goes by its name, which may say otherwise."""
    import keras

    suffix = path.suffix
    if is_zip(path):
        if suffix == ".keras":
            return keras.models.load_model(path, compile=False, safe_mode=safe)
        from keras.src.saving.saving_lib import load_model

        with open_regular(path) as file:
            return load_model(file, compile=False, safe_mode=safe)
    if suffix in (".h5", ".hdf5"):
        return keras.models.load_model(path, compile=False, safe_mode=safe)
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import load_model_from_hdf5

    with h5py.File(path, "r") as file:
        return load_model_from_hdf5(file, compile=False, safe_mode=safe)


def _input_shape(path: Path, network: Any) -> tuple[int | None, int | None, int | None]:
    """(height, width, channels), None for any.

    Raises:
        UsageError: it takes or gives several things, or no picture.
    """
    inputs, outputs = getattr(network, "inputs", None), getattr(network, "outputs", None)
    if inputs is not None and outputs is not None and (len(inputs) != 1 or len(outputs) != 1):
        raise UsageError(
            f"{path} takes {len(inputs)} inputs and gives {len(outputs)} outputs: save one with "
            "one of each, keras.Model(inputs, scores)."
        )
    shape = tuple(inputs[0].shape) if inputs else (None, None, None, None)
    if len(shape) != 4 or shape[3] not in (1, 3, None):
        told = "x".join("any" if side is None else str(side) for side in shape[1:])
        raise UsageError(
            f"{path} takes an input of {told}: pictures are height x width x 3, or x 1."
        )
    return shape[1], shape[2], shape[3]


def _torchs(network: Any, preprocess: Preprocess) -> nn.Module:
    """The network as torch's, compared with Keras' own answers."""
    network.trainable = False
    _, height, width = preprocess.shape
    noise = torch.Generator().manual_seed(0)
    images = preprocess.normalise(
        torch.randint(0, 256, (3, 3, height, width), generator=noise, dtype=torch.uint8)
    )
    if is_graph(network):
        for own_layers in (True, False):
            try:
                made = FromKeras(network, own_layers=own_layers).eval().requires_grad_(False)
                if same_answer(made, network, images):
                    return made
                log.debug("layers of torch's %s: another answer", own_layers)
            except Exception as error:  # whatever is in somebody's graph
                log.debug("layers of torch's %s: %s", own_layers, error)
    whole: nn.Module = AsAWhole(network).eval().requires_grad_(False)
    return whole
