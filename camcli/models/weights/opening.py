"""Opening a weight file without running what it says.

``torch.load(weights_only=True)`` makes tensors and plain values, and refuses a file that names
anything else, such as the settings that a training script saved beside its network. Here whatever
is named by the standard library's, NumPy's and the usual settings libraries' names is made as a
stand-in instead: an object that takes all it is given and does nothing with it, since only tensors
are wanted. So no code of those types runs, not even a constructor's. What is not in the list is
refused by its name.
"""

from __future__ import annotations

import io
import itertools
import pickletools
import re
import threading
import warnings
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import torch

from camcli.errors import CamcliError, UsageError
from camcli.files import open_regular
from camcli.models.weights.formats import WeightsFormat, inside, member, recognise

_LOADING = threading.Lock()
_LEGACY = 4 << 20  # raw numbers follow the pickle, and need not be searched for names


class StandIn:
    """Takes the place of an object that is not wanted: it keeps nothing and runs nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> StandIn:
        """Any arguments are taken."""
        return object.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class MappingStandIn:
    """Takes the place of a kind of dict: tensors may be in there, so the entries are kept."""

    def __new__(cls, *args: Any) -> Any:
        """A plain mapping; what the type was made with, such as a default, is left out."""
        return OrderedDict()


class ListStandIn:
    """Takes the place of a kind of list."""

    def __new__(cls, *args: Any) -> Any:
        """A plain list."""
        return []


_MAPPINGS = (
    "collections.defaultdict", "addict.addict.Dict", "easydict.EasyDict", "munch.Munch",
    "yacs.config.CfgNode", "fvcore.common.config.CfgNode", "box.box.Box", "attrdict.AttrDict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "lightning.pytorch.utilities.parsing.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict", "mmengine.config.config.ConfigDict",
    "mmcv.utils.config.ConfigDict", "builtins.dict", "collections.UserDict",
)  # fmt: skip
_LISTS = ("builtins.list", "collections.deque", "torch.nn.modules.container.ParameterList")
_PLAIN = (
    "argparse.Namespace", "types.SimpleNamespace", "typing.Any", "copyreg._reconstructor",
    "decimal.Decimal", "fractions.Fraction", "uuid.UUID", "builtins.object", "builtins.slice",
    "builtins.range", "builtins.frozenset", "builtins.tuple", "builtins.int", "builtins.float",
    "builtins.bool", "builtins.str", "builtins.bytes", "time.struct_time",
    "zoneinfo.ZoneInfo._unpickle", "tensorboard.compat.proto.summary_pb2.Summary",
    "ml_collections.config_dict.ConfigDict",
)  # fmt: skip
# Families whose members are as harmless as each other once they are stand-ins.
_FAMILIES = re.compile(
    r"(?:numpy|datetime|pathlib|omegaconf|collections|random|sklearn\.preprocessing"
    r"|torch\.optim|torch\.nn\.modules\.loss|torch\.cuda\.amp\.grad_scaler"
    r"|torch\.amp\.grad_scaler|timm\.scheduler|timm\.optim|transformers\.training_args"
    r"|(?:pytorch_lightning|lightning\.pytorch)\.callbacks)\..+"
)
_NAMED: dict[str, Any] = {
    **dict.fromkeys(_MAPPINGS, MappingStandIn),
    **dict.fromkeys(_LISTS, ListStandIn),
    **dict.fromkeys(_PLAIN, StandIn),
}
_REFUSED = re.compile(r"GLOBAL|allowlist|persistent_load")
# A global in a pickle: the opcode, a module and a name, each to the end of its line.
_GLOBAL = re.compile(rb"c([\w.]{1,200})\n([\w.]{1,200})\n")


def stand_in(name: str) -> type | None:
    """What is made in place of an object of the type `name`, or None if it is to be refused.

    Args:
        name: such as ``argparse.Namespace``.
    """
    return _NAMED.get(name) or (StandIn if _FAMILIES.fullmatch(name) else None)


def open_weights(path: Path) -> Any:
    """What a weight file holds, with tensors on the CPU.

    Args:
        path: a ``.safetensors`` file or one that ``torch.save`` wrote, whatever its name.

    Returns:
        What was saved; a mapping of tensors by name for safetensors.

    Raises:
        UsageError: there is no such file, or it is a folder.
        CamcliError: it is damaged or of another kind, or holds objects that are not plain values;
            these are named.
    """
    if not path.is_file():
        raise UsageError(f"There is no weight file {path}." + inside(path))
    kind = recognise(path)
    if kind == "safetensors":
        return _open_safetensors(path)
    return _open_torch(path, kind)


def _open_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError, AttributeError) as error:
        raise CamcliError(
            f"{path} is not a whole safetensors file, or is cut short ({_first_line(error)}): "
            "copy it again."
        ) from error


def _open_torch(path: Path, kind: WeightsFormat) -> Any:
    try:
        pickles = _pickles(path, kind)
        names = {f"{m.decode()}.{n.decode()}" for m, n in _GLOBAL.findall(pickles)}
        allowed: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = []
        for name in sorted(map(_modern, names) if len(names) < 10_000 else ()):
            if made := stand_in(name):
                allowed.append((made, name))
        # The list of what is allowed belongs to the whole process.
        with _LOADING, torch.serialization.safe_globals(allowed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CamcliError(_why_unreadable(path, kind, error)) from error


def _pickles(path: Path, kind: WeightsFormat) -> bytes:
    """The part of a torch file that is a pickle; the raw numbers come after it or beside it."""
    if kind == "torch":
        return member(path, lambda name: name.rpartition("/")[2] == "data.pkl")
    with open_regular(path) as file:
        return file.read(_LEGACY)


def _modern(name: str) -> str:
    """A name as Python 3 has it: pickles of protocol 2 use Python 2's."""
    module, _, own = name.rpartition(".")
    module, own = NAME_MAPPING.get((module, own), (module, own))
    return f"{IMPORT_MAPPING.get(module, module)}.{own}"


