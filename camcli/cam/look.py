"""Maps of a batch that a classifier has looked at: one layer or several, smoothed or not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from camcli.cam.evidence import Effort, Evidence
from camcli.cam.methods import METHODS, Method, explain, find_method
from camcli.cam.noise import GAINS, augmented, noisy_images
from camcli.cam.target import Score, check_score
from camcli.errors import UsageError
from camcli.models.classifier import Classifier, Look
from camcli.models.cut import LAST
from camcli.models.parts import Tail

Fuse = Literal["mean", "max", "product"]
Smooth = Literal["aug", "noise", "eigen"]
FUSES: tuple[Fuse, ...] = get_args(Fuse)
SMOOTHS: tuple[Smooth, ...] = get_args(Smooth)


@dataclass(frozen=True, slots=True)
class How:
    """How maps are made.

    Attributes:
        method: which CAM.
        score: what number of the class; None for the method's own.
        versus: index of a class whose score is taken off; None for none.
        fuse: how the maps of several layers become one.
        smooth: ``aug``: mean over flipped, dimmed and brightened copies of the image; ``noise``:
            mean over noisy copies; ``eigen``: first principal component of the weighted channels.
        effort: for methods and smoothing with many passes.
    """

    method: Method
    score: Score | None = None
    versus: int | None = None
    fuse: Fuse = "mean"
    smooth: Smooth | None = None
    effort: Effort = field(default_factory=Effort)

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing.

        Raises:
            UsageError: there is one.
        """
        if self.smooth == "eigen" and self.method.maps is not None:
            raise UsageError(
                f"--smooth eigen needs channel weights, and {self.method.name} has none: take "
                "gradcam, say, or --smooth aug."
            )
        if not self.method.class_specific and (self.versus is not None or self.score):
            raise UsageError(
                f"{self.method.name} looks at no class: leave --score and --versus out."
            )
        masked = self.method.name in MASKED
        if (self.effort.channels or self.effort.converge) and not masked:
            raise UsageError(
                f"--channels and --converge are for {', '.join(MASKED)}, not {self.method.name}."
            )

    def options(self) -> dict[str, Any]:
        """What differs from the method's plain form, for records."""
        found = {
            "versus": self.versus,
            "smooth": self.smooth,
            "fuse": None if self.fuse == "mean" else self.fuse,
            "channels": self.effort.channels,
            "converge": self.effort.converge,
            "samples": None if self.effort.samples == Effort().samples else self.effort.samples,
        }
        return {name: value for name, value in found.items() if value is not None}

    def shortcut(self) -> str:
        """What makes the map an approximation, in the user's words; empty when nothing does."""
        some = "" if self.effort.channels is None else f"--channels {self.effort.channels}"
        near = "" if self.effort.converge is None else f"--converge {self.effort.converge:g}"
        return " ".join(word for word in (some, near) if word)

    def is_cheap(self, classifier: Classifier) -> bool:
        """Whether another class's map costs much less than the forward pass."""
        closed = classifier.head is not None and self.method.score == "logit"
        one_pass = self.method.gradient is not None or closed
        whole = self.method.images or self.method.network
        return one_pass and not whole and self.smooth not in ("aug", "noise")

    def passes(self, classifier: Classifier) -> int:
        """About how many images the network sees for one map; what runs the tail alone is free."""
        copies = {"aug": 2 * len(GAINS), "noise": self.effort.samples}.get(self.smooth or "", 1)
        if self.method.name in SHOWN:
            K = classifier.head.weight.shape[1] if classifier.head else _SOME_CHANNELS
            few = min(_SOME_MASKS, K) if self.effort.converge else K
            copies *= min(few, self.effort.channels or few)
        averaged = self.method.name in SAMPLED and not (self.method.equals and classifier.head)
        return copies * (self.effort.samples if averaged else 1)


# How many masks a map that stops early takes, and how many channels a layer has: for guesses.
_SOME_MASKS, _SOME_CHANNELS = 48, 512


def check_layer(how: How, layer: str) -> None:
    """Refuse a choice of layers for a method that looks at all of them.

    Args:
        how: method and options.
        layer: as the user named it; ``last`` is the default.

    Raises:
        UsageError: there is nothing to choose.
    """
    if how.method.network and layer != LAST:
        raise UsageError(f"{how.method.name} looks at all layers at once: leave --layer out.")


def check_influence(how: How, classifier: Classifier) -> None:
    """Refuse a layer whose map can only be empty.

    Args:
        how: method and options.
        classifier: cut at the layers that were asked for.

    Raises:
        UsageError: nothing in the map of one of them changes the logits, and the method looks at
            nothing else.
    """
    if how.method.network or not how.method.class_specific or how.method.name in SHOWN:
        return
    for place in classifier.cut.places if classifier.cut else ():
        if not place.matters:
            raise UsageError(
                f"Nothing in the map of {place.layer!r} changes this network's prediction, which "
                "looks at the class token alone after it: leave --layer out, or take a layer "
                "before the last attention ('camcli layers' lists them)."
            )


