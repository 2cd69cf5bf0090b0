"""Whether a compiled program only computes, read as a text before torch opens it; without torch.

``torch.jit.load`` makes no Python objects, but a program may call operations that write files, and
part of it may run while it is loaded. ``torch.export.load`` opens pickles for whatever is no plain
tensor, and evaluates sizes that are written as expressions. So each name in a program is looked at
first: operations on tensors are harmless, and everything else is named and left alone unless the
user trusts the file.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from camcli.errors import CamcliError, UsageError
from camcli.models.weights.allowed import stand_in
from camcli.models.weights.pickles import is_of_tensors, named_in

MAX_CODE = 64 << 20
# Of the 1700 operations of `aten`, those that take the name of a file.
_FILES = ("save", "from_file")
# By their names alone: between a name and its parenthesis may be a comment.
_ON_FILES = re.compile(rf"\b({'|'.join(_FILES)})\b")
_NAMESPACES = ("aten", "prim", "prims", "quantized", "_quantized", "torchvision", "mkldnn")
_PRIM = ("PythonOp", "IgnoredPythonOp", "rpc_async", "rpc_remote", "rpc_sync")
_OPERATION = re.compile(r"(?<![\w.])ops\.(\w+)\.(\w+)")
_CLASS = re.compile(r"__torch__\.torch\.classes\.(\w+)\.(\w+)")
_CLASSES = ("quantized", "rnn")
# What a size may be: whole numbers, symbols and arithmetic.
_SIZE_WORDS = {
    "Symbol", "Integer", "positive", "integer", "nonnegative", "real", "True", "False", "Add",
    "Mul", "Pow", "Max", "Min", "FloorDiv", "CleanDiv", "CeilDiv", "Mod", "PythonMod",
    "ModularIndexing", "Rational", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "And", "Or", "Not",
    "TruncToInt", "ToFloat", "FloatTrueDiv", "IntTrueDiv", "PowByNatural", "oo", "int_oo",
}  # fmt: skip
_SIZE = re.compile(r"[\w\s()+\-*/,.='<>&|~!]*")
_PYTHON = re.compile(
    r"_operator\.(?:add|sub|mul|floordiv|truediv|mod|neg|getitem|eq|ne|lt|le|gt|ge|pow|and_|or_)"
    r"|math\.(?:floor|ceil|trunc|sqrt)|torch\.sym_\w+|builtins\.(?:max|min|round)"
)
_ATEN = re.compile(
    r"torch\.ops\.(?:aten|prims|torchvision|quantized|quantized_decomposed)\.(\w+)(?:\.\w+)?"
)


_UNREADABLE = (
    OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RuntimeError, EOFError,
    NotImplementedError, RecursionError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def strangers(path: Path, kind: str) -> list[str]:
    """What a program names besides operations on tensors, the first first.

    Args:
        path: of the file.
        kind: ``torchscript`` or ``exported``.

    Raises:
        CamcliError: it is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_names(archive)
            look = _in_script if kind == "torchscript" else _in_export
            return list(dict.fromkeys(look(archive)))
    except _UNREADABLE as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise CamcliError(f"{path} is damaged ({line}): copy it again.") from error


def check_program(path: Path, kind: str, trusted: bool) -> None:
    """Refuse a program that does more than compute, unless the user says that it may.

    Args:
        path: of the file.
        kind: as for `strangers`.
        trusted: whether ``--trust-pickle`` was given.

    Raises:
        UsageError: it does; names what.
        CamcliError: it is damaged.
    """
    if trusted:
        return
    found = strangers(path, kind)
    if found:
        more = ", ..." if len(found) > 3 else ""
        raise UsageError(
            f"{path} is a program that does more than compute with tensors "
            f"({', '.join(found[:3])}{more}): loading or running it may run code that its maker "
            "put in.\nIf you trust it, add --trust-pickle."
        )


