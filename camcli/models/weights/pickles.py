"""What a pickle names, read as a text: nothing is executed, and torch is not needed."""

from __future__ import annotations

import io
import itertools
import pickletools
import re
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from camcli.errors import UsageError
from camcli.files import open_regular
from camcli.models.weights.allowed import stand_in
from camcli.models.weights.formats import member

_LEGACY = 4 << 20  # raw numbers follow the pickle, and need not be searched for names
_MOST = 3_000_000
# What tensors and plain values are made of.
_TENSORS = re.compile(
    r"torch\.(?:_utils\._rebuild\w+|_tensor\._rebuild\w+|\w*Storage|storage\.\w+|Size|device|dtype"
    r"|Tensor|Generator|(?:u?int|float|bfloat|complex|bool|half|double|long|q?u?int)\w*"
    r"|nn\.parameter\.\w+|serialization\._get_layout|per_\w+|preserve_format|strided)"
    r"|collections\.(?:OrderedDict|Counter)|builtins\.(?:set|complex|bytearray)|_codecs\.encode"
)
# What the state of every `nn.Module` has.
_MODULE = (b"_modules", b"_parameters")


def pickled_part(path: Path, kind: str) -> bytes:
    """The part of a torch file that is a pickle; the raw numbers come after it or beside it.

    Args:
        path: of the file.
        kind: what `camcli.models.weights.formats.recognise` calls it.
    """
    if kind == "torch":
        return member(path, lambda name: name.rpartition("/")[2] == "data.pkl")
    with open_regular(path) as file:
        return file.read(_LEGACY)


def modern(name: str) -> str:
    """A name as Python 3 has it: pickles of protocol 2 use Python 2's."""
    module, _, own = name.rpartition(".")
    module, own = NAME_MAPPING.get((module, own), (module, own))
    return f"{IMPORT_MAPPING.get(module, module)}.{own}"


def named(path: Path, kind: str) -> Iterator[tuple[str, bool]]:
    """The types and functions that a pickle names, in order; whether one stands before any other.

    Args:
        path: of the file.
        kind: as for `pickled_part`.
    """
    file: IO[bytes] = io.BytesIO(pickled_part(path, kind))
    # A file of before torch 1.6 begins with its number, the protocol, and facts of the machine.
    for _ in range(3 if kind == "torch-legacy" else 0):
        for _op in pickletools.genops(file):
            pass
    yield from named_in(file)


def named_in(file: IO[bytes]) -> Iterator[tuple[str, bool]]:
    """The same of one pickle.

    Args:
        file: at its beginning.
    """
    texts: list[str] = []
    root = True
    for op, value, _ in itertools.islice(pickletools.genops(file), _MOST):
        if op.name == "GLOBAL":
            yield modern(str(value).replace(" ", ".")), root
        elif op.name == "STACK_GLOBAL" and len(texts) > 1:
            yield modern(".".join(texts[-2:])), root
        elif isinstance(value, str):
            texts = [*texts[-1:], value]
        root = root and op.name in ("PROTO", "FRAME", "MEMOIZE", "GLOBAL", "BINPUT")


def is_of_tensors(name: str) -> bool:
    """Whether a type or function is what tensors and plain values are made of."""
    return _TENSORS.fullmatch(name) is not None


def foreign_names(path: Path, kind: str) -> list[str]:
    """The types and functions in a pickle that are neither tensors nor harmless, the first first.

    Args:
        path: of the file.
        kind: as for `pickled_part`.
    """
    found: dict[str, None] = {}
    try:
        for name, _ in named(path, kind):
            if name not in found and not is_of_tensors(name) and stand_in(name) is None:
                found[name] = None
    except (ValueError, OSError, IndexError):  # cut short; whoever opens it says so
        pass
    return list(found)


def network_in(path: Path, kind: str) -> str | None:
    """The class of a network that a file holds as a whole, with its code's name; else None.

    Args:
        path: of the file.
        kind: as for `pickled_part`; ``pickle`` is a file that torch did not write.
    """
    if kind not in ("torch", "torch-legacy", "pickle"):
        return None
    try:
        data = pickled_part(path, kind)
    except (OSError, KeyError, StopIteration, ValueError):
        return None
    if not all(mark in data for mark in _MODULE):
        return None
    names = foreign_names(path, kind)
    if not names:
        return None
    root = next((name for name, is_root in named(path, kind) if is_root), "")
    if root in names:
        return root
    return next((n for n in names if not n.startswith("torch.nn.")), names[0])


def check_trusted(path: Path, name: str, trusted: bool) -> None:
    """Refuse to run the code that a file names, unless the user says that it may be.

    Args:
        path: of the file.
        name: of the class that it is an object of.
        trusted: whether ``--trust-pickle`` was given.

    Raises:
        UsageError: it was not; says what to do.
    """
    if not trusted:
        raise UsageError(whole_network(path, name))


def whole_network(path: Path, name: str) -> str:
    """That a file is a pickled network, and the ways from there.

    Args:
        path: of the file.
        name: of its class.
    """
    module, _, own = name.rpartition(".")
    main = (
        f"\n{own} was defined in the script that made it: name that file, too, --model "
        f"FILE.py:{own} --weights {path} --trust-pickle."
        if module == "__main__"
        else ""
    )
    return (
        f"{path} holds a whole network, pickled by torch.save(model): opening it runs the code of "
        f"{name}, and whatever else its maker put in.\n"
        "If you trust it, add --trust-pickle. Safe for everybody are its weights alone: where it "
        f"was made, torch.save(torch.load('{path.name}', weights_only=False).state_dict(), "
        f"'weights.pth'), and give that with --model ARCHITECTURE --weights weights.pth.{main}"
    )
