"""Cut a network that cannot be traced, with hooks on its modules."""

from __future__ import annotations

import difflib
import math
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from camcli.errors import UsageError
from camcli.models.cutting.graph.fx_graph import PROBE
from camcli.models.cutting.graph.layout import traced_to_pixels
from camcli.models.cutting.graph.steps import Following
from camcli.models.cutting.scores.final_activation import Whole
from camcli.models.cutting.token_positions import disturbed
from camcli.models.cutting.tokens import TensorLayout, from_maps, possible_layouts, to_maps
from camcli.models.cutting.types import Cut, NoMapError, Place, not_a_map
from camcli.models.outputs import largest
from camcli.models.spec import LAST

# So many modules from the end are tried for one that decides alone, of so many times more places.
_TRIES, _FINER = 12, 4


def watch(model: nn.Module, probe: Tensor) -> dict[str, tuple[int, ...]]:
    """The shape that each module returns, in the order of computation."""
    seen: dict[str, tuple[int, ...]] = {}

    def note(name: str, out: Any) -> None:
        seen.pop(name, None)
        seen[name] = tuple(out.shape) if isinstance(out, Tensor) else ()

    _with_outputs(model, probe, note)
    return seen


def _with_outputs(
    model: nn.Module,
    images: Tensor,
    note: Callable[[str, Any], None],
    begin: Callable[[Tensor], None] = lambda images: None,
) -> None:
    """Run a network and show what each of its modules returns, by the module's name."""
    handles = []
    for name, module in model.named_modules():
        if name:

            def hook(m: nn.Module, _: Any, out: Any, name: str = name) -> None:
                note(name, out)

            handles.append(module.register_forward_hook(hook))
    given = images.clone()
    begin(given)
    try:
        model(given)
    finally:
        for handle in handles:
            handle.remove()


def layouts(
    model: nn.Module, seen: dict[str, tuple[int, ...]], picture: Tensor
) -> dict[str, TensorLayout]:
    """How modules return maps; others are left out.

    A shape is no proof (`camcli.models.cutting.graph.layout`): maps are followed from the images
    through what keeps their places, and where that ends a trial tells.

    Args:
        model: the network.
        seen: what `watch` saw, of `PROBE` images.
        picture: one of its trial images, (C, H, W).
    """
    image = (picture.shape[1], picture.shape[2])
    possible = {
        name: fitting
        for name, shape in seen.items()
        if shape[:1] == (PROBE,) and (fitting := possible_layouts(shape, image))
    }
    if not possible:
        return {}
    images, found = disturbed((len(picture), *image), picture), dict[str, TensorLayout]()

    def note(name: str, out: Any) -> None:
        found.pop(name, None)  # a module may be called again
        if not isinstance(out, Tensor) or name not in possible or len(out) != len(images):
            return
        held = traced_to_pixels(out, possible[name])
        if held is not None:
            found[name] = held

    try:
        with Following(image) as following:
            _with_outputs(model, images, note, following.begin)
    except RuntimeError:  # this number of pictures is not taken
        return {name: likely[0] for name, likely in possible.items()}
    return {name: found[name] for name in possible if name in found}


def cut_at(whole: Whole, probe: Tensor, layers: Sequence[str], expected: Tensor) -> Cut:
    """For networks that cannot be traced: the tail is the whole network, its layer replaced.

    Args:
        whole: runs the network as a whole.
        probe: (PROBE, 3, H, W).
        layers: where to cut.
        expected: what `whole` says of the probe.
    """
    seen = watch(whole.model, probe)
    held = layouts(whole.model, seen, probe[0])
    maps = list(held)
    for name in set(layers) - {LAST}:
        if name in seen and name not in maps:
            raise not_a_map(name, seen[name])
        if name not in maps:
            near = difflib.get_close_matches(name, maps, n=3)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise UsageError(
                f"The network has no layer {name!r}.{hint} 'camcli layers' lists its layers."
            )
    hooked = [
        _hooked_last(whole, probe, held, expected)
        if name == LAST
        else _Hooked(whole, name, held[name])
        for name in layers
    ]
    outputs = expected.shape[1]
    if len(hooked) == 1 and not hooked[0].prefix:  # a class token passes the layer by, too
        # Most often nothing bypasses the layer; then its input, and so the images, do not matter.
        (one,) = hooked
        if one.decides(probe, expected):
            place = Place(one.name, one.alone(probe), (True,) * one.prefix, None, one.layout.shape)
            if not one.prefix:
                return Cut(lambda images: one.first(images)[0], (place,), outputs, whole=whole)
            return Cut(lambda images: [one.first(images)], (place,), outputs, whole=whole)
    places = tuple(
        Place(one.name, one.tail, (True, True) if one.prefix else (True,), None,
              one.layout.shape)
        for one in hooked
    )  # fmt: skip
    return Cut(
        lambda images: [(*one.first(images), images) for one in hooked], places, outputs,
        whole=whole,
    )  # fmt: skip


