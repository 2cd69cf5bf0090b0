"""What a cut gives: the first part of a network, and for each place the rest of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from camcli.errors import CamcliError, UsageError
from camcli.models.cutting.crossing import usable
from camcli.models.outputs import Output
from camcli.models.spec import OutputKind


@dataclass(frozen=True, slots=True)
class LinearHead:
    """The classifier after global average pooling: S = weight @ mean(A) + bias.

    Attributes:
        weight: w, (C, K).
        bias: b, (C,).
    """

    weight: Tensor
    bias: Tensor

    @property
    def outputs(self) -> int:
        """C."""
        return len(self.weight)

    @property
    def channels(self) -> int:
        """K."""
        return self.weight.shape[1]

    def __call__(self, A: Tensor) -> Tensor:
        """Logits S (B, C) of feature maps A (B, K, h, w), in the head's own precision."""
        return A.mean((2, 3)).to(self.weight.dtype) @ self.weight.T + self.bias


class Head(Protocol):
    """What can stand in place of a network's own end: a `LinearHead`, or a module."""

    @property
    def outputs(self) -> int:
        """C."""

    @property
    def channels(self) -> int:
        """K."""

    def __call__(self, A: Tensor) -> Tensor:
        """Logits (B, C) of maps A (B, K, h, w)."""


class Tail:
    """A -> logits, for images that have been seen: it knows what passes by the cut.

    Most cuts have no such context. Others do: the class token of a transformer, the other branch
    of a residual block, or the images themselves where the network cannot be traced.
    """

    def __init__(
        self, run: Callable[..., Tensor], context: Sequence[tuple[Any, bool]] = ()
    ) -> None:
        """`run` takes A and the context; a context value has, or has not, one row an image."""
        self.run, self.context = run, tuple(context)

    def __call__(self, A: Tensor, of: Tensor | None = None) -> Tensor:
        """Logits (n, C).

        Args:
            A: (n, K, h, w).
            of: (n,) int64, the image that each row of A belongs to; by default one row for each
                image, in order.
        """
        context = [
            value[of] if per_image and of is not None else usable(value)
            for value, per_image in self.context
        ]
        return self.run(A, *context)


@dataclass(frozen=True, slots=True)
class Place:
    """One place where a network is cut.

    Attributes:
        layer: its name.
        tail: (A, *context) -> logits (B, C).
        batched: for each context value, whether it has one row an image.
        head: the tail as a linear head when it is GAP + linear, else None.
        shape: of A for one square image of the trial's size, (K, h, w).
        matters: whether A has any influence on the logits. The tokens after a transformer's last
            attention have none where only the class token is used.
    """

    layer: str
    tail: Callable[..., Tensor]
    batched: tuple[bool, ...]
    head: LinearHead | None
    shape: tuple[int, int, int]
    matters: bool = True


@dataclass(frozen=True, slots=True)
class Cut:
    """A network cut at one or several layers; the backbone runs once for all of them.

    Attributes:
        first: images (B, 3, H, W) -> A (B, K, h, w) for one place without context, else
            ((A, *context), ...) in the order of `places`.
        places: in the order that was asked for.
        outputs: C, the number of logits.
        output: what they are.
        gradients: whether autograd can go through its parts.
        whole: images -> what the last place's tail says of them, in one run, where the parts are
            runs of the whole network; None where they are parts.
    """

    first: Callable[[Tensor], Any]
    places: tuple[Place, ...]
    outputs: int
    output: Output = field(default_factory=Output)
    gradients: bool = True
    whole: Callable[[Tensor], Tensor] | None = None

    @property
    def plain(self) -> bool:
        """Whether there is one place, and the tail needs nothing but A."""
        return len(self.places) == 1 and not self.places[0].batched

    def features(self, images: Tensor) -> Tensor:
        """A (B, K, h, w) at the first place."""
        out = self.first(images)
        return out if self.plain else out[0][0]

    @property
    def tail(self) -> Callable[..., Tensor]:
        """What follows the first place."""
        return self.places[0].tail

    @property
    def head(self) -> LinearHead | None:
        """The linear head of the first place, if it has one."""
        return self.places[0].head

    @property
    def layer(self) -> str:
        """The names of the places, as a user would ask for them."""
        return ",".join(place.layer for place in self.places)

    def to(self, device: torch.device) -> Cut:
        """The same on another device, with memory laid out as convolutions like it."""
        for half in (self.first, *(place.tail for place in self.places)):
            if isinstance(half, nn.Module):
                channels_last(half.to(device))
        places = []
        for place in self.places:
            head = place.head and LinearHead(
                place.head.weight.to(device), place.head.bias.to(device)
            )
            # A head that takes the place of the network's own is its tail, too.
            tail = head if place.tail is place.head and head else place.tail
            places.append(replace(place, head=head, tail=tail))
        return replace(self, places=tuple(places))

    def split(self, images: Tensor) -> list[tuple[Tensor, Tail]]:
        """A and the tail for these images, at each place."""
        out = self.first(images)
        rows = [(out,)] if self.plain else out
        return [
            (A, Tail(place.tail, list(zip(context, place.batched, strict=True))))
            for (A, *context), place in zip(rows, self.places, strict=True)
        ]


@runtime_checkable
class CutsItself(Protocol):
    """A network that is no torch code, and knows how to be cut: a graph that OpenVINO runs."""

    def cut_itself(
        self, shape: tuple[int, int, int], layers: Sequence[str], output: OutputKind | None
    ) -> Cut:
        """As `camcli.models.cutting.cut.cut`."""

    def own_layers(self, shape: tuple[int, int, int]) -> list[Any]:
        """As `camcli.models.cutting.listing.list_layers`."""


def has_gradients(tail: Any) -> bool:
    """Whether autograd runs through a tail; not where another runtime computes it."""
    inner = getattr(tail, "tail", None)  # of a network with one output
    return getattr(tail, "has_gradients", True) and (inner is None or has_gradients(inner))


def channels_last(module: nn.Module) -> nn.Module:
    """The same module, with its weights laid out as convolutions on CPUs and tensor cores like it.

    `nn.Module.to` would also try what has five dimensions, as Swin's masks in timm, and fail.
    """
    return _laid_out(module, torch.channels_last)


def channels_first(module: nn.Module) -> nn.Module:
    """The same module, with its weights laid out as they are made."""
    return _laid_out(module, torch.contiguous_format)


def _laid_out(module: nn.Module, layout: torch.memory_format) -> nn.Module:
    for value in (*module.parameters(), *module.buffers()):
        if value.dim() == 4:
            value.data = value.data.contiguous(memory_format=layout)
    return module


class NoMapError(CamcliError):
    """The network has nothing that could be drawn."""


def not_a_map(name: str, shape: tuple[int, ...]) -> UsageError:
    """What to say of a layer without a map; `shape` is () when it returns no tensor."""
    what = f"a tensor of shape (B, {', '.join(map(str, shape[1:]))})" if shape else "no tensor"
    return UsageError(
        f"Layer {name!r} returns {what}, which is no map; 'camcli layers' lists those that do."
    )
