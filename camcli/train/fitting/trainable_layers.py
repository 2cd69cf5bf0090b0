"""A network with a new head, of which some layers may learn."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import nn

from camcli.errors import UsageError
from camcli.models.classifier import Classifier
from camcli.models.cutting import cut_graph
from camcli.models.cutting.cut import LinearHead
from camcli.models.cutting.graph.fx_graph import PROBE, trace
from camcli.models.pooling.pooling import Pooling

NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)


class Tunable:
    """A copy of a network with a new head, of which some layers may learn.

    Attributes:
        net: images (B, 3, H, W) -> logits (B, C).
        head_name: name of its last, linear layer.
    """

    def __init__(
        self,
        module: nn.Module,
        classifier: Classifier,
        head: LinearHead,
        unfreeze: str,
        bn: str,
        pooling: Pooling | None = None,
    ) -> None:
        """Copy, replace the head, and choose what learns.

        Args:
            module: the whole network that `classifier` was cut from; it is not changed.
            classifier: what the cut gave.
            head: the new head.
            unfreeze: names of modules, separated by commas, or ``all``.
            bn: ``frozen`` keeps BatchNorm's statistics and weights; ``train`` lets those of the
                unfrozen layers learn.
            pooling: what `head` is given, if not the mean of the last map.

        Raises:
            UsageError: the network has no such module, or ends in more than global average pooling
                and a linear layer and cannot be traced.
        """
        name = find_head(module, classifier)
        self.net = copy.deepcopy(module).eval().requires_grad_(False)
        if name is None:
            self.net, name = _shortened(self.net, classifier, head, pooling)
        else:
            layer = self.net.get_submodule(name)
            parent, _, own = name.rpartition(".")
            setattr(self.net.get_submodule(parent), own, _like(layer, head).to(classifier.device))
        self.head_name = name
        fresh = self.net.get_submodule(name)
        self._unfrozen: list[nn.Module] = [
            self.net.get_submodule(n) for n in _before_head(module, self.net, unfreeze, pooling)
        ]
        self._bn = bn
        for part in (*self._unfrozen, fresh):
            part.requires_grad_(True)
        if bn == "frozen":
            for norm in self._batchnorms():
                norm.requires_grad_(False)

    def train_mode(self) -> None:
        """Dropout and the like work in the unfrozen layers; BatchNorm's statistics as asked for."""
        self.net.eval()
        for part in self._unfrozen:
            part.train()
        if self._bn == "frozen":
            for norm in self._batchnorms():
                norm.eval()

    def head(self) -> LinearHead:
        """The head as it is now, on the CPU."""
        layer = self.net.get_submodule(self.head_name)
        assert isinstance(layer, nn.Linear | nn.Conv2d)  # `_like` made it
        assert layer.bias is not None
        weight, bias = layer.weight.detach().cpu(), layer.bias.detach().cpu()
        return LinearHead(weight.flatten(1).float().clone(), bias.float().clone())

    def _batchnorms(self) -> Iterator[nn.Module]:
        for part in self._unfrozen:
            for module in part.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    yield module


def find_head(module: nn.Module, classifier: Classifier) -> str | None:
    """The linear layer (or 1x1 convolution) whose weights are the classifier's linear head."""
    if classifier.head is not None:
        ours = classifier.head.weight.cpu()
        for name, part in module.named_modules():
            if isinstance(part, nn.Linear | nn.Conv2d):
                weight = part.weight.detach().float().cpu()
                if weight.shape[:2] == ours.shape and torch.equal(
                    weight.reshape(-1), ours.reshape(-1)
                ):
                    return name
    return None


def _shortened(
    net: nn.Module, classifier: Classifier, head: LinearHead, pooling: Pooling | None
) -> tuple[nn.Module, str]:
    """The network up to the maps of its head, then GAP and a linear layer; and that layer's name.

    For networks that end in more, or in something else: VGG's three layers, a class token; and for
    heads on other statistics than the mean of the last map. Modules
    keep their names. Tracing fixes what a module's own code, not a layer in it, does in training:
    stochastic depth stays off.
    """
    shape = classifier.preprocess.shape
    probe = torch.randn(PROBE, *shape, generator=torch.Generator().manual_seed(0))
    try:
        with torch.no_grad():
            own = LinearHead(head.weight.clone(), head.bias.clone())
            whole = cut_graph.new_head(trace(net.cpu(), probe), own, probe, pooling).whole
    except Exception as error:  # whatever tracing meets in foreign code
        raise UsageError(
            f"--unfreeze: {classifier.provenance.name} does not end in global average pooling and "
            "one linear layer, and its code cannot be traced to replace what comes after its last "
            "map: leave --unfreeze out, or take another --backbone."
        ) from error
    whole.delete_all_unused_submodules()
    return whole.to(classifier.device).eval(), "_new_head.fc"


def _before_head(
    module: nn.Module, net: nn.Module, unfreeze: str, pooling: Pooling | None
) -> list[str]:
    """The modules that `unfreeze` names, which must be left in what comes before the new head.

    Raises:
        UsageError: the network has no such module, or its head is given nothing of it.
    """
    names = module_names(module, unfreeze)
    left = dict(net.named_modules())
    for name in names:
        if name not in left or not any(True for _ in left[name].parameters()):
            given = f"--pooling {pooling} takes" if pooling else "the new head is given"
            raise UsageError(
                f"--unfreeze: {name!r} comes after the maps that {given}, so there is nothing for "
                "it to learn: leave it out"
                + (", or add mean to --pooling, which is of the last map." if pooling else ".")
            )
    return names


def _like(layer: nn.Module, head: LinearHead) -> nn.Module:
    """A layer of the same kind as the old head, with the new head's weights."""
    classes, channels = head.weight.shape
    fresh: nn.Linear | nn.Conv2d
    if isinstance(layer, nn.Conv2d):
        fresh = nn.Conv2d(channels, classes, 1)
    else:
        fresh = nn.Linear(channels, classes)
    with torch.no_grad():
        fresh.weight.copy_(head.weight.reshape(fresh.weight.shape))
        fresh.bias.copy_(head.bias)  # type: ignore[union-attr]
    return fresh


def module_names(net: nn.Module, unfreeze: str) -> list[str]:
    """The named modules that have weights.

    Raises:
        UsageError: one does not exist; the message lists those at the top.
    """
    if unfreeze.strip() == "all":
        return [""]
    named = dict(net.named_modules())
    names = [name.strip() for name in unfreeze.split(",") if name.strip()]
    for name in names:
        if name not in named or not any(True for _ in named[name].parameters()):
            top = [n for n, part in net.named_children() if any(True for _ in part.parameters())]
            raise UsageError(
                f"--unfreeze: the backbone has no layer {name!r} with weights. It has "
                f"{', '.join(top)}, and what these hold, such as "
                f"{next(n for n in named if '.' in n)}; 'all' unfreezes everything."
            )
    if not names:
        raise UsageError("--unfreeze names no layer; give one such as layer4, or 'all'.")
    return names
