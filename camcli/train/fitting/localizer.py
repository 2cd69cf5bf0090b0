"""A localizer from a few boxes: logistic regression of the cells of maps, inside or outside.

How strong the L2 is, and whether a cell's neighbours help (a 3x3 kernel), is decided by
photographs that are left out; so is what is taken off its probabilities, by the box that a run
would draw for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, unfold

from camcli.cam.postprocess import describe
from camcli.data.decode.preprocess import View
from camcli.errors import UsageError
from camcli.models.localizer import SIDES, Localizer
from camcli.train.fitting.loop import Recipe
from camcli.train.fitting.optimum import Problem

FOLDS = 5
L2 = (1.0, 0.1, 0.01, 1e-3, 1e-4)
"""Strengths that are tried, for features whose mean squared length is 1."""
AXES, NEAR_AXES = 256, 48
"""Principal axes of the channels that kernels of one cell, and of 3x3 cells, are given."""
OFFSETS = tuple(round(0.02 * n, 2) for n in range(46))
FEWEST = 2
"""Photographs: one to learn from and one to be asked about."""
Corners = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Boxed:
    """What a network saw of a photograph with boxes.

    Attributes:
        A: the last map of the photograph and of its mirror image, (2, K, h, w), or (1, K, h, w) of
            the photograph alone.
        view: the part that the network saw, in the photograph's pixels.
        size: (width, height) of the photograph.
        boxes: in its pixels, by their edges.
    """

    A: Tensor
    view: View
    size: tuple[int, int]
    boxes: tuple[Corners, ...]

    def inside(self) -> Tensor:
        """The share of each cell that is in a box, (1 or 2, h, w) float32."""
        return self._mirrored(coverage(self.boxes, self.view, self._shape))

    def seen(self) -> Tensor:
        """The share of each cell that is on the photograph, likewise; less than 1 at margins."""
        whole = (0.0, 0.0, float(self.size[0]), float(self.size[1]))
        return self._mirrored(coverage([whole], self.view, self._shape))

    @property
    def _shape(self) -> tuple[int, int]:
        return self.A.shape[2], self.A.shape[3]

    def _mirrored(self, cells: Tensor) -> Tensor:
        return torch.stack([cells, cells.flip(1)][: len(self.A)])


def within(boxes: Sequence[Corners], size: tuple[int, int]) -> tuple[Corners, ...]:
    """Boxes cut at the edges of a photograph of (width, height); without those that lie outside."""
    width, height = size
    cut = [
        (max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height)))
        for x0, y0, x1, y1 in boxes
    ]
    return tuple(box for box in cut if box[2] > box[0] and box[3] > box[1])


def coverage(boxes: Sequence[Corners], view: View, shape: tuple[int, int]) -> Tensor:
    """The share of each cell of a map that lies in any of some boxes.

    Args:
        boxes: in a photograph's pixels.
        view: what the map lies over, likewise.
        shape: (h, w) of the map.

    Returns:
        (h, w) float32 in [0, 1], measured on 16 x 16 points a cell.
    """
    fine = 16
    h, w = shape
    x = view[0] + (np.arange(w * fine) + 0.5) * (view[2] - view[0]) / (w * fine)
    y = view[1] + (np.arange(h * fine) + 0.5) * (view[3] - view[1]) / (h * fine)
    found = np.zeros((h * fine, w * fine), bool)
    for x0, y0, x1, y1 in boxes:
        found |= ((y >= y0) & (y < y1))[:, None] & (x >= x0) & (x < x1)
    return torch.from_numpy(found.reshape(h, fine, w, fine).mean((1, 3), dtype=np.float32))


def fit_localizer(
    photographs: Sequence[Boxed], layer: str, *, learnt: Sequence[str] = ()
) -> Localizer:
    """Train a localizer.

    Args:
        photographs: with their boxes, N of them.
        layer: whose maps they come with.
        learnt: what to record of them, see `Localizer`.

    Raises:
        UsageError: there are too few of them, or what the network saw of them is all inside of
            their boxes, or all outside.
    """
    _check(photographs)
    count = min(FOLDS, len(photographs))
    tried: dict[tuple[int, float], list[Tensor]] = {}
    for fold in range(count):
        left_out = range(fold, len(photographs), count)
        # Axes that had seen the photographs that are left out would make them look easy.
        axes = _Axes.of([one for n, one in enumerate(photographs) if n not in left_out])
        for side in SIDES:
            cells = _Cells.of(photographs, axes, side)
            for l2, theta in cells.path(L2, set(left_out)):
                out = tried.setdefault((side, l2), [torch.empty(0)] * len(photographs))
                for n in left_out:
                    out[n] = cells.logits(n, theta)
    losses = {
        key: float(np.mean([_loss(z, one) for z, one in zip(out, photographs, strict=True)]))
        for key, out in tried.items()
    }
    side, l2 = min(losses, key=lambda key: losses[key])
    offset, reached = _offset([z[0].sigmoid() for z in tried[side, l2]], photographs)
    axes = _Axes.of(photographs)
    *_, (_, theta) = _Cells.of(photographs, axes, side).path([x for x in L2 if x >= l2], set())
    facts: dict[str, Any] = {
        "photographs": len(photographs),
        "boxes": sum(len(one.boxes) for one in photographs),
        "l2": l2,
        "kernel": side,
        "loss": losses[side, l2],
        "box_iou": float(np.mean(reached)),
        "box_iou_interval": list(_interval(reached)),
        "folds": count,
    }
    weight, bias = axes.kernel(theta, side)
    return Localizer(axes.mean, weight, bias, layer, offset, tuple(learnt), facts)


def _check(photographs: Sequence[Boxed]) -> None:
    if len(photographs) < FEWEST:
        raise UsageError(
            f"A localizer is trained on photographs with boxes, and there {_are(len(photographs))}"
            f": draw boxes on {FEWEST} at least, and better on 5 to 10 of each class."
        )
    inside = sum(float((one.inside() * one.seen()).sum()) for one in photographs)
    seen = sum(float(one.seen().sum()) for one in photographs)
    if not 0.001 * seen < inside < 0.999 * seen:
        what = "all inside of" if inside else "all outside of"
        raise UsageError(
            f"What the network sees of the photographs is {what} their boxes, so there is nothing "
            "to tell apart: draw boxes around single things."
        )


def _are(count: int) -> str:
    return "is one" if count == 1 else f"are {count}"


def _loss(logits: Tensor, one: Boxed) -> float:
    """The log-loss of the cells of a photograph."""
    loss = binary_cross_entropy_with_logits(logits, one.inside().to(logits), reduction="none")
    seen = one.seen().to(logits)
    return float((loss * seen).sum() / seen.sum())


def _offset(maps: Sequence[Tensor], photographs: Sequence[Boxed]) -> tuple[float, np.ndarray]:
    """What to take off probabilities (h, w), and the IoU (N,) of the boxes that are drawn then."""
    pairs = [(p.numpy(), one) for p, one in zip(maps, photographs, strict=True)]
    ious = np.array([[box_iou(p - np.float32(q), one) for p, one in pairs] for q in OFFSETS])
    mean = ious.mean(1)
    ties = np.flatnonzero(mean >= mean.max() - 1e-9)
    best = int(ties[len(ties) // 2])
    return OFFSETS[best], ious[best]


def box_iou(heatmap: np.ndarray, one: Boxed) -> float:
    """IoU of the box that a run draws for a map (h, w) with the nearest true one; 0 for none."""
    heat = describe(heatmap, one.view, one.size, target="", index=0, prob=None)
    if heat.box is None:
        return 0.0
    return max(_iou(heat.box, box) for box in one.boxes)


def _iou(one: Corners, other: Corners) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0.0, width) * max(0.0, height)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return both / (areas - both)


def _interval(values: np.ndarray, draws: int = 1000) -> tuple[float, float]:
    """95% of the mean, by drawing photographs again."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (draws, len(values)))].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


