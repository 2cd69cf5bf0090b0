"""Classifiers of transformers, from a folder that ``save_pretrained`` wrote or from the hub.

Their code is that of the installed library: nothing that a folder brings is run
(``trust_remote_code`` stays off, kernels are torch's own), and weights are opened as all others
are. What the library would fill with random numbers is refused.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import torch
from torch import Tensor, nn

from camcli.data.decode.preprocess import Preprocess
from camcli.errors import CamcliError, UsageError
from camcli.models.forms.hub import timm_folder
from camcli.models.forms.hub.folder import (
    HubFolder,
    check_folder,
    joint_sha256,
    located,
    refuse_weights,
)
from camcli.models.forms.hub.processor import preprocess_of
from camcli.models.forms.reasonable import check_numbers
from camcli.models.forms.registry import path_of
from camcli.models.loading.builder import BuiltModel, name_outputs, provenance, reason
from camcli.models.loading.sources import AskedModel
from camcli.models.outputs import rows_of
from camcli.models.spec import OutputKind
from camcli.models.weights.files import read_state
from camcli.models.weights.mismatch import listed

log = logging.getLogger(__name__)

# What their problem_type says of the outputs.
_OUTPUTS: Mapping[str, OutputKind] = {
    "multi_label_classification": "sigmoid", "regression": "none",
}  # fmt: skip


def build_of_hub(asked: AskedModel) -> BuiltModel:
    """``hf:owner/name``; see `camcli.models.forms.hub.folder.located`."""
    refuse_weights(asked)
    return _build(check_folder(located(asked.name, offline=asked.offline)), asked)


def build(asked: AskedModel) -> BuiltModel:
    """A folder of transformers.

    Raises:
        UsageError: it holds no classifier of pictures, or its preprocessing cannot be done here.
        UnavailableError: transformers is not installed.
        CamcliError: its weights are damaged, or are not all there.
    """
    return _build(check_folder(path_of(asked.name)), asked)


def _build(found: HubFolder, asked: AskedModel) -> BuiltModel:
    if found.owner == "timm":
        return timm_folder.build_of(found, asked)
    with _quiet():
        state, digests = _tensors(found)
        check_numbers(found.config, state, found.path)
        config, kind = _described(found)
        network = _loaded(found, config, kind, state)
        preprocess, own_size, assumed = preprocess_of(found, config, asked)
    preprocess = preprocess.with_(size=asked.input_size)
    _let_answer_logits(network, other_size=preprocess.shape[1:] != own_size)
    outputs = _count_outputs(network, preprocess, kind.__name__)
    output = _output(config)
    named = asked.classes or _class_names(config, outputs)
    notes = [
        f"{asked.name}: {kind.__name__} of transformers with {outputs} "
        f"{'class' if outputs == 1 else 'classes'}.",
        assumed,
    ]
    if output is not None and asked.output is None:
        notes.append(f"Its outputs are {_SAID[output]}, as its config.json says.")
    weights = ", ".join(path.name for path in found.weights[:3])
    made = provenance(
        asked.name, str(found.weights[0] if len(found.weights) == 1 else found.path),
        joint_sha256(digests), "user", notes=notes,
    )  # fmt: skip
    made.versions["transformers"] = metadata.version("transformers")
    log.debug("weights of %s: %s", asked.name, weights)
    return BuiltModel(
        network, name_outputs(named, outputs, asked.name), preprocess, made, asked.output or output
    )


_SAID: Mapping[OutputKind, str] = {
    "sigmoid": "labels, of which several may be right (multi_label_classification)",
    "none": "values and no classes (regression)",
}


@contextmanager
def _quiet() -> Iterator[None]:
    """Within, transformers draws no bars and warns of nothing: what matters is said here."""
    from transformers.utils import logging as theirs

    level, bars = theirs.get_verbosity(), theirs.is_progress_bar_enabled()
    theirs.set_verbosity_error()
    theirs.disable_progress_bar()
    try:
        yield
    finally:
        theirs.set_verbosity(level)
        if bars:
            theirs.enable_progress_bar()


def _described(found: HubFolder) -> tuple[Any, type]:
    """Its configuration, and the class of the network.

    Raises:
        UsageError: the installed transformers has no such classifier.
    """
    import transformers
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES as CLASSIFIERS,
    )

    kind = str(found.config.get("model_type"))
    names = CLASSIFIERS.get(kind, ())
    names = (names,) if isinstance(names, str) else tuple(names)
    asked = [str(name) for name in found.config.get("architectures") or ()]
    name = next((each for each in asked if each in names), names[0] if names and not asked else "")
    if not name:
        own = " (it brings code of its own, which is not run)" if "auto_map" in found.config else ""
        raise UsageError(
            f"{found.path} holds {asked[0] if asked else kind}, which is no classifier of pictures "
            f"that transformers {transformers.__version__} has{own}."
        )
    try:
        config = AutoConfig.from_pretrained(
            found.path, local_files_only=True, trust_remote_code=False
        )
        return config, getattr(transformers, name)
    except Exception as error:  # whatever a configuration may be wrong in
        raise UsageError(
            f"{found.path}: transformers {transformers.__version__} cannot take its config.json: "
            f"{reason(error)}."
        ) from error


def _tensors(found: HubFolder) -> tuple[dict[str, Tensor], list[str]]:
    """The weights, and the digests of their files.

    Raises:
        CamcliError: a file is damaged.
    """
    state: dict[str, Tensor] = {}
    digests = []
    for path in found.weights:
        tensors, digest = read_state(path)
        state.update(tensors)
        digests.append(digest)
    return state, digests


def _loaded(found: HubFolder, config: Any, kind: Any, state: dict[str, Tensor]) -> nn.Module:
    """The network with its weights.

    Raises:
        UsageError: they are not this network's.
    """
    try:
        network, told = kind.from_pretrained(
            None, config=config, state_dict=state, output_loading_info=True, dtype=torch.float32,
            attn_implementation=_attention(kind), trust_remote_code=False,
        )  # fmt: skip
    except ImportError as error:
        raise UsageError(
            f"{found.path}: {kind.__name__} needs another library: {reason(error)}."
        ) from error
    except Exception as error:  # whatever foreign code meets in foreign settings
        raise UsageError(
            f"The weights in {found.path} are not those of its config.json: {reason(error)}."
        ) from error
    if missing := sorted(map(str, told["missing_keys"])):
        head = all(name.startswith(("classifier", "head", "cls_classifier")) for name in missing)
        why = "its classifier was never trained" if head else "another network's, or not all there"
        raise UsageError(f"The weights in {found.path} have no {listed(missing)}: {why}.")
    if told["mismatched_keys"]:
        names = [str(each[0]) for each in told["mismatched_keys"]]
        raise UsageError(
            f"The weights in {found.path} have other shapes than its config.json says "
            f"({listed(names)})."
        )
    made: nn.Module = network.eval().requires_grad_(False)
    return made


def _attention(kind: Any) -> str:
    """Torch's own attention: what a configuration names may be a kernel from the hub."""
    return "sdpa" if getattr(kind, "_supports_sdpa", False) else "eager"


