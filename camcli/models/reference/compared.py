"""A network whose one number is how different a photograph is from others.

Every network is features A and a tail. Here the tail is the distance of `camcli.models.reference`
instead of the network's own end, so that whatever explains a network explains the difference: it
needs no classes and no head, and of the gradient nothing but two products with a matrix.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from camcli.data.sources.refs import ImageRef
from camcli.errors import UsageError
from camcli.models.classifier import Classifier
from camcli.models.cutting.types import Place
from camcli.models.outputs import Output
from camcli.models.reference.usual import Usual, distances
from camcli.printable import percent

DIFFERENCE, PLACE = "difference", "place"
"""What the two values are called: S, and the share of the references whose S is smaller."""


@dataclass(frozen=True)
class References:
    """Which photographs are compared with, for ``run.json`` and for messages.

    Attributes:
        source: where they lie, in the user's words.
        count: how many.
        digest: of their contents, in any order.
        members: length and SHA-256 of each that is a file, so that one that is explained is known.
        photos: each that could be looked at.
        smalls: small grey pictures of these, (n, S, S) uint8, so that copies are known, too.
    """

    source: str
    count: int
    digest: str
    members: frozenset[tuple[int, str]] = frozenset()
    photos: tuple[ImageRef, ...] = ()
    smalls: np.ndarray | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"source": self.source, "count": self.count, "sha256": self.digest}

    def told(self, place: float) -> str:
        """What a place means, in a sentence."""
        most = {0.0: "none", 1.0: "every one"}.get(place, percent(place))
        return f"More different than {most} of the {self.count} photographs of {self.source}."


class Distance(nn.Module):
    """The tail: A (B, K, h, w) -> (B, 2), the difference S and its place among the references.

    Attributes:
        references: which they are.
        baseline: μ, (K,): what features are explained as different from.
    """

    baseline: Tensor
    factor: Tensor
    centre: Tensor
    spread: Tensor
    scores: Tensor

    def __init__(self, usual: Usual, references: References) -> None:
        super().__init__()
        self.references = references
        # Not every device computes in double precision.
        for name, value in usual.tensors().items():
            self.register_buffer("baseline" if name == "mean" else name, value.float())

    def forward(self, A: Tensor, *context: object) -> Tensor:
        """(B, 2) of A; what passes by the cut does not matter."""
        return self.of_difference(A - self.baseline[:, None, None].to(A.dtype))

    def of_difference(self, z: Tensor, *context: object) -> Tensor:
        """The same of z = A - μ."""
        uv = distances(z, self.factor.to(z.dtype))
        S = ((uv - self.centre.to(z.dtype)) / self.spread.to(z.dtype)).sum(1)
        below = torch.searchsorted(self.scores.to(z.dtype), S.detach())
        return torch.stack([S, below.to(S.dtype) / len(self.scores)], 1)


def compared(classifier: Classifier, usual: Usual, references: References) -> Classifier:
    """A network that says how different a photograph is.

    Args:
        classifier: whose features; cut at one layer.
        usual: what the references look like there.
        references: which they are.

    Returns:
        Its outputs are two values, `DIFFERENCE` and `PLACE`, and no classes.
    """
    check_one_layer(classifier.layer)
    tail = Distance(usual, references).to(classifier.device).eval().requires_grad_(False)
    output = Output("none")
    halves = classifier.cut
    if halves is not None:
        place: Place = replace(halves.places[0], tail=tail, head=None, matters=True)
        halves = replace(halves, places=(place,), outputs=2, output=output)
    return replace(
        classifier, tail=tail, head=None, classes=(DIFFERENCE, PLACE), cut=halves,
        predicting=None, output=output,
    )  # fmt: skip


def check_one_layer(layer: str) -> None:
    """Refuse several layers.

    Raises:
        UsageError: there is a comma in the name.
    """
    if "," in layer:
        raise UsageError("--against compares at one layer: name one with --layer.")


def references_of(classifier: Classifier) -> References | None:
    """What a network compares with; None of one that does not."""
    tail: Any = classifier.tail
    return tail.references if isinstance(tail, Distance) else None
