"""A network of torchvision or timm, fitted to a file's tensors: classes, channels, size, head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import isqrt, prod

import torch
from torch import Tensor, nn

from camcli.data.decode.preprocess import Preprocess
from camcli.errors import UsageError
from camcli.models.loading.builder import fill, reason
from camcli.models.recognition.blueprints import (
    Blueprint,
    timm_network,
    torchvision_network,
)
from camcli.models.recognition.described import describe
from camcli.models.recognition.forest import Forest, Sizes
from camcli.models.recognition.head import DoubtError, HeadPlan, planned
from camcli.models.recognition.index import Architecture
from camcli.models.recognition.recognise import Recognised, compared, region_of
from camcli.models.recognition.unallocated import shapes_of, without_memory
from camcli.models.weights.mismatch import listed
from camcli.models.weights.state_dict import Candidate, Candidates, Match, match

# Tokens beside those of the picture: none, the class's, one more for distillation, registers.
_OTHER_TOKENS = (0, 1, 2, 4, 5, 8, 9)
_SIDES = sorted({*range(32, 1056, 32), *range(112, 1050, 14)})
_OWN_CODE = (
    "If you have its code, let a function of it return the network: --model FILE.py:FACTORY "
    "--weights {}"
)


@dataclass(frozen=True)
class FittedNetwork:
    """A network with a file's tensors.

    Attributes:
        module: on the CPU.
        outputs: C.
        channels: of the input.
        size: side of the input where tensors follow it and it is not the usual one; else None.
        notes: what was rebuilt and assumed, and what `match` says.
        origin: the file, for errors.
    """

    module: nn.Module
    outputs: int
    channels: int
    size: int | None
    notes: tuple[str, ...]
    origin: str

    def preprocess(self, usual: Preprocess) -> Preprocess:
        """The architecture's usual preprocessing for this input.

        Raises:
            UsageError: the network takes as many channels as no picture has.
        """
        if self.size is not None:
            usual = usual.with_(size=self.size)
        if self.channels == usual.channels:
            return usual
        if self.channels not in (1, 4):
            raise UsageError(
                f"The network in {self.origin} takes {self.channels} channels, and a picture has "
                "three, four with its opacity, or as luminance one: give it a first layer that "
                f"makes them of three. {_OWN_CODE.format(self.origin)}."
            )
        return replace(usual, grey=self.channels == 1, alpha=self.channels == 4)


class NotFittingError(UsageError):
    """A file's tensors are not the architecture's at all."""


def network(
    each: Architecture, classes: int, channels: int | None = None, size: int | None = None
) -> nn.Module:
    """An architecture as the installed library builds it, untrained.

    Raises:
        UsageError: the library does not have it, or not like that.
    """
    build = torchvision_network if each.library == "torchvision" else timm_network
    try:
        return build(each.name, classes, channels, size)
    except Exception as error:
        raise UsageError(
            f"{each.told} cannot be built as the file wants it ({reason(error)})."
        ) from error


def fitted_to(blueprint: Blueprint, found: Candidates, key: str | None) -> FittedNetwork:
    """A network that the user named, with what differs in a file: see `fitted`.

    Raises:
        NotFittingError: the file is not that network's.
        UsageError: it is, and its head leaves open what it is; or as `match`.
    """
    forest = Forest()
    each = describe(blueprint, forest)
    if each is None:
        raise NotFittingError(f"{blueprint.name} has no classes.")
    return fitted(each, forest, found, key)


def other_form(
    blueprint: Blueprint, found: Candidates, key: str | None, differs: UsageError
) -> FittedNetwork:
    """The same network with another head, other channels or another size than usual.

    Raises:
        UsageError: `differs` where it is another network; else why it cannot be told what it is.
    """
    try:
        return fitted_to(blueprint, found, key)
    except NotFittingError:
        raise differs from None


def fitted(each: Architecture, forest: Forest, found: Candidates, key: str | None) -> FittedNetwork:
    """An architecture with the tensors of a file, whatever its classes, channels, size and head.

    Args:
        each: the architecture.
        forest: that its tree is in.
        found: the file's tensors.
        key: which of several sets, as `match` takes it.

    Raises:
        NotFittingError: the file is not that network's.
        UsageError: it is, and its head leaves open what it is; or as `match`.
    """
    looks = [(c, compared(_shapes(c), each, forest)) for c in found.each]
    fits = [(candidate, look) for candidate, look in looks if look is not None]
    if key and found.named(key):
        fits = [(c, look) for c, look in fits if c in found.named(key)] or fits
    if not fits:
        raise NotFittingError(f"{found.origin} does not fit {each.told}.")
    first, look = max(fits, key=lambda pair: len(pair[0].tensors))
    size = _size_of(each, _shapes(first), look, found.origin) if look.resized else None
    channels = look.channels or each.channels
    other = None if channels == each.channels else channels
    plan = None
    if look.place:
        plan = _plan(each, look, found.origin, other, size)
    classes = plan.classes if plan else look.classes or 0

    def built() -> tuple[nn.Module, dict[str, str]]:
        module = network(each, classes, other, size)
        return module, _attached(module, look.place, plan, each) if plan else {}

    empty, heads = without_memory(built)
    places = [heads[name] for name in look.head] if plan else []
    adapted = [_adapted(c, one, places) for c, one in fits if _same_head(one, look)]
    helping = tuple(region_of(forest, each.root, head) for head in each.helping)
    chosen = match(
        Candidates(found.origin, tuple(adapted)), empty.state_dict(),
        model=each.told, key=key, optional=helping,
    )  # fmt: skip
    check_nothing_behind(found, chosen, classes, each.told)
    module, _ = built()
    fill(module, chosen, found.origin)
    notes = [chosen.note]
    if plan and len(plan.layers) > 1:
        assumed = f"; {plan.assumed}" if plan.assumed else ""
        notes.append(f"{found.origin}: its head is rebuilt as {plan.told}{assumed}.")
    said = tuple(note for note in notes if note)
    return FittedNetwork(module, classes, channels, size, said, found.origin)


def check_nothing_behind(found: Candidates, fits: Match, outputs: int, told: str) -> None:
    """Refuse a network whose outputs go into another layer, which the network has no place for.

    Args:
        found: the file's tensors.
        fits: those that are the network's.
        outputs: of its own head.
        told: the network, for the message.

    Raises:
        UsageError: there is such a layer; whether anything stands before it is not told.
    """
    dropped = set(fits.dropped)
    for candidate in found.each:
        for name, tensor in candidate.tensors.items():
            if (
                name in dropped
                and name.endswith(".weight")
                and tensor.ndim == 2
                and tensor.shape[1] == outputs > 2
                and name.replace(".weight", ".bias") in dropped
            ):
                shape = "x".join(map(str, tensor.shape))
                raise UsageError(
                    f"{found.origin} is {told} with a linear layer behind its own {outputs} "
                    f"outputs, {name} {shape}, and tensors do not say what stands between. "
                    f"{_OWN_CODE.format(found.origin)}."
                )


def _shapes(candidate: Candidate) -> dict[str, Sizes]:
    return {name: tuple(tensor.shape) for name, tensor in candidate.tensors.items()}


def _same_head(one: Recognised, other: Recognised) -> bool:
    return (
        list(one.head.values()) == list(other.head.values())
        and (one.classes, one.channels, one.place) == (other.classes, other.channels, other.place)
        and len(one.resized) == len(other.resized)
    )


def _plan(
    each: Architecture, look: Recognised, origin: str, channels: int | None, size: int | None
) -> HeadPlan:
    """The head of the file's own.

    Raises:
        UsageError: there is none, or its tensors leave open what it is.
    """
    way = _OWN_CODE.format(origin)
    if not look.head:
        raise UsageError(
            f"{origin} is {each.told} without its head: it gives features and no classes. {way}; "
            "or train a head on it: camcli train."
        )
    features, instead = _features(each, look.place, channels, size)
    shown = listed([f"{n} {'x'.join(map(str, s))}" for n, s in look.head.items()], 8)
    try:
        if features is None:
            raise DoubtError("what comes into it is not a vector")
        return planned(look.head, features, instead)
    except DoubtError as doubt:
        raise UsageError(
            f"{origin} is {each.told} with a head of its own, and its tensors leave open what it "
            f"computes: {doubt}. They are {shown}. {way}."
        ) from doubt


def _features(
    each: Architecture, place: str, channels: int | None, size: int | None
) -> tuple[int | None, nn.Module]:
    """How many numbers come into the module at `place`, None if they are no vector; and it."""
    seen: list[torch.Size] = []

    def look(module: nn.Module, args: tuple[object, ...]) -> None:
        seen.extend(arg.shape for arg in args[:1] if isinstance(arg, Tensor))

    module = without_memory(lambda: network(each, 2, channels, size)).eval()
    side = size or each.size
    instead = module.get_submodule(place[:-1])
    instead.register_forward_pre_hook(look)
    try:
        with torch.inference_mode():
            module(torch.zeros(1, channels or each.channels, side, side, device="meta"))
    except Exception:  # not everything runs without numbers
        return None, instead
    shape = tuple(seen[0]) if seen else ()
    flat = len(shape) == 2 or (len(shape) == 4 and shape[2:] == (1, 1))
    return (shape[1] if flat else None), instead


def _attached(module: nn.Module, place: str, plan: HeadPlan, each: Architecture) -> dict[str, str]:
    """Put a head into its place.

    Returns:
        Its tensors' names in the network by those in the file.
    """
    old = module.get_submodule(place[:-1])
    # What was there may have flattened its input itself; for a vector, Flatten changes nothing.
    flattened = not isinstance(old, nn.Linear)
    head, renamed = plan.module(flattened=flattened)
    module.set_submodule(place[:-1], head)
    return {name: place + new for name, new in renamed.items()}


def _adapted(candidate: Candidate, look: Recognised, places: Sequence[str]) -> Candidate:
    """A candidate with the architecture's names, behind the prefix that it has.

    Args:
        candidate: of the file.
        look: what was seen of it.
        places: where the tensors of its own head belong, in their order.
    """
    renamed = {}
    heads = dict(zip(look.head, places, strict=False))
    for name, tensor in candidate.tensors.items():
        inner = name.removeprefix(look.prefix)
        top, dot, rest = inner.partition(".")
        if name in heads:
            renamed[look.prefix + heads[name]] = tensor
        elif name.startswith(look.prefix) and top in look.renamed:
            renamed[look.prefix + look.renamed[top] + dot + rest] = tensor
        else:
            renamed[name] = tensor
    return Candidate(candidate.key, renamed)


def _size_of(each: Architecture, shapes: Mapping[str, Sizes], look: Recognised, origin: str) -> int:
    """The side of the input that a file's tensors are for.

    Raises:
        UsageError: no square fits them.
    """
    own = dict.fromkeys(look.resized)
    wanted = {name: shapes[look.prefix + name] for name in own}
    usual = shapes_of(without_memory(lambda: network(each, 2)))
    likely, sides = _likely(each, usual, wanted), list(_SIDES)
    while likely or sides:
        side = likely.pop(0) if likely else sides[len(sides) // 2]
        try:
            there = shapes_of(without_memory(partial(network, each, 2, None, side)))
        except UsageError:
            sides = [other for other in sides if other != side]
            continue
        if all(there.get(name) == shape for name, shape in wanted.items()):
            return side
        # Tensors grow with the side.
        numbers = sum(prod(there.get(name, ())) for name in wanted)
        larger = sum(map(prod, wanted.values())) > numbers
        sides = [other for other in sides if (other > side if larger else other < side)]
    told = listed([f"{n} {'x'.join(map(str, s))}" for n, s in wanted.items()])
    raise UsageError(
        f"{origin} is {each.told} for an input of another size, and no square fits its tensors: "
        f"{told}. {_OWN_CODE.format(origin)}."
    )


def _likely(
    each: Architecture, usual: Mapping[str, Sizes], wanted: Mapping[str, Sizes]
) -> list[int]:
    """Sides by the number of positions, which grows with the square of the side."""
    found = []
    for name, shape in wanted.items():
        for axis, (now, then) in enumerate(zip(shape, usual.get(name, ()), strict=False)):
            if now == then or axis > 1:
                continue
            for more in _OTHER_TOKENS:
                here, there = isqrt(max(now - more, 0)), isqrt(max(then - more, 0))
                if there and here * here == now - more and there * there == then - more:
                    found.append(each.size * here // there)
    return [side for side in found if side >= 16]
