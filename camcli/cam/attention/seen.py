"""Attention, seen while a network runs: no module of the user's is touched, and nothing stays.

A `torch.overrides.TorchFunctionMode` sees each torch function that is called in this thread, in a
user's modules as well as in the graphs that `camcli.models.cutting` makes of them. So the same code
sees `scaled_dot_product_attention`, `nn.MultiheadAttention` and what is written out as a softmax
and a product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree

from camcli.cam.attention.explicit import attention, multi_head, positional, summed_product

_ADDS = {"add", "__add__", "__radd__", "addcmul"}
_SOFTMAX = {"softmax", "special_softmax"}
_PRODUCTS = {"matmul", "__matmul__", "bmm"}
# What leaves numbers as they are, in a network that is not being trained.
_SAME = {"dropout", "to", "type_as", "type", "float", "double", "contiguous", "clone", "detach"}
_NAMED = {*_ADDS, *_SOFTMAX, *_PRODUCTS, *_SAME, "layer_norm", "rms_norm"}
# What a token is still itself after: in a block that normalises after it adds.
_NORMED = {"layer_norm", "rms_norm", *_SAME}


@dataclass(eq=False)
class Attention:
    """One call: O = P V.

    Attributes:
        V: values (B, heads, Nk, e).
        O: what comes out, (B, heads, Nq, e); has a gradient.
        make: computes P, who looks at whom.
        tokens: what the block that it is in returns, z (B, N, D) or (N, B, D); None where no sum of
            tokens followed.
        images: B, once it is known: heads may lie in one dimension with the images.
    """

    V: Tensor
    O: Tensor  # noqa: E741 - as in the formula
    make: Callable[[], Tensor]
    tokens: Tensor | None = None
    images: int | None = None

    @cached_property
    def weights(self) -> Tensor:
        """P: who looks at whom, (B, heads, Nq, Nk), rows sum to 1; without a gradient."""
        with torch.no_grad():
            return self._by_head(self.make().detach())

    def gradient(self, g: Tensor) -> Tensor:
        """∂S/∂P (B, heads, Nq, Nk) of g = ∂S/∂O: O = P V, and P goes nowhere else."""
        return self._by_head(torch.matmul(g, self.V.detach().transpose(-2, -1)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(rows, Nq, Nk): as many rows as images, or more where they are cut into windows."""
        rows = self.O.shape[:-3].numel() if self.O.ndim > 3 else len(self.O)
        if self.O.ndim == 3 and self.images and rows % self.images == 0:
            rows = self.images
        return rows, self.O.shape[-2], self.V.shape[-2]

    def _by_head(self, P: Tensor) -> Tensor:
        rows, *sides = self.shape
        return P.reshape(rows, -1, *sides)


@dataclass(eq=False)
class _Step:
    """A call of a torch function."""

    func: Any
    args: Any
    kwargs: Any
    out: Any