@dataclass(frozen=True, slots=True, eq=False)
class _Axes:
    """The principal axes of standardised channels, which no box has a part in.

    Attributes:
        mean: of each channel, (K,).
        project: (D, K), A - mean -> coordinates, of mean squared length 1.
    """

    mean: Tensor
    project: Tensor

    @classmethod
    def of(cls, photographs: Sequence[Boxed]) -> _Axes:
        rows = torch.cat([one.A.float().cpu().transpose(0, 1).flatten(1) for one in photographs], 1)
        # Each photograph counts the same, however many cells its map has.
        share = torch.cat([(one.seen() / one.seen().sum()).flatten() for one in photographs])
        share = share / share.sum()
        mean = rows @ share
        rows = (rows - mean[:, None]) * share.sqrt()
        std = rows.norm(dim=1)
        std = std.clamp_min(1e-3 * float(std.max()) or 1.0)[:, None]
        rows = rows / std
        # Those of the smaller of the two matrices.
        if len(rows) <= rows.shape[1]:
            axes = torch.linalg.eigh(rows @ rows.T).eigenvectors.flip(1)[:, :AXES].T
        else:
            right = torch.linalg.eigh(rows.T @ rows).eigenvectors.flip(1)[:, :AXES]
            axes = torch.nn.functional.normalize(rows @ right, dim=0).T
        length = (axes @ rows).square().sum().sqrt()
        project = axes / length.clamp_min(1e-12) / std[:, 0]
        return cls(mean, project)

    def kernel(self, theta: Tensor, side: int) -> tuple[Tensor, Tensor]:
        """Weight (1, K, side, side) and bias (1,) of a solution (D side² + 1,)."""
        some = theta[:-1].view(-1, side, side)
        return torch.einsum("dyx,dk->kyx", some, self.project[: len(some)])[None], theta[-1:]


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """What a kernel is given of each cell of each photograph, and what it should say.

    Attributes:
        given: of each photograph, (cells, D side²).
        inside: (cells,) in [0, 1].
        weight: (cells,); their sum is 1.
        shapes: of each photograph's maps, (views, h, w).
    """

    given: list[Tensor]
    inside: list[Tensor]
    weight: list[Tensor]
    shapes: list[tuple[int, int, int]]

    @classmethod
    def of(cls, photographs: Sequence[Boxed], axes: _Axes, side: int) -> _Cells:
        project = axes.project[: AXES if side == 1 else NEAR_AXES]
        found = cls([], [], [], [])
        for one in photographs:
            A = one.A.float().cpu() - axes.mean[:, None, None]
            along = torch.einsum("bkyx,dk->bdyx", A, project)
            found.given.append(unfold(along, side, padding=side // 2).transpose(1, 2).flatten(0, 1))
            found.inside.append(one.inside().flatten())
            found.weight.append((one.seen() / one.seen().sum()).flatten())
            found.shapes.append((len(A), A.shape[2], A.shape[3]))
        return found

    def path(self, strengths: Sequence[float], left_out: set[int]) -> list[tuple[float, Tensor]]:
        """The solution (D side² + 1,) for each L2, from the strongest on."""
        kept = [n for n in range(len(self.given)) if n not in left_out]
        X, y, w = (
            torch.cat([part[n] for n in kept]) for part in (self.given, self.inside, self.weight)
        )
        problem = Problem(X, y[:, None], 1, Recipe(), w)
        found = []
        for l2 in strengths:
            problem.solve(l2)
            weight, bias = problem.solution()
            found.append((l2, torch.cat([weight[0], bias]).float()))
        return found

    def logits(self, n: int, theta: Tensor) -> Tensor:
        """Of photograph number n, (views, h, w)."""
        return (self.given[n] @ theta[:-1] + theta[-1]).view(self.shapes[n])
