"""The second stage: some of the backbone's layers learn too, at a lower rate."""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from camcli.batch.engine import available_cores, keep_big_blocks
from camcli.data.images import load_image
from camcli.errors import CamcliError, UsageError
from camcli.models.classifier import Classifier
from camcli.models.cut import LinearHead
from camcli.train.features import View, autocast
from camcli.train.head import Recipe, batches, is_better, make_optimizer, rate, set_rate

NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)
DEFAULT_LR2 = {"adamw": 1e-4, "sgd": 1e-3, "lbfgs": 1e-4}


@dataclass(frozen=True)
class Images:
    """Images and what is in them: N paths, content hashes, and targets (N,) int64."""

    paths: Sequence[Path]
    contents: Sequence[str]
    targets: Tensor


class Tunable:
    """A copy of a network with a new head, of which some layers may learn.

    Attributes:
        net: images (B, 3, H, W) -> logits (B, C).
        head_name: name of its last, linear layer.
    """

    def __init__(
        self, module: nn.Module, classifier: Classifier, head: LinearHead, unfreeze: str, bn: str
    ) -> None:
        """Copy, replace the head, and choose what learns.

        Args:
            module: the whole network that `classifier` was cut from; it is not changed.
            classifier: what the cut gave.
            head: the new head.
            unfreeze: names of modules, separated by commas, or ``all``.
            bn: ``frozen`` keeps BatchNorm's statistics and weights; ``train`` lets those of the
                unfrozen layers learn.

        Raises:
            UsageError: the network has no linear head to replace, or no such module.
        """
        self.head_name = _head_name(module, classifier)
        self.net = copy.deepcopy(module).eval().requires_grad_(False)
        layer = self.net.get_submodule(self.head_name)
        fresh = _like(layer, head).to(classifier.device)
        parent, _, name = self.head_name.rpartition(".")
        setattr(self.net.get_submodule(parent), name, fresh)
        self._unfrozen: list[nn.Module] = [
            self.net.get_submodule(n) for n in _modules(self.net, unfreeze)
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

    def groups(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """The learning parameters: those with weight decay, those without."""
        free = {
            id(p)
            for m in self.net.modules()
            for n, p in m.named_parameters(recurse=False)
            if isinstance(m, NORMS) or n == "bias"
        }
        learning = [p for p in self.net.parameters() if p.requires_grad]
        return [p for p in learning if id(p) not in free], [p for p in learning if id(p) in free]

    def _batchnorms(self) -> Iterator[nn.Module]:
        for part in self._unfrozen:
            for module in part.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    yield module


@dataclass
class Progress:
    """Where fine-tuning stands; with `tensors` and `optimizer` all that a resume needs.

    Attributes:
        epoch: finished epochs.
        rows: one dict of numbers for each.
        best_row: the best so far, the first stage's included.
        waited: epochs since then.
        tensors: the network's state.
        optimizer: the optimizer's state.
    """

    epoch: int = 0
    rows: list[dict[str, float]] = field(default_factory=list)
    best_row: dict[str, float] | None = None
    waited: int = 0
    tensors: dict[str, Tensor] | None = None
    optimizer: dict[str, Any] | None = None


def fine_tune(
    tunable: Tunable,
    classifier: Classifier,
    train: Images,
    val: Images,
    recipe: Recipe,
    progress: Progress,
    *,
    augment: bool,
    after_epoch: Callable[[Progress, bool], object],
    advance: Callable[[int], object] = lambda count: None,
) -> None:
    """Train the unfrozen layers and the head on images.

    Args:
        tunable: the network; changed.
        classifier: gives preprocessing and device.
        train: the images; each epoch shows them in another order.
        val: judges the epochs; may be empty.
        recipe: solver, rate, epochs, ...
        progress: fresh, or restored to go on from.
        augment: show a new random view of each image in each epoch.
        after_epoch: called with each finished epoch and whether it is the best one.
        advance: called with a number of finished training images.
    """
    device = classifier.device
    if device.type == "cpu":
        keep_big_blocks()
    net = tunable.net.to(memory_format=torch.channels_last)
    optimizer = make_optimizer(*tunable.groups(), recipe)
    if progress.tensors is not None:
        net.load_state_dict(progress.tensors)
        optimizer.load_state_dict(progress.optimizer or {})
    targets = train.targets.to(device)
    steps = math.ceil(len(targets) / recipe.batch_size)
    while progress.epoch < recipe.epochs:
        if recipe.patience and progress.waited >= recipe.patience:
            return
        tunable.train_mode()
        number = progress.epoch if augment else None
        view = View(classifier, recipe.seed, number)
        order = list(batches(len(targets), recipe, progress.epoch))
        total = hits = 0.0
        for step, (batch, pixels) in enumerate(decoded(train, order, view)):
            lr = rate(progress.epoch + step / steps, 1 / steps, recipe)
            set_rate(optimizer, lr)
            with autocast(device):
                logits = net(_input(classifier, pixels))
            loss = recipe.loss(logits.float(), targets[batch])
            if not loss.isfinite():
                raise CamcliError(
                    f"The loss is not a finite number in epoch {progress.epoch + 1} of the second "
                    f"stage: try a lower rate than --lr2 {recipe.lr:g}."
                )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(batch)
            hits += float((logits.argmax(1) == targets[batch]).sum())
            advance(len(batch))
        progress.epoch += 1
        row: dict[str, float] = {
            "epoch": progress.epoch,
            "lr": lr,
            "train_loss": total / len(targets),
            "train_acc": hits / len(targets),
        }
        row |= _measure(tunable, classifier, val, recipe.batch_size)
        better = is_better(row, progress.best_row)
        progress.rows.append(row)
        progress.best_row = row if better else progress.best_row
        progress.waited = 0 if better else progress.waited + 1
        progress.tensors = {n: t.detach().cpu() for n, t in net.state_dict().items()}
        progress.optimizer = optimizer.state_dict()
        after_epoch(progress, better)


def decoded(images: Images, order: Sequence[Tensor], view: View) -> Iterator[tuple[Tensor, Tensor]]:
    """Each batch of indices with its pixels (B, 3, size, size) uint8, decoded ahead by threads.

    Raises:
        ImageError: an image could be read before and cannot now.
    """

    def read(i: int) -> Tensor:
        return view.pixels(load_image(images.paths[i]), images.contents[i])

    pool = ThreadPoolExecutor(max(2, available_cores()), thread_name_prefix="camcli-io")
    ahead: deque[tuple[Tensor, list[Future[Tensor]]]] = deque()
    waiting = iter(order)
    try:
        while True:
            while len(ahead) < 3 and (batch := next(waiting, None)) is not None:
                ahead.append((batch, [pool.submit(read, i) for i in batch.tolist()]))
            if not ahead:
                return
            batch, futures = ahead.popleft()
            yield batch, torch.stack([future.result() for future in futures])
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _input(classifier: Classifier, pixels: Tensor) -> Tensor:
    images = classifier.preprocess.normalise(pixels.to(classifier.device, non_blocking=True))
    return images.contiguous(memory_format=torch.channels_last)


def _measure(
    tunable: Tunable, classifier: Classifier, val: Images, batch_size: int
) -> dict[str, float]:
    """``val_loss`` and ``val_acc`` of the network as it is; empty without images."""
    if not len(val.targets):
        return {}
    tunable.net.eval()
    loss = hits = 0.0
    order = torch.arange(len(val.targets)).split(batch_size)
    with torch.inference_mode():
        for batch, pixels in decoded(val, order, View(classifier)):
            with autocast(classifier.device):
                logits = tunable.net(_input(classifier, pixels)).float().cpu()
            loss += float(F.cross_entropy(logits, val.targets[batch], reduction="sum"))
            hits += float((logits.argmax(1) == val.targets[batch]).sum())
    return {"val_loss": loss / len(val.targets), "val_acc": hits / len(val.targets)}


def _head_name(module: nn.Module, classifier: Classifier) -> str:
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
    raise UsageError(
        f"--unfreeze needs a backbone that ends in global average pooling and one linear layer, "
        f"and {classifier.provenance.name} does not: leave it out, or take another --backbone."
    )


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


def _modules(net: nn.Module, unfreeze: str) -> list[str]:
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
