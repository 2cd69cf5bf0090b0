"""A network as a graph (`torch.fx`): where its maps are, and how to run it in two parts.

A cut at a node gives two graphs. The first ends there; the second begins with that node's value A
and everything else that it still needs from before: its *context*, such as the input of a residual
block that is cut in its middle, or a transformer's class token.
"""

from __future__ import annotations

import itertools
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, fx, nn

from camcli.models.cutting.crossing import Crossing, CrossingError, followers, made_of_pixels
from camcli.models.cutting.graph.passes import without_inplace
from camcli.models.cutting.purity import copy_input, follow_writes, same
from camcli.models.cutting.scores.answers import Answering
from camcli.models.cutting.tokens import TensorLayout

log = logging.getLogger(__name__)


class Tracer(fx.Tracer):
    """Keeps normalisation layers whole, and what timm, or the module itself, declares untraceable.

    A module whose code cannot be followed, because it decides by a size or unpacks one, becomes
    one node of the graph, too, and what is around it is traced on.

    Attributes:
        outputs: for each module that was called, by its dotted name, the node that it returned.
        pieces: the modules that could not be followed, by name.
    """

    def __init__(self, model: nn.Module) -> None:
        leaves, functions = _timm_notrace()
        super().__init__(autowrap_functions=functions)
        # Where the network's own code looks those functions up.
        homes = {kind.__module__ for kind in type(model).__mro__} & sys.modules.keys()
        self._autowrap_search.extend(sys.modules[home] for home in sorted(homes))
        self._leaves = leaves
        self.outputs: dict[str, fx.Node] = {}
        self.pieces: set[str] = set()
        self._types: dict[str, torch.dtype] = {}

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """The stand-in of a value; of images and weights it knows the type, which code asks for."""
        proxy = super().proxy(node)
        known: torch.dtype | None = None
        if node.op == "placeholder":
            known = torch.float32
        elif node.op == "get_attr":
            self._types = self._types or {n: t.dtype for n, t in _tensors(self.root)}
            known = self._types.get(str(node.target))
        if known is not None:
            vars(proxy)["dtype"] = known
        return proxy

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one node of the graph."""
        return (
            module_qualified_name in self.pieces
            or isinstance(m, (*self._leaves, nn.modules.batchnorm._BatchNorm))
            or getattr(m, "in_one_piece", False) is True
            or super().is_leaf_module(m, module_qualified_name)
        )  # fmt: skip

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Trace a module's call and remember what it returned."""
        name = self.path_of_module(m)
        nodes, outputs, pieces = list(self.graph.nodes), dict(self.outputs), set(self.pieces)
        stack, calls = self.module_stack.copy(), dict(self.num_calls)
        try:
            result = super().call_module(m, forward, args, kwargs)
        except Exception as error:  # whatever a stand-in meets in foreign code
            if name in self.pieces:
                raise
            log.debug("%s is left in one piece (%s)", name, error)
            known = set(nodes)
            for node in reversed([n for n in self.graph.nodes if n not in known]):
                self.graph.erase_node(node)
            self.outputs, self.pieces = outputs, {*pieces, name}
            self.module_stack, self.num_calls = stack, calls
            result = super().call_module(m, forward, args, kwargs)
        if isinstance(result, fx.Proxy):
            self.outputs[name] = result.node
        return result


def _tensors(root: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """A network's tensors by name; read past `getattr`, which tracing has replaced."""
    return itertools.chain(root.named_parameters(), root.named_buffers())


def _timm_notrace() -> tuple[tuple[type, ...], tuple[Callable[..., Any], ...]]:
    """The modules and functions with control flow that timm lists for tracers."""
    if "timm" not in sys.modules:
        return (), ()
    from timm.layers import get_notrace_functions, get_notrace_modules

    return tuple(get_notrace_modules()), tuple(get_notrace_functions())


# The trial run's batch, and by how much a second one is larger: what grows with it is per image.
PROBE = 2


class _Values(fx.Interpreter):
    """Runs a graph once and remembers each node's value: only the shape where it is a tensor."""

    def __init__(self, module: fx.GraphModule, images: Tensor) -> None:
        super().__init__(module)
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}
        self.others: dict[fx.Node, Any] = {}
        self.answer = self.run(images)

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, Tensor):
            self.shapes[n] = tuple(value.shape)
        else:
            self.others[n] = value
        return value


