"""The activation that a network ends in: found, left out, and what its outputs are then.

A network that ends in softmax or a sigmoid gives probabilities. Where its graph shows that end it
is left out, so that maps explain the logits before it, and applied again where probabilities are
asked for. Whether that is right is decided by numbers: the activation of what was left must be
what the network itself says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from camcli.models.cutting.graph.fx_graph import PROBE, Traced
from camcli.models.cutting.purity import without_checkpoints
from camcli.models.cutting.scores.linear_end import LINEAR_FUNCTIONS
from camcli.models.outputs import rows_of

Family = Literal["softmax", "sigmoid"]
# Where classes exclude each other, and where they do not; with their logarithms.
_ACTIVATIONS: dict[Family, tuple[Callable[[Tensor], Tensor], ...]] = {
    "softmax": (lambda z: z.softmax(1), lambda z: z.log_softmax(1)),
    "sigmoid": (torch.sigmoid, functional.logsigmoid),
}
_FUNCTIONS: dict[Any, Family] = {
    **dict.fromkeys(
        (functional.softmax, torch.softmax, Tensor.softmax, torch.special.softmax,
         functional.log_softmax, torch.log_softmax, Tensor.log_softmax,
         torch.special.log_softmax),
        "softmax",
    ),
    **dict.fromkeys(
        (torch.sigmoid, Tensor.sigmoid, functional.sigmoid, torch.special.expit, torch.sigmoid_,
         Tensor.sigmoid_, functional.logsigmoid),
        "sigmoid",
    ),
}  # fmt: skip
_METHODS: dict[str, Family] = {
    "softmax": "softmax", "log_softmax": "softmax", "sigmoid": "sigmoid", "sigmoid_": "sigmoid",
}  # fmt: skip
_MODULES: dict[type[nn.Module], Family] = {
    nn.Softmax: "softmax", nn.LogSoftmax: "softmax", nn.Softmax2d: "softmax",
    nn.Sigmoid: "sigmoid", nn.LogSigmoid: "sigmoid",
}  # fmt: skip
# So many steps before the output are searched: what squeezes, flattens or clamps may follow.
_STEPS = 8


def end_on_graph(traced: Traced, probe: Tensor, raw: Tensor) -> tuple[Family, fx.Node] | None:
    """The activation at the end of a graph, and the node of the logits before it.

    Args:
        traced: the network.
        probe: (PROBE, 3, H, W).
        raw: what the network says of it, (PROBE, C).
    """
    node = traced.output.all_input_nodes[0]
    for _ in range(_STEPS):
        inputs = [n for n in node.all_input_nodes if n in traced.shapes and n.op != "get_attr"]
        if len(inputs) != 1:
            return None
        family = _family(traced.whole, node)
        if family is not None:
            logits = rows_of(_Value(traced.whole, inputs[0]).of(probe), PROBE)
            if logits is not None and explains(family, logits, raw):
                return family, inputs[0]
        node = inputs[0]
    return None


def _family(whole: fx.GraphModule, node: fx.Node) -> Family | None:
    if node.op == "call_function":
        return _FUNCTIONS.get(node.target)
    if node.op == "call_method":
        return _METHODS.get(str(node.target))
    if node.op == "call_module":
        module = whole.get_submodule(str(node.target))
        named = next((f for kind, f in _MODULES.items() if isinstance(module, kind)), None)
        # timm has modules of its own for the same functions.
        return named or {"Sigmoid": "sigmoid"}.get(type(module).__name__)  # type: ignore[return-value]
    return None


class _Value(fx.Interpreter):
    """Runs a graph up to one node."""

    def __init__(self, whole: fx.GraphModule, node: fx.Node) -> None:
        super().__init__(whole)
        self._node, self._value = node, None

    def of(self, images: Tensor) -> Any:
        """The node's value, before anything writes over it."""
        self.run(images)
        return self._value

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n is self._node:
            self._value = value.clone()
        return value


def value_on_graph(traced: Traced, probe: Tensor, raw: Tensor) -> str:
    """What one output ends in that no logit does, such as a ReLU; empty for anything else.

    Args:
        traced: the network.
        probe: (PROBE, 3, H, W).
        raw: what the network says of it, (PROBE, 1).
    """
    node = traced.output.all_input_nodes[0]
    for _ in range(_STEPS):
        if name := _bound(traced.whole, node):
            value = rows_of(_Value(traced.whole, node).of(probe), PROBE)
            # What pools, scales or shifts it makes another number of it.
            if value is None or value.shape != raw.shape:
                return ""
            return name if torch.allclose(value.float(), raw.float()) else ""
        inputs = [n for n in node.all_input_nodes if n in traced.shapes and n.op != "get_attr"]
        if len(inputs) != 1:
            return ""
        node = inputs[0]
    return ""


BOUND = (
    "The network has one output and ends in {name}, as no logit does, so it is taken for a value: "
    "there are no classes, and maps show what raises it. --output binary says otherwise."
)
# Never below 0, or within 1 of it: the sigmoid of such a number is no probability.
_BOUNDS = ("relu", "relu6", "softplus", "tanh", "hardtanh", "exp", "abs", "square")


