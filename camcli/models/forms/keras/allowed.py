"""What a file of Keras may name: layers, and what layers are made of; and what its numbers may be.

Keras builds whatever class of its own a file names, and calls whatever function: among them are
such as fetch an address, read another file or open a pickle, and its safe mode has been passed by
again and again. So all that a file names is looked at before Keras sees it, by a list of what
networks of pictures are made of. Without Keras.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator
from typing import Any

_DEEPEST = 100
# Layers that run code, open pickles or read other files.
_CODE = {
    "Lambda": "Python code", "__lambda__": "Python code",
    "TorchModuleWrapper": "a pickled module of torch", "JaxLayer": "code of JAX",
    "FlaxLayer": "code of JAX", "TFSMLayer": "a program of TensorFlow in another file",
    "StringLookup": "a vocabulary, which may be another file",
    "IntegerLookup": "a vocabulary, which may be another file",
    "TextVectorization": "a vocabulary, which may be another file",
}  # fmt: skip
LAMBDAS = ("Lambda", "__lambda__")
# What modules of Keras hold layers and their parts, by their public names and where they lie.
_PARTS = (
    r"layers|models|activations|initializers|regularizers|constraints|dtype_policies|quantizers"
    r"|random"
)
_MODULES = re.compile(
    rf"|keras|keras\.(?:{_PARTS})|keras\.src\.(?:{_PARTS}|ops)(?:\.\w+)*"
    r"|keras\.src\.backend\.common\.\w+|keras\.engine(?:\.\w+)*|builtins|numpy"
)
# Of those without a layer of their own, what a value may be.
_VALUES = re.compile(r"__(?:keras_tensor|tensor|numpy|bytes|ellipsis|slice|tuple)__|slice|dtype")
_FUNCTIONS = re.compile(r"|keras\.(?:src\.)?(?:activations|initializers|regularizers)(?:\.\w+)*")
# Nested networks bring how they were trained with them.
_TRAINED = re.compile(r"keras\.(?:src\.)?(?:losses|metrics|optimizers)(?:\.\w+)*")


def strangers(config: Any) -> Iterator[tuple[str, str, str]]:
    """(class, where it is from, name) of what a configuration names and must not.

    Args:
        config: of a network, as JSON.

    Raises:
        ValueError: it is nested deeper than any network.
    """
    if isinstance(config, dict):  # how the whole was trained is not read
        config = {key: value for key, value in config.items() if key != "compile_config"}
    yield from _within(config, 0, trained=False)


def told(kind: str) -> str:
    """What a layer holds that must not be opened; empty for a class that is not known."""
    return _CODE.get(kind, "")


def _within(value: Any, depth: int, *, trained: bool) -> Iterator[tuple[str, str, str]]:
    if depth > _DEEPEST:
        raise ValueError("it is nested deeper than any network")
    if isinstance(value, list):
        for each in value:
            yield from _within(each, depth + 1, trained=trained)
    elif isinstance(value, dict):
        if "class_name" in value:
            yield from _named(value, trained)
        for key, each in value.items():
            yield from _within(each, depth + 1, trained=trained or key == "compile_config")


def _named(value: dict[str, Any], trained: bool) -> Iterator[tuple[str, str, str]]:
    kind, inner = str(value["class_name"]), value.get("config")
    registered, module = value.get("registered_name"), value.get("module")
    if module is None:  # a class of somebody's own, or a file of Keras 2
        module = "" if registered in (None, kind) else str(registered)
    name = str(inner.get("name") or "") if isinstance(inner, dict) else ""
    if kind == "function":
        called = str(inner)
        if not _FUNCTIONS.fullmatch(str(module)) and not (
            module == "builtins" and not hasattr(builtins, called)
        ):
            yield called, str(module), name
        return
    known = _MODULES.fullmatch(str(module)) or (trained and _TRAINED.fullmatch(str(module)))
    if module in ("builtins", "numpy") and not _VALUES.fullmatch(kind):
        known = None
    if kind in _CODE or not known or not re.fullmatch(r"\w{1,100}", kind):
        yield kind, str(module), name
