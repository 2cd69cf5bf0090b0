"""Whether reading a graph could cost more than its bytes; seen in the file, nothing is computed.

OpenVINO computes shapes while it reads a graph, and what shapes are made of: everything that
comes from no pixel may be computed then. Of usual networks that is next to nothing, a row of four
numbers or weights that are turned round. A file that has more there is tried out in a process of
its own first (`camcli.models.forms.graph.reading`), which takes some tenths of a second.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

from camcli.files import open_regular
from camcli.models.forms.graph.onnx_file import BrokenError, fields

# Operations whose result is no larger than what they are given, by ONNX's names and OpenVINO's.
_NO_LARGER = frozenset({
    "Identity", "Cast", "Convert", "Squeeze", "Unsqueeze", "Transpose", "Reshape", "Flatten",
    "Slice", "StridedSlice", "Neg", "Negative", "Sqrt", "Floor", "Ceil", "Ceiling", "Abs", "Not",
    "Reciprocal", "Round", "Clip", "Clamp", "Dropout", "Concat", "Split", "VariadicSplit",
    "DequantizeLinear", "QuantizeLinear", "FakeQuantize", "Result", "ReduceSum", "ReduceProd",
    "ReduceMax", "ReduceMin", "ReduceMean",
})  # fmt: skip
# Those with a number for each pair at most of what they are given.
_PAIRED = frozenset({
    "Add", "Sub", "Subtract", "Mul", "Multiply", "Div", "Divide", "Mod", "Min", "Minimum", "Max",
    "Maximum", "Equal", "Greater", "Less", "And", "Or", "Where", "Select", "Pow", "Power",
    "Gather",
})  # fmt: skip
_SHAPES = ("Shape", "Size", "ShapeOf")
# So many numbers has a shape at most, and so many are computed in no time.
_SIDES, _MANY = 8, 10_000_000
# Numbers of the fields of GraphProto, NodeProto, AttributeProto and TensorProto, from onnx.proto.
_GRAPH, _NODE, _INITIALIZER, _SPARSE = 7, 1, 5, 15


@dataclass(frozen=True)
class _Step:
    """An operation: its kind, what it takes and gives by name, and the numbers that it holds.

    `inside`: whether there is a graph in it, or what else is not looked into.
    """

    kind: str
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    held: int = 0
    inside: bool = False


def is_ir(file: IO[bytes]) -> bool:
    """Whether a file, at its start and left there, is an OpenVINO IR: XML, and not ONNX."""
    head = file.read(5).lstrip(b"\xef\xbb\xbf")
    file.seek(0)
    return head.startswith((b"<?xml", b"<net"))


def is_doubtful(path: Path) -> bool:
    """Whether a graph has to be tried out before it is read.

    Args:
        path: an ONNX file, or an OpenVINO IR.

    Returns:
        False where all that could be computed while it is read is small; True where that is not so,
        or is not known.
    """
    try:
        with open_regular(path) as file:
            if is_ir(file):
                return _costs(_of_xml(file), path.with_suffix(".bin").stat().st_size)
            size = os.fstat(file.fileno()).st_size
            return _costs(_of_onnx(file, size), size)
    except (BrokenError, ElementTree.ParseError, OSError, ValueError, KeyError):
        return True  # what is wrong with it is said by who reads it


def _costs(steps: Iterable[_Step], size: int) -> bool:
    """Whether what comes from no pixel is more than small, beside weights of so many bytes."""
    numbers: dict[str, int] = {}
    held = computed = 0
    for step in steps:
        if step.inside:
            return True
        if step.kind in ("Constant", "Const"):
            held += step.held
            numbers |= dict.fromkeys(step.gives, step.held)
        elif step.kind == "Parameter":
            continue
        elif step.kind in _SHAPES:
            numbers |= dict.fromkeys(step.gives, _SIDES)
        elif all(name in numbers for name in step.takes):
            if step.kind in _NO_LARGER:
                count = sum(numbers[name] for name in step.takes)
            elif step.kind in _PAIRED:
                count = 1
                for name in step.takes:
                    count *= max(1, numbers[name])
            else:
                return True
            computed += count
            if computed > _MANY + 16 * min(held, 2 * size):  # a byte holds two numbers at most
                return True
            numbers |= dict.fromkeys(step.gives, count)
    return False


def _of_onnx(file: IO[bytes], size: int) -> Iterator[_Step]:
    """The operations of an ONNX file, after the tensors that it holds."""
    steps, held = [], []
    for number, _, start, length in fields(file, size, ()):
        if number != _GRAPH:
            continue
        file.seek(start)
        for part, value, at, long in fields(file, start + length, (_NODE,)):
            if part == _NODE and long != len(value):  # of megabytes: constants
                file.seek(at)
                value = file.read(long)
            if part == _NODE:
                steps.append(_node(value))
            elif part == _INITIALIZER:
                file.seek(at)
                held.append(_tensor(file, at + long))
                file.seek(at + long)
            elif part == _SPARSE:
                held.append(_Step("sparse", (), (), inside=True))
        file.seek(start + length)
    yield from held
    yield from steps


def _node(value: bytes) -> _Step:
    kind, inside = "", False
    takes: list[str] = []
    gives: list[str] = []
    for number, part, _, length in fields(io.BytesIO(value), len(value)):
        if number == 5:  # an attribute: with a graph, graphs, or a sparse tensor in it
            attribute = fields(io.BytesIO(part), len(part))
            # A large one is not given here: a constant, or what else.
            inside |= length > len(part) and kind not in ("", "Constant")
            inside |= any(each[0] in (6, 11, 22, 23) for each in attribute)
        elif number in (1, 2, 4):
            text = part.decode("utf-8", "replace")
            if number == 4:
                kind = text
            elif text:
                (takes if number == 1 else gives).append(text)
    return _Step(kind, tuple(takes), tuple(gives), 2 * len(value), inside)


def _tensor(file: IO[bytes], end: int) -> _Step:
    """An initializer: its name, and how many numbers it has."""
    count, name = 1, ""
    for number, value, _, length in fields(file, end, (1, 8)):
        if number == 1 and value:  # packed
            inner = io.BytesIO(value)
            while inner.tell() < len(value):
                count *= _packed(inner)
        elif number == 1:
            count *= length
        elif number == 8:
            name = value.decode("utf-8", "replace")
    return _Step("Constant", (), (name,), count)


def _packed(file: io.BytesIO) -> int:
    result = shift = 0
    while byte := file.read(1):
        result |= (byte[0] & 127) << shift
        shift += 7
        if byte[0] < 128:
            return result
    raise BrokenError("it is cut short")


def _of_xml(file: IO[bytes]) -> Iterator[_Step]:
    """The operations of an IR in the order of its file, which is that of their numbers."""
    root = ElementTree.parse(file).getroot()
    takes: dict[str, list[str]] = {}
    for edge in root.iterfind("edges/edge"):
        takes.setdefault(edge.attrib["to-layer"], []).append(edge.attrib["from-layer"])
    layers = {layer.attrib["id"]: layer for layer in root.iterfind("layers/layer")}
    done: set[str] = set()
    stack = list(reversed(layers))
    while stack:  # what is taken comes first, whatever the order
        number = stack[-1]
        before = [each for each in takes.get(number, ()) if each not in done]
        if number in done or not before:
            stack.pop()
            if number not in done:
                done.add(number)
                yield _layer(layers[number], tuple(takes.get(number, ())))
        elif len(stack) > 4 * (len(layers) + 1):
            raise ValueError("its layers take one another")
        else:
            stack += before


def _layer(layer: ElementTree.Element, takes: tuple[str, ...]) -> _Step:
    kind = layer.attrib["type"]
    data = layer.find("data")
    told = "" if data is None else data.attrib.get("size", "")
    # One byte holds two numbers at most.
    held = 2 * int(told) if re.fullmatch(r"\d{1,15}", told) else 0
    inside = any(each.tag.endswith("body") for each in layer)
    return _Step(kind, takes, (layer.attrib["id"],), held, inside)