def _hooked_last(
    whole: Whole, probe: Tensor, held: dict[str, TensorLayout], expected: Tensor
) -> _Hooked:
    """The last module with a map that has influence on the logits.

    One through which everything passes, if it is near: the last may be inside of a branch.
    """
    last: _Hooked | None = None
    tries = _TRIES
    for name in reversed(held):
        _, h, w = held[name].shape
        if last is not None and (tries == 0 or h * w > _FINER * math.prod(last.layout.shape[1:])):
            break
        hooked = _Hooked(whole, name, held[name])
        if held[name].kind == "tokens" and not hooked.matters(probe):
            continue
        last = last or hooked
        tries -= 1
        if hooked.decides(probe, expected):
            return hooked
    if last is None:
        raise NoMapError("The network has no layer that returns a spatial map (B, K, h, w).")
    return last


class _Hooked:
    """One layer of a network that is run as a whole, to read or to replace what it returns."""

    def __init__(self, whole: Whole, name: str, layout: TensorLayout) -> None:
        self.whole, self.name, self.layout = whole, name, layout
        self.module = whole.model.get_submodule(name)
        self.prefix = layout.prefix > 0
        # Hooks are seen by every thread that runs the network.
        self.lock = _LOCKS.setdefault(whole.model, threading.RLock())

    def first(self, images: Tensor) -> tuple[Tensor, ...]:
        """A, and a prefix where there is one."""
        kept: list[Tensor] = []
        # A copy, because what follows may write over it.
        self._run(images, lambda _module, _inputs, out: kept.append(out.clone()))
        return to_maps(kept[-1], self.layout)

    def tail(self, A: Tensor, *context: Tensor) -> Tensor:
        """Logits when the layer returns A; `context` is the prefix, if any, and the images."""
        *prefix, images = context
        value = from_maps(A, self.layout, prefix[0] if prefix else None).clone()
        return self._run(images, lambda *_: value)

    def alone(self, probe: Tensor) -> Callable[..., Tensor]:
        """A tail that needs no images."""
        blank = probe[:1] * 0

        def tail(A: Tensor, *prefix: Tensor) -> Tensor:
            images = blank.to(A.device, A.dtype).expand(len(A), -1, -1, -1)
            return self.tail(A, *prefix, images)

        return tail

    def decides(self, probe: Tensor, expected: Tensor) -> bool:
        """Whether all that the network says of these images is in what the layer returns."""
        try:
            got = self.alone(probe)(*self.first(probe))
        except RuntimeError:  # what passes by it cannot do without the images
            return False
        # The same code runs on the same numbers: what differs at all is what passes by.
        return torch.allclose(got, expected, rtol=1e-5, atol=1e-6 * largest(expected))

    def matters(self, probe: Tensor) -> bool:
        """Whether another map gives other logits."""
        A, *prefix = self.first(probe)
        noise = torch.randn(A.shape, generator=torch.Generator().manual_seed(2))
        changed = self.tail(A + A.std() * noise, *prefix, probe)
        return not torch.equal(changed, self.tail(A, *prefix, probe))

    def _run(self, images: Tensor, hook: Callable[..., Any]) -> Tensor:
        with self.lock:
            handle = self.module.register_forward_hook(hook)
            try:
                return self.whole(images)
            finally:
                handle.remove()


_LOCKS: weakref.WeakKeyDictionary[nn.Module, threading.RLock] = weakref.WeakKeyDictionary()
