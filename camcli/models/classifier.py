"""The classifier as camcli sees it: features, tail, and what is known about both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from camcli.data.decode.preprocess import Preprocess
from camcli.errors import UsageError
from camcli.models.cuda import to_device
from camcli.models.cutting.cut import Cut, LinearHead, Tail, cut
from camcli.models.cutting.pyramid import pyramid_layers
from camcli.models.cutting.two_sided import taken_for
from camcli.models.cutting.types import CutsItself, channels_first, channels_last
from camcli.models.loading.box_calibration import Calibration
from camcli.models.loading.zoo import Provenance
from camcli.models.localizer import Localizer
from camcli.models.outputs import Output, TwoSided, is_two_named, probabilities, value_names
from camcli.models.spec import (
    LAST,
    PYRAMID,
    OutputKind,
)
from camcli.printable import counted


@dataclass(frozen=True, slots=True)
class Part:
    """What a batch looks like at one layer.

    Attributes:
        layer: its name.
        A: the features (B, K, h, w), float32.
        tail: A -> logits, for these images.
        head: the tail as GAP + linear, or None when it is more than that.
    """

    layer: str
    A: Tensor
    tail: Tail
    head: LinearHead | None


class Watch(AbstractContextManager[Any], Protocol):
    """Somebody who sees what a network computes, while it runs within this context."""

    def finish(self, logits: Tensor) -> None:
        """Told the logits (B, C) that came of it."""


Frame = tuple[float, float, float, float]
"""A part of an image: x0, y0, x1, y1 as shares of its sides."""


@dataclass(frozen=True, slots=True)
class Look:
    """A batch, seen by the network.

    Attributes:
        images: normalised, (B, 3, H, W).
        logits: (B, C).
        parts: the batch at each layer that is explained.
        watch: who watched, with all that a gradient needs; None for nobody.
        frames: of each image, where the network's own view of the photograph lies in it; None for
            images that are no photographs, all of which it would see.
    """

    images: Tensor
    logits: Tensor
    parts: tuple[Part, ...]
    watch: Watch | None = None
    frames: tuple[Frame, ...] | None = None


@dataclass(frozen=True, slots=True)
class Classifier:
    """A frozen network, cut in two, in eval mode, with no gradients on its parameters.

    Attributes:
        features: normalised images (B, 3, H, W) -> A (B, K, h, w), float32.
        tail: A -> logits (B, C); where the cut has a context (a class token, say) it takes that
            too, and `look` binds it.
        head: the tail as GAP + linear, or None when it is more than that.
        classes: the C class names.
        preprocess: from RGB pixels to the network's input.
        provenance: which weights these are.
        layer: the name of the cut.
        device: where the network lives.
        cut: all places where the network is cut; None stands for `features` and `tail` alone.
        predicting: preprocess of a second pass that predictions are taken from, while maps come
            from the one at `preprocess`; None where one pass does both.
        output: what the logits are, and so how they become probabilities.
        layout: how images lie in memory: channels last is faster, and a few networks fail on it.
        usual_layer: whether it is cut where it is by default, and not where somebody chose; with
            the last maps of finer sizes before it, where a method by default looks at these.
        boxes: from which shares of their maxima on its maps are inside their boxes, where its
            checkpoint was calibrated.
        localizer: of its checkpoint: where things are, as boxes taught it; None for none.
        own: how its weights say that photographs are seen, where `preprocess` is another way; else
            None.
    """

    features: Callable[[Tensor], Tensor]
    tail: Callable[..., Tensor]
    head: LinearHead | None
    classes: tuple[str, ...]
    preprocess: Preprocess
    provenance: Provenance
    layer: str
    device: torch.device
    cut: Cut | None = None
    predicting: Preprocess | None = None
    output: Output = field(default_factory=Output)
    layout: torch.memory_format = torch.channels_last
    usual_layer: bool = True
    boxes: tuple[Calibration, ...] = ()
    localizer: Localizer | None = None
    own: Preprocess | None = None

    def probabilities(self, logits: Tensor) -> Tensor:
        """Of each class, (B, C) in [0, 1], from the logits (B, C) of this network.

        They sum to 1 unless several classes can be right at once.

        Raises:
            UsageError: its outputs are values (`Output.measures`): use the logits themselves.
        """
        return probabilities(logits, self.output.kind)

    def taken_for(self, output: Output) -> Classifier:
        """The same network with outputs that are something else than was thought.

        Args:
            output: of which ``none`` makes one output of the two columns of a binary network.
        """
        changed = replace(self, output=output)
        if self.output.kind != "binary" or output.kind == "binary":
            return changed
        tail, head = taken_for(self.tail, self.head, output.kind)
        places = tuple(
            replace(place, tail=tail, head=head)
            for place in (self.cut.places if self.cut else ())
            for tail, head in [taken_for(place.tail, place.head, output.kind)]
        )
        outputs = 1 if output.measures else 2
        return replace(
            changed, tail=tail, head=head,
            classes=value_names(self.classes, self.provenance.name)
            if output.measures
            else self.classes,
            cut=self.cut and replace(self.cut, places=places, outputs=outputs, output=output),
        )  # fmt: skip

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Feature maps and logits of a batch, without autograd.

        Args:
            pixels: (B, 3, size, size) uint8, as `Preprocess.pixels` makes them, on any device.

        Returns:
            A (B, K, h, w) and the logits (B, C), float32, on the classifier's device.
        """
        seen = self.look(pixels)
        return seen.parts[0].A, seen.logits

    def look(self, pixels: Tensor, watch: Watch | None = None) -> Look:
        """All that a map is made from, without autograd unless somebody watches.

        Args:
            pixels: as for a call.
            watch: who watches.
        """
        with torch.inference_mode():
            images = self.preprocess.normalise(to_device(pixels, self.device))
            return self.see(images, watch)

    def differentiable(self, images: Tensor) -> Tensor:
        """Logits (B, C) of normalised images (B, 3, H, W), with autograd through all of it."""
        backbone = self.features if self.cut is None else self.cut.first
        # Another runtime has no gradients; torch's own network stands behind it.
        first = getattr(backbone, "eager", backbone)
        if self.cut is None:
            return self.tail(first(images))
        A, tail = replace(self.cut, first=first).split(images)[-1]
        return tail(A)

    def see(self, images: Tensor, watch: Watch | None = None) -> Look:
        """The same from normalised images, (B, 3, H, W) on the classifier's device."""
        images = images.contiguous(memory_format=self.layout)
        if watch is not None:
            return self._watched(images, watch)
        with torch.inference_mode():
            return self._seen(images, self.features if self.cut is None else self.cut.first)

    def _seen(self, images: Tensor, first: Callable[[Tensor], Any]) -> Look:
        """One run; `first` stands for the first part."""
        if self.cut is None:
            A = first(images).float()
            parts: tuple[Part, ...] = (Part(self.layer, A, Tail(self.tail), self.head),)
        else:
            halves = replace(self.cut, first=first)
            parts = tuple(
                Part(place.layer, A.float(), tail, place.head)
                for (A, tail), place in zip(halves.split(images), halves.places, strict=True)
            )
        last = parts[-1]
        return Look(images, (last.head or last.tail)(last.A), parts)

    def _watched(self, images: Tensor, watch: Watch) -> Look:
        """One run that somebody watches, with autograd through what is watched, in torch."""
        backbone = self.features if self.cut is None else self.cut.first
        first = getattr(backbone, "eager", backbone)
        whole = self.cut.whole if self.cut else None
        with torch.inference_mode(False):
            images = images.clone() if images.is_inference() else images
            if whole is not None:  # its parts are runs of the whole: one of these is watched
                end = self.cut.places[-1].tail if self.cut else None
                whole = TwoSided(whole, end.kind) if isinstance(end, TwoSided) else whole
                with torch.no_grad():
                    look = self._seen(images, first)
                with torch.enable_grad(), watch:
                    logits = whole(images)
            else:
                with torch.enable_grad(), watch:
                    look = self._seen(images, first)
                logits = look.logits
            watch.finish(logits)
            parts = tuple(replace(part, A=part.A.detach()) for part in look.parts)
            return replace(look, logits=logits.detach(), parts=parts, watch=watch)