@dataclass(frozen=True)
class Traced:
    """A network's graph and what a trial run told about it.

    Attributes:
        whole: the graph as a module.
        names: the node that each module returned, by the module's dotted name.
        shapes: of each node whose value is a tensor, for a batch of `PROBE` images.
        more: the same for one image more.
        others: the values of the other nodes, for both batches.
        layouts: how the nodes hold maps, as far as that was asked.
        trial: the run that tells which places answer to changes in a picture, once that was asked.
        influences: on which rows of each node's value the logits depend, once that was asked.
        pieces: modules whose code could not be followed, each one node of the graph, by name.
        images: of the trial run, (PROBE, C, H, W).
    """

    whole: fx.GraphModule
    names: dict[str, fx.Node]
    shapes: dict[fx.Node, tuple[int, ...]]
    more: dict[fx.Node, tuple[int, ...]]
    others: dict[fx.Node, tuple[Any, Any]]
    layouts: dict[fx.Node, TensorLayout | None] = field(default_factory=dict)
    trial: list[Any] = field(default_factory=list)
    influences: dict[fx.Node, Tensor] = field(default_factory=dict)
    pieces: frozenset[str] = frozenset()
    images: Tensor = field(default_factory=lambda: torch.empty(0))

    @cached_property
    def position(self) -> dict[fx.Node, int]:
        """The order of computation."""
        return {n: i for i, n in enumerate(self.whole.graph.nodes)}

    @cached_property
    def pixels(self) -> set[fx.Node]:
        """The nodes whose value changes with the numbers in the images."""
        return made_of_pixels(self.whole.graph)

    @property
    def output(self) -> fx.Node:
        """The node that returns the logits."""
        return next(n for n in self.whole.graph.nodes if n.op == "output")

    def name(self, node: fx.Node) -> str:
        """The innermost module that returned a node's value, or else ``MODULE+FUNCTION``."""
        named = [name for name, n in self.names.items() if n is node and name]
        if named:
            return max(named, key=lambda name: name.count("."))
        before = [n for n in node.all_input_nodes if n in self.shapes and n.op != "get_attr"]
        if len(before) == 1 and before[0] in self.names.values():
            return f"{self.name(before[0])}+{node.name}"
        return node.name


def trace(model: nn.Module, probe: Tensor, *, writes: bool = False) -> Traced:
    """The graph of `model`, which is not changed.

    Args:
        model: in eval mode.
        probe: (PROBE, 3, H, W).
        writes: whether the model writes into its input; its graph writes into a copy.

    Raises:
        Exception: whatever tracing meets in code that it cannot follow.
    """
    tracer = Tracer(model)
    root = model if isinstance(model, Answering) else Answering(model)
    with _functions_whole():
        graph = tracer.trace(root)
    if writes:
        copy_input(graph)
    whole = fx.GraphModule(root, graph)
    follow_writes(whole, whole.graph)
    whole.recompile()
    by_name = {n.name: n for n in whole.graph.nodes}
    names = {name: by_name[n.name] for name, n in tracer.outputs.items()}
    return replace(_observed(whole, names, probe), pieces=frozenset(tracer.pieces))


@contextmanager
def _functions_whole() -> Iterator[None]:
    """Keep `torch.autograd.Function`s whole: their backward is not what autograd makes of them."""
    plain = torch.autograd.Function.__dict__["apply"]

    def apply(cls: type, *args: Any, **kwargs: Any) -> Any:
        proxies = [a for a in (*args, *kwargs.values()) if isinstance(a, fx.Proxy)]
        # What runs a part of the network for torch.utils.checkpoint computes nothing of its own.
        runs = any(callable(a) and not isinstance(a, fx.Proxy) for a in args)
        if not proxies or runs:
            return plain.__get__(None, cls)(*args, **kwargs)
        run = partial(_applied, cls)
        run.__name__ = run.__qualname__ = cls.__name__  # type: ignore[attr-defined]
        run.__module__ = __name__
        return proxies[0].tracer.create_proxy("call_function", run, args, kwargs)

    torch.autograd.Function.apply = classmethod(apply)
    try:
        yield
    finally:
        torch.autograd.Function.apply = plain


def _applied(function: type[torch.autograd.Function], *args: Any, **kwargs: Any) -> Any:
    return function.apply(*args, **kwargs)


def _observed(whole: fx.GraphModule, names: dict[str, fx.Node], probe: Tensor) -> Traced:
    two, three = _Values(whole, probe), _Values(whole, torch.cat([probe, probe[:1]]))
    if not same(three.answer[:PROBE], two.answer):
        raise ValueError("a picture's answer depends on the batch")
    others = {n: (value, three.others[n]) for n, value in two.others.items()}
    return Traced(whole, names, two.shapes, three.shapes, others, images=probe)


