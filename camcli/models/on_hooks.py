"""Cut a network that cannot be traced, with hooks on its modules."""

from __future__ import annotations

import difflib
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from camcli.errors import UsageError
from camcli.models.ends import Whole
from camcli.models.parts import Cut, NoMapError, Place, not_a_map
from camcli.models.tokens import from_maps, layout_of, map_shape, prefix_tokens, to_maps
from camcli.models.words import LAST


def watch(model: nn.Module, probe: Tensor) -> dict[str, tuple[int, ...]]:
    """The shape that each module returns, in the order of computation."""
    seen: dict[str, tuple[int, ...]] = {}
    handles = []
    for name, module in model.named_modules():
        if name:

            def watch(m: nn.Module, _: Any, out: Any, name: str = name) -> None:
                seen.pop(name, None)
                seen[name] = tuple(out.shape) if isinstance(out, Tensor) else ()

            handles.append(module.register_forward_hook(watch))
    try:
        model(probe.clone())
    finally:
        for handle in handles:
            handle.remove()
    return seen


def cut_at(whole: Whole, probe: Tensor, layers: Sequence[str], expected: Tensor) -> Cut:
    """For networks that cannot be traced: the tail is the whole network, its layer replaced.

    Args:
        whole: runs the network as a whole.
        probe: (PROBE, 3, H, W).
        layers: where to cut.
        expected: what `whole` says of the probe.
    """
    seen = watch(whole.model, probe)
    maps = [name for name, shape in seen.items() if layout_of(shape)]
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
        _hooked_last(whole, probe, seen, maps) if name == LAST else _Hooked(whole, name, seen[name])
        for name in layers
    ]
    outputs = expected.shape[1]
    if len(hooked) == 1:
        # Most often nothing bypasses the layer; then its input, and so the images, do not matter.
        (one,) = hooked
        blank = probe[:1] * 0
        alone = _without_images(one, blank)
        A = one.first(probe)[0]
        if torch.allclose(alone(A), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max())):
            place = Place(one.name, alone, (), None, map_shape(one.shape))
            return Cut(lambda images: one.first(images)[0], (place,), outputs)
    places = tuple(
        Place(one.name, one.tail, (True, True) if one.prefix else (True,), None,
              map_shape(one.shape))
        for one in hooked
    )  # fmt: skip
    return Cut(lambda images: [(*one.first(images), images) for one in hooked], places, outputs)


def _hooked_last(
    whole: Whole, probe: Tensor, seen: dict[str, tuple[int, ...]], maps: list[str]
) -> _Hooked:
    """The last module with a map; for tokens the last whose map has influence on the logits."""
    for name in reversed(maps):
        hooked = _Hooked(whole, name, seen[name])
        if layout_of(seen[name]) != "tokens":
            return hooked
        A, *prefix = hooked.first(probe)
        noise = torch.randn(A.shape, generator=torch.Generator().manual_seed(2))
        changed = hooked.tail(A + A.std() * noise, *prefix, probe)
        if not torch.equal(changed, hooked.tail(A, *prefix, probe)):
            return hooked
    raise NoMapError("The network has no layer that returns a spatial map (B, K, h, w).")


class _Hooked:
    """One layer of a network that is run as a whole, to read or to replace what it returns."""

    def __init__(self, whole: Whole, name: str, shape: tuple[int, ...]) -> None:
        layout = layout_of(shape)
        assert layout is not None
        self.whole, self.name, self.shape, self.layout = whole, name, shape, layout
        self.module = whole.model.get_submodule(name)
        self.prefix = prefix_tokens(shape, layout) > 0
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

    def _run(self, images: Tensor, hook: Callable[..., Any]) -> Tensor:
        with self.lock:
            handle = self.module.register_forward_hook(hook)
            try:
                return self.whole(images)
            finally:
                handle.remove()


_LOCKS: weakref.WeakKeyDictionary[nn.Module, threading.RLock] = weakref.WeakKeyDictionary()


def _without_images(hooked: _Hooked, blank: Tensor) -> Callable[[Tensor], Tensor]:
    """A tail that needs no images."""

    def tail(A: Tensor) -> Tensor:
        return hooked.tail(A, blank.to(A.device, A.dtype).expand(len(A), -1, -1, -1))

    return tail
