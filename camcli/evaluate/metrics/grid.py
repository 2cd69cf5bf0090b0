"""The grid pointing game: a localization test without annotations (Böhle et al. 2021, 2104.00032).

Photographs of different classes that the network is sure of are put side by side in one picture.
The map of each of their classes should lie in that class's cell: the score is the share of the
positive heat that does. Chance is 1 / n².
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from camcli.cam.map_options import MapOptions
from camcli.errors import UsageError
from camcli.evaluate.measured.seen import Seen, explained
from camcli.evaluate.measured.square_canvas import GAUSSIAN, centre_gaussian
from camcli.evaluate.metrics.means import Means
from camcli.models.classifier import Classifier

CELL = 32  # each cell of a map is spread to so many pixels a side before its heat is counted


def choose_cells(
    photographs: Sequence[Seen], n: int, *, confidence: float = 0.9, seed: int = 0
) -> list[list[Seen]]:
    """Mosaics of n² photographs of different classes each, every photograph at most once.

    Args:
        photographs: what the network saw; only square inputs.
        n: cells a side.
        confidence: least probability of the explained class.
        seed: of the drawing.

    Raises:
        UsageError: there are too few.
    """
    sure = [s for s in photographs if float(s.probs[s.index]) >= confidence]
    order = np.random.default_rng(seed).permutation(len(sure))
    left, mosaics = [sure[i] for i in order], []
    while True:
        cells: dict[int, Seen] = {}
        for s in left:
            if len(cells) < n * n:
                cells.setdefault(s.index, s)
        if len(cells) < n * n:
            break
        mosaics.append(list(cells.values()))
        used = set(map(id, cells.values()))
        left = [s for s in left if id(s) not in used]
    if not mosaics:
        raise UsageError(
            f"The {n}x{n} grid needs photographs of {n * n} classes with a probability of "
            f"{confidence:g} or more; there are {len({s.index for s in sure})}. "
            "--confidence lowers that."
        )
    return mosaics


def mosaic(cells: Sequence[Tensor], n: int) -> Tensor:
    """n² images (3, H, W) as one (3, n·H, n·W), row by row."""
    return torch.cat([torch.cat(list(cells[r * n : (r + 1) * n]), 2) for r in range(n)], 1)


def cell_shares(heatmap: np.ndarray, n: int) -> np.ndarray:
    """Share of the positive heat in each cell, (n²,), row by row; all 0 for an empty map.

    Args:
        heatmap: (h, w), signed.
        n: cells a side.
    """
    heat = torch.from_numpy(np.maximum(heatmap, 0).astype(np.float64))[None, None]
    fine = torch.nn.functional.interpolate(heat, (n * CELL, n * CELL), mode="bilinear")[0, 0]
    sums = fine.reshape(n, CELL, n, CELL).sum((1, 3)).flatten().numpy()
    total = sums.sum()
    return sums / total if total > 0 else sums


def grid_game(
    classifier: Classifier, mosaics: Sequence[Sequence[Seen]], hows: dict[str, MapOptions], n: int
) -> dict[str, Means]:
    """Play the game for each class of each mosaic.

    Args:
        classifier: the network; it must take inputs of n times its side.
        mosaics: of `choose_cells`.
        hows: methods by name.
        n: cells a side.

    Returns:
        By method, and for a Gaussian in the middle of the mosaic, the metric ``grid_NxN``, one row
        a mosaic.
    """
    games = {name: Means() for name in (GAUSSIAN, *hows)}
    middle = cell_shares(centre_gaussian(), n)
    for cells in mosaics:
        picture = mosaic([s.image for s in cells], n)[None]
        look = classifier.see(picture.contiguous(memory_format=torch.channels_last))
        shares: dict[str, list[float]] = {name: [] for name in games}
        for place, s in enumerate(cells):
            for name, maps in explained(classifier, look, [s.index], hows).items():
                shares[name].append(float(cell_shares(maps[0], n)[place]))
            shares[GAUSSIAN].append(float(middle[place]))
        for name, values in shares.items():
            games[name].add({f"grid_{n}x{n}": float(np.mean(values))})
    return games
