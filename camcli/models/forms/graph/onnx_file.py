"""What an ONNX file says of itself beside its graph, read off its bytes; the graph is stepped over.

ONNX is a protobuf message. Of its fields only the small ones are looked at: who made it, and
``metadata_props``, where exporters put the names of the classes. Nothing is executed.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from camcli.errors import CamcliError
from camcli.files import open_regular

# Numbers of ModelProto's fields, from onnx.proto.
_PRODUCER, _PRODUCER_VERSION, _GRAPH, _OPSET, _METADATA = 2, 3, 7, 8, 14
_MOST = 8 << 20
"""Bytes of a field that is looked at: 100,000 names of classes take some 3 MB."""
# A tensor's ``external_data``: the key "location" and its value, a path of fewer than 128 bytes or
# of up to 16,383, in one message.
_LOCATION = re.compile(
    rb"\x0a\x08location\x12(?:([\x01-\x7f])|([\x80-\xff][\x01-\x7f]))", re.DOTALL
)


# The key alone, however its length is written.
_KEY = re.compile(rb"\x0a(?:\x08|\x88\x80*\x00)location")


@dataclass
class OnnxAbout:
    """What an ONNX file says of itself.

    Attributes:
        producer: the program that wrote it, with its version; may be empty.
        opset: of ONNX's own operations; None where it is not said.
        metadata: ``metadata_props``.
        beside: files with tensors of its, by the path that it gives, relative to its folder.
    """

    producer: str = ""
    opset: int | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    beside: tuple[str, ...] = ()


class BrokenError(ValueError):
    """Bytes that are no message."""


def about(path: Path) -> OnnxAbout:
    """Read what a file says of itself.

    Raises:
        CamcliError: it is no ONNX file or cut short, or names files outside of its folder.
    """
    found, graph = OnnxAbout(), False
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            for number, value, _start, _length in fields(file, size):
                graph |= number == _GRAPH
                if number in (_PRODUCER, _PRODUCER_VERSION):
                    word = value.decode("utf-8", "replace")[:80]
                    found.producer = f"{found.producer} {word}".strip()
                elif number == _OPSET:
                    domain, version = _opset(value)
                    found.opset = version if domain in ("", "ai.onnx") else found.opset
                elif number == _METADATA:
                    pair = _strings(value)
                    found.metadata[pair.get(1, "")] = pair.get(2, "")
    except BrokenError as error:
        raise CamcliError(
            f"{path} is no whole ONNX network ({error}): copy it again, or export it anew."
        ) from error
    except OSError as error:
        raise CamcliError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not graph:
        raise CamcliError(f"{path} is no ONNX network: there is no graph in it.")
    found.beside = tuple(dict.fromkeys(_locations(path)))
    return found


def fields(
    file: IO[bytes], end: int, wanted: Container[int] | None = None
) -> Iterator[tuple[int, bytes, int, int]]:
    """The fields of a message.

    Args:
        file: at the message's beginning.
        end: where it ends.
        wanted: numbers of the fields whose values are read; None for all but the graph.

    Yields:
        Number, value, where the value begins, and its length, or the value itself of a whole
        number. Of long ones, and of the graph, no value.

    Raises:
        BrokenError: it is no message, or cut short.
    """
    while (at := file.tell()) < end:
        key = _varint(file)
        number, kind = key >> 3, key & 7
        if kind == 0:
            start, value = file.tell(), _varint(file)
            yield number, b"", start, value
            continue
        length = {1: 8, 5: 4}.get(kind)
        if length is None:
            if kind != 2:
                raise BrokenError(f"byte {at:,} begins no field")
            length = _varint(file)
        start = file.tell()
        if start + length > end:
            raise BrokenError("it is cut short")
        read = number != _GRAPH if wanted is None else number in wanted
        text = file.read(length) if read and length <= _MOST else b""
        file.seek(start + length)
        yield number, text, start, length
        file.seek(start + length)


def _varint(file: IO[bytes]) -> int:
    result = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise BrokenError("it is cut short")
        result |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return result
    raise BrokenError("a number in it is too long")


def _parts(value: bytes) -> Iterator[tuple[int, bytes, int]]:
    for number, text, _, length in fields(io.BytesIO(value), len(value)):
        yield number, text, length


def _strings(value: bytes) -> dict[int, str]:
    return {number: text.decode("utf-8", "replace") for number, text, _ in _parts(value)}


def _opset(value: bytes) -> tuple[str, int]:
    domain, version = "", 0
    for number, text, length in _parts(value):
        if number == 1:
            domain = text.decode("utf-8", "replace")
        elif number == 2:
            version = length
    return domain, version


def _locations(path: Path) -> Iterator[str]:
    """The files in which a graph's tensors are kept beside it.

    Raises:
        CamcliError: one is outside of its folder.
    """
    data = path.read_bytes()
    for key in _KEY.finditer(data):
        found = _LOCATION.match(data, key.start())
        if found is None:
            raise CamcliError(
                f"{path} names files with its tensors in a way that no exporter does: it is not "
                "opened."
            )
        head = found[1] or found[2]
        length = head[0] if len(head) == 1 else (head[0] & 127) | head[1] << 7
        name = data[found.end() : found.end() + length].decode("utf-8", "replace")
        ways = PurePosixPath(name), PureWindowsPath(name)
        if any(way.is_absolute() or way.drive or ".." in way.parts for way in ways):
            raise CamcliError(
                f"{path} wants tensors from {name!r}, outside of its own folder: it is not opened."
            )
        yield name
