"""A network that can be built at will, described: what its classes, channels and size decide."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from camcli.models.recognition.forest import COUNTER, Forest, Sizes
from camcli.models.recognition.index import Architecture, Growing
from camcli.models.recognition.unallocated import shapes_of, without_memory

# Numbers of classes that no network has as a width, so that they are known again.
CLASSES, OTHER_CLASSES = 7, 11
# What is left out when a network is not trained says nothing of what it computes.
_TRAINING = re.compile(r"\b\w*Drop\w*\([^()]*\)|StochasticDepth\([^()]*\)")


@dataclass(frozen=True)
class Blueprint:
    """How a library builds one of its classifiers.

    Attributes:
        library: ``torchvision`` or ``timm``.
        name: as the library calls it.
        build: the network from a number of classes, and optionally of channels and a side in
            pixels; None stands for its own. Raises whatever it likes for what it does not take.
        size: side of its usual input.
        channels: of its usual input.
        tags: how many sets of weights there are.
        norm: ``mean/std`` of its usual weights.
        main: the module that gives the classes, if the library says so; else the last one.
    """

    library: str
    name: str
    build: Callable[[int, int | None, int | None], nn.Module]
    size: int
    channels: int
    tags: int
    norm: str
    main: tuple[str, ...] = ()


def describe(blueprint: Blueprint, forest: Forest) -> Architecture | None:
    """The architecture, its tree put into the forest; None for one without classes.

    What depends on what is not guessed from names: the network is built again with more classes,
    another number of channels and another size, without memory, and its tensors are compared.
    """
    module = without_memory(lambda: blueprint.build(CLASSES, None, None))
    own = _tensors(module)
    more = _built(blueprint, OTHER_CLASSES, None, None)
    if more is None:
        return None
    per_class = [name for name in own if own[name] != more.get(name)]
    if not per_class:
        return None
    fewer = 1 if blueprint.channels != 1 else 3
    grown = _built(blueprint, CLASSES, fewer, None)
    # Windows and grids divide a side that is twice as long; one that is a step longer shows most.
    larger = _built(blueprint, CLASSES, None, 2 * blueprint.size)
    modules = dict.fromkeys(name.rpartition(".")[0] for name in per_class)
    main = tuple(name for name in blueprint.main if name in modules) or (list(modules)[-1],)
    return Architecture(
        library=blueprint.library,
        name=blueprint.name,
        root=forest.add(own),
        size=blueprint.size,
        channels=blueprint.channels,
        tags=blueprint.tags,
        norm=blueprint.norm,
        computing=_digest(module),
        heads=tuple(f"{name}." for name in main),
        helping=tuple(f"{name}." for name in modules if name not in main),
        growing=tuple(_growing(own, grown or {}, blueprint.channels - fewer)),
        sized=tuple(n for n in own if larger and n in larger and larger[n] != own[n]),
        children=tuple(name for name, _ in module.named_children()),
    )


def _built(
    blueprint: Blueprint, classes: int, channels: int | None, size: int | None
) -> dict[str, Sizes] | None:
    """The tensors of a variant, or None if the library has none."""
    try:
        return _tensors(without_memory(lambda: blueprint.build(classes, channels, size)))
    except Exception:  # whatever a constructor says to what it does not take
        return None


def _tensors(module: nn.Module) -> dict[str, Sizes]:
    return {n: s for n, s in shapes_of(module).items() if n.rpartition(".")[2] != COUNTER}


def _growing(own: dict[str, Sizes], other: dict[str, Sizes], channels: int) -> list[Growing]:
    """Which dimensions differ, by how much a channel."""
    return [
        Growing(name, axis, (mine - theirs) // channels)
        for name, shape in own.items()
        if len(other.get(name, ())) == len(shape)
        for axis, (mine, theirs) in enumerate(zip(shape, other[name], strict=True))
        if mine != theirs
    ]


def _digest(module: nn.Module) -> str:
    """Eight digits of what the modules are."""
    text = _TRAINING.sub("Identity()", repr(module))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
