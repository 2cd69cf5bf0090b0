"""Networks that are no functions of one picture: those that write into it, and those that vary.

A network may write into its input, or over a value that it uses again. It may leave dropout on,
so that it answers differently each time, or normalise by the batch, so that a picture's answer
depends on its neighbours. The first is made right, on a copy; the others are told by name.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import CheckpointFunction

from camcli.errors import CamcliError
from camcli.models.outputs import largest

# A block that is left out of one picture in ten is then found out but one time in thirty.
_TRIES = 16


def copy_input(graph: fx.Graph) -> None:
    """Let a graph begin with a copy of its images, so that it may write into them."""
    images = next(n for n in graph.nodes if n.op == "placeholder")
    with graph.inserting_after(images):
        copied = graph.call_method("clone", (images,))
    images.replace_all_uses_with(copied, delete_user_cb=lambda user: user is not copied)


def is_input(node: fx.Node) -> bool:
    """Whether a node is a network's images, or the copy of them that `copy_input` makes."""
    if node.op == "placeholder":
        return True
    source = node.args[0] if node.op == "call_method" and node.target == "clone" else None
    return isinstance(source, fx.Node) and source.op == "placeholder"


def follow_writes(whole: fx.GraphModule, graph: fx.Graph) -> None:
    """Let what comes after a value was written over use what was written.

    ``x.sub_(m); x.div_(s)`` are statements whose results nobody takes: without this they would
    look unused, and a copy that writes nothing in place would leave them out.

    Args:
        whole: has the modules.
        graph: is changed.
    """
    nodes = list(graph.nodes)
    for position, node in enumerate(nodes):
        base = node.args[0] if node.args else None
        if not isinstance(base, fx.Node) or not _writes(whole, node):
            continue
        later = set(nodes[position + 1 :])
        base.replace_all_uses_with(node, delete_user_cb=later.__contains__)


def _writes(whole: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a node writes over its first argument."""
    if node.op == "call_method":
        name = str(node.target)
        return name.endswith("_") and not name.endswith("__") and hasattr(Tensor, name)
    if node.op == "call_function":
        name = getattr(node.target, "__name__", "")
        module = getattr(node.target, "__module__", None) or ""
        if module == "_operator":
            return name in ("iadd", "isub", "imul", "itruediv")
        written = name.endswith("_") and not name.endswith("__") and hasattr(torch, name)
        return written or node.kwargs.get("inplace") is True
    if node.op == "call_module":
        return getattr(whole.get_submodule(str(node.target)), "inplace", False) is True
    return False


@contextmanager
def noticing_chance() -> Iterator[list[bool]]:
    """Notice whether random numbers are drawn: the list has a True then, afterwards."""
    drawn: list[bool] = []
    before = torch.get_rng_state(), random.getstate()
    yield drawn
    drawn.append(
        not torch.equal(before[0], torch.get_rng_state()) or before[1] != random.getstate()
    )


def check_steady(model: nn.Module, images: Tensor) -> None:
    """Refuse a network that answers differently each time, or whose answer depends on the batch.

    Args:
        model: in eval mode.
        images: (B, 3, H, W), two or more.

    Raises:
        CamcliError: it does; the message names where.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        first = model(images.clone())
        for _ in range(_TRIES):
            if not same(model(images.clone()), first):
                raise CamcliError(
                    "The network answers differently each time for the same picture: "
                    f"{_chances(model, images)}. Predictions and maps would be chance."
                )
        alone = model(images[:1].clone())
        if isinstance(first, Tensor) and not same(
            alone.reshape(-1), first.reshape(len(images), -1)[0]
        ):
            raise CamcliError(
                "The network's answer for a picture depends on what else is in the batch: "
                f"{_batchwise(model, images)}. Let it normalise by its running statistics."
            )


def same(a: Any, b: Any) -> bool:
    """Whether two answers are equal up to rounding."""
    return (
        isinstance(a, Tensor)
        and a.shape == b.shape
        and torch.allclose(a, b, rtol=1e-3, atol=1e-4 * largest(b), equal_nan=True)
    )


def _chances(model: nn.Module, images: Tensor) -> str:
    """Where the chance comes in, as a part of a sentence."""
    with _Watch(model) as watch:
        model(images.clone())
    where = list(dict.fromkeys(watch.dropout))
    if where:
        advice = (
            "F.dropout needs training=self.training"
            if not any(m.training for m in model.modules())
            else "eval() does not turn it off"
        )
        return f"dropout is on at {_places(where)} ({advice})"
    where = list(dict.fromkeys(watch.random))
    if where:
        return f"it draws random numbers at {_places(where)}"
    training = [name for name, m in model.named_modules() if m.training]
    if training:
        return f"{_places(training)} stays in training mode after eval()"
    return "it keeps something from one picture for the next"


def _batchwise(model: nn.Module, images: Tensor) -> str:
    with _Watch(model) as watch:
        model(images.clone())
    where = list(dict.fromkeys(watch.batch))
    if where:
        return f"batch normalisation takes the batch's own statistics at {_places(where)}"
    return "it mixes the pictures of a batch"


def _places(names: Sequence[str], most: int = 3) -> str:
    shown = [repr(name) for name in names[:most]]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shown) + more


