"""How maps are made, as a user says it: everything that can be wrong without a network."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from camcli.cam.box_threshold import (
    USUAL_SHARE,
    BoxThreshold,
    asked_threshold,
)
from camcli.cam.method_facts import FACTS, Facts, find_facts
from camcli.cam.scores import AUTO_SCORE, SCORES, Score, check_score
from camcli.errors import UsageError
from camcli.models.loading.box_calibration import TABLE, Calibration
from camcli.models.spec import LAST, PYRAMID

if TYPE_CHECKING:
    from camcli.models.classifier import Classifier

Fuse = Literal["mean", "max", "product"]
Smooth = Literal["aug", "noise", "eigen", "views"]
FUSES: tuple[Fuse, ...] = get_args(Fuse)
SMOOTHS: tuple[Smooth, ...] = get_args(Smooth)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much work the methods with many passes may do.

    Attributes:
        channels: Score-CAM's family looks at this many channels, those that vary most; None: all.
        converge: Score-CAM's family stops when its map is expected to have at least this cosine to
            the map of all channels, and predicts the scores of the others; None: never.
        samples: noisy copies of an image, or of a mask.
        chunk: images in one forward pass; bounds the memory.
        pool: threads that take chunks off the queue; None: the calling one alone.
        lanes: how many threads those are.
        seed: of the noise. A map does not depend on the batch that its image is in.
    """

    channels: int | None = None
    converge: float | None = None
    samples: int = 8
    chunk: int = 16
    pool: Executor | None = None
    lanes: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class MapOptions:
    """How maps are made.

    Attributes:
        method: which CAM.
        score: what number of the class; None for the one that `settled` takes, or the method's
            own.
        versus: index of a class whose score is taken off; None for none.
        fuse: how the maps of several layers become one.
        smooth: ``aug``: mean over flipped, dimmed and brightened copies of the image; ``noise``:
            mean over noisy copies; ``eigen``: first principal component of the weighted channels;
            ``views``: mean with the map of the network's own view of the photograph, where its size
            or fit is another.
        effort: for methods and smoothing with many passes.
        box: from which share of its maximum on a map is inside its box: a share, ``0.2@90``,
            ``otsu``, the calibrations of a file, of which `camcli.cam.box_threshold.chosen` takes
            one, or None for what the network's checkpoint says, or else the usual.
        chosen: where the method was left to camcli: which it is, and why, in a sentence; else
            empty.
        usual: the share that is taken where nobody chose one.
    """

    method: Facts
    score: Score | None = None
    versus: int | None = None
    fuse: Fuse = "mean"
    smooth: Smooth | None = None
    effort: Effort = field(default_factory=Effort)
    box: BoxThreshold | tuple[Calibration, ...] | None = None
    chosen: str = ""
    usual: float = USUAL_SHARE

    @property
    def box_threshold(self) -> BoxThreshold:
        """The threshold of boxes, once it is chosen."""
        return self.usual if self.box is None or isinstance(self.box, tuple) else self.box

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing.

        Raises:
            UsageError: there is one.
        """
        if self.smooth == "eigen" and not self.method.weighted:
            raise UsageError(
                f"--smooth eigen needs channel weights, and {self.method.name} has none: take "
                "gradcam, say, or --smooth aug."
            )
        if self.method.joins and self.fuse not in ("mean", "product"):
            raise UsageError(f"{self.method.name} is a product of maps: leave --fuse out.")
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
        found: dict[str, Any] = {
            "versus": self.versus,
            "smooth": self.smooth,
            "fuse": None if self.fuse == "mean" else self.fuse,
            "channels": self.effort.channels,
            "converge": self.effort.converge,
            "samples": None if self.effort.samples == Effort().samples else self.effort.samples,
        }
        if self.box_threshold != USUAL_SHARE:
            found[TABLE] = self.box_threshold
        return {name: value for name, value in found.items() if value is not None}

    def shortcut(self) -> str:
        """What makes the map an approximation, in the user's words; empty when nothing does."""
        some = "" if self.effort.channels is None else f"--channels {self.effort.channels}"
        near = "" if self.effort.converge is None else f"--converge {self.effort.converge:g}"
        return " ".join(word for word in (some, near) if word)

    def is_cheap(self, classifier: Classifier) -> bool:
        """Whether another class's map costs much less than the forward pass."""
        closed = classifier.head is not None and SCORES[self.method.score].straight("softmax")
        one_pass = self.method.one_pass or closed
        whole = self.method.images or self.method.place(named=False) is not None
        return one_pass and not whole and self.smooth not in ("aug", "noise", "views")

    def passes(self, classifier: Classifier) -> int:
        """About how many images the network sees for one map; what runs the tail alone is free."""
        from camcli.cam.noise import GAINS

        many = {"aug": 2 * len(GAINS), "noise": self.effort.samples, "views": 2}
        copies = many.get(self.smooth or "", 1)
        if self.method.name in SHOWN:
            K = classifier.head.weight.shape[1] if classifier.head else _SOME_CHANNELS
            few = min(_SOME_MASKS, K) if self.effort.converge else K
            copies *= min(few, self.effort.channels or few)
        averaged = self.method.name in SAMPLED and not (self.method.equals and classifier.head)
        return copies * (self.effort.samples if averaged else 1)


