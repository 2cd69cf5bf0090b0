"""What exporters write beside a graph: names of the classes, and how pixels are to be prepared.

ONNX has texts by key; OpenVINO's IR has a tree, of which Geti, ModelAPI and the Model Zoo write
``model_info``. Keys are told by their last part, values are parsed as literals and never evaluated.
"""

from __future__ import annotations

import ast
import contextlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# The surest first.
_NAMES = (
    "names", "classes", "class_names", "labels", "id2label", "idx_to_class", "index_to_name",
    "label_names", "categories", "class_labels",
)  # fmt: skip
_TO_INDEX = ("label2id", "class_to_idx")
_LONGEST = 8 << 20
_WIDEST = 16_384
_SIZES = ("imgsz", "input_size", "image_size", "img_size", "orig_input_size")


@dataclass(frozen=True)
class SaidPixels:
    """How a file says that pixels are prepared.

    Attributes:
        mean: per channel, of pixels of 0 to 255; None where it does not say so.
        scale: what they are divided by then.
        size: (height, width).
        told: what was read, in the file's words.
    """

    mean: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None
    size: tuple[int, int] | None = None
    told: str = ""


def _key(name: str) -> str:
    return re.split(r"[./:]", name.strip())[-1].lower().replace("-", "_")


def class_names(metadata: Mapping[str, str], outputs: int) -> tuple[tuple[str, ...] | None, str]:
    """The names of a graph's classes, and a sentence on where they are from, or are not.

    Args:
        metadata: texts by key.
        outputs: of the graph.
    """
    by_key = {_key(name): (name, text) for name, text in metadata.items()}
    for key in (*_NAMES, *_TO_INDEX):
        if key not in by_key:
            continue
        name, text = by_key[key]
        names = _listed(text, key in _TO_INDEX)
        if names is None:
            continue
        if len(names) in ({1, 2} if outputs == 1 else {outputs}) and all(names):
            return names, f"names of the classes from its metadata ({name})"
        return None, (
            f"its metadata ({name}) has {len(names)} names for {outputs} outputs, so they were left"
            " out"
        )
    return None, ""


def _listed(text: str, to_index: bool) -> tuple[str, ...] | None:
    """Names in the order of their outputs, from a literal, JSON or a list in words."""
    value = parsed(text)
    if isinstance(value, str):
        # Geti writes its labels with spaces between, and spaces within them as underscores.
        split = value.splitlines() if "\n" in value.strip() else re.split(r"\s*[,;]\s*|\s+", value)
        value = [part.strip() for part in split if part.strip()]
    if isinstance(value, Mapping):
        pairs = [(v, k) for k, v in value.items()] if to_index else list(value.items())
        try:
            by_index = {int(index): _name(name) for index, name in pairs}
        except (TypeError, ValueError):
            return None
        if sorted(by_index) != list(range(len(by_index))):
            return None
        value = [by_index[index] for index in range(len(by_index))]
    if not isinstance(value, list | tuple) or not value:
        return None
    return tuple(_name(name) for name in value)


def _name(value: Any) -> str:
    """A name, also of ["n01440764", "tench"] and {"name": "tench"}."""
    if isinstance(value, list | tuple) and value:
        value = value[-1]
    if isinstance(value, Mapping):
        value = value.get("name", value.get("label", ""))
    return str(value).strip()


def parsed(text: str) -> Any:
    """A literal of Python or JSON; the text itself where it is none."""
    if len(text) > _LONGEST:
        return ""
    for read in (json.loads, ast.literal_eval):
        with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            value = read(text)
            return value if isinstance(value, Mapping | list | tuple) else text
    return text


def pixels(metadata: Mapping[str, str]) -> SaidPixels:
    """How a file says that pixels are prepared; as ModelAPI and Geti write it, of 0 to 255."""
    by_key = {_key(name): text for name, text in metadata.items()}
    if _yes(by_key.get("embedded_processing", "")):
        return SaidPixels()
    mean, scale = (_numbers(by_key.get(key, "")) for key in ("mean_values", "scale_values"))
    if scale and 0 in scale:  # nothing can be divided by that
        scale = None
    said = [
        f"{key} {by_key[key].strip()}"
        for key, value in (("mean_values", mean), ("scale_values", scale))
        if value
    ]
    if "reverse_input_channels" in by_key and said:
        said.append("channels red, green, blue")
    sides = next((_numbers(by_key[key]) for key in _SIZES if key in by_key), None)
    size = None
    if sides and all(0 < side <= _WIDEST and side == int(side) for side in sides):
        size = (int(sides[-2]), int(sides[-1])) if len(sides) > 1 else (int(sides[0]),) * 2
    return SaidPixels(mean, scale, size, ", ".join(said))


def _yes(text: str) -> bool:
    return text.strip().lower() in ("true", "yes", "1")


def _numbers(text: str) -> tuple[float, ...] | None:
    """Up to four numbers of a text."""
    found = re.findall(r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?", text)
    values = tuple(float(number) for number in found)
    if not 1 <= len(values) <= 4 or not all(map(math.isfinite, values)):
        return None
    return values
