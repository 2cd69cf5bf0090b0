"""What a file of Keras says of its network, read as text; without Keras or torch.

``.keras`` is a zip with ``config.json``; ``.h5`` has the same in an attribute. Layers are named
there by their classes, so what would run code, a ``Lambda`` or a class of somebody's own, is known
before Keras builds anything.
"""

from __future__ import annotations

import importlib.util
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camcli.data.decode.preprocess import Preprocess
from camcli.data.decode.preprocess_words import PRESETS
from camcli.errors import CamcliError, UnavailableError, UsageError
from camcli.files import expanded
from camcli.models.forms.keras.allowed import LAMBDAS, strangers, told
from camcli.models.forms.keras.weights import UNREADABLE, check_weights, is_zip
from camcli.printable import printable

if TYPE_CHECKING:
    from camcli.models.loading.sources import AskedModel

_LARGEST = 16 << 20
_DEEPEST = 100


@dataclass(frozen=True)
class Application:
    """A network of keras.applications.

    Attributes:
        name: as there.
        mode: how it wants its pixels: a preset of `camcli.data.decode.preprocess_words`, or
            ``255`` for values as they are in a file.
        size: side of its usual input.
        layers: matches a layer that no other has.
    """

    name: str
    mode: str
    size: int
    layers: str


# By names of layers, the more telling first.
_APPLICATIONS = (
    Application("ConvNeXt", "255", 224, r"\w*prestem_normalization"),
    Application("EfficientNet", "255", 224, r"block1a_se_squeeze"),
    Application("EfficientNetV2", "255", 224, r"block1a_project_conv"),
    Application("InceptionResNetV2", "tf", 299, r"block35_1_conv|mixed_5b"),
    Application("InceptionV3", "tf", 299, r"mixed10"),
    Application("Xception", "tf", 299, r"block2_sepconv1"),
    Application("NASNet", "tf", 224, r"stem_bn1|adjust_conv_projection_stem_2"),
    Application("MobileNetV2", "tf", 224, r"block_1_depthwise"),
    Application("MobileNetV3", "255", 224, r"expanded_conv_1_depthwise|expanded_conv_depthwise"),
    Application("MobileNet", "tf", 224, r"conv_dw_1"),
    Application("DenseNet", "imagenet", 224, r"conv2_block1_0_relu|pool2_pool"),
    Application("ResNetV2", "tf", 224, r"conv2_block1_preact_bn"),
    Application("ResNet", "caffe", 224, r"conv2_block1_1_conv|res2a_branch2a"),
    Application("VGG", "caffe", 224, r"block1_conv2"),
)
# Layers that say that what comes in are values from 0 to 255.
_SCALERS = ("Rescaling", "Normalization")
# Those of operations in the graph, such as preprocess_input's.
_OPERATIONS = ("TrueDivide", "Divide", "Subtract", "Multiply", "Add", "GetItem", "TFOpLambda",
               "SlicingOpLambda")  # fmt: skip


@dataclass(frozen=True)
class KerasFile:
    """What stands in a file.

    Attributes:
        path: the file.
        config: of the network.
        layers: (class, name) of each layer, those of networks within among them, in order.
    """

    path: Path
    config: Mapping[str, Any]
    layers: tuple[tuple[str, str], ...]

    def application(self) -> Application | None:
        """Which network of keras.applications its layers are of; None for others."""
        names = [name for _, name in self.layers]
        for each in _APPLICATIONS:
            if any(re.fullmatch(each.layers, name) for name in names):
                return each
        return None

    def scales(self) -> bool:
        """Whether it brings values from 0 to 255 to its own scale itself, before it convolves."""
        for kind, _ in self.layers:
            if kind in _SCALERS or kind in _OPERATIONS:
                return True
            if "Conv" in kind or kind == "Dense":
                return False
        return False


def read_file(path: Path) -> KerasFile:
    """What a file says.

    Raises:
        UsageError: it holds weights and no network.
        UnavailableError: h5py is needed and is not installed.
        CamcliError: it is damaged.
    """
    try:
        config = _config(path)
    except CamcliError:
        raise
    except UNREADABLE as error:
        raise CamcliError(f"{path} is damaged or cut short ({error}): copy it again.") from error
    if not isinstance(config, dict):
        raise CamcliError(f"{path} is damaged: it does not describe a network.")
    return KerasFile(path, config, tuple(_layers(config, 0)))


def _config(path: Path) -> Any:
    if is_zip(path):
        with zipfile.ZipFile(path) as archive:
            if "config.json" not in archive.namelist():
                raise _weights_alone(path)
            if archive.getinfo("config.json").file_size > _LARGEST:
                raise CamcliError(f"{path}: its config.json is larger than any network's.")
            return json.loads(archive.read("config.json"))
    if importlib.util.find_spec("h5py") is None:
        raise _not_installed(path)
    import h5py

    with h5py.File(path, "r") as file:
        text = file.attrs.get("model_config")
    if text is None:
        raise _weights_alone(path)
    return json.loads(text)


