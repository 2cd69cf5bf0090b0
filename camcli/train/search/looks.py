"""What can be tried: ways of looking at images, and what a head is given of the maps.

Read without torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from camcli.data.decode.fit import Fit
from camcli.models.pooling.pooling import Pooling, Statistic
from camcli.models.spec import LAST
from camcli.train.config import TrainConfig

LARGER = 320
"""The larger input that is tried: twice the work of 224 pixels, and finer maps."""
OFTEN_SQUARE = 1.05
"""Sides that differ by less are as good as equal."""
EARLY = 4
"""Maps before the last one that are taken: the finest of a network know edges alone."""
MOST = 12_000
"""Numbers an image that a head can be given, at most."""


class ImageLook(NamedTuple):
    """A way of looking at an image, with one pass of a network.

    Attributes:
        backbone: its name.
        input_size: side of the input in pixels; None for the weights' own.
        fit: how a photograph becomes a square; None for the weights' own.
    """

    backbone: str
    input_size: int | None = None
    fit: Fit | None = None

    def applied(self, config: TrainConfig) -> TrainConfig:
        """The settings of a run that looks like this."""
        return replace(
            config, backbone=self.backbone, input_size=self.input_size, fit=self.fit,
        )  # fmt: skip

    def __str__(self) -> str:
        name = self.backbone.removeprefix("timm:").replace("efficientnet_", "")
        return " ".join([name, *([str(self.input_size)] if self.input_size else []),
                         *([self.fit] if self.fit else [])])  # fmt: skip


@dataclass(frozen=True)
class Native:
    """How a network looks by itself.

    Attributes:
        size: side of its input in pixels.
        fit: how a photograph becomes a square.
        maps: the layers that everything passes through and their maps (K, h, w), in order; the
            last of them is the one that heads are on. Empty where that one is none of them.
        channels: K of the one that heads are on.
    """

    size: int
    fit: Fit
    maps: Mapping[str, tuple[int, int, int]]
    channels: int


def may_be_of_examples(config: TrainConfig) -> bool:
    """Whether nothing was said that only a head that is solved for has."""
    plain = config.class_weights == "none" and not config.label_smoothing
    views = config.augment or config.mirror
    given = config.unfreeze or views or config.l2 or config.solver
    return plain and config.head == "linear" and config.ensemble == 1 and not given


def looks(config: TrainConfig, backbone: str, native: Native) -> list[ImageLook]:
    """The ways in which a network can look, its own first.

    What the settings say is not open: a size or a fit that is given is that of all of them.
    """
    sizes: list[int | None] = [config.input_size] if config.input_size else [None]
    if not config.input_size and native.size * OFTEN_SQUARE < LARGER:
        sizes.append(LARGER)
    fits: list[Fit | None] = [config.fit] if config.fit else [None]
    if not config.fit and native.fit == "crop":
        fits.append("squash")
    return [ImageLook(backbone, size, fit) for size in sizes for fit in fits]


def widest(config: TrainConfig, native: Native) -> Pooling:
    """All statistics that are tried of a network's maps, taken in one pass."""
    if config.pooling != "mean":
        return Pooling.read(config.pooling)
    last = [LAST, *native.maps][-1]
    grids: dict[tuple[int, ...], str] = {}
    for layer, (_, height, width) in native.maps.items():
        # The last one of each grid, of the stages rather than of what is within their blocks.
        if layer.count(".") <= 1 or grids.get((height, width), "..").count(".") > 1:
            grids[height, width] = layer
    early = [layer for layer in grids.values() if layer != last][-EARLY:]
    kinds = ("mean", "max", "std")
    taken = [Statistic(kind) for kind in (*kinds, "gem")]
    count = 4 * native.channels
    for layer in reversed(early):  # what is nearest to the end tells most
        count += len(kinds) * native.maps[layer][0]
        if count <= MOST:
            taken += [Statistic(kind, layer) for kind in kinds]
    return Pooling(tuple(taken))


def poolings(config: TrainConfig, whole: Pooling) -> list[Pooling]:
    """What a head is given, in the order of how much that is: all of it are parts of `whole`."""
    if config.pooling != "mean":
        return [whole]

    def some(kinds: Sequence[str], *, last: Sequence[str] = ()) -> Pooling:
        return Pooling(tuple(
            each for each in whole.statistics
            if each.kind in (last if each.layer == LAST else kinds)
        ))  # fmt: skip

    three = ("mean", "max", "std")
    found = [
        Pooling(), some((), last=("gem",)), some((), last=("mean", "max")), some(three),
        some(three, last=("mean",)), some(three, last=three),
    ]  # fmt: skip
    found = list(dict.fromkeys(each for each in found if each.statistics))
    if config.unfreeze and config.unfreeze.strip() != "all":
        # What is named learns nothing for a head on earlier maps alone.
        found = [each for each in found if LAST in each.layers]
    return found
