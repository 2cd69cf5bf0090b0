"""The forms that a network has on disk, told by what is in a file or a folder; without torch.

Another form is a file with a function like those that `Form.home` names, and its entry in `FORMS`.
What the bytes of a file say is found out in `camcli.models.weights.formats`; a suffix decides
nothing.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from camcli.errors import UnavailableError, UsageError
from camcli.files import expanded
from camcli.models.forms.hub.folder import check_folder, is_hub_folder
from camcli.models.forms.trainers.opening import (
    FASTAI,
    ULTRALYTICS,
    check_fastai,
    check_ultralytics,
    is_of,
)
from camcli.models.weights.formats import ForeignFileError, inside, recognise
from camcli.models.weights.pickles import check_trusted, network_in
from camcli.models.weights.programs import check_program

if TYPE_CHECKING:  # it imports torch
    from camcli.models.loading.builder import BuiltModel
    from camcli.models.loading.sources import AskedModel

FOLDER = "folder"


@dataclass(frozen=True)
class Form:
    """One form of a network.

    Attributes:
        name: what it is, in a word.
        told: the same in a sentence, after "is".
        claims: whether a path is one of its, given what its bytes are: a
            `camcli.models.weights.formats.WeightsFormat`, the name of a
            `camcli.models.weights.formats.Foreign`, or ``folder``. The first that says yes has it.
        home: ``module:function`` that makes a `BuiltModel` of an `AskedModel`; imported then.
        check: raises `UsageError` or `CamcliError` for a path that cannot be loaded, as far as that
            shows without torch: a library that is missing, say.
    """

    name: str
    told: str
    claims: Callable[[Path, str], bool]
    home: str
    check: Callable[[AskedModel], None] = lambda asked: None


def _tensors(path: Path, kind: str) -> bool:
    return kind in ("safetensors", "torch", "torch-legacy")


def _pickled(path: Path, kind: str) -> bool:
    return kind == "pickle" or network_in(path, kind) is not None


def _check_pickled(asked: AskedModel) -> None:
    path = path_of(asked.name)
    kind = kind_of(path)
    name = network_in(path, kind)
    if kind == "pickle" and name is None and not asked.trust_pickle:
        recognise(path)  # says what it is
    check_trusted(path, name or "what it names", asked.trust_pickle)


def _check_program(asked: AskedModel) -> None:
    path = path_of(asked.name)
    check_program(path, kind_of(path), asked.trust_pickle)


def _needs_openvino(asked: AskedModel) -> None:
    if importlib.util.find_spec("openvino") is None:
        raise UnavailableError(
            f"OpenVINO reads and runs {asked.name}, and is not installed: `pip install openvino`."
        )


def _check_keras(asked: AskedModel) -> None:
    importlib.import_module("camcli.models.forms.keras.file").check(asked)


def _check_hub_folder(asked: AskedModel) -> None:
    check_folder(path_of(asked.name))


FORMS: tuple[Form, ...] = (
    Form(
        name="hugging face folder",
        told="a folder of transformers (save_pretrained)",
        claims=lambda path, kind: is_hub_folder(path, "transformers"),
        home="camcli.models.forms.hub.huggingface:build",
        check=_check_hub_folder,
    ),
    Form(
        name="timm folder",
        told="a folder of timm (push_to_hf_hub)",
        claims=lambda path, kind: is_hub_folder(path, "timm"),
        home="camcli.models.forms.hub.timm_folder:build",
        check=_check_hub_folder,
    ),
    Form(
        name="keras",
        told="a network of Keras",
        claims=lambda path, kind: kind == "keras",
        home="camcli.models.forms.keras.network:build",
        check=_check_keras,
    ),
    Form(
        name="ultralytics",
        told=ULTRALYTICS.told,
        claims=lambda path, kind: is_of(ULTRALYTICS, path, kind),
        home="camcli.models.forms.trainers.ultralytics:build",
        check=check_ultralytics,
    ),
    Form(
        name="fastai",
        told=FASTAI.told,
        claims=lambda path, kind: is_of(FASTAI, path, kind),
        home="camcli.models.forms.trainers.fastai:build",
        check=check_fastai,
    ),
    Form(
        name="pickled",
        told="a whole network, pickled by torch.save(model)",
        claims=_pickled,
        home="camcli.models.forms.pickled:build",
        check=_check_pickled,
    ),
    Form(
        name="tensors",
        told="a file of tensors by name (a state dict)",
        claims=_tensors,
        home="camcli.models.forms.torch_file:build",
    ),
    Form(
        name="torchscript",
        told="a TorchScript program (torch.jit.save)",
        claims=lambda path, kind: kind == "torchscript",
        home="camcli.models.forms.programs:build",
        check=_check_program,
    ),
    Form(
        name="exported",
        told="a program of torch.export (torch.export.save)",
        claims=lambda path, kind: kind == "exported",
        home="camcli.models.forms.programs:build",
        check=_check_program,
    ),
    Form(
        name="onnx",
        told="an ONNX network",
        claims=lambda path, kind: kind == "onnx",
        home="camcli.models.forms.graph.onnx:build",
        check=_needs_openvino,
    ),
    Form(
        name="openvino",
        told="an OpenVINO network (IR)",
        claims=lambda path, kind: kind == "openvino",
        home="camcli.models.forms.graph.openvino_ir:build",
        check=_needs_openvino,
    ),
)


def path_of(name: str) -> Path:
    """A model's name as the path that it is, with ``~`` replaced."""
    return expanded(name)


def kind_of(path: Path) -> str:
    """What a file's bytes are, as `Form.claims` takes it; ``folder`` of a folder.

    Raises:
        CamcliError: it is damaged, or asks for more memory than it has a reason to.
    """
    if path.is_dir():
        return FOLDER
    try:
        return recognise(path)
    except ForeignFileError as error:
        return error.form


def form_of(path: Path) -> Form:
    """What a file or a folder is.

    Raises:
        UsageError: it is not there, or a folder that is no network.
        CamcliError: it is damaged, or of a kind that no form reads; says which.
    """
    if not path.exists():
        raise UsageError(f"There is no file or folder {path}.")
    kind = kind_of(path)
    found = next((form for form in FORMS if form.claims(path, kind)), None)
    if found is not None:
        return found
    if kind != FOLDER:
        recognise(path)  # says of what kind it is instead
    raise UsageError(f"{path} is no network in a form that is known here." + inside(path))


def check(asked: AskedModel) -> None:
    """Refuse a path that cannot be loaded, as far as that shows without torch.

    Raises:
        UsageError: see `form_of`, and a form's own reasons.
        CamcliError: likewise.
    """
    if asked.weights is not None:
        raise UsageError(
            f"--model {asked.name} brings its own weights: leave --weights out, or name the "
            "architecture with --model and the file with --weights."
        )
    form_of(path_of(asked.name)).check(asked)


def build(asked: AskedModel) -> BuiltModel:
    """The network with its weights, as a `camcli.models.loading.sources.ModelSource` makes it."""
    module, _, function = form_of(path_of(asked.name)).home.partition(":")
    built: BuiltModel = getattr(importlib.import_module(module), function)(asked)
    return built