def _why_unreadable(path: Path, kind: WeightsFormat, error: Exception) -> str:
    words = str(error)
    if "tar format" in words:
        return f"{path} is in the tar format of torch 0.1, which cannot be opened safely."
    if "Unsupported operand" in words:
        return (
            f"{path} was pickled with a newer protocol than torch's safe reader takes: save "
            "`model.state_dict()` again with torch.save and no pickle_protocol."
        )
    if "Weights only load failed" in words and _REFUSED.search(words):
        return _why_refused(path, kind)
    # torch's own words often advise weights_only=False: whoever follows that runs what is in there.
    line = _first_line(error)
    why = type(error).__name__ if "weights_only" in line or len(line) > 120 else line
    return f"{path} is damaged or cut short ({why}): copy or download it again."


def _why_refused(path: Path, kind: WeightsFormat) -> str:
    """The objects besides tensors that are not in the list, by name."""
    from torch._weights_only_unpickler import _get_allowed_globals

    known = _get_allowed_globals()
    found: dict[str, None] = {}
    first, root = None, True
    for name, is_root in _globals(path, kind):
        if first is None:
            first, root = name, is_root
        if name not in known and stand_in(name) is None:
            found.setdefault(name)
    names = list(found)
    own = next((n for n in names if n.startswith("torch.nn.modules.")), None)
    if own is not None:
        network = first if root and first in found else names[0]
        return (
            f"{path} holds a whole network, pickled by torch.save(model): opening it runs the "
            f"code of {network} and of all that it names.\n"
            "If you trust it, save its weights alone where it was made, torch.save("
            f"torch.load('{path.name}', weights_only=False).state_dict(), 'weights.pth'), and "
            "give that; or return it from a function of your own, --model module:factory."
        )
    listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return (
        f"{path} holds Python objects besides tensors, which could run code when opened "
        f"({listed or 'of an unknown type'}): save `model.state_dict()` alone, with torch.save or "
        "as .safetensors."
    )


def _globals(path: Path, kind: WeightsFormat) -> Iterator[tuple[str, bool]]:
    """The types and functions that a pickle names, in order; whether one stands before any other.

    Nothing is executed: the opcodes are read as a text.
    """
    file: IO[bytes] = io.BytesIO(_pickles(path, kind))
    # A file of before torch 1.6 begins with its number, the protocol, and facts of the machine.
    for _ in range(3 if kind == "torch-legacy" else 0):
        for _op in pickletools.genops(file):
            pass
    texts: list[str] = []
    root = True
    for op, value, _ in itertools.islice(pickletools.genops(file), 3_000_000):
        if op.name == "GLOBAL":
            yield _modern(str(value).replace(" ", ".")), root
        elif op.name == "STACK_GLOBAL" and len(texts) > 1:
            yield _modern(".".join(texts[-2:])), root
        elif isinstance(value, str):
            texts = [*texts[-1:], value]
        root = root and op.name in ("PROTO", "FRAME", "MEMOIZE", "GLOBAL", "BINPUT")


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines() or [type(error).__name__]
    return text[0].rstrip(".")