def _let_answer_logits(network: nn.Module, *, other_size: bool) -> None:
    """Make the network return the logits alone, under the names that its layers have.

    A class of its own in between: a wrapper would put its name before each layer's.
    """
    own = type(network)
    options: dict[str, Any] = {}
    if other_size and "interpolate_pos_encoding" in inspect.signature(own.forward).parameters:
        options["interpolate_pos_encoding"] = True

    def forward(self: nn.Module, pixel_values: Tensor) -> Tensor:
        out = own.forward(self, pixel_values, return_dict=True, **options)
        # PP-LCNet's classifier gives them by another name.
        logits: Tensor = out.logits if hasattr(out, "logits") else out.last_hidden_state
        return logits

    network.__class__ = type(
        own.__name__, (own,), {"forward": forward, "__module__": own.__module__}
    )


def _count_outputs(network: nn.Module, preprocess: Preprocess, kind: str) -> int:
    """C, from a forward pass of black pictures.

    Raises:
        UsageError: it takes something else than pictures.
    """
    try:
        with torch.no_grad():  # what modules keep must allow autograd
            out = network(torch.zeros(2, *preprocess.shape))
    except Exception as error:
        shape = "x".join(map(str, preprocess.shape))
        raise UsageError(f"{kind} cannot look at a picture of {shape}: {reason(error)}.") from error
    logits = rows_of(out, 2)
    if logits is None:
        raise CamcliError(f"{kind} returns no logits of classes.")
    return logits.shape[1]


def _output(config: Any) -> OutputKind | None:
    """What its outputs are, as far as its configuration says; as transformers' own loss has it."""
    said = getattr(config, "problem_type", None)
    if said is None and getattr(config, "num_labels", None) == 1:
        return "none"
    return _OUTPUTS.get(str(said))


def _class_names(config: Any, outputs: int) -> tuple[str, ...] | None:
    table = getattr(config, "id2label", None)
    if not isinstance(table, dict) or len(table) != outputs:
        return None
    try:
        named = {int(index): str(name) for index, name in table.items()}
    except (TypeError, ValueError):
        return None
    return (
        tuple(named[index] for index in range(outputs))
        if set(named) == set(range(outputs))
        else None
    )
