"""Opening a weight file without running what it says; or running it, where that is asked for.

``torch.load(weights_only=True)`` makes tensors and plain values. What has the name of a harmless
type beside them is made as a stand-in (`camcli.models.weights.allowed`), and what has another is
refused by its name. Only a file that the user trusts is opened as pickle does it.
"""

from __future__ import annotations

import pickle
import re
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

from camcli.errors import CamcliError, UsageError
from camcli.files import open_regular
from camcli.models.weights.allowed import stand_in
from camcli.models.weights.formats import ForeignFileError, WeightsFormat, inside, recognise
from camcli.models.weights.pickles import modern, named, network_in, pickled_part, whole_network

_LOADING = threading.Lock()
_REFUSED = re.compile(r"GLOBAL|allowlist|persistent_load")
# A global in a pickle: the opcode, a module and a name, each to the end of its line.
_GLOBAL = re.compile(rb"c([\w.]{1,200})\n([\w.]{1,200})\n")


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
        pickles = pickled_part(path, kind)
        names = {f"{m.decode()}.{n.decode()}" for m, n in _GLOBAL.findall(pickles)}
        allowed: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = []
        for name in sorted(map(modern, names) if len(names) < 10_000 else ()):
            if made := stand_in(name):
                allowed.append((made, name))
        # The list of what is allowed belongs to the whole process.
        with (
            _LOADING, torch.serialization.safe_globals(allowed), warnings.catch_warnings(),
            open_regular(path) as file,
        ):  # fmt: skip
            warnings.simplefilter("ignore")
            # A name that ends in .safetensors, which torch would believe, may be wrong.
            named_so = path.suffix == ".safetensors"
            return torch.load(file if named_so else path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CamcliError(_why_unreadable(path, kind, error)) from error


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
    for name, _ in named(path, kind):
        if name not in known and stand_in(name) is None:
            found.setdefault(name)
    names = list(found)
    if any(name.startswith("torch.nn.modules.") for name in names):
        return whole_network(path, network_in(path, kind) or names[0])
    listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return (
        f"{path} holds Python objects besides tensors, which could run code when opened "
        f"({listed or 'of an unknown type'}): save `model.state_dict()` alone, with torch.save or "
        "as .safetensors. If you trust the file, --trust-pickle opens it as it is."
    )


def open_trusted(path: Path, stand_for_main: ModuleType | None = None) -> Any:
    """What a pickled file holds, opened as pickle does it: THIS RUNS THE CODE THAT THE FILE NAMES.

    Args:
        path: what torch.save or pickle wrote; other files are opened as `open_weights` does.
        stand_for_main: where the classes of the script that made it are to be found.

    Raises:
        UsageError: there is no such file, or it needs code that is not here; says how to bring it.
        CamcliError: it is damaged, or of another kind.
    """
    if not path.is_file():
        raise UsageError(f"There is no weight file {path}." + inside(path))
    try:
        kind: str = recognise(path)
    except ForeignFileError as error:
        if error.form != "pickle":
            raise
        kind = "pickle"
    if kind == "safetensors":
        return _open_safetensors(path)

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if module == "__main__" and stand_for_main is not None:
                return getattr(stand_for_main, name)
            return super().find_class(module, name)

    try:
        with warnings.catch_warnings(), open_regular(path) as file:
            warnings.simplefilter("ignore")
            if kind == "pickle":
                return Unpickler(file).load()
            way = SimpleNamespace(
                Unpickler=Unpickler, load=lambda f, **k: Unpickler(f, **k).load(), __name__="pickle"
            )
            return torch.load(file, map_location="cpu", pickle_module=way, weights_only=False)
    except (Exception, SystemExit) as error:
        raise _why_not_made(path, error, kind) from error


def _why_not_made(path: Path, error: BaseException, kind: str) -> CamcliError:
    """Why a trusted file cannot be opened, and what it lacks."""
    if isinstance(error, ModuleNotFoundError):
        return UsageError(
            f"{path} needs the Python module '{error.name}', which is not in {Path.cwd()}, beside "
            "the file or among the installed packages: run camcli where its code lies, or install "
            "that."
        )
    if isinstance(error, AttributeError | ImportError):
        name = network_in(path, kind) or ""
        own = name.rpartition(".")[2]
        if "__main__" in str(error) or name.startswith("__main__."):
            return UsageError(
                f"{path} is an object of {own or 'a class'}, which was defined in the script that "
                f"made it: name that script, too, --model FILE.py:{own or 'CLASS'} --weights "
                f"{path} --trust-pickle."
            )
        return UsageError(
            f"{path} was made by other code than is installed here ({_first_line(error)}): install "
            "the version that made it, or save its state_dict() there."
        )
    return CamcliError(f"{path} cannot be opened: {type(error).__name__}: {_first_line(error)}.")


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines() or [type(error).__name__]
    return text[0].rstrip(".")