@dataclass(eq=False)
class Ending:
    """What a network does with its last tokens: most often a norm, a pooling and a linear layer.

    Attributes:
        tokens: those that it did it to, z (B, N, D) or (N, B, D).
        logits: what it made of them, (B, C).
        steps: how.
    """

    tokens: Tensor
    logits: Tensor
    steps: list[_Step] = field(default_factory=list)

    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits (B, C) of other tokens of the same shape."""
        new: dict[int, Tensor] = {id(self.tokens): tokens}

        def changed(value: Any) -> Any:
            return new.get(id(value), value) if isinstance(value, Tensor) else value

        for step in self.steps:
            given = _pytree.tree_leaves((step.args, step.kwargs))
            if not any(isinstance(value, Tensor) and id(value) in new for value in given):
                continue
            args, kwargs = _pytree.tree_map(changed, (step.args, step.kwargs))
            out = step.func(*args, **kwargs)
            for before, after in zip(
                _pytree.tree_leaves(step.out), _pytree.tree_leaves(out), strict=True
            ):
                if isinstance(before, Tensor):
                    new[id(before)] = after
        return new[id(self.logits)]


class Attending(TorchFunctionMode):
    """What is seen of the attention of a network that runs within it, with gradients enabled.

    Attributes:
        calls: in the order of computation.
        logits: what came of it, once `finish` was called.
        program: whether it computes by a program's operations, which are not those of modules.
        fused: whether attention is one of these.
    """

    def __init__(self) -> None:
        super().__init__()
        self.program = self.fused = False
        self.calls: list[Attention] = []
        self.logits: Tensor | None = None
        # Of a softmax to be attention: what it is now, what it was, its number and dimension.
        self._chances: dict[int, tuple[Tensor, Tensor, int, int]] = {}
        self._shown: list[Tensor] = []  # who looked at whom, as a module returned it
        self._softmaxes: dict[int, tuple[int, ...]] = {}  # shapes, of what was not attention yet
        self._met = 0
        self._stream: list[Tensor] = []  # the tokens, and what they are by another name
        self._tokens: Tensor | None = None
        self._steps: list[_Step] = []  # since they were last added to
        self._fresh = False  # whether they were, since the last attention

    def finish(self, logits: Tensor) -> None:
        """Say what the network returned, (B, C): nothing more is noted."""
        self.logits = logits
        for call in self.calls:
            call.images = len(logits)
        self._chances = {}

    @property
    def unfollowed(self) -> list[tuple[int, ...]]:
        """The shapes of softmaxes that were not multiplied with anything as they were."""
        return list(self._softmaxes.values())

    @property
    def ending(self) -> Ending | None:
        """What followed the last tokens; None where that could not be seen."""
        if self.logits is None or self._tokens is None:
            return None
        return Ending(self._tokens, self.logits, self._steps)

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        given = kwargs or {}
        if func is functional.multi_head_attention_forward:
            with self:
                both = multi_head(*args, **given)
            self._shown += [] if both[1] is None else [both[1]]
            return both
        name = getattr(func, "__name__", "")
        if isinstance(func, torch._ops.OpOverload):
            self.program = True
            self.fused |= name.startswith("scaled_dot_product")
        if name in _NAMED:
            args, given = positional(args, given)
        if name == "add_" and self.calls and args[0].ndim == 3:
            # A norm before it kept what it would write over. `tokens += more` is this, too.
            func, name = torch.Tensor.add, "add"
        out: Any = self._product_of(args) if name == "einsum" else None
        out = func(*args, **given) if out is None else out
        if not any(isinstance(leaf, Tensor) for leaf in _pytree.tree_leaves(out)):
            return out
        if func is functional.scaled_dot_product_attention:
            V = _named(args, given, "value", 2)
            if V.ndim > 3 and out.shape[-3] != V.shape[-3]:  # several heads share one
                V = V.repeat_interleave(out.shape[-3] // V.shape[-3], -3)
            self._saw(V, out, lambda: attention(*args, **given)[0])
        elif name in _SOFTMAX:
            over = given["dim"] if "dim" in given else args[1] if len(args) > 1 else None
            over = out.ndim - 1 if over is None else over % out.ndim
            self._chances[id(out)] = (out, out, self._unfollowed(out), over)
        elif name in _PRODUCTS and (chance := self._chances.get(id(args[0]))) is not None:
            _, P, number, over = chance
            if over == P.ndim - 1:
                self._softmaxes.pop(number, None)
                self._saw(args[1], out, lambda: P)
        elif name in _SAME and args and (chance := self._chances.get(id(args[0]))) is not None:
            self._chances[id(out)] = (out, *chance[1:])
        if not self.calls:
            return out
        if self._shown and name not in _SAME:
            self._used(args)
        self._steps.append(_Step(func, args, given, out))
        if name in _ADDS:
            self._summed(args, out)
        elif name in _NORMED and args and _among(args[0], self._stream):
            self._stream.append(out)
        return out

    def _unfollowed(self, P: Tensor) -> int:
        """The number by which a softmax is kept until something is multiplied with it."""
        self._met += 1
        self._softmaxes[self._met] = tuple(P.shape)
        return self._met

    def _used(self, args: Any) -> None:
        """What a module returned to be looked at may be computed with: that is not followed."""
        given = _pytree.tree_leaves(args)
        for P in [P for P in self._shown if _among(P, given)]:
            self._unfollowed(P)
            self._shown = [other for other in self._shown if other is not P]

    def _product_of(self, args: Any) -> Tensor | None:
        """What `einsum` makes of P and V, by a product of matrices; None of other values."""
        equation, *values = args
        values = values[0] if len(values) == 1 and not isinstance(values[0], Tensor) else values
        if len(values) != 2 or not isinstance(equation, str):
            return None
        chances = [self._chances.get(id(value)) for value in values]
        first = chances[0] is not None
        if (chance := chances[0] or chances[1]) is None:
            return None
        _, P, number, over = chance
        found = summed_product(equation, P, values[1 if first else 0], first, over)
        if found is None:
            return None
        who, given, back = found
        self._softmaxes.pop(number, None)
        O = torch.matmul(who, given)  # noqa: E741 - as in the formula
        self._saw(given, O, lambda: who)
        return back(O)

    def _saw(self, V: Tensor, O: Tensor, make: Callable[[], Tensor]) -> None:  # noqa: E741
        self._chances = {}
        if torch.is_grad_enabled() and not O.requires_grad and O.is_floating_point():
            O.requires_grad_(True)
        self.calls.append(Attention(V, O, make))
        self._fresh = False

    def _summed(self, args: Any, out: Tensor) -> None:
        """Something was added to something: to the tokens, it may be."""
        rows, N, keys = self.calls[-1].shape
        if keys != N or out.ndim != 3 or N not in out.shape[:2]:
            return
        images = out.shape[0] if out.shape[1] == N else out.shape[1]
        if rows != images and (self.calls[-1].O.ndim > 3 or rows % images):
            return
        # Of what is added in a block (a bias, an adapter) the tokens are what it is added to; where
        # they are not known, as in the first block, what is added last.
        follows = any(_among(arg, self._stream) for arg in args)
        if self._fresh and not follows:
            return
        self._stream = [out] if follows else [*self._stream, out]
        self._steps, self._fresh = [], follows
        self._tokens = self.calls[-1].tokens = out


def _named(args: Any, kwargs: Any, name: str, place: int) -> Tensor:
    return kwargs[name] if name in kwargs else args[place]


def _among(value: Any, tensors: list[Tensor]) -> bool:
    return any(value is tensor for tensor in tensors)
