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
from camcli.models.cutting.final_activation import Whole
from camcli.models.cutting.token_positions import answering, disturbed, lies_so
from camcli.models.cutting.tokens import TensorLayout, from_maps, layout_of, to_maps
from camcli.models.cutting.types import Cut, NoMapError, Place, not_a_map
from camcli.models.spec import LAST


def watch(model: nn.Module, probe: Tensor) -> dict[str, tuple[int, ...]]:
    """The shape that each module returns, in the order of computation."""
    seen: dict[str, tuple[int, ...]] = {}

    def note(name: str, out: Any) -> None:
        seen.pop(name, None)
        seen[name] = tuple(out.shape) if isinstance(out, Tensor) else ()

    _with_outputs(model, probe, note)
    return seen


def _with_outputs(model: nn.Module, images: Tensor, note: Callable[[str, Any], None]) -> None:
    """Run a network and show what each of its modules returns, by the module's name."""
    handles = []
    for name, module in model.named_modules():
        if name:

            def hook(m: nn.Module, _: Any, out: Any, name: str = name) -> None:
                note(name, out)

            handles.append(module.register_forward_hook(hook))
    try:
        model(images.clone())
    finally:
        for handle in handles:
            handle.remove()


def layouts(
    model: nn.Module, seen: dict[str, tuple[int, ...]], image: tuple[int, int, int]
) -> dict[str, TensorLayout]:
    """How modules return maps; others are left out.

    Tokens lie on the grid of an earlier map, or on one that a module names (``grid_size``); where
    there is neither, or as many channels as tokens, a trial tells
    (`camcli.models.cutting.token_positions`).

    Args:
        model: the network.
        seen: what `watch` saw.
        image: (channels, height, width) of its images.
    """
    found: dict[str, TensorLayout] = {}
    answers: dict[str, Tensor] = {}
    channels: set[int] = set()
    grids: set[tuple[int, int]] = {
        (int(grid[0]), int(grid[1]))
        for module in model.modules()
        if isinstance(grid := getattr(module, "grid_size", None), (tuple, list)) and len(grid) == 2
    }
    for name, shape in seen.items():
        held = layout_of(shape, image[1:], grids)
        if len(shape) == 3 and (held is None or shape[1] in channels):
            held = held or layout_of(shape, image[1:])
            if held is not None:
                answers = answers or _answers(model, image)
                held = held if name in answers and lies_so(held, answers[name]) else None
        if held is not None:
            found[name] = held
            if held.kind != "tokens":
                grids.add(held.shape[1:])
                channels.add(held.shape[0])
    return found


def _answers(model: nn.Module, image: tuple[int, int, int]) -> dict[str, Tensor]:
    """For each module that may return tokens, which of them answer to a change in a picture."""
    images, found = disturbed(image), dict[str, Tensor]()

    def note(name: str, out: Any) -> None:
        if isinstance(out, Tensor) and out.ndim == 3 and len(out) == len(images):
            found[name] = answering(out)

    _with_outputs(model, images, note)
    return found


def cut_at(whole: Whole, probe: Tensor, layers: Sequence[str], expected: Tensor) -> Cut:
    """For networks that cannot be traced: the tail is the whole network, its layer replaced.

    Args:
        whole: runs the network as a whole.
        probe: (PROBE, 3, H, W).
        layers: where to cut.
        expected: what `whole` says of the probe.
    """
    seen = watch(whole.model, probe)
    _, C, H, W = probe.shape
    held = layouts(whole.model, seen, (C, H, W))
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
        _hooked_last(whole, probe, held) if name == LAST else _Hooked(whole, name, held[name])
        for name in layers
    ]
    outputs = expected.shape[1]
    if len(hooked) == 1 and not hooked[0].prefix:  # a class token passes the layer by, too
        # Most often nothing bypasses the layer; then its input, and so the images, do not matter.
        (one,) = hooked
        blank = probe[:1] * 0
        alone = _without_images(one, blank)
        A = one.first(probe)[0]
        if torch.allclose(alone(A), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max())):
            place = Place(one.name, alone, (), None, one.layout.shape)
            return Cut(lambda images: one.first(images)[0], (place,), outputs)
    places = tuple(
        Place(one.name, one.tail, (True, True) if one.prefix else (True,), None,
              one.layout.shape)
        for one in hooked
    )  # fmt: skip
    return Cut(lambda images: [(*one.first(images), images) for one in hooked], places, outputs)


def _hooked_last(whole: Whole, probe: Tensor, held: dict[str, TensorLayout]) -> _Hooked:
    """The last module with a map; for tokens the last whose map has influence on the logits."""
    for name in reversed(held):
        hooked = _Hooked(whole, name, held[name])
        if held[name].kind != "tokens":
            return hooked
        A, *prefix = hooked.first(probe)
        noise = torch.randn(A.shape, generator=torch.Generator().manual_seed(2))
        changed = hooked.tail(A + A.std() * noise, *prefix, probe)
        if not torch.equal(changed, hooked.tail(A, *prefix, probe)):
            return hooked
    raise NoMapError("The network has no layer that returns a spatial map (B, K, h, w).")


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
