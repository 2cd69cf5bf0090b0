"""A photograph seen twice: as it is shown, and as its network would see it by itself.

A larger input shows finer detail, and at it a network no longer sees things as large as it was
trained on: its map tells where the head is rather than where the dog is. The network's own view, at
its own size and in its own crop, knows the whole and no detail. The mean of both maps has either.
That maps of several sizes are averaged is usual where boxes or masks are made of them (Ahn and Kwak
2018, arXiv 1803.10464).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from camcli.data.decode.preprocess import Preprocess, View
from camcli.models.classifier import Classifier, Frame, Look

WHOLE: Frame = (0.0, 0.0, 1.0, 1.0)


def framed(
    look: Look, classifier: Classifier, shown: Sequence[tuple[View, tuple[int, int]]]
) -> Look:
    """The same look, knowing where the network's own view of the photographs lies in it.

    Args:
        look: at photographs.
        classifier: the network.
        shown: as `own_frames` takes them.
    """
    own = classifier.own
    return look if own is None else replace(look, frames=own_frames(own, shown))


def own_frames(own: Preprocess, shown: Iterable[tuple[View, tuple[int, int]]]) -> tuple[Frame, ...]:
    """Where a network's own view of photographs lies in what it is shown of them.

    Args:
        own: how it sees photographs by itself.
        shown: of each photograph the part that is shown, in its pixels, and its (width, height).

    Returns:
        (x0, y0, x1, y1) of each in [0, 1], of what is shown; cut off where that ends.
    """
    frames = []
    for (x0, y0, x1, y1), size in shown:
        left, top, right, bottom = own.view(*size)
        across, down = x1 - x0, y1 - y0
        frames.append(
            (
                max(0.0, (left - x0) / across),
                max(0.0, (top - y0) / down),
                min(1.0, (right - x0) / across),
                min(1.0, (bottom - y0) / down),
            )
        )
    return tuple(frames)


def cut_out(
    images: Tensor, frames: Sequence[Frame], size: tuple[int, int]
) -> tuple[Tensor, tuple[Frame, ...]]:
    """What frames show of images, in another size.

    Args:
        images: (B, 3, H, W), normalised.
        frames: one for each.
        size: (height, width) of what comes of it.

    Returns:
        (B, 3, height, width), resized with antialias; and the frames in whole pixels.
    """
    height, width = images.shape[2:]
    parts, exact = [], []
    for image, (x0, y0, x1, y1) in zip(images, frames, strict=True):
        left, top = min(round(x0 * width), width - 1), min(round(y0 * height), height - 1)
        right, bottom = max(left + 1, round(x1 * width)), max(top + 1, round(y1 * height))
        part = image[None, :, top:bottom, left:right]
        parts.append(functional.interpolate(part, size, mode="bilinear", antialias=True)[0])
        exact.append((left / width, top / height, right / width, bottom / height))
    return torch.stack(parts), tuple(exact)


def joined(maps: Tensor, own: Tensor, frames: Sequence[Frame]) -> Tensor:
    """The mean of the maps of what is shown and those of the network's own view of it.

    Each is cut off at zero and divided by its maximum first: what a method calls one differs with
    the number of cells, and CAM and Grad-CAM of a linear head have to stay one map.

    Args:
        maps: (B, h, w), signed.
        own: (B, h', w'), likewise, of the part within each frame.
        frames: where these lie in what `maps` cover.

    Returns:
        (B, h, w) in [0, 1]. Outside of its frame the own view has no heat; an empty map has none
        anywhere.
    """
    first, second = _of_maximum(maps), _of_maximum(own)
    height, width = maps.shape[1:]
    x = (torch.arange(width, device=maps.device, dtype=maps.dtype) + 0.5) / width
    y = (torch.arange(height, device=maps.device, dtype=maps.dtype) + 0.5) / height
    placed = []
    for one, (x0, y0, x1, y1) in zip(second, frames, strict=True):
        u, v = 2 * (x - x0) / (x1 - x0) - 1, 2 * (y - y0) / (y1 - y0) - 1
        grid = torch.stack([u.expand(height, width), v[:, None].expand(height, width)], -1)
        inside = (u.abs() <= 1) & (v.abs() <= 1)[:, None]
        spread = functional.grid_sample(
            one[None, None], grid[None], mode="bilinear", padding_mode="border",
            align_corners=False,
        )[0, 0]  # fmt: skip
        placed.append(torch.where(inside, spread, 0))
    return (first + torch.stack(placed)) / 2


def _of_maximum(maps: Tensor) -> Tensor:
    """Maps in [0, 1]; without heat where `camcli.cam.postprocess.is_empty`. NaN stays."""
    high, low = maps.amax((1, 2), keepdim=True), maps.amin((1, 2), keepdim=True)
    empty = (high <= 0) | (high - low <= 1e-6 * high)
    return torch.where(empty, 0, maps.clamp(min=0) / torch.where(empty, 1, high))
