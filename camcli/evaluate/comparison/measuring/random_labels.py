"""Random labels: do the maps change when the network learned nonsense (Adebayo et al. 2018)?

Two heads are trained on the network's own features of one half of the photographs: one on the true
labels, one on the same labels shuffled, both until they know them by heart. Then both explain the
true classes of the other half. Only the heads differ, so the check says what the maps owe to them;
what the backbone learned before is model randomisation's business.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from camcli.cam.map_options import MapOptions
from camcli.data.sources.refs import ImageRef
from camcli.evaluate.comparison.measuring.randomised import Likeness
from camcli.evaluate.comparison.rows.columns import MetricRow
from camcli.evaluate.measured.seen import see_photographs
from camcli.models.classifier import Classifier
from camcli.models.cutting.cut import LinearHead
from camcli.models.outputs import Output
from camcli.train.fitting.head import FeatureScale, Recipe, linear, solve_head

LABELS = "random-labels"
FEWEST = 4  # photographs of a class
L2 = 1e-4  # weak enough to learn any labels by heart


@dataclass(frozen=True, slots=True)
class Learned:
    """What the two heads know.

    Attributes:
        classes: how many there are.
        photographs: that were trained on.
        true: accuracy of the head with true labels on those photographs.
        shuffled: accuracy of the other one on its shuffled labels.
        true_held: accuracy of the first on the photographs that are explained.
        shuffled_held: accuracy of the other one on them, by their true labels.
    """

    classes: int
    photographs: int
    true: float
    shuffled: float
    true_held: float
    shuffled_held: float


def halves(refs: Sequence[ImageRef]) -> tuple[list[ImageRef], list[ImageRef], list[str]]:
    """Every other photograph of each class for training, the others to be explained.

    Returns:
        The two halves, and the classes with at least `FEWEST` photographs; empty when there are
        fewer than two of those.
    """
    classes: dict[str, list[ImageRef]] = defaultdict(list)
    for ref in refs:
        if ref.label is not None:
            classes[ref.label].append(ref)
    names = sorted(name for name, own in classes.items() if len(own) >= FEWEST)
    if len(names) < 2:
        return [], [], []
    own = [classes[name] for name in names]
    return [r for c in own for r in c[0::2]], [r for c in own for r in c[1::2]], names


def compare_labels(
    classifier: Classifier,
    name: str,
    refs: Sequence[ImageRef],
    hows: dict[str, MapOptions],
    *,
    seed: int = 0,
) -> tuple[list[MetricRow], Learned] | None:
    """Compare the maps of a head on true labels with those of one on shuffled labels.

    Args:
        classifier: gives the features; its own head is left out.
        name: its name in the table.
        refs: photographs, with labels.
        hows: methods by name.
        seed: of the shuffling.

    Returns:
        ``rank@random-labels`` and ``ssim@random-labels``, one row a method, and what the heads
        know; None when there are fewer than two classes with `FEWEST` photographs, or of the half
        that is learned from fewer than two can be read.
    """
    train, held, names = halves(refs)
    if not names:
        return None
    X, targets = _pooled(classifier, train, names)
    if len(set(targets.tolist())) < 2:  # what else there is cannot be read
        return None
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed))
    shuffled = targets[order]
    scale = FeatureScale.of(X)
    heads = [
        scale.fold(*solve_head(scale(X).cpu().double(), t, len(names), L2, Recipe()))
        for t in (targets, shuffled)
    ]
    index = {ref.rel: names.index(ref.label or "") for ref in held}
    found = Likeness(hows)
    seen, right = [], []
    for head in heads:
        own = LinearHead(head.weight.to(classifier.device), head.bias.to(classifier.device))
        # Whatever the network's own outputs are, these heads' are of classes.
        learner = replace(
            classifier, tail=own, head=own, classes=tuple(names), cut=None, output=Output()
        )
        seen.append(list(see_photographs(learner, held, hows, index=index, features=True)))
        best = [(int(s.logits.argmax()), index[s.ref.rel]) for s in seen[-1]]
        right.append(sum(p == t for p, t in best) / max(len(best), 1))
    found.add(LABELS, *seen)
    found.add_unrelated(LABELS, seen[0], seed)

    def known(head: LinearHead, t: Tensor) -> float:
        return float((linear(head, X).argmax(1) == t).cpu().double().mean())

    learned = Learned(
        len(names), len(targets), known(heads[0], targets), known(heads[1], shuffled), *right
    )
    return found.rows(name, len(seen[0])), learned


def _pooled(
    classifier: Classifier, refs: Sequence[ImageRef], names: Sequence[str]
) -> tuple[Tensor, Tensor]:
    """Features (N, K) and targets (N,) of the photographs that can be read."""
    rows, targets = [], []
    for seen in see_photographs(classifier, refs, {}, features=True):
        assert seen.features is not None
        rows.append(seen.features.float().mean((1, 2)).cpu())
        targets.append(names.index(seen.ref.label or ""))
    return torch.stack(rows) if rows else torch.empty(0, 0), torch.tensor(targets)