def with_end(
    traced: Traced, nodes: Sequence[fx.Node], steps: Mapping[str, nn.Module], probe: Tensor
) -> tuple[Traced, list[fx.Node]]:
    """The network with another end.

    Args:
        traced: the network; its graph is changed.
        nodes: where the new end begins.
        steps: modules by the names that they get: the first takes the values of `nodes`, each
            other one what the one before returns; the last returns the logits.
        probe: (PROBE, 3, size, size).

    Returns:
        It, and the nodes of `steps`.
    """
    whole, output = traced.whole, traced.output
    made: list[fx.Node] = []
    for name, module in steps.items():
        whole.add_submodule(name, module)
        with whole.graph.inserting_before(output):
            made.append(whole.graph.call_module(name, tuple(made[-1:] or nodes)))
    output.args = (made[-1],)
    whole.graph.eliminate_dead_code()
    whole.recompile()
    kept = set(whole.graph.nodes)
    names = {name: n for name, n in traced.names.items() if n in kept}
    return replace(_observed(whole, names, probe), pieces=traced.pieces), made


def trunk(traced: Traced) -> list[fx.Node]:
    """The nodes through which everything in the image passes on its way to the logits, in order."""
    position = traced.position
    live = traced.pixels & before(traced.output)
    result, last_use = [], -1
    for n in position:
        if n not in live:
            continue
        if last_use <= position[n] and n in traced.shapes:
            result.append(n)
        last_use = max([last_use] + [position[u] for u in n.users if u in live])
    return result


def before(*nodes: fx.Node) -> set[fx.Node]:
    """The nodes and all that they are computed from."""
    found: set[fx.Node] = set()
    stack = list(nodes)
    while stack:
        n = stack.pop()
        if n not in found:
            found.add(n)
            stack += n.all_input_nodes
    return found


@dataclass(frozen=True)
class Second:
    """The part of a network after a node.

    Attributes:
        module: (A, *context) -> logits.
        context: the nodes whose values it needs besides A.
        batched: for each of them, whether it has one row an image.
    """

    module: fx.GraphModule
    context: tuple[fx.Node, ...]
    batched: tuple[bool, ...]


def second_part(traced: Traced, node: fx.Node) -> Second:
    """The network after `node`, as a module that can be run for any number of images.

    Raises:
        ValueError: it needs something from before that is not one value an image.
    """
    needed = before(traced.output)
    after = followers(traced.whole.graph, node) & needed
    if traced.output not in after:
        raise ValueError(f"{node} is not used for the logits")
    new = fx.Graph()
    copied = {node: new.placeholder("A")}
    # Placeholders come first; what is computed from parameters follows them.
    crossing = Crossing(
        new, copied, node, traced.pixels, traced.others, (PROBE, PROBE + 1), set(traced.shapes)
    )
    for n in traced.whole.graph.nodes:
        if n not in after or n is node:
            continue
        for m in n.all_input_nodes:
            if m not in after:
                crossing.bring(m)
        if n is traced.output:
            new.output(copied[n.all_input_nodes[0]])
        else:
            copied[n] = new.node_copy(n, copied.__getitem__)
    context = tuple(crossing.context)
    _placeholders_first(new)
    batched = tuple(traced.shapes.get(m, ())[:1] == (PROBE,) for m in context)
    for m, per_image in zip(context, batched, strict=True):
        if m in traced.shapes:
            grown = (PROBE + 1, *traced.shapes[m][1:]) if per_image else traced.shapes[m]
            if traced.more[m] != grown:
                raise CrossingError(f"{m} crosses the cut and is not one row an image")
    return Second(_module(traced.whole, new), context, batched)


def _placeholders_first(graph: fx.Graph) -> None:
    """Arguments in front of what uses them."""
    nodes = list(graph.nodes)
    last = nodes[0]
    for node in nodes[1:]:
        if node.op == "placeholder":
            last.append(node)
            last = node


def first_part(traced: Traced, cuts: list[tuple[fx.Node, tuple[fx.Node, ...]]]) -> fx.GraphModule:
    """The network up to one or several nodes.

    Args:
        traced: the network.
        cuts: for each cut its node and the context that the second part needs.

    Returns:
        images -> A for one cut without context, else ((A, *context), ...) in the order of `cuts`.
    """
    wanted = [n for node, context in cuts for n in (node, *context)]
    needed = before(*wanted)
    new = fx.Graph()
    copied: dict[fx.Node, fx.Node] = {}
    for n in traced.whole.graph.nodes:
        if n in needed or n.op == "placeholder":
            copied[n] = new.node_copy(n, lambda old: copied[old])
    if len(wanted) == 1:
        new.output(copied[wanted[0]])
    else:
        new.output(tuple(tuple(copied[n] for n in (node, *context)) for node, context in cuts))
    module = _module(traced.whole, new)
    # Where a value is kept for later, nothing may be written over it on the way.
    return module if len(wanted) == 1 else without_inplace(module)


def _module(whole: fx.GraphModule, graph: fx.Graph) -> fx.GraphModule:
    module = fx.GraphModule(whole, graph)
    module.graph.eliminate_dead_code()
    module.recompile()
    module.delete_all_unused_submodules()
    module.eval()
    return module