# How many masks a map that stops early takes, and how many channels a layer has: for guesses.
_SOME_MASKS, _SOME_CHANNELS = 48, 512


def check_layer(how: MapOptions, layer: str) -> None:
    """Refuse a choice of layers for a method that looks at all of them.

    Args:
        how: method and options.
        layer: as the user named it; ``last`` is the default.

    Raises:
        UsageError: there is nothing to choose.
    """
    if how.method.network and layer != LAST:
        raise UsageError(f"{how.method.name} looks at all layers at once: leave --layer out.")
    if how.method.joins and layer not in (LAST, PYRAMID) and "," not in layer:
        raise UsageError(
            f"{how.method.name} multiplies the maps of several layers: name more, --layer a,b, or "
            "leave --layer out."
        )


def note_of_all_layers(hows: Iterable[MapOptions], layer: str) -> str:
    """What to tell of methods for which a named layer is not; empty where it is for all.

    Args:
        hows: of several methods.
        layer: as the user named it.
    """
    hows = list(hows)
    every = [how.method.name for how in hows if how.method.network]
    if not every or layer == LAST or any(how.method.joins for how in hows):
        return ""
    looks = "looks" if len(every) == 1 else "look"
    return f"--layer {layer} is for the other methods: {' and '.join(every)} {looks} at all layers."


def check_fuse(how: MapOptions, layer: str) -> None:
    """Refuse to join the maps of one layer.

    Args:
        how: method and options.
        layer: the layers' names, as the user gave them or as `Classifier.layer` has them.

    Raises:
        UsageError: there is one layer, and a way to join several was chosen.
    """
    if how.fuse != "mean" and "," not in layer and layer != PYRAMID:
        raise UsageError("--fuse joins the maps of several layers: name them, --layer a,b,c.")


SAME_VIEW = (
    "--smooth views is the mean of two maps, and the network would see the same twice: ask for a "
    "larger input with --input-size N, or for the whole photograph with --fit squash."
)


def check_views(smooth: str | None, fit: str | None, input_size: int | None) -> None:
    """Refuse two views where nobody asked for another than the network's own.

    Args:
        smooth: as the user named it.
        fit: of photographs to the input; None for the network's own.
        input_size: side of the input; likewise.

    Raises:
        UsageError: both would be the same.
    """
    if smooth == "views" and fit is None and input_size is None:
        raise UsageError(SAME_VIEW)


def check_asked_classes(target: str | int | None, topk: int) -> None:
    """Refuse numbers of classes that mean nothing, and two ways of naming them at once.

    Args:
        target: the class that is named; None for the predicted one.
        topk: how many of the best classes.

    Raises:
        UsageError: as it says.
    """
    if topk < 1:
        raise UsageError("--topk counts classes: give 1 or more.")
    if target is not None and topk > 1:
        raise UsageError("--target names one class and --topk asks for several: give one of them.")


def check_signed(how: MapOptions, layer: str) -> None:
    """Refuse to draw evidence against a class where a map has none to show.

    Args:
        how: method and options.
        layer: the layers' names, as `camcli.models.classifier.Classifier.layer` has them.

    Raises:
        UsageError: the method, or the fusion of layers, keeps positive evidence only.
    """
    if how.smooth == "views":
        raise UsageError(
            "--signed is for one map: with --smooth views each of two is cut off at zero before "
            "they become one."
        )
    if not how.method.signed or how.smooth == "eigen":
        able = ", ".join(name for name, method in FACTS.items() if method.signed)
        name = "--smooth eigen" if how.method.signed else how.method.name
        raise UsageError(
            f"--signed shows evidence against the class, of which {name} has none: "
            f"take one of {able}."
        )
    if "," in layer or layer == PYRAMID:
        raise UsageError(
            "--signed is for one layer: each of several maps is cut off at zero before they "
            "become one."
        )


def of_values(how: MapOptions, outputs: int, *, versus: bool = False) -> MapOptions:
    """The same of a network whose outputs are values: the number itself is explained.

    Args:
        how: method and options.
        outputs: of the network.
        versus: whether another output is compared with.

    Raises:
        UsageError: it is about probabilities, or compares what has nothing beside it.
    """
    if how.score == "probability":
        raise UsageError(
            "--score probability: this network's outputs are values (--output none), and no "
            "probability: leave --score out."
        )
    if outputs == 1 and (versus or how.score == "contrast" or how.method.name == "finercam"):
        what = "--versus" if versus else "--score contrast" if how.score else "finercam"
        raise UsageError(
            f"{what} compares a class with others, and this network has one value and nothing "
            "beside it: leave it out."
        )
    own = how.score or how.method.score
    return replace(how, score="logit") if own == "probability" else how


