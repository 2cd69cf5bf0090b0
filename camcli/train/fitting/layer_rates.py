"""How fast each layer learns: the head at the full rate, what is further from it more slowly.

What the first layers of a pretrained network see, edges and colours, is of use for any pictures;
what the last ones see is of those it was trained on. So a stage of the network learns at
``layer_decay`` times the rate of the one after it (Howard and Ruder 2018).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from camcli.train.fitting.loop import RateGroup
from camcli.train.fitting.trainable_layers import NORMS, Tunable

MOST = 0.75
"""A part of a network with more than this share of its layers is no stage, but holds them."""


def learning_rates(tunable: Tunable, blank: Tensor, layer_decay: float) -> list[RateGroup]:
    """The parameters that learn, in groups of one rate and one weight decay.

    Args:
        tunable: the network.
        blank: (1, 3, H, W), any picture as the network takes it.
        layer_decay: the rate of a stage, as a share of that of the stage after it.
    """
    stages = stages_in_order(tunable.net, tunable.head_name, blank)
    depth = {f"{name}.": n for n, names in enumerate(stages) for name in names}
    free = {
        id(p)
        for m in tunable.net.modules()
        for n, p in m.named_parameters(recurse=False)
        if isinstance(m, NORMS) or n == "bias"
    }
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, p in tunable.net.named_parameters():
        if not p.requires_grad:
            continue
        # What is in no stage, such as the embedding of positions, comes before all of them.
        stage = next((n for prefix, n in depth.items() if name.startswith(prefix)), 0)
        if name.startswith(f"{tunable.head_name}."):
            stage = len(stages)
        groups.setdefault((stage, id(p) not in free), []).append(p)
    return [
        RateGroup(params, decays, layer_decay ** (len(stages) - stage))
        for (stage, decays), params in sorted(groups.items())
    ]


def stages_in_order(net: nn.Module, head: str, blank: Tensor) -> list[list[str]]:
    """Names of modules with weights, stage by stage, as a picture goes through them.

    The network's own parts are its stages, such as ``layer1`` to ``layer4``; where one of them
    holds nearly all of its layers, such as ``features``, the parts of that. A normalisation
    belongs to the stage before it. The head is not among them.

    Args:
        net: the network; run once.
        head: name of its last layer.
        blank: (1, 3, H, W), any picture.
    """
    names = _parts(net, "", head)
    called = _order(net, blank)
    first = {name: _first(called, name) for name in names}
    stages: list[list[str]] = []
    for name in sorted(names, key=lambda name: first[name]):  # stable: as they were registered
        weighty = any(p.ndim > 1 for p in net.get_submodule(name).parameters())
        if weighty or not stages:
            stages.append([name])
        else:
            stages[-1].append(name)
    return stages


def _parts(net: nn.Module, within: str, head: str) -> list[str]:
    """The parts of the module called `within`, those of one that is nearly all of it in its place.

    Without the head, and what has no weights.
    """
    prefix = f"{within}." if within else ""
    weights = {
        prefix + name: [
            f"{prefix}{name}.{n}"
            for n, p in part.named_parameters()
            if not f"{prefix}{name}.{n}".startswith(f"{head}.")
        ]
        for name, part in net.get_submodule(within).named_children()
    }
    layers = {
        name: sum(net.get_parameter(n).ndim > 1 for n in own) for name, own in weights.items()
    }
    names = [name for name, own in weights.items() if own]
    for at, name in enumerate(names):
        if layers[name] > MOST * sum(layers.values()) and (inner := _parts(net, name, head)):
            return names[:at] + inner + names[at + 1 :]
    return names


def _order(net: nn.Module, blank: Tensor) -> list[str]:
    """Names of the modules in the order of their first call."""
    called: dict[str, None] = {}
    hooks = [
        part.register_forward_pre_hook(lambda *_, name=name: called.setdefault(name, None))
        for name, part in net.named_modules()
        if name
    ]
    try:
        net.eval()
        with torch.no_grad():
            net(blank)
    finally:
        for hook in hooks:
            hook.remove()
    return list(called)


def _first(called: list[str], name: str) -> int:
    """When the module or one in it was first called; last, where it never was."""
    return next(
        (n for n, one in enumerate(called) if one == name or one.startswith(f"{name}.")),
        len(called),
    )