def check_signed(how: How, layer: str) -> None:
    """Refuse to draw evidence against a class where a map has none to show.

    Args:
        how: method and options.
        layer: the layers' names, as `camcli.models.classifier.Classifier.layer` has them.

    Raises:
        UsageError: the method, or the fusion of layers, keeps positive evidence only.
    """
    if not how.method.signed or how.smooth == "eigen":
        able = ", ".join(name for name, method in METHODS.items() if method.signed)
        name = "--smooth eigen" if how.method.signed else how.method.name
        raise UsageError(
            f"--signed shows evidence against the class, of which {name} has none: "
            f"take one of {able}."
        )
    if "," in layer:
        raise UsageError(
            "--signed is for one layer: each of several maps is cut off at zero before they "
            "become one."
        )


MASKED = ("scorecam", "sscam", "iscam")
# These show the network masked images, whatever comes after the layer.
SHOWN = (*MASKED, "scorecam-softmax")


def make_how(
    method: str,
    *,
    score: str | None = None,
    fuse: str = "mean",
    smooth: str | None = None,
    channels: int | None = None,
    converge: float | None = None,
    samples: int | None = None,
) -> How:
    """Check a user's words that need no network.

    Args:
        method: its name.
        score: what number of the class.
        fuse: of several layers.
        smooth: how to smooth.
        channels: most channels for Score-CAM's family.
        converge: where Score-CAM's family stops.
        samples: noisy copies, or masks a channel.

    Raises:
        UsageError: an unknown name, a number out of range, or options that do nothing together.
    """
    found = find_method(method)
    if fuse not in FUSES:
        raise UsageError(f"Unknown --fuse {fuse!r}. Choose one of {', '.join(FUSES)}.")
    if smooth is not None and smooth not in SMOOTHS:
        raise UsageError(f"Unknown --smooth {smooth!r}. Choose one of {', '.join(SMOOTHS)}.")
    if channels is not None and channels < 1:
        raise UsageError("--channels counts channels: give 1 or more.")
    if converge is not None and not 0 < converge < 1:
        raise UsageError("--converge is a cosine between 0 and 1: 0.98, say.")
    if samples is not None and samples < 1:
        raise UsageError("--samples counts noisy copies: give 1 or more.")
    if samples is not None and smooth != "noise" and found.name not in SAMPLED:
        raise UsageError(f"--samples is for --smooth noise and {', '.join(SAMPLED)}.")
    effort = Effort(channels=channels, converge=converge, samples=samples or Effort().samples)
    return How(
        found, None if score is None else check_score(score), None, fuse, smooth, effort
    )  # fmt: skip


SAMPLED = ("smoothgradcam++", "sscam", "iscam")


def maps_of(classifier: Classifier, seen: Look, index: Tensor, how: How) -> Tensor:
    """One map for each image.

    Args:
        classifier: which looked.
        seen: what it saw.
        index: (B,) int64, the class to explain in each image.
        how: method and options.

    Returns:
        M (B, h, w), signed and unscaled; the fusion of several layers is scaled, (B, h, w) in
        [0, 1] at the finest layer's resolution.

    Raises:
        UsageError: the method cannot do this network.
    """
    layers = [_smoothed(classifier, seen, n, index, how) for n in range(len(seen.parts))]
    return layers[0] if len(layers) == 1 else fused(layers, how.fuse)


def fused(maps: list[Tensor], how: Fuse) -> Tensor:
    """The maps of several layers as one.

    Each is cut off at zero and divided by its maximum, so that no layer outweighs the others, and
    upsampled to the finest.

    Args:
        maps: (B, h, w) each, of any sizes.
        how: ``mean``, ``max`` or ``product``.

    Returns:
        (B, h, w) in [0, 1].
    """
    size = max((m.shape[1:] for m in maps), key=lambda shape: shape[0] * shape[1])
    scaled = []
    for m in maps:
        positive = m.clamp(min=0)
        high = positive.amax((1, 2), keepdim=True)
        positive = positive / torch.where(high > 0, high, 1)
        scaled.append(functional.interpolate(positive[:, None], size, mode="bilinear")[:, 0])
    stack = torch.stack(scaled)
    if how == "mean":
        return stack.mean(0)
    return stack.amax(0) if how == "max" else stack.prod(0)


def _smoothed(classifier: Classifier, seen: Look, n: int, index: Tensor, how: How) -> Tensor:
    """The map at layer number n."""
    e = _evidence(classifier, seen, n, index, how)
    if how.smooth == "eigen":
        return explain(how.method, e, eigen=True)
    if how.smooth is None:
        return explain(how.method, e)
    copies = (
        augmented(seen.images)
        if how.smooth == "aug"
        else ((noisy, None) for noisy in noisy_images(e))
    )
    maps = []
    for images, back in copies:
        again = _evidence(classifier, classifier.see(images), n, index, how)
        m = explain(how.method, again)
        maps.append(back(m) if back else m)
    return torch.stack(maps).mean(0)


def _evidence(classifier: Classifier, seen: Look, n: int, index: Tensor, how: How) -> Evidence:
    part = seen.parts[n]
    against = None
    if how.versus is not None:
        against = torch.full_like(index, how.versus)[:, None]

    def see(images: Tensor) -> tuple[Tensor, Tensor, Tail]:
        look = classifier.see(images)
        return look.logits, look.parts[n].A, look.parts[n].tail

    def forward(images: Tensor) -> Tensor:
        return classifier.differentiable(images)

    return Evidence(
        part.A, seen.logits, index, part.tail, part.head, how.score or how.method.score, against,
        seen.images, see, how.effort, forward,
    )  # fmt: skip
