"""What the network says of changed pixels, and how surely it says one class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from camcli.batch.batch_size import START, by_halves
from camcli.data.decode.preprocess import stacked
from camcli.errors import ImageError
from camcli.models.classifier import Classifier
from camcli.models.outputs import Output, probabilities
from camcli.printable import printable

NOT = "not "
"""Before the name of a label that a network of labels did not find where it is, in an audit."""


@dataclass(frozen=True, slots=True)
class SaidClass:
    """One class, as what the network says of a picture.

    Attributes:
        index: of the class.
        denied: whether what is meant is that the label is not predicted (`NOT`).
        output: what the network's logits are.
    """

    index: int
    denied: bool
    output: Output

    def of(self, logits: Tensor) -> bool:
        """Whether logits (C,), float64, say so."""
        if not self.output.multi_label:
            return int(self.output.best(logits[None], 1)[0, 0]) == self.index
        odds = logits if self.output.kind == "probabilities" else logits.sigmoid()
        return (self.index in self.output.positives(odds.tolist())) != self.denied

    def told(self, logits: Tensor, classes: Sequence[str]) -> str:
        """What is said of a picture, for a person: ``alpha 0.98``; of labels, this one alone."""
        index = self.index
        if not self.output.multi_label:
            index = int(self.output.best(logits[None], 1)[0, 0])
        probs = probabilities(logits[None], self.output.kind)[0]
        return f"{printable(classes[index])} {float(probs[index]):.2f}"

    def log_odds(self, logits: Tensor) -> float:
        """Its log p / (1 - p), of logits (C,), float64: finite, however sure the network is."""
        own = logits[self.index]
        if self.output.kind == "softmax":
            others = torch.cat([logits[: self.index], logits[self.index + 1 :]])
            value = own - others.logsumexp(0)
        elif self.output.kind == "probabilities":
            own = own.clamp(_TINY, 1 - _TINY)
            value = own.log() - (-own).log1p()
        else:  # a sigmoid's argument is just this
            value = own
        return float(-value if self.denied else value)


_TINY = 1e-7  # what a float32 probability can differ from 0 and 1 by


def said(classifier: Classifier, label: str) -> SaidClass | None:
    """A predicted class by its name in an audit; None where the network has no such class."""
    for denied in (False, True) if classifier.output.multi_label else (False,):
        name = label.removeprefix(NOT) if denied else label
        if name in classifier.classes:
            return SaidClass(classifier.classes.index(name), denied, classifier.output)
    return None


def ask(classifier: Classifier, pictures: Sequence[np.ndarray]) -> list[Tensor | None]:
    """The network's logits, (C,) float64 on the CPU, of pixels (H, W, 3) uint8, in order.

    None where it fails on one, or says what is not finite.

    Raises:
        CamcliError: what concerns every picture.
    """
    preprocess = classifier.predicting or classifier.preprocess
    pixels = [preprocess.pixels(rgb) for rgb in pictures]
    found: dict[int, Tensor] = {}
    groups: dict[torch.Size, list[int]] = {}  # whole photographs of one shape share a pass
    for n, one in enumerate(pixels):
        groups.setdefault(one.shape, []).append(n)
    for group in groups.values():
        for start in range(0, len(group), START):
            part = group[start : start + START]
            work = partial(_logits, classifier, pixels)
            outcomes = by_halves(work, part, classifier.device, lambda n: f"picture {n}")
            found |= {
                n: row
                for n, row in zip(part, outcomes, strict=True)
                if not isinstance(row, ImageError) and bool(row.isfinite().all())
            }
    return [found.get(n) for n in range(len(pictures))]


def _logits(classifier: Classifier, pixels: list[Tensor], which: Sequence[int]) -> list[Tensor]:
    logits = classifier.look(stacked([pixels[n] for n in which])).logits
    return list(logits.cpu().double())