_DROPOUTS = {
    functional.dropout: 2, functional.dropout1d: 2, functional.dropout2d: 2,
    functional.dropout3d: 2, functional.alpha_dropout: 2, functional.feature_alpha_dropout: 2,
}  # fmt: skip
_RANDOM = {
    torch.bernoulli, torch.rand_like, torch.randn_like, torch.randint_like, torch.normal,
    torch.multinomial, torch.dropout, torch.rand, torch.randn, torch.randint, torch.randperm,
    functional.gumbel_softmax, functional.rrelu, Tensor.bernoulli_, Tensor.bernoulli,
    Tensor.uniform_, Tensor.normal_, Tensor.random_, Tensor.exponential_, Tensor.multinomial,
}  # fmt: skip


class _Watch(TorchFunctionMode):
    """Notes in which module of a network chance and the batch come in.

    Attributes:
        dropout: modules in which dropout was on.
        random: in which random numbers were drawn.
        batch: in which a batch was normalised by itself.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.dropout: list[str] = []
        self.random: list[str] = []
        self.batch: list[str] = []
        self._inside: list[str] = []
        self._model = model
        self._handles: list[Any] = []

    def __enter__(self) -> _Watch:
        for name, module in self._model.named_modules():
            shown = name or type(module).__name__

            def enter(_module: nn.Module, _inputs: Any, shown: str = shown) -> None:
                self._inside.append(shown)

            def leave(_module: nn.Module, _inputs: Any, _out: Any) -> None:
                self._inside.pop()

            self._handles.append(module.register_forward_pre_hook(enter))
            self._handles.append(module.register_forward_hook(leave))
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for handle in self._handles:
            handle.remove()

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        given = kwargs or {}
        where = self._inside[-1] if self._inside else type(self._model).__name__
        if func in _DROPOUTS:
            place = _DROPOUTS[func]
            if given.get("training", args[place] if len(args) > place else True):
                self.dropout.append(where)
        elif func is functional.scaled_dot_product_attention:
            if given.get("dropout_p", args[4] if len(args) > 4 else 0.0):
                self.dropout.append(where)
        elif func in _RANDOM:
            self.random.append(where)
        elif func is functional.batch_norm and given.get(
            "training", args[5] if len(args) > 5 else False
        ):
            self.batch.append(where)
        return func(*args, **given)


@contextmanager
def without_checkpoints() -> Iterator[None]:
    """Let `torch.utils.checkpoint` run its parts plainly: its first kind hides them from autograd.

    It saves memory in training, and changes no number. Several threads may be in here.
    """

    def apply(function: Any, preserve: bool, *args: Any) -> Any:
        return function(*args)

    with _LOCK:
        _INSIDE.append(True)
        CheckpointFunction.apply = staticmethod(apply)
    try:
        yield
    finally:
        with _LOCK:
            _INSIDE.pop()
            if not _INSIDE:
                del CheckpointFunction.apply  # what it inherits is there again


_LOCK = threading.Lock()
_INSIDE: list[bool] = []
