"""A Python file of the user's own, imported as when it were run from its folder.

What lies beside it is found by its imports. Two files of one name in two folders are two modules,
and so are the files beside them that have one name.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from torch import nn

from camcli.errors import UsageError

# What files that build a network call the function.
_FACTORIES = ("build", "build_model", "get_model", "make_model", "create_model", "model", "net")
_IMPORTING = threading.RLock()
_beside: dict[Path, dict[str, ModuleType]] = {}


def import_file(path: Path) -> ModuleType:
    """The module that a file is; its code runs once, however often it is asked for.

    Args:
        path: a ``.py`` file, or a folder with an ``__init__.py``.

    Raises:
        Exception: whatever its code raises.
    """
    path = path.resolve()
    package = path.is_dir()
    digest = hashlib.sha256(str(path).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    # A name that no installed module has, and that says in a traceback what it is.
    name = f"{path.stem}_{digest}" if path.stem.isidentifier() else f"own_{digest}"
    with _IMPORTING:
        _look_beside(path.parent)
        if name in sys.modules:
            return sys.modules[name]
        if not package and (path.parent / "__init__.py").is_file() and _is_relative(path):
            return _in_package(path)
        file = path / "__init__.py" if package else path
        spec = importlib.util.spec_from_file_location(
            name, file, submodule_search_locations=[str(path)] if package else None
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"{file} is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses and pickles look there while it is being made
        try:
            spec.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(name, None)
            raise
        return module


@contextmanager
def looking_beside(*folders: Path) -> Iterator[None]:
    """Let imports find what lies in some folders and in the current one; the first goes first."""
    with _IMPORTING:
        for folder in (Path.cwd(), *reversed(folders)):
            _look_beside(folder.resolve())
        yield


def _is_relative(path: Path) -> bool:
    """Whether a file imports from its own package: ``from .blocks import Block``."""
    lines = path.read_text("utf-8", "replace").splitlines()
    return any(line.lstrip().startswith("from .") for line in lines)


def _in_package(path: Path) -> ModuleType:
    """A file that is part of a package, by its dotted name."""
    root, parts = path.parent, [path.stem]
    while (root / "__init__.py").is_file():
        parts.insert(0, root.name)
        root = root.parent
    _look_beside(root)
    return importlib.import_module(".".join(parts))


def _look_beside(folder: Path) -> None:
    """Let imports look into a folder first, and not find another folder's modules there."""
    for other, kept in _beside.items():
        if other == folder:
            continue
        for name, module in list(sys.modules.items()):
            top = name.partition(".")[0]
            own = (folder / f"{top}.py").is_file() or (folder / top).is_dir()
            if own and _lies_in(module, other) and not _lies_in(module, folder):
                kept[name] = sys.modules.pop(name)
    for name, module in _beside.setdefault(folder, {}).items():
        sys.modules.setdefault(name, module)
    text = str(folder)
    if text in sys.path:
        sys.path.remove(text)
    sys.path.insert(0, text)
    importlib.invalidate_caches()


def _lies_in(module: object, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and Path(file).is_relative_to(folder)


def one_factory(module: ModuleType, asked: str) -> str:
    """The name of what builds the network in a file, where only one thing can be meant.

    A function with one of the usual names, or else the only ``nn.Module`` class of the file whose
    arguments all have defaults.

    Args:
        module: the file's.
        asked: how the user named the file, for the error.

    Raises:
        UsageError: there is none, or several; names them.
    """
    own = {
        name: value
        for name, value in vars(module).items()
        if name[0] != "_" and getattr(value, "__module__", None) == module.__name__
    }
    usual = [n for n in _FACTORIES if inspect.isfunction(own.get(n)) and _takes_nothing(own[n])]
    classes = [n for n, v in own.items() if inspect.isclass(v) and issubclass(v, nn.Module)]
    # Blocks are classes, too, and most take arguments.
    ready = [n for n in classes if _takes_nothing(own[n])]
    made = [n for n, v in vars(module).items() if isinstance(v, nn.Module) and n[0] != "_"]
    for found in (usual, made, ready):
        if len(found) == 1:
            return found[0]
        if found:
            break
    functions = [n for n, v in own.items() if inspect.isfunction(v)]
    there = list(dict.fromkeys([*usual, *made, *classes, *functions]))
    if not there:
        raise UsageError(
            f"--model {asked}: it has no function or torch.nn.Module class of its own that could "
            "build the network."
        )
    several = "several things" if len(there) > 1 else "nothing that builds a network by itself"
    raise UsageError(
        f"--model {asked}: it has {several}: write which one builds the network, --model "
        + " or ".join(f"{asked}:{name}" for name in there[:4])
        + (", ..." if len(there) > 4 else "")
        + "."
    )


def _takes_nothing(callable_: object) -> bool:
    """Whether it can be called without arguments."""
    try:
        taken = inspect.signature(callable_).parameters.values()  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    empty, optional = inspect.Parameter.empty, (
        inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD,
    )  # fmt: skip
    return all(each.default is not empty or each.kind in optional for each in taken)