def _bound(whole: fx.GraphModule, node: fx.Node) -> str:
    if node.op == "call_module":
        name = type(whole.get_submodule(str(node.target))).__name__.lower()
    elif node.op in ("call_function", "call_method"):
        name = getattr(node.target, "__name__", str(node.target)).rstrip("_")
    else:
        return ""
    return name if name in _BOUNDS else ""


def explains(family: Family, logits: Tensor, raw: Tensor) -> bool:
    """Whether an activation of these logits is what the network says."""
    return logits.shape == raw.shape and any(
        torch.allclose(activation(logits.float()), raw.float(), rtol=1e-3, atol=1e-6)
        for activation in _ACTIVATIONS[family]
    )


def ending_at(traced: Traced, node: fx.Node, outputs: int) -> Traced:
    """The network with `node` as its logits (B, C), and nothing after it.

    Args:
        traced: the network; its graph is changed.
        node: returns logits, in any shape that `rows_of` takes.
        outputs: C.
    """
    whole = traced.whole
    shapes, more = dict(traced.shapes), dict(traced.more)
    if traced.shapes[node] != (PROBE, outputs):
        with whole.graph.inserting_before(traced.output):
            node = whole.graph.call_method("reshape", (node, -1, outputs))
        shapes[node], more[node] = (PROBE, outputs), (PROBE + 1, outputs)
    return _returning(traced, node, shapes, more)


def in_precision(traced: Traced, dtype: torch.dtype) -> Traced:
    """The network with its logits in the precision of its images, as all after it computes."""
    node = traced.output.all_input_nodes[0]
    with traced.whole.graph.inserting_before(traced.output):
        last = traced.whole.graph.call_method("to", (node, dtype))
    shapes, more = dict(traced.shapes), dict(traced.more)
    shapes[last], more[last] = shapes[node], more[node]
    return _returning(traced, last, shapes, more)


def _returning(
    traced: Traced,
    node: fx.Node,
    shapes: dict[fx.Node, tuple[int, ...]],
    more: dict[fx.Node, tuple[int, ...]],
) -> Traced:
    """The network with another node as its answer, and nothing that only the old one needs."""
    whole = traced.whole
    traced.output.args = (node,)
    whole.graph.eliminate_dead_code()
    whole.recompile()
    kept = set(whole.graph.nodes)
    return Traced(
        whole,
        {name: n for name, n in traced.names.items() if n in kept},
        {n: shape for n, shape in shapes.items() if n in kept},
        {n: shape for n, shape in more.items() if n in kept},
        {n: value for n, value in traced.others.items() if n in kept},
        pieces=traced.pieces,
        images=traced.images,
    )


class Whole:
    """A network that cannot be traced, run as a whole without the activation at its end.

    Attributes:
        model: the network, which is not changed.
        outputs: C.
        family: of the activation that is left out; None for none.
        linear: whether what it returns is what a linear layer said.
    """

    def __init__(self, model: nn.Module, probe: Tensor, raw: Tensor) -> None:
        """Find the activation.

        Args:
            model: the network.
            probe: (PROBE, 3, H, W).
            raw: what it says of it, (PROBE, C).
        """
        self.model, self.outputs = model, raw.shape[1]
        self.family: Family | None = None
        self._left_out: int | None = None
        with _Activations() as seen:
            out = model(probe.clone())
        self.linear = seen.linear_until(out)
        for number, (family, value) in enumerate(seen.calls):
            if value.data_ptr() == out.data_ptr() and value.numel() == out.numel():
                self._left_out = number
                if explains(family, self(probe), raw):
                    self.family = family
        if self.family is None:
            self._left_out = None

    def keep_end(self) -> None:
        """Leave nothing out after all."""
        self._left_out = None

    def __call__(self, images: Tensor) -> Tensor:
        """Logits (B, C); the images are not written to."""
        with without_checkpoints():
            if self._left_out is None:
                out: Tensor = self.model(images.clone())
            else:
                with _Activations(self._left_out):
                    out = self.model(images.clone())
        return out.reshape(len(images), self.outputs).to(images.dtype)


class _Activations(TorchFunctionMode):
    """Notes the activations that a network calls in this thread, and leaves one of them out."""

    def __init__(self, left_out: int | None = None) -> None:
        super().__init__()
        self.calls: list[tuple[Family, Tensor]] = []
        self._last: tuple[Tensor, int] | None = None  # that a linear layer said, and its version
        self._left_out, self._count = left_out, 0

    def linear_until(self, out: Tensor) -> bool:
        """Whether an answer is what a linear layer said last, in another shape at most."""
        if self._last is None:
            return False
        said, version = self._last
        return said.data_ptr() == out.data_ptr() and out._version == version

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        family = _FUNCTIONS.get(func)
        if family is None:
            out = func(*args, **(kwargs or {}))
            if func in LINEAR_FUNCTIONS:
                # Which what works in place counts up; of tensors of inference mode none is kept.
                self._last = None if out.is_inference() else (out, out._version)
            return out
        number, self._count = self._count, self._count + 1
        if number == self._left_out:
            return args[0] if args else kwargs["input"]
        out = func(*args, **(kwargs or {}))
        if self._left_out is None:  # kept, so that no other tensor gets its memory
            self.calls.append((family, out))
        return out
