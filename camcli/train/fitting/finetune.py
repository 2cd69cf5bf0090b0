"""The second stage: some of the backbone's layers learn too, at a lower rate."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from camcli.batch.lanes import keep_big_blocks
from camcli.data.decode.images import load_image
from camcli.data.decode.memory_budget import BUDGET
from camcli.errors import ImageError
from camcli.models.classifier import Classifier
from camcli.models.cutting.types import channels_last
from camcli.models.runtime.openvino import available_cores
from camcli.train.feature_pass.examples import Examples, gone
from camcli.train.feature_pass.features import ImageView
from camcli.train.feature_pass.sight import autocast
from camcli.train.fitting.head import judged
from camcli.train.fitting.loop import Recipe, StageState, make_optimizer, run_epochs
from camcli.train.fitting.trainable_layers import Tunable
from camcli.train.processes import ALONE, Team

DEFAULT_LR2 = {"adamw": 1e-4, "sgd": 1e-3}


@dataclass(kw_only=True)
class TuneState(StageState):
    """Where fine-tuning stands.

    Attributes:
        tensors: the network's state.
    """

    tensors: dict[str, Tensor] | None = None


def fine_tune(
    tunable: Tunable,
    classifier: Classifier,
    train: Examples,
    val: Examples,
    recipe: Recipe,
    progress: TuneState,
    *,
    augment: bool,
    after_epoch: Callable[[TuneState, bool], object],
    advance: Callable[[int], object] = lambda count: None,
    team: Team = ALONE,
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
        team: the processes that share each batch.
    """
    device = classifier.device
    if device.type == "cpu":
        keep_big_blocks()
    net = channels_last(tunable.net)
    if progress.tensors is not None:
        net.load_state_dict(progress.tensors)
    parallel = team.parallel(net, device)

    def examples(epoch: int, order: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        tunable.train_mode()
        view = ImageView(classifier, recipe.seed, epoch if augment else None)
        for batch, pixels in decoded(train, order, view):
            yield batch, pixels
            advance(len(batch) * team.size)

    def forward(pixels: Tensor) -> Tensor:
        with autocast(device):
            logits: Tensor = parallel(_input(classifier, pixels))
        return logits.float()

    def finish(row: dict[str, float]) -> None:
        team.share_buffers(net)
        better = progress.judge(row | _measure(tunable, classifier, val, recipe.batch_size, team))
        progress.tensors = {n: t.detach().cpu() for n, t in net.state_dict().items()}
        after_epoch(progress, better)

    optimizer = make_optimizer(*tunable.groups(), recipe)
    targets = train.targets.to(device)
    run_epochs(progress, recipe, optimizer, targets, examples, forward, finish, team)


def decoded(
    images: Examples, order: Iterable[Tensor], view: ImageView
) -> Iterator[tuple[Tensor, Tensor]]:
    """Each batch of indices with its pixels (B, 3, size, size) uint8, decoded ahead by threads.

    Raises:
        CamcliError: an image could be read before and cannot now.
    """
    refs, contents = images.refs, images.contents

    def read(i: int) -> Tensor:
        try:
            with BUDGET.held():
                return view.pixels(load_image(refs[i]), contents[i])
        except ImageError as error:
            raise gone(str(error)) from error

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
    tunable: Tunable, classifier: Classifier, val: Examples, batch_size: int, team: Team
) -> dict[str, float]:
    """The numbers of `judged` of the network as it is; empty without images."""
    targets = val.targets
    if not len(targets):
        return {}
    tunable.net.eval()
    own = team.part(torch.arange(len(targets)))
    order = own.split(batch_size) if len(own) else ()
    found = []
    with torch.inference_mode():
        for _, pixels in decoded(val, order, ImageView(classifier)):
            with autocast(classifier.device):
                found.append(tunable.net(_input(classifier, pixels)).float().cpu())
    return judged(*_together(found, targets, team))


def _together(found: list[Tensor], targets: Tensor, team: Team) -> tuple[Tensor, Tensor]:
    """The logits (N, C) that all processes found, and the targets in their order."""
    parts = [torch.cat(found)] if found else []
    if team.size == 1:
        return parts[0], targets
    order = torch.arange(len(targets))
    logits = [each for part in team.gather(parts) for each in part]
    return torch.cat(logits), targets[torch.cat([order[r :: team.size] for r in range(team.size)])]