def cut_classifier(
    module: nn.Module,
    *,
    classes: tuple[str, ...],
    preprocess: Preprocess,
    provenance: Provenance,
    device: torch.device,
    layers: Sequence[str] = (LAST,),
    output: OutputKind | None = None,
) -> Classifier:
    """Cut a network that is already in memory.

    Args:
        module: images (B, 3, H, W) -> logits (B, C). Put in eval mode; else left alone.
        classes: C names; two of a network with one output.
        preprocess: the network's own.
        provenance: which weights these are.
        device: where to run it.
        layers: where to cut it; ``pyramid`` alone is the last maps of the last sizes.
        output: what it returns; None to find out.

    Raises:
        CamcliError: it cannot be cut.
        UsageError: `classes` has another length than the logits, or there is no such layer.
    """
    if isinstance(module, CutsItself) and device.type != "cpu":
        raise UsageError(
            f"{provenance.name} is run by OpenVINO, which is for the CPU here, not for {device}: "
            "leave --device out, or say --device cpu."
        )
    module.eval().requires_grad_(False)
    usual = tuple(layers) in ((LAST,), (PYRAMID,))
    if tuple(layers) == (PYRAMID,):
        layers = pyramid_layers(module, preprocess.shape, output=output)
    halves = cut(module, preprocess.shape, layers, output=output)
    if halves.outputs == 1 and output is None and len(classes) == 2 and is_two_named(classes):
        halves = cut(module, preprocess.shape, layers, output="binary")  # whoever names two knows
    if halves.outputs == 1 and len(classes) == 2:
        classes = value_names(classes, provenance.name)
    if halves.outputs != len(classes):
        raise UsageError(
            f"The network has {counted(halves.outputs, 'class', 'classes')}, and "
            f"{counted(len(classes), 'name was', 'names were')} given."
        )
    channels_last(module.to(device))
    made = _classifier(halves, classes, preprocess, provenance, device)
    made = replace(made, usual_layer=usual)
    return made if provenance.source != "user" else _in_its_layout(made, module)


def _in_its_layout(classifier: Classifier, module: nn.Module) -> Classifier:
    """The same for a network whose forward has a ``view`` that wants channels to lie first."""
    blank = torch.zeros(2, *classifier.preprocess.shape, device=classifier.device)
    try:
        classifier.see(blank)
    except RuntimeError as error:
        if "view size is not compatible" not in str(error):
            raise
        channels_first(module)
        return replace(classifier, layout=torch.contiguous_format)
    return classifier


def _classifier(
    halves: Cut,
    classes: tuple[str, ...],
    preprocess: Preprocess,
    provenance: Provenance,
    device: torch.device,
) -> Classifier:
    halves = halves.to(device)
    features = halves.first if halves.plain else halves.features
    # Who watches a network whose parts are runs of the whole has to watch one run alone.
    enough = halves.plain and halves.gradients and halves.whole is None
    return Classifier(
        features, halves.tail, halves.head, classes, preprocess, provenance, halves.layer, device,
        None if enough else halves, output=halves.output,
    )  # fmt: skip
