"""The second stage: some of the backbone's layers learn too, each at its own rate."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
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
from camcli.train.fitting.average import MovingAverage
from camcli.train.fitting.head import judged
from camcli.train.fitting.layer_rates import learning_rates
from camcli.train.fitting.loop import (
    Recipe,
    StageState,
    is_better,
    make_optimizer,
    run_epochs,
)
from camcli.train.fitting.trainable_layers import Tunable
from camcli.train.fitting.variation import Mixer, TuningView
from camcli.train.processes import ALONE, Team
from camcli.train.ranges import Variation

DEFAULT_LR2 = {"adamw": 3e-4, "sgd": 1e-3}


@dataclass(frozen=True, slots=True)
class Tuning:
    """What fine-tuning takes besides a recipe; see `TrainConfig` for the names.

    Attributes:
        variation: how images are varied anew in each epoch, one of `TrainConfig.augment2`.
        layer_decay: the rate of a stage, as a share of that of the stage after it.
        ema: share of the moving average that a step leaves; 0 for no average.
        mixup: alpha of the shares by which pictures are mixed; 0 for not at all.
        randaugment: magnitude; 0 for none.
    """

    variation: Variation = "none"
    layer_decay: float = 1.0
    ema: float = 0.0
    mixup: float = 0.0
    randaugment: int = 0


@dataclass(kw_only=True)
class TuneState(StageState):
    """Where fine-tuning stands.

    Attributes:
        tensors: the network's state.
        average: the moving average's, where there is one.
        averaged: the steps in it.
        tuned_row: the best epoch's numbers, be it better or worse than what the stage began with.
        tuned: the logits (N, C) of the validation images in that epoch.
    """

    tensors: dict[str, Tensor] | None = None
    average: dict[str, Tensor] | None = None
    averaged: int = 0
    tuned_row: dict[str, float] | None = None
    tuned: Tensor | None = None


def fine_tune(
    tunable: Tunable,
    classifier: Classifier,
    train: Examples,
    val: Examples,
    recipe: Recipe,
    progress: TuneState,
    *,
    tuning: Tuning,
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
        tuning: rates of layers, average, and how images are varied.
        after_epoch: called with each finished epoch and whether it is the best one, when the
            network holds what was judged: its average, where there is one.
        advance: called with a number of finished training images.
        team: the processes that share each batch.
    """
    device = classifier.device
    if device.type == "cpu":
        keep_big_blocks()
    net = channels_last(tunable.net)
    if progress.tensors is not None:
        net.load_state_dict(progress.tensors)
    blank = torch.zeros(1, *classifier.preprocess.shape, dtype=torch.uint8)
    rates = learning_rates(tunable, _input(classifier, blank), tuning.layer_decay)
    average = MovingAverage(net, tuning.ema) if tuning.ema else None
    if average and progress.average is not None:
        average.restore(progress.average, progress.averaged)
    parallel = team.parallel(net, device)
    mixer = Mixer(recipe, tuning.mixup)

    def examples(epoch: int, order: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        tunable.train_mode()
        mixer.begin(epoch)
        view = TuningView(classifier, recipe.seed, epoch, tuning.variation, tuning.randaugment)
        for batch, pixels in decoded(train, order, view):
            yield batch, pixels
            advance(len(batch) * team.size)

    def forward(pixels: Tensor) -> Tensor:
        with autocast(device):
            logits: Tensor = parallel(mixer.mix(_input(classifier, pixels)))
        return logits.float()

    def finish(row: dict[str, float]) -> None:
        progress.tensors = {n: t.detach().cpu().clone() for n, t in net.state_dict().items()}
        if average:
            progress.average, progress.averaged = average.state(), average.steps
        with average.in_place() if average else nullcontext():
            team.share_buffers(net)
            logits = _logits(tunable, classifier, val, recipe.batch_size, team)
            objective = recipe.objective if recipe.measures else None
            row |= {} if logits is None else judged(logits, val.targets, values=objective)
            better = progress.judge(row)
            if is_better(row, progress.tuned_row):
                progress.tuned_row, progress.tuned = row, logits
            after_epoch(progress, better)

    optimizer = make_optimizer(rates, recipe)
    targets = train.targets.to(device)
    run_epochs(
        progress, recipe, optimizer, targets, examples, forward, finish, team,
        loss_of=mixer.loss, after_step=average.update if average else lambda: None,
    )  # fmt: skip


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


def _logits(
    tunable: Tunable, classifier: Classifier, val: Examples, batch_size: int, team: Team
) -> Tensor | None:
    """(N, C) of the images, by the network as it is; None without images."""
    if not val.items:
        return None
    tunable.net.eval()
    own = team.part(torch.arange(len(val.items)))
    order = own.split(batch_size) if len(own) else ()
    found = []
    with torch.inference_mode():
        for _, pixels in decoded(val, order, ImageView(classifier)):
            with autocast(classifier.device):
                found.append(tunable.net(_input(classifier, pixels)).float().cpu())
    return _together(found, len(val.items), team)


def _together(found: list[Tensor], count: int, team: Team) -> Tensor:
    """The logits (N, C) that all processes found, in the order of the images."""
    parts = [torch.cat(found)] if found else []
    if team.size == 1:
        return parts[0]
    logits = torch.cat([each for part in team.gather(parts) for each in part])
    order = torch.cat([torch.arange(count)[r :: team.size] for r in range(team.size)])
    return logits[order.argsort()]
