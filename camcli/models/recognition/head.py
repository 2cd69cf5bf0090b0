"""The head that somebody put on a network, rebuilt from its tensors where they leave no doubt.

Tensors say which layers have weights, how wide they are, and, where the layers have numbers for
names, how many others stand between them. What has no weights is not told: of that, dropout,
flattening and identities make no difference; an activation between two linear layers does. The one
that the architecture has between such layers is assumed and said, or else ReLU. Everything else is
refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from camcli.models.recognition.forest import COUNTER, Sizes

_NORM_1D = {"weight", "bias", "running_mean", "running_var"}


class DoubtError(Exception):
    """Tensors that do not say what they are; the message goes into the middle of a sentence."""


@dataclass(frozen=True)
class HeadPlan:
    """A head.

    Attributes:
        layers: in order, each with its name in the file (without a dot behind) and its module; the
            activations that are assumed have no name.
        classes: how many it ends in.
        assumed: what its tensors do not say, for a note; empty if nothing was assumed.
    """

    layers: tuple[tuple[str, nn.Module], ...]
    classes: int
    assumed: str = ""

    @property
    def told(self) -> str:
        """Such as ``Linear 512-256, ReLU, Linear 256-7``."""
        return ", ".join(_told(module) for _, module in self.layers)

    def module(self, *, flattened: bool = False) -> tuple[nn.Module, dict[str, str]]:
        """The untrained head, and its tensors' names by those in the file.

        Args:
            flattened: its input is flattened first: the network's pooling leaves (B, C, 1, 1).
        """
        before: list[nn.Module] = [nn.Flatten(1)] if flattened else []
        if len(self.layers) == 1 and not before:
            ((name, only),) = self.layers
            return only, {f"{name}.{n}" if name else n: n for n in only.state_dict()}
        body = nn.Sequential(*before, *(module for _, module in self.layers))
        renamed = {
            f"{name}.{n}" if name else n: f"{place}.{n}"
            for place, (name, module) in enumerate(self.layers, len(before))
            for n in module.state_dict()
        }
        return body, renamed


def planned(
    tensors: Mapping[str, Sizes], features: int, instead: nn.Module | None = None
) -> HeadPlan:
    """What a head's tensors say.

    Args:
        tensors: by their names in the file, in its order.
        features: how many numbers come into it.
        instead: what the architecture has in its place: widths of it may have been changed and its
            activations kept (torchvision's MobileNetV3 has Hardswish there).

    Raises:
        DoubtError: they leave open what it is.
    """
    groups: dict[str, dict[str, Sizes]] = {}
    for name, shape in tensors.items():
        layer, _, own = name.rpartition(".")
        if own != COUNTER:
            groups.setdefault(layer, {})[own] = shape
    names = _ordered(list(groups))
    layers: list[tuple[str, nn.Module]] = []
    width, last = features, None
    assumed = False
    for place, name in enumerate(names):
        module, width = _layer(name, groups[name], width)
        if isinstance(module, nn.Linear):
            if last is not None and _gap(names[last], names[place], names[last : place + 1]):
                layers.append(("", _activation(instead)))
                assumed = True
            last = place
        layers.append((name, module))
    if last is None or last != len(names) - 1:
        raise DoubtError("it does not end in a linear layer")
    if assumed:
        layers = _activation_in_its_place(layers)
    between = type(_activation(instead)).__name__
    note = (
        f"{between} between its layers is ASSUMED, since tensors do not say it" if assumed else ""
    )
    return HeadPlan(tuple(layers), width, note)


def _activation(instead: nn.Module | None) -> nn.Module:
    """What stands between the linear layers of a head, ReLU where nothing does."""
    seen = False
    for module in instead.modules() if instead is not None else ():
        if isinstance(module, nn.Linear):
            seen = True
        elif seen and type(module).__module__ == nn.ReLU.__module__:  # torch's activations
            return type(module)()
    return nn.ReLU()


def _ordered(names: list[str]) -> list[str]:
    """Layers in the order of their numbers where they have such, else in the file's."""
    parents = {name.rpartition(".")[0] for name in names}
    if len(parents) == 1 and all(name.rpartition(".")[2].isdigit() for name in names):
        return sorted(names, key=lambda name: int(name.rpartition(".")[2]))
    return names


def _gap(one: str, other: str, between: list[str]) -> bool:
    """Whether something without tensors may stand between two linear layers."""
    parent, _, first = one.rpartition(".")
    parent_too, _, second = other.rpartition(".")
    if parent == parent_too and first.isdigit() and second.isdigit():
        return int(second) - int(first) >= len(between)
    return True  # layers by their own names: a forward of one's own, which usually has one


def _activation_in_its_place(layers: list[tuple[str, nn.Module]]) -> list[tuple[str, nn.Module]]:
    """The activation behind the norm after a linear layer, unless numbers say that it is before.

    ``Linear, ReLU, BatchNorm, Dropout, Linear`` has a number left out before the norm;
    ``Linear, BatchNorm, ReLU, Linear`` has one left out after it.
    """
    placed: list[tuple[str, nn.Module]] = []
    waiting = False
    activation = next(module for name, module in layers if not name)
    for name, module in layers:
        if not name:  # what was assumed
            if not waiting:
                placed.append((name, module))
            waiting = False
            continue
        norm_after_linear = placed and isinstance(placed[-1][1], nn.Linear) and not isinstance(
            module, nn.Linear
        )  # fmt: skip
        if norm_after_linear and _numbers_apart(placed[-1][0], name) > 1:
            placed.append(("", activation))
            waiting = True
        placed.append((name, module))
    return placed


def _numbers_apart(one: str, other: str) -> int:
    first, second = one.rpartition(".")[2], other.rpartition(".")[2]
    return int(second) - int(first) if first.isdigit() and second.isdigit() else 1


def _layer(name: str, tensors: Mapping[str, Sizes], width: int) -> tuple[nn.Module, int]:
    """A layer and what it gives.

    Raises:
        DoubtError: another kind of layer, or one for another width.
    """
    weight = tensors.get("weight", ())
    own = set(tensors)
    if len(weight) == 2 and own <= {"weight", "bias"}:
        outputs, inputs = weight
        if inputs != width:
            raise DoubtError(f"{name or 'it'} takes {inputs} numbers, and {width} come to it")
        if "bias" in own and tensors["bias"] != (outputs,):
            raise DoubtError(f"the weight and the bias of {name or 'it'} are for other sizes")
        return nn.Linear(inputs, outputs, bias="bias" in own), outputs
    if own == _NORM_1D and set(tensors.values()) == {(width,)}:
        return nn.BatchNorm1d(width), width
    if own == {"running_mean", "running_var"} and set(tensors.values()) == {(width,)}:
        return nn.BatchNorm1d(width, affine=False), width
    if own == {"weight", "bias"} and set(tensors.values()) == {(width,)}:
        return nn.LayerNorm(width), width
    raise DoubtError(f"{name or 'it'} is neither linear nor a norm of {width} numbers")


def _told(module: nn.Module) -> str:
    if isinstance(module, nn.Linear):
        return f"Linear {module.in_features}-{module.out_features}"
    return {"BatchNorm1d": "BatchNorm"}.get(type(module).__name__, type(module).__name__)
