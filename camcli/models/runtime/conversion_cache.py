"""Converted networks on disk, so that a later process need not convert, or calibrate, them again.

Each is a folder named after the content of all that decides it, so a changed network is another one
and nothing goes stale. The newest few stay. Whatever keeps one from being read or written costs
time only, and what comes from here is compared with torch like anything else.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from camcli.data.datasets.paths import cache_home
from camcli.files import whole_folder
from camcli.models.runtime.openvino import Converted
from camcli.models.runtime.openvino_core import core, imported

log = logging.getLogger(__name__)

# Part of each name: goes up with what `convert` does.
_FORMAT = 2
# So many networks of each kind stay on disk.
_KEPT = 8
# Code that a version number stands for.
_VERSIONED = {"camcli", "torch", "torchvision", "timm", "openvino", "nncf"}
_BUILT_IN = {"builtins", "math", "operator", "_operator"}


def kept(kind: str, name: str | None, make: Callable[[], Converted]) -> Converted:
    """A network from the disk; made, and kept there, if it is not.

    Args:
        kind: folder of its like.
        name: from `name_of`; None keeps nothing.
        make: makes it.
    """
    ov = imported("openvino")

    if name is None:
        return make()
    folder = cache_home() / kind / name
    try:
        about = json.loads((folder / "outputs.json").read_text("utf-8"))
        rows = None if about["rows"] is None else tuple(about["rows"])
        model = core().read_model(folder / "model.xml")
        os.utime(folder)
        return Converted(model, rows, tuple(about["per_image"]))
    except (OSError, RuntimeError, ValueError, KeyError, TypeError):  # not there, or not whole
        made = make()
    try:
        with whole_folder(folder) as part:
            ov.save_model(made.model, part / "model.xml", compress_to_fp16=False)
            text = json.dumps({"rows": made.rows, "per_image": made.per_image})
            (part / "outputs.json").write_text(text, "utf-8")
        _prune(folder.parent)
    except (OSError, RuntimeError) as error:
        log.debug("cannot keep the converted network: %s", error)
    return made


def name_of(backbone: nn.Module, *about: Any, pixels: Iterable[Tensor] = ()) -> str | None:
    """A name for the content of everything that decides a converted network.

    Args:
        backbone: what is converted.
        about: what else decides it, as plain JSON values.
        pixels: what it was calibrated on.

    Returns:
        None where code decides that nothing stands for: that of a network of one's own which could
        not be traced.
    """
    modules = list(backbone.modules())
    if not all(_is_told(module) for module in modules):
        return None
    described = [
        _FORMAT,
        {package: _version(package) for package in sorted(_VERSIONED)},
        str(backbone),
        [m.code for m in modules if isinstance(m, fx.GraphModule)],
        [_settings(m) for m in modules if _package(type(m)) == "camcli"],
        *about,
    ]
    digest = hashlib.sha256(json.dumps(described).encode())
    for name, value in (*backbone.named_parameters(), *backbone.named_buffers()):
        _add(digest, name, value)
    for image in pixels:
        _add(digest, "image", image)
    return digest.hexdigest()[:32]


def _is_told(module: nn.Module) -> bool:
    """Whether its text, its graph's code and versions say what it computes."""
    if isinstance(module, fx.GraphModule):
        functions = [n.target for n in module.graph.nodes if n.op == "call_function"]
        return all(_package(f) in _VERSIONED | _BUILT_IN for f in functions)
    return _package(type(module)) in _VERSIONED


def _package(thing: Any) -> str:
    return (getattr(thing, "__module__", None) or "builtins").partition(".")[0]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _settings(module: nn.Module) -> dict[str, str]:
    """The attributes that are no modules, parameters or buffers."""
    own = {key: value for key, value in vars(module).items() if key[0] != "_"}
    return {key: repr(value) for key, value in own.items() if key != "training"}


def _add(digest: Any, name: str, value: Tensor) -> None:
    digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
    digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)


def _prune(folder: Path) -> None:
    """Delete all but the newest."""
    there = [path for path in folder.iterdir() if not path.name.startswith(".")]
    for path in sorted(there, key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT:]:
        shutil.rmtree(path, ignore_errors=True)