def _check_names(archive: zipfile.ZipFile) -> None:
    """Refuse what torch would read otherwise than it is read here.

    torch finds a member by its name whatever its case, and takes the first of two.

    Raises:
        ValueError: two members have one name.
    """
    names = [name.lower() for name in archive.namelist()]
    if len(set(names)) < len(names):
        raise ValueError("two of its parts have one name")


def _texts(archive: zipfile.ZipFile, ending: str) -> Iterator[tuple[str, str]]:
    total = 0
    for member in archive.infolist():
        name = member.filename.lower()  # as torch finds them
        if not name.endswith(ending):
            continue
        total += member.file_size
        if total > MAX_CODE:
            raise ValueError("its code is larger than any network's")
        yield name, archive.read(member).decode("utf-8", "replace")


def _in_script(archive: zipfile.ZipFile) -> Iterator[str]:
    for name, text in _texts(archive, ".py"):
        if "/code/" not in f"/{name}":
            continue
        yield from (f"torch.{found[1]}" for found in _ON_FILES.finditer(text))
        for space, operation in _OPERATION.findall(text):
            if space not in _NAMESPACES or (space == "prim" and operation in _PRIM):
                yield f"{space}::{operation}"
        for space, kind in _CLASS.findall(text):
            if space not in _CLASSES:
                yield f"torch.classes.{space}.{kind}"


def _in_export(archive: zipfile.ZipFile) -> Iterator[str]:
    names = [name.lower() for name in archive.namelist()]  # as torch finds them
    models = [n for n in names if re.search(r"(?:^|/)models/[^/]+\.json$", n)]
    if not models:
        yield "a format of before torch 2.8, which is opened by pickle"
    for name in names:
        last = name.rpartition("/")[2]
        if re.search(r"(?:^|/)data/aotinductor/", name):
            yield f"compiled code, {last}"
        elif "custom_obj" in last or "opaque_obj" in last:
            yield f"the object {last}"
    for name, text in _texts(archive, ".json"):
        if name in models:
            yield from _in_values(json.loads(text), "")
        elif "/data/" in f"/{name}":
            yield from _pickled(json.loads(text))
    for member in archive.infolist():
        if re.search(r"(?:^|/)data/sample_inputs/[^/]+\.pt$", member.filename.lower()):
            yield from _in_samples(archive.read(member))


def _in_values(value: Any, key: str) -> Iterator[str]:
    """The operations and sizes anywhere in a graph."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _in_values(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from _in_values(part, key)
    elif isinstance(value, str):
        if key == "target" and not _is_harmless(value):
            yield value.removeprefix("torch.ops.")
        elif key == "expr_str" and not _is_size(value):
            yield f"the size {value[:60]!r}"


def _is_harmless(target: str) -> bool:
    found = _ATEN.fullmatch(target)
    return found[1] not in _FILES if found else bool(_PYTHON.fullmatch(target))


def _is_size(text: str) -> bool:
    words = re.findall(r"[A-Za-z_]\w*", text)
    return (
        bool(_SIZE.fullmatch(text))
        and all(word in _SIZE_WORDS or re.fullmatch(r"[a-z]{1,3}\d+", word) for word in words)
        and ".." not in text
        and not re.search(r"\.\s*[A-Za-z_]", text)
    )


def _pickled(config: Any) -> Iterator[str]:
    """The tensors that are no plain numbers."""
    if not isinstance(config, dict):
        return
    for name, about in (config.get("config") or {}).items():
        if isinstance(about, dict) and about.get("use_pickle") is not False:
            yield f"the pickled tensor {name}"


def _in_samples(data: bytes) -> Iterator[str]:
    """What the inputs that a program was tried with name besides tensors."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            if name.lower().rpartition("/")[2] == "data.pkl":
                for found, _ in named_in(io.BytesIO(archive.read(name))):
                    if not is_of_tensors(found) and stand_in(found) is None:
                        yield found
