"""Classifiers of timm from a folder as ``timm.models.push_to_hf_hub`` and ``save_for_hf`` write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from torch import nn

from camcli.data.decode.preprocess import Preprocess
from camcli.data.decode.preprocess_files import of_timm
from camcli.errors import UsageError
from camcli.models.forms.hub.folder import HubFolder, check_folder, joint_sha256
from camcli.models.forms.reasonable import check_numbers
from camcli.models.forms.registry import path_of
from camcli.models.loading.builder import BuiltModel, name_outputs, provenance, reason
from camcli.models.loading.sources import AskedModel
from camcli.models.spec import TIMM
from camcli.models.weights.files import read_state

_WRAPPED = "timm_model."
# Arguments of create_model that name other files.
_NOT_FROM_FILES = (
    "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir",
    "num_classes", "model_name", "scriptable",
)  # fmt: skip


def build(asked: AskedModel) -> BuiltModel:
    """A folder of timm.

    Raises:
        UsageError: timm has no such network, or the weights are not its.
        CamcliError: its files are damaged.
    """
    return build_of(check_folder(path_of(asked.name)), asked)


def build_of(found: HubFolder, asked: AskedModel) -> BuiltModel:
    """The same of a folder that was opened."""
    import timm

    architecture = str(found.config.get("architecture"))
    if not timm.is_model(architecture.partition(".")[0]):
        raise UsageError(
            f"{found.path} holds {architecture}, which timm {timm.__version__} does not have: a "
            "newer timm may."
        )
    state, digests = {}, []
    for path in found.weights:
        tensors, digest = read_state(path)
        state.update(tensors)
        digests.append(digest)
    if state and all(name.startswith(_WRAPPED) for name in state):  # by transformers
        state = {name.removeprefix(_WRAPPED): tensor for name, tensor in state.items()}
    check_numbers(found.config, state, found.path)
    told = _table(found, "pretrained_cfg") or found.config
    outputs = found.config.get("num_classes", told.get("num_classes"))
    if type(outputs) is not int or outputs < 1:
        raise UsageError(f"{found.path} holds {architecture} without classes: features alone.")
    module = _created(found, architecture, told, outputs, state)
    preprocess = _preprocess(found, module)
    names = asked.classes or _names(found, told, outputs)
    notes = [f"{asked.name}: {TIMM}{architecture} with {outputs} classes, in timm's folder."]
    made = provenance(
        asked.name, str(found.weights[0] if len(found.weights) == 1 else found.path),
        joint_sha256(digests), "user", notes=notes,
    )  # fmt: skip
    return BuiltModel(
        module, name_outputs(names, outputs, asked.name), asked.preprocessed(preprocess), made
    )


def _table(found: HubFolder, key: str) -> Mapping[str, Any]:
    """A part of the configuration; empty where it is absent.

    Raises:
        UsageError: it is something else.
    """
    value = found.config.get(key) or {}
    if not isinstance(value, Mapping):
        raise UsageError(f"{found.path}: its {key} in config.json is no table of settings.")
    return value


def _created(
    found: HubFolder,
    architecture: str,
    told: Mapping[str, Any],
    outputs: int,
    state: dict[str, Any],
) -> nn.Module:
    """The network, by timm's own builder, which brings old names to today's.

    Raises:
        UsageError: the weights do not fit.
    """
    import timm

    arguments = _table(found, "model_args")
    arguments = {name: value for name, value in arguments.items() if name not in _NOT_FROM_FILES}
    if pool := found.config.get("global_pool"):
        arguments.setdefault("global_pool", pool)
    overlay = {
        name: value
        for name, value in told.items()
        if name in ("mean", "std", "input_size", "interpolation", "crop_pct", "crop_mode",
                    "fixed_input_size", "first_conv", "classifier", "pool_size")
    }  # fmt: skip
    overlay |= {"state_dict": state, "num_classes": outputs, "label_offset": 0}
    try:
        return timm.create_model(
            architecture, pretrained=True, num_classes=outputs, pretrained_cfg_overlay=overlay,
            **arguments,
        )  # fmt: skip
    except Exception as error:  # whatever foreign code meets in foreign settings
        raise UsageError(
            f"The weights in {found.path} do not fit {TIMM}{architecture}: {reason(error)}."
        ) from error


def _preprocess(found: HubFolder, module: nn.Module) -> Preprocess:
    try:
        return of_timm(module.pretrained_cfg)  # type: ignore[arg-type]
    except UsageError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{found.path}: its preprocessing cannot be read ({error}): --preprocess says it."
        ) from error


def _names(found: HubFolder, told: Mapping[str, Any], outputs: int) -> tuple[str, ...] | None:
    names = found.config.get("label_names") or told.get("label_names")
    if isinstance(names, dict):  # {"0": name}
        names = [names.get(str(index), names.get(index)) for index in range(outputs)]
    if not isinstance(names, list) or len(names) != outputs:
        return None
    said = found.config.get("label_descriptions") or told.get("label_descriptions") or {}
    if not isinstance(said, dict) or not said:
        return tuple(map(str, names))
    short = [str(said.get(name, name)).partition(",")[0] for name in names]
    once = Counter(short)
    return tuple(
        text if once[text] == 1 else f"{text} ({name})"
        for text, name in zip(short, names, strict=True)
    )