def _weights_alone(path: Path) -> UsageError:
    return UsageError(
        f"{path} holds weights of Keras without their network: save it whole, "
        "model.save('network.keras')."
    )


def _not_installed(path: Path) -> UnavailableError:
    return UnavailableError(
        f"{path} is a network of Keras, which is not installed: `pip install 'camcli[keras]'` "
        "brings it, on torch."
    )


def _layers(value: Any, depth: int) -> Iterator[tuple[str, str]]:
    """The layers within a configuration, in order."""
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        for each in value:
            yield from _layers(each, depth + 1)
    elif isinstance(value, dict):
        kind, inner = value.get("class_name"), value.get("config")
        if isinstance(kind, str):
            name = inner.get("name") if isinstance(inner, dict) else ""
            yield kind, str(name or "")
        for key, each in value.items():
            if key not in ("compile_config", "build_config"):
                yield from _layers(each, depth + 1)


def check_file(path: Path, trust: bool) -> KerasFile:
    """Refuse a file that cannot be loaded, as far as that shows without Keras.

    Raises:
        UsageError: it holds code and is not to be trusted, or classes of somebody's own.
        UnavailableError: Keras is not installed.
        CamcliError: it is damaged.
    """
    found = read_file(path)
    try:
        named = list(strangers(found.config))
    except ValueError as error:
        raise CamcliError(f"{path} is damaged: {error}.") from error
    for kind, module, name in named:
        holds = told(kind)
        if kind in LAMBDAS:
            if trust:
                continue
            where = next((n for k, _, n in named if k in LAMBDAS and n), "a Lambda")
            raise UsageError(
                f"{path} holds Python code, in its layer {printable(where)[:80]!r} (Lambda), which "
                "runs when it is opened: add --trust-pickle if you trust it."
            )
        if holds:
            raise UsageError(
                f"{path} holds {holds}, in its layer {printable(name)[:80]!r} ({kind}), which is "
                "not opened here: load it in a function of your own that returns the network as a "
                "torch module, and name that, --model FILE.py:FUNCTION."
            )
        of = f" of {printable(module)[:80]}" if module else ""
        raise UsageError(
            f"{path} needs {printable(kind)[:80]}{of}, code of somebody's own or nothing that "
            "networks are made of: load it in a function of your own that returns the network as a "
            "torch module, and name that, --model FILE.py:FUNCTION."
        )
    check_weights(path)
    if importlib.util.find_spec("keras") is None:
        raise _not_installed(path)
    return found


def check(asked: AskedModel) -> None:
    """The same for what is asked."""
    found = check_file(expanded(asked.name), asked.trust_pickle)
    if asked.preprocess is None:
        preprocess_of(found, (224, 224, 3))


def preprocess_of(
    found: KerasFile, shape: tuple[int | None, int | None, int | None]
) -> tuple[Preprocess, str]:
    """What its network takes, as far as its layers tell; and what was assumed, as a sentence.

    Args:
        found: the file.
        shape: (height, width, channels) of its input, None where it takes any.

    Raises:
        UsageError: nothing tells it.
    """
    application = found.application()
    height = shape[0] or (application.size if application else 224)
    width = shape[1] or height
    usual = Preprocess(
        size=height, width=None if width == height else width, fit="squash",
        interpolation="bilinear", antialias=False, grey=shape[2] == 1,
    )  # fmt: skip
    inside = found.scales()
    mode = "255" if inside else application.mode if application else None
    if mode is None:
        raise UsageError(
            f"{found.path} does not say how its network wants its pixels: add --preprocess none "
            "(values from 0 to 1, as with rescale=1/255), 'scale=255' (0 to 255), tf (-1 to 1), "
            "caffe or imagenet."
        )
    if mode == "255":
        made = usual.with_(mean=(0.0,) * 3, std=(1 / 255,) * 3)
        how = "values from 0 to 255, which the network brings to its own scale"
        how += "" if inside else " (as keras.applications has it, ASSUMED)"
    else:
        made = usual.with_(**{k: v for k, v in PRESETS[mode].items() if k != "interpolation"})
        name = application.name if application else ""
        how = (
            f"its layers are {name}'s of keras.applications, so pixels as its preprocess_input "
            f"makes them, mode {'torch' if mode == 'imagenet' else mode}, ASSUMED: --preprocess "
            "says otherwise"
        )
    return made, f"Input {height}x{width}, photographs squeezed; {how}."
