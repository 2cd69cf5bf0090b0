"""What torchvision's files say of its weights: addresses, sizes, accuracies.

Importing torchvision takes seconds, and a list needs none of its networks. Its files are parsed and
nothing of them is run; a test holds what is read here against what torchvision says of itself.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from camcli.models.spec import torchvision_files
from camcli.models.weights.places import WeightFile

_ENUM = re.compile(r"\w+_Weights")


@dataclass(frozen=True)
class PublishedWeights:
    """One set of weights.

    Attributes:
        name: as ``--weights`` takes it.
        url: where the network has it.
        parameters: how many the network has, or None if the file does not say; so for the others.
        size: of the file in bytes.
        top1: ImageNet accuracy in [0, 1].
    """

    name: str
    url: str
    parameters: int | None
    size: int | None
    top1: float | None

    def file(self, model: str) -> WeightFile:
        """As a file of `model`."""
        return WeightFile(model, self.url.rsplit("/", 1)[-1], self.url, self.size)


@dataclass(frozen=True)
class TorchvisionModel:
    """One classifier.

    Attributes:
        family: the file that it is in.
        weights: what there is for it, the default first.
    """

    family: str
    weights: tuple[PublishedWeights, ...]


@cache
def torchvision_models() -> dict[str, TorchvisionModel]:
    """Torchvision's classifiers by name; empty if its files are not there."""
    found = {}
    for file in torchvision_files():
        tree = ast.parse(file.read_text("utf-8"))
        common = dict(_assigned(tree.body))
        sets = {
            node.name: _members(node, common)
            for node in tree.body
            if isinstance(node, ast.ClassDef) and _ENUM.fullmatch(node.name)
        }
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and _is_model(node):
                found[node.name] = TorchvisionModel(file.stem, sets.get(_enum_of(node), ()))
    return found


def _assigned(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    """Names and what stands behind their equals sign."""
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            yield node.target.id, node.value


def _members(enum: ast.ClassDef, common: dict[str, ast.expr]) -> tuple[PublishedWeights, ...]:
    """The members of an enum of weights, the one that DEFAULT names first."""
    found, default = [], ""
    for name, value in _assigned(enum.body):
        if isinstance(value, ast.Name) and name == "DEFAULT":
            default = value.id
        elif isinstance(value, ast.Call):
            said = {each.arg: each.value for each in value.keywords}
            meta = _plain(said.get("meta"), common)
            accuracy = meta.get("_metrics", {}).get("ImageNet-1K", {}).get("acc@1")
            megabytes = meta.get("_file_size")
            found.append(
                PublishedWeights(
                    name=name,
                    url=_plain(said.get("url"), common),
                    parameters=meta.get("num_params"),
                    size=int(megabytes * 2**20) if megabytes else None,
                    top1=round(accuracy / 100, 5) if accuracy else None,
                )
            )
    return tuple(sorted(found, key=lambda each: each.name != default))


def _plain(node: ast.expr | None, common: dict[str, ast.expr]) -> Any:
    """What is written there, as a value; tables that are taken in are looked up, the rest is None.

    Args:
        node: an expression.
        common: the file's own names.
    """
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return _plain(common.get(node.id), {}) if node.id in common else None
    if isinstance(node, ast.Dict):
        values: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            inner = common[value.id] if key is None and isinstance(value, ast.Name) else value
            if key is None:  # **_COMMON_META
                values |= _plain(inner, common) or {}
            else:
                values[_plain(key, common)] = _plain(value, common)
        return values
    return None


def _is_model(node: ast.FunctionDef) -> bool:
    """Whether it is decorated by ``@register_model``."""
    return any("register_model" in ast.unparse(each) for each in node.decorator_list)


def _enum_of(node: ast.FunctionDef) -> str:
    """The name of the enum that its argument ``weights`` is of."""
    for each in (*node.args.args, *node.args.kwonlyargs):
        if each.arg == "weights" and each.annotation is not None:
            match = _ENUM.search(ast.unparse(each.annotation))
            return match[0] if match else ""
    return ""
