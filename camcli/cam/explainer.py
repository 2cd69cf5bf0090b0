"""Maps of a batch that a classifier has looked at: one layer or several, smoothed or not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from camcli.cam.attention.grid import instead, why_no_attention
from camcli.cam.attention.relevances import Relevances
from camcli.cam.attention.seen import Attending
from camcli.cam.map_options import SAME_VIEW, SHOWN, Fuse, MapOptions
from camcli.cam.method_facts import FACTS, TRAINED, UNDEFINED
from camcli.cam.method_input import Evidence
from camcli.cam.methods import NO_LOCALIZER, explain, find_method
from camcli.cam.noise import augmented, noisy_images
from camcli.cam.views import WHOLE, cut_out, joined
from camcli.errors import UsageError
from camcli.models.classifier import Classifier, Look, Part, Watch
from camcli.models.cutting.types import LinearHead, Tail, has_gradients
from camcli.models.reference.compared import Distance, references_of
from camcli.models.spec import PYRAMID

_UNTRAINED = (
    "{} gives every picture the same answer, so there is nothing to explain: its last layer was "
    "never trained, it seems. Load trained weights (--weights FILE, --checkpoint FILE)."
)


def check_influence(how: MapOptions, classifier: Classifier) -> None:
    """Refuse a layer whose map can only be empty, and a method that a network cannot do.

    Args:
        how: method and options.
        classifier: cut at the layers that were asked for.

    Raises:
        UsageError: nothing in the map of one of them changes the logits, and the method looks at
            nothing else; the method needs gradients that the network's runtime has not; or there is
            no second view of a photograph.
    """
    if how.smooth == "views":
        _check_views(classifier)
    if how.method.name == TRAINED.name:
        _check_localizer(classifier)
        return
    _check_gradients(how, classifier)
    if how.method.attention and references_of(classifier):
        raise UsageError(
            f"{how.method.name} follows attention to the network's own answer, and --against asks "
            "how its features differ: take diffcam."
        )
    if how.method.attention and _answers_alike(classifier):
        raise UsageError(_UNTRAINED.format(classifier.provenance.name))
    if how.method.attention and (why := why_no_attention_of(classifier)):
        raise UsageError(
            f"{how.method.name} needs a transformer whose tokens all look at each other, and "
            f"{classifier.provenance.name} {why}: {instead(why)}."
        )
    places = classifier.cut.places if classifier.cut else ()
    if how.method.cost[1] == UNDEFINED and not all(heads_of(how, classifier)):
        where = f" after {classifier.layer}" if not classifier.usual_layer else ""
        raise UsageError(
            f"{how.method.name} needs global average pooling and one linear layer, and "
            f"{classifier.provenance.name} has something else{where}: take gradcam or hirescam."
        )
    if how.method.joins and len(places) < 2:
        raise UsageError(
            f"{how.method.name} multiplies the maps of several layers, and this network is cut at "
            f"{classifier.layer} alone: load it with layer={PYRAMID!r}, or with the names of some."
        )
    if how.method.place(not classifier.usual_layer) is not None:
        return
    if not how.method.class_specific or how.method.name in SHOWN:
        return
    for place in places:
        if not place.matters:
            if _answers_alike(classifier):
                raise UsageError(_UNTRAINED.format(classifier.provenance.name))
            raise UsageError(
                f"Nothing in the map of {place.layer!r} changes this network's prediction, which "
                "looks at the class token alone after it: leave --layer out, or take a layer "
                "before the last attention ('camcli layers' lists them)."
            )


def why_no_attention_of(classifier: Classifier) -> str | None:
    """What a network has in place of attention that can be explained; None where it has that.

    It is run on noise: some decide by what they see how they compute it.
    """
    noise = _noise(classifier)
    try:
        plain = classifier.see(noise)
        with torch.inference_mode(False), torch.enable_grad():
            # Not the noise itself: some networks begin with writing over what they are given.
            given = noise.requires_grad_() * 1
            look = classifier.see(given, watch := Attending())
        near = 1e-3 * plain.logits.abs().max()
        if not torch.allclose(plain.logits, look.logits, rtol=1e-2, atol=float(near)):
            return "answers otherwise when it is watched"
        return why_no_attention(watch, plain.parts[-1].A, noise)
    except RuntimeError as error:
        return f"cannot be run with gradients ({str(error).splitlines()[0]})"


# Noise images that a network is tried on; not as many as a transformer has tokens.
_NOTICED = 2


def _noise(classifier: Classifier) -> Tensor:
    """Images (2, 3, H, W) of noise, normalised."""
    shape = (_NOTICED, *classifier.preprocess.shape)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(classifier.device)


def _answers_alike(classifier: Classifier) -> bool:
    """Whether two pictures that have nothing in common get the same logits."""
    one, other = classifier.see(_noise(classifier)).logits
    return torch.equal(one, other)


def watching(hows: Iterable[MapOptions], *, named: bool = False) -> Watch | None:
    """Who must watch while a network sees what these maps are of; None if nobody needs to.

    One at a time: whoever else needs to has the network look again.

    Args:
        hows: methods and their options.
        named: whether the layer where the network is cut was asked for by name.
    """
    methods = [how.method for how in hows]
    if any(method.attention for method in methods):
        return Attending()
    # By another rule than the derivative's: for methods that none of the others shares.
    first = any(method.default is not None for method in methods) and not named
    return Relevances() if first else None


def _check_views(classifier: Classifier) -> None:
    """Refuse to look twice at what would be the same, and where only one size can be seen.

    Raises:
        UsageError: as it says.
    """
    own, name = classifier.own, classifier.provenance.name
    if own is None:
        raise UsageError(SAME_VIEW)
    try:
        classifier.see(torch.zeros(1, *own.shape, device=classifier.device))
    except (AssertionError, RuntimeError, ValueError) as error:
        shown = classifier.preprocess
        raise UsageError(
            f"{name} cannot look at {shown.size} and at its own {own.size} pixels in one run, so "
            "--smooth views has no second map: take --smooth aug, or none."
        ) from error


def _check_localizer(classifier: Classifier) -> None:
    """Refuse a network without one, and another layer than the one that it was trained on.

    Raises:
        UsageError: there is nothing that could say where things are.
    """
    found = classifier.localizer
    if found is None:
        raise UsageError(NO_LOCALIZER)
    if found.layer != classifier.layer:
        raise UsageError(
            f"{TRAINED.name} was trained on the map of {found.layer!r}, not on that of "
            f"{classifier.layer!r}: leave --layer out."
        )


def _check_gradients(how: MapOptions, classifier: Classifier) -> None:
    """Refuse a method that needs gradients where there are none.

    Raises:
        UsageError: names those that need none.
    """
    halves = classifier.cut
    if halves is None or halves.gradients:
        return
    able = [
        all(
            facts.why_not(
                linear=place.head is not None, gradients=False, after=has_gradients(place.tail)
            ) is None
            for place in halves.places
        )
        for facts in (how.method, *FACTS.values())
    ]  # fmt: skip
    if able[0]:
        return
    others = [name for name, fits in zip(FACTS, able[1:], strict=True) if fits]
    where = "" if how.method.place(not classifier.usual_layer) else f" after {classifier.layer}"
    raise UsageError(
        f"{how.method.name} needs gradients, and {classifier.provenance.name} is a program that "
        f"has none{where}. These methods explain it: {', '.join(others)}."
    )


def maps_of(
    classifier: Classifier,
    seen: Look,
    index: Tensor,
    how: MapOptions,
    against: Tensor | None = None,
    *,
    both_signs: bool = False,
) -> Tensor:
    """One map for each image.

    Args:
        classifier: which looked.
        seen: what it saw.
        index: (B,) int64, the class to explain in each image.
        how: method and options.
        against: (B,) int64, a class of each image whose score is taken off; by default that of
            `how`, if any.
        both_signs: see `Evidence`.

    Returns:
        M (B, h, w), signed and unscaled; the fusion of several layers is scaled, (B, h, w) in
        [0, 1] at the finest layer's resolution.

    Raises:
        UsageError: the method cannot do this network.
    """
    if against is None and how.versus is not None:
        against = torch.full_like(index, how.versus)
    numbers = parts_of(how, classifier, len(seen.parts))
    layers = [_smoothed(classifier, seen, n, index, how, against, both_signs) for n in numbers]
    made = layers[0]
    if len(layers) > 1 or how.method.joins:
        made = fused(layers, "product" if how.method.joins else how.fuse)
    if how.smooth != "views":
        return made
    plain, own = replace(how, smooth=None), classifier.own or classifier.preprocess
    frames = seen.frames or (WHOLE,) * len(seen.images)
    images, frames = cut_out(seen.images, frames, own.shape[1:])
    look = classifier.see(images, watching([plain], named=not classifier.usual_layer))
    return joined(made, maps_of(classifier, look, index, plain, against), frames)


def parts_of(how: MapOptions, classifier: Classifier, count: int) -> range:
    """The numbers of the layers whose maps a method joins, of so many at which a network is cut.

    Nobody chose those before the last one where they are there for `Facts.joins` alone.
    """
    alone = classifier.usual_layer and not how.method.joins and how.fuse == "mean"
    return range(count - 1 if alone else 0, count)


def heads_of(how: MapOptions, classifier: Classifier) -> list[LinearHead | None]:
    """What follows each of the maps that are joined, where it is averaging and one linear layer."""
    places = classifier.cut.places if classifier.cut else ()
    if not places:
        return [classifier.head]
    return [places[n].head for n in parts_of(how, classifier, len(places))]


def layer_of(how: MapOptions, classifier: Classifier) -> str:
    """Where a method looks: ``all``, or names of layers with commas between."""
    names = classifier.layer.split(",")
    looked = ",".join(names[n] for n in parts_of(how, classifier, len(names)))
    return how.method.place(not classifier.usual_layer) or looked


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


def _smoothed(
    classifier: Classifier,
    seen: Look,
    n: int,
    index: Tensor,
    how: MapOptions,
    against: Tensor | None,
    both_signs: bool,
) -> Tensor:
    """The map at layer number n."""
    e = _evidence(classifier, seen, n, index, how, against).with_(both_signs=both_signs)
    if how.smooth == "eigen":
        return explain(find_method(how.method.name), e, eigen=True)
    if how.smooth in (None, "views"):
        return explain(find_method(how.method.name), e)
    copies = (
        augmented(seen.images)
        if how.smooth == "aug"
        else ((noisy, None) for noisy in noisy_images(e))
    )
    maps = []
    for images, back in copies:
        look = classifier.see(images, watching([how], named=not classifier.usual_layer))
        again = _evidence(classifier, look, n, index, how, against).with_(both_signs=both_signs)
        m = explain(find_method(how.method.name), again)
        maps.append(back(m) if back else m)
    return torch.stack(maps).mean(0)


def _evidence(
    classifier: Classifier,
    seen: Look,
    n: int,
    index: Tensor,
    how: MapOptions,
    against: Tensor | None,
) -> Evidence:
    part = seen.parts[n]
    A, tail = _from_baseline(part)

    def see(images: Tensor) -> tuple[Tensor, Tensor, Tail]:
        look = classifier.see(images)
        return look.logits, *_from_baseline(look.parts[n])

    def forward(images: Tensor) -> Tensor:
        return classifier.differentiable(images)

    def attend(images: Tensor) -> Attending:
        return _watched(classifier, seen, images, Attending)

    def follow(images: Tensor) -> Relevances:
        return _watched(classifier, seen, images, Relevances)

    return Evidence(
        A, seen.logits, index, tail, part.head, how.score or how.method.score,
        None if against is None else against[:, None],
        seen.images, see, how.effort, forward, classifier.output.kind,
        how.method.place(not classifier.usual_layer) is None,
        attend, follow, classifier.localizer,
    )  # fmt: skip


W = TypeVar("W", Attending, Relevances)


def _watched(classifier: Classifier, seen: Look, images: Tensor, kind: type[W]) -> W:
    """What somebody saw of these images: when they were looked at, if he watched, or now."""
    if images is seen.images and isinstance(seen.watch, kind):
        return seen.watch
    watch = kind()
    classifier.see(images, watch)
    return watch


def _from_baseline(part: Part) -> tuple[Tensor, Tail]:
    """A and the tail of a layer, A counted from what the tail compares with, where it does.

    A network that says how different a photograph is has a zero: the features that are usual. From
    there a map of the distance is complete, and to take a channel away is to make it usual.
    """
    run = part.tail.run
    if not isinstance(run, Distance):
        return part.A, part.tail
    return part.A - run.baseline[:, None, None], Tail(run.of_difference, part.tail.context)
