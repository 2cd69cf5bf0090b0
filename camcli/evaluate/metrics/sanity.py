"""Does the map depend on what the network learned?

Two checks of Adebayo et al. 2018 (arXiv 1810.03292). Model randomisation: the network's weights are
replaced by random ones, from the logits down, and the maps compared with those of the trained
network. Random labels: the maps of a network that learned true labels are compared with those of
one that learned shuffled ones. A map that stays the same shows the image, not what was learned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch
from torch import nn


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation of two maps of one shape, ties shared; 0 if one is constant."""
    ranks = [_ranks(m.ravel()) for m in (a, b)]
    x, y = (r - r.mean() for r in ranks)
    norm = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / norm if norm > 0 else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse.ravel()]


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity of two maps in [0, 1] (Wang et al. 2004), Gaussian window of σ 1.5.

    Args:
        a: (H, W), sides of at least 11.
        b: likewise.

    Returns:
        Mean over the pixels whose window is inside.
    """

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (11, 11), 1.5, borderType=cv2.BORDER_REFLECT)

    a, b = a.astype(np.float64), b.astype(np.float64)
    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    index = (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    return float(index[5:-5, 5:-5].mean())


NamedModules = tuple[str, Sequence[nn.Module]]
"""A name, and the modules that are made random together: one for each member of an ensemble."""


def layers_from_the_top(*networks: nn.Module) -> list[NamedModules]:
    """Modules that hold parameters of their own, those nearest to the logits first.

    In the order in which the network defines them, which for all known classifiers is that in
    which they run.

    Args:
        networks: of one architecture.
    """
    own = [
        name
        for name, part in networks[0].named_modules()
        if any(True for _ in part.parameters(False))
    ]
    return [(name, [network.get_submodule(name) for network in networks]) for name in own[::-1]]


def randomise(part: nn.Module, generator: torch.Generator) -> None:
    """Replace a module's own parameters, and its statistics, by what training started from.

    Weights of two and more dimensions become normal with variance 2 / fan-in (He et al. 2015),
    scales 1 and shifts 0.
    """
    with torch.no_grad():
        for name, parameter in part.named_parameters(recurse=False):
            if parameter.ndim >= 2:
                fan_in = parameter[0].numel()
                drawn = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(drawn * (2 / fan_in) ** 0.5)
            else:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.reset_running_stats()


def cascade(layers: Sequence[NamedModules], seed: int = 0, stops: int = 4) -> Iterator[str]:
    """Randomise a network from its logits down, in place, and stop on the way.

    Args:
        layers: of `layers_from_the_top`; changed in place.
        seed: of the weights.
        stops: how often; the first is after the head alone, the last after everything.

    Yields:
        The name of the last layer that was randomised.
    """
    generator = torch.Generator().manual_seed(seed)
    at = {round(1 + (len(layers) - 1) * n / max(stops - 1, 1)) for n in range(stops)}
    for count, (name, parts) in enumerate(layers, 1):
        for part in parts:
            randomise(part, generator)
        if count in at:
            yield name


def is_kept(likeness: float, unrelated: float) -> bool:
    """Whether a map stayed what it was: nearer to itself (1) than to an unrelated map."""
    return likeness > (1 + unrelated) / 2
