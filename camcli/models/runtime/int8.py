"""Eight-bit weights and activations for OpenVINO: post-training quantisation by NNCF.

The ranges of the activations are measured on a sample of the user's own images, so the result
depends on them. What came out is compared with float32 on the same sample and refused where it
says or shows something else; it is kept on disk under the content of network and sample.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from camcli.data.decode.images import load_image
from camcli.data.decode.preprocess import Preprocess
from camcli.data.sources.refs import ImageRef
from camcli.errors import CamcliError, ImageError, UnavailableError, UsageError
from camcli.models.classifier import Classifier
from camcli.models.runtime.conversion_cache import kept, name_of
from camcli.models.runtime.openvino import Converted
from camcli.models.runtime.openvino_core import untold
from camcli.printable import percent

log = logging.getLogger(__name__)

# Images to calibrate and compare with, spread evenly over what there is, and how few are enough.
SAMPLE, FEWEST = 128, 16
# What is refused: a smaller share of equal predictions, a smaller median cosine of the maps.
TOP1, COSINE = 0.9, 0.98
_BATCH = 8


@dataclass(frozen=True, slots=True)
class Agreement:
    """How near int8 comes to float32 on a sample.

    Attributes:
        images: how many.
        top1: share of equal predictions.
        cosine: of the maps of the class that float32 predicts, the median. Of A itself where the
            network does not end in a linear head.
        least: the smallest of these cosines.
    """

    images: int
    top1: float
    cosine: float
    least: float

    @property
    def enough(self) -> bool:
        """Whether int8 may stand for float32."""
        return self.top1 >= TOP1 and self.cosine >= COSINE

    def __str__(self) -> str:
        return (
            f"on {self.images} of your images {percent(self.top1, 1)} of the predictions are "
            f"float32's and the maps' cosine is {self.cosine:.4f} "
            f"(median; {self.least:.4f} at worst)"
        )


def sample(images: Iterable[ImageRef], preprocess: Preprocess) -> list[Tensor]:
    """Up to `SAMPLE` images, evenly spread, as a network sees them; unreadable ones are left out.

    Args:
        images: can be iterated twice; the first pass reads no image.
        preprocess: the network's own.

    Returns:
        (3, H, W) uint8 each.

    Raises:
        UsageError: too few can be read.
    """
    total = sum(1 for _ in images)
    wanted = {n * total // SAMPLE for n in range(SAMPLE)}
    pixels = []
    for n, ref in enumerate(images):
        if n in wanted:
            with contextlib.suppress(ImageError):
                pixels.append(preprocess.pixels(load_image(ref)))
    if len(pixels) < FEWEST:
        raise UsageError(
            f"--precision int8 is calibrated on your images and needs {FEWEST} of them; "
            f"{len(pixels)} could be read. Leave it out."
        )
    return pixels


def quantised(
    convert: Callable[[], Converted],
    classifier: Classifier,
    backbone: nn.Module,
    pixels: list[Tensor],
) -> Converted:
    """The same network in int8, from the disk if it has been made before.

    Args:
        convert: `backbone` in OpenVINO, in float32; called only if it has to be made.
        classifier: whose backbone it is.
        backbone: decides, with the sample, under which name the result is kept.
        pixels: the sample.

    Raises:
        UnavailableError: NNCF is not installed.
    """
    if importlib.util.find_spec("nncf") is None:
        raise UnavailableError(
            "--precision int8 needs NNCF: `pip install 'camcli[int8]'` brings it."
        )
    name = name_of(
        backbone, "int8", classifier.preprocess.to_dict(), classifier.layer, pixels=pixels
    )

    def make() -> Converted:
        converted = convert()
        found = _quantise(converted.model, classifier.preprocess, pixels)
        return Converted(found, converted.rows, converted.per_image)

    return kept("int8", name, make)


def _quantise(model: Any, preprocess: Preprocess, pixels: list[Tensor]) -> Any:
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)

    def example(p: Tensor) -> np.ndarray:
        return preprocess.normalise(p[None]).permute(0, 2, 3, 1).contiguous().numpy()

    with contextlib.redirect_stdout(io.StringIO()):  # its progress bars
        with untold():  # its own switch is read after it has begun to tell
            import nncf

        nncf.set_log_level(logging.ERROR)
        return nncf.quantize(
            model.clone(),
            nncf.Dataset(pixels, example),
            subset_size=len(pixels),
        )


def agreement(classifier: Classifier, other: Classifier, pixels: list[Tensor]) -> Agreement:
    """Compare two classifiers that differ in their runtime only.

    Args:
        classifier: in float32.
        other: the same, quantised.
        pixels: (3, H, W) uint8 each.
    """
    same, cosines = [], []
    for images in _batches(pixels):
        a, b = classifier.look(images), other.look(images)
        best = a.logits.argmax(1)
        same.append(best == b.logits.argmax(1))
        for one, two in zip(a.parts, b.parts, strict=True):
            maps = [one.A, two.A]
            if one.head is not None:
                w = one.head.weight[best]
                maps = [torch.einsum("bk,bkhw->bhw", w, A).clamp_min(0) for A in maps]
            cosines.append(_cosine(*(m.flatten(1) for m in maps)))
    every = torch.cat(cosines)
    return Agreement(
        len(pixels),
        float(torch.cat(same).float().mean()),
        float(every.median()),
        float(every.min()),
    )


def compared(classifier: Classifier, other: Classifier, *, pixels: list[Tensor]) -> Agreement:
    """`agreement`, which must be enough.

    Raises:
        CamcliError: it is not.
    """
    found = agreement(classifier, other, pixels)
    check(found, classifier.provenance.name)
    return found


def check(found: Agreement, name: str) -> None:
    """Refuse what differs too much.

    Raises:
        CamcliError: it does.
    """
    if not found.enough:
        raise CamcliError(
            f"{name} does not bear int8: {found}; {TOP1:.0%} and {COSINE} are needed. Leave "
            "--precision int8 out."
        )


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    """Of the rows; two empty maps are equal."""
    cosine = torch.cosine_similarity(a, b)
    return torch.where((a == 0).all(1) & (b == 0).all(1), torch.ones_like(cosine), cosine)


def _batches(pixels: list[Tensor]) -> Iterator[Tensor]:
    shape: Callable[[Tensor], tuple[int, ...]] = lambda p: tuple(p.shape)  # noqa: E731
    for _, group in groupby(sorted(pixels, key=shape), key=shape):
        yield from torch.stack(list(group)).split(_BATCH)
