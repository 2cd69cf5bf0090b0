"""The concepts of a few images: what they are made of, and which classes that speaks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from camcli.batch.batch_size import by_halves
from camcli.batch.explain import Decoded, failed, read
from camcli.cam.concepts import factorise, shares
from camcli.data.decode.images import printable
from camcli.data.decode.preprocess import stacked
from camcli.data.sources.refs import ImageRef
from camcli.errors import ImageError, UsageError
from camcli.models.classifier import Classifier, Look
from camcli.result import Result

TOP = 3  # classes that are told of a concept


@dataclass(frozen=True, slots=True)
class Concept:
    """One concept.

    Attributes:
        classes: those it speaks for most, best first: the name, and by how much the concept alone
            raises the class's logit above the mean of all classes, averaged over the images.
        strength: its share of all concepts' features, in [0, 1].
    """

    classes: tuple[tuple[str, float], ...]
    strength: float

    def words(self) -> str:
        """``tabby +3.1, tiger cat +2.0``."""
        return ", ".join(f"{name} {value:+.1f}" for name, value in self.classes)


@dataclass(frozen=True, slots=True, eq=False)
class InImage:
    """The concepts in one image.

    Attributes:
        result: the prediction, without heats; or the error.
        maps: (n, h, w) float32 in [0, 1], 1 being the concept's maximum over all images; None for
            an image that could not be read.
        shares: what each concept adds to the predicted class's logit.
    """

    result: Result
    maps: np.ndarray | None = None
    shares: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ConceptsFound:
    """All of it.

    Attributes:
        concepts: the strongest first.
        images: in the order they were given.
        explained: share of the features that the concepts explain, by their squares, in [0, 1].
    """

    concepts: tuple[Concept, ...]
    images: tuple[InImage, ...]
    explained: float


def find_concepts(
    refs: Sequence[ImageRef], classifier: Classifier, n: int, *, batch_size: int = 8
) -> ConceptsFound:
    """Factorise the features of all images together.

    Inputs and features of all are held in memory at once: about a megabyte an image.

    Args:
        refs: the images.
        classifier: cut at one layer.
        n: concepts; fewer may be found.
        batch_size: images in one forward pass.

    Raises:
        UsageError: several layers.
    """
    if "," in classifier.layer:
        raise UsageError("Concepts are found at one layer: give --layer one name.")
    bad: dict[ImageRef, InImage] = {}
    groups: list[tuple[list[Decoded], Look]] = []
    for start in range(0, len(refs), batch_size):
        readable = []
        for ref in refs[start : start + batch_size]:
            image = read(ref, classifier, lambda rgb: rgb[:0])
            if isinstance(image, ImageError):
                bad[ref] = InImage(failed(ref, image))
            else:
                readable.append(image)
        for group in _alike(readable):
            looks = by_halves(
                partial(_look, classifier), group, classifier.device,
                lambda image: printable(image.ref.path),
            )  # fmt: skip
            for _, same in groupby(zip(group, looks, strict=True), lambda pair: id(pair[1])):
                some, (look, *_) = zip(*same, strict=True)
                if isinstance(look, ImageError):
                    bad[some[0].ref] = InImage(failed(some[0].ref, look))
                else:
                    groups.append((list(some), look))
    if not groups:
        return ConceptsFound((), tuple(bad[ref] for ref in refs), 0.0)
    with torch.inference_mode():
        found = factorise([look.parts[0].A for _, look in groups], n)
        added = [
            shares(maps, found.vectors, look.parts[0].head or look.parts[0].tail)
            for maps, (_, look) in zip(found.maps, groups, strict=True)
        ]
        high = torch.cat([maps.amax((0, 2, 3))[None] for maps in found.maps]).amax(0)
    good = {
        image.result.ref: image
        for (group, look), maps, S in zip(groups, found.maps, added, strict=True)
        for image in _in_images(group, look, maps / high[:, None, None], S, classifier)
    }
    strengths = sum(maps.square().sum((0, 2, 3)) for maps in found.maps)
    concepts = _concepts(torch.cat(added), torch.as_tensor(strengths), classifier.classes)
    return ConceptsFound(concepts, tuple((bad | good)[ref] for ref in refs), found.explained)


def _look(classifier: Classifier, group: Sequence[Decoded]) -> list[Look | ImageError]:
    """What the network sees in a batch, once for each of its images.

    Raises:
        ImageError: it is not finite for one of them.
    """
    look = classifier.look(stacked([image.pixels for image in group]))
    if not (look.logits.isfinite().all() and look.parts[0].A.isfinite().all()):
        name = printable(group[0].ref.path)
        raise ImageError(f"{name}: features or scores that are not finite (NaN or infinity).")
    return [look] * len(group)


def _alike(images: Sequence[Decoded]) -> list[list[Decoded]]:
    """Images of one shape; whole photographs of different shapes do not share a forward pass."""
    shapes = dict.fromkeys(image.pixels.shape for image in images)
    return [[image for image in images if image.pixels.shape == shape] for shape in shapes]


def _concepts(added: Tensor, strengths: Tensor, classes: Sequence[str]) -> tuple[Concept, ...]:
    above = added.mean(0)
    values, best = (above - above.mean(1, keepdim=True)).topk(min(TOP, len(classes)), dim=1)
    return tuple(
        Concept(
            tuple((classes[c], value) for c, value in zip(best[j].tolist(), row, strict=True)),
            float(strengths[j] / strengths.sum()),
        )
        for j, row in enumerate(values.tolist())
    )


def _in_images(
    group: Sequence[Decoded], look: Look, maps: Tensor, added: Tensor, classifier: Classifier
) -> Iterator[InImage]:
    probs = classifier.probabilities(look.logits)
    for b, image in enumerate(group):
        best = int(probs[b].argmax())
        yield InImage(
            Result(
                ref=image.ref,
                pred=classifier.classes[best],
                pred_index=best,
                prob=float(probs[b, best]),
                layer=classifier.layer,
                view=image.view,
                width=image.width,
                height=image.height,
            ),
            maps[b].cpu().numpy(),
            tuple(added[b, :, best].tolist()),
        )