def settled(how: MapOptions, classifier: Classifier) -> MapOptions:
    """The same with what is left to camcli: the score that ``--score auto`` means for a network.

    A method that looks at the first tokens has to look where the network is cut if there are none.

    Of two classes that exclude each other the softmax decides by the difference of their logits and
    by nothing else, so that is explained: the contrast, S_c - mean_j S_j, is half of it. A logit
    alone may rise with what raises the other one more. For every other network, and for methods
    that say themselves what they explain, it is the method's own.

    Args:
        how: method and options; a score that was chosen stays.
        classifier: the network.
    """
    method = how.method
    if method.default is not None and classifier.usual_layer and not _has_tokens(classifier):
        how = replace(how, method=replace(method, default=None))
    if how.score is not None or how.versus is not None or not method.class_specific:
        return how
    two = classifier.output.kind == "softmax" and len(classifier.classes) == 2
    if two and not method.own_score:
        return replace(how, score="contrast")
    return how


def why_at_the_cut(asked: MapOptions, how: MapOptions, layer: str) -> str:
    """Why a method looks where the network is cut and not at its tokens; empty where it does not.

    Args:
        asked: what was asked for.
        how: the same, `settled`.
        layer: at which the network is cut.
    """
    if asked.method.default is None or how.method.default is not None:
        return ""
    return (
        f"{how.method.name} looks at {layer}, where the network is cut: it has no attention among "
        "tokens on a grid, or none that can be followed."
    )


def _has_tokens(classifier: Classifier) -> bool:
    """Whether a network has attention, and tokens on a grid before it that can be followed."""
    import torch

    from camcli.cam.attention.relevances import Relevances

    noise = torch.randn(2, *classifier.preprocess.shape, generator=torch.Generator().manual_seed(0))
    noise, watch = noise.to(classifier.device), Relevances()
    plain = classifier.see(noise).logits
    try:
        look = classifier.see(noise, watch)
    except RuntimeError:  # something is written over that a gradient needs
        return False
    near = 1e-3 * float(plain.abs().max())
    same = torch.allclose(plain, look.logits, rtol=1e-2, atol=near)
    if not same or watch.bypassed or watch.tokens(look.images) is None:
        return False
    try:  # again, to see where tokens come from: what is written over differs with a gradient
        with torch.inference_mode(False), torch.enable_grad():
            classifier.see(noise.requires_grad_() * 1, again := Relevances())
        return again.in_order(noise)
    except RuntimeError:
        return True


# More noisy copies no longer change a map that anybody could see, and take hours an image.
MOST_SAMPLES = 10_000
MASKED = ("scorecam", "sscam", "iscam")
# These show the network masked images, whatever comes after the layer.
SHOWN = (*MASKED, "scorecam-softmax")


def make_map_options(
    method: str,
    *,
    score: str | None = None,
    fuse: str = "mean",
    smooth: str | None = None,
    channels: int | None = None,
    converge: float | None = None,
    samples: int | None = None,
    box_threshold: float | str | Path | None = None,
) -> MapOptions:
    """Check a user's words that need no network.

    Args:
        method: its name.
        score: what number of the class; None and ``auto`` leave it to `settled`.
        fuse: of several layers.
        smooth: how to smooth.
        channels: most channels for Score-CAM's family.
        converge: where Score-CAM's family stops.
        samples: noisy copies, or masks a channel.
        box_threshold: a share, ``0.2@90``, ``otsu``, or a file of calibrations.

    Raises:
        UsageError: an unknown name, a number out of range, or options that do nothing together.
    """
    found = find_facts(method)
    if fuse not in FUSES:
        raise UsageError(f"Unknown --fuse {fuse!r}. Choose one of {', '.join(FUSES)}.")
    if smooth is not None and smooth not in SMOOTHS:
        raise UsageError(f"Unknown --smooth {smooth!r}. Choose one of {', '.join(SMOOTHS)}.")
    if channels is not None and channels < 1:
        raise UsageError("--channels counts channels: give 1 or more.")
    if converge is not None and not 0 < converge < 1:
        raise UsageError("--converge is a cosine between 0 and 1: 0.98, say.")
    if samples is not None and not 1 <= samples <= MOST_SAMPLES:
        raise UsageError(f"--samples counts noisy copies: give 1 to {MOST_SAMPLES}.")
    if samples is not None and smooth != "noise" and found.name not in SAMPLED:
        raise UsageError(f"--samples is for --smooth noise and {', '.join(SAMPLED)}.")
    effort = Effort(channels=channels, converge=converge, samples=samples or Effort().samples)
    chosen = None if score in (None, AUTO_SCORE) else check_score(score)
    box = asked_threshold(box_threshold)
    return MapOptions(found, chosen, None, fuse, smooth, effort, box)


SAMPLED = ("smoothgradcam++", "sscam", "iscam")
