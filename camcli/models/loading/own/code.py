"""Networks that code of the user's own builds: ``module:factory`` or ``path/file.py:factory``."""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from camcli.errors import UsageError
from camcli.models.loading.builder import (
    BuiltModel,
    fill,
    provenance,
    reason,
    weight_path,
)
from camcli.models.loading.own.cuda_code import without_cuda
from camcli.models.loading.own.file import import_file, one_factory
from camcli.models.loading.own.module import of_module
from camcli.models.loading.own.wrappers import check_has_values, unwrapped
from camcli.models.loading.sources import AskedModel
from camcli.models.spec import check_own_code, code_file, is_file_of_code, own_code_parts
from camcli.models.weights.files import read_candidates
from camcli.models.weights.state_dict import Candidates, head_rows, match

# What factories call the number of classes.
_COUNTS = ("num_classes", "n_classes", "num_labels", "nclass", "nb_classes", "num_class", "classes")


def build(asked: AskedModel) -> BuiltModel:
    """What the user's own factory makes (`camcli.models.loading.own.module.of_module`)."""
    name, weights, key = asked.name, asked.weights, asked.weights_key
    module = _call_factory(name)
    if weights == "random":
        raise UsageError(
            f"--weights random: what {name} returns is used as it is; let the factory leave it "
            "untrained."
        )
    where, what = own_code_parts(name)
    chosen = "" if what else f"{where}: {_called(_find_factory(name))} builds the network."
    found: Candidates | None = None
    if weights is None:
        made = provenance(name, "factory", None, "user", notes=[chosen])
    else:
        module, _ = unwrapped(module)  # within wrappers tensors have other names than in files
        path = weight_path(weights, name)
        own = _imported(name, where) if asked.trust_pickle else None
        found, digest = read_candidates(path, trust=asked.trust_pickle, stand_for_main=own)
        count = head_rows(found, module, key)
        # Of classes, and nothing else differs: the factory may build that many.
        if count is not None and (option := _count_option(name)):
            module, _ = unwrapped(_call_factory(name, **{option: count}))
        fits = match(found, module, model=name, key=key)
        fill(module, fits, str(path))
        made = provenance(name, str(path), digest, "user", key, [chosen, fits.note])
    return of_module(module, asked, made, found)


def _count_option(name: str) -> str | None:
    """The argument of a factory that takes the number of classes, or None."""
    factory = _find_factory(name)
    try:
        taken = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return None
    return next((each for each in _COUNTS if each in taken), None)


def _find_factory(name: str) -> Any:
    """Import ``package.module:factory`` or ``path/file.py:factory``."""
    where, what = own_code_parts(name)
    if not is_file_of_code(where) and not (what and all(where.split("."))):
        raise UsageError(
            f"--model {name}: a model of your own is written module:factory or FILE.py:FACTORY."
        )
    try:
        factory = _imported(name, where)
    except ModuleNotFoundError as error:
        by_name = not is_file_of_code(where)
        if by_name and error.name and (where == error.name or where.startswith(f"{error.name}.")):
            raise UsageError(
                f"--model {name}: there is no Python module '{where}' in {Path.cwd()} or among the "
                "installed packages; a model is written module:factory or FILE.py:FACTORY."
            ) from error
        raise UsageError(f"--model {name}: importing {where} fails: {reason(error)}.") from error
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"--model {name}: importing {where} fails: {type(error).__name__}: {reason(error)}."
        ) from error
    for part in (what or one_factory(factory, where)).split("."):
        if not hasattr(factory, part):
            callables = [n for n, v in vars(factory).items() if callable(v) and n[0] != "_"]
            near = difflib.get_close_matches(part, callables, n=3)
            hint = f"; did you mean {' or '.join(near)}?" if near else "."
            raise UsageError(f"--model {name}: {where} has no '{part}'{hint}")
        factory = getattr(factory, part)
    return factory


def _imported(name: str, where: str) -> Any:
    if is_file_of_code(where):
        check_own_code(name)
        return import_file(code_file(where))
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    return importlib.import_module(where)


def _call_factory(name: str, **options: int) -> nn.Module:
    """What ``package.module:factory`` returns."""
    factory = _find_factory(name)
    what = own_code_parts(name)[1] or _called(factory)
    if isinstance(factory, nn.Module):
        return _on_cpu(factory, name)
    if not callable(factory):
        raise UsageError(f"--model {name}: '{what}' is a {type(factory).__name__}, not a function.")
    try:
        with without_cuda():
            module = factory(**options)
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"--model {name}: {what}() fails: {type(error).__name__}: {reason(error)}."
        ) from error
    if isinstance(module, torch.export.ExportedProgram):
        module = module.module(check_guards=False)
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"--model {name}: {what}() returned a {type(module).__name__}, not a torch.nn.Module."
        )
    return _on_cpu(module, name)  # it is tried and cut there, and then moved to where it runs


def _on_cpu(module: nn.Module, name: str) -> nn.Module:
    check_has_values(module, name)
    return module.cpu()


def _called(factory: Any) -> str:
    """What a factory is called in its file."""
    return str(getattr(factory, "__name__", None) or type(factory).__name__)
