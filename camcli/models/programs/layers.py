"""A graph of `torch.ops.aten` with layers again, under the names of their weights."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from camcli.models.programs.modules import LAYERS

_ATEN = torch.ops.aten
_SKIPPED = (_ATEN.alias.default, _ATEN.detach.default, _ATEN.lift_fresh_copy.default,
            _ATEN.dropout.default, _ATEN.dropout_.default, _ATEN.feature_dropout.default,
            _ATEN.contiguous.default)  # fmt: skip
# Operations that have a function of the same arguments, which more is known about.
_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    _ATEN.relu.default: torch.relu,
    _ATEN.add.Tensor: torch.add,
    _ATEN.sub.Tensor: torch.sub,
    _ATEN.mul.Tensor: torch.mul,
    _ATEN.div.Tensor: torch.div,
    _ATEN.cat.default: torch.cat,
    _ATEN.flatten.using_ints: torch.flatten,
    _ATEN.permute.default: torch.permute,
    _ATEN.transpose.int: torch.transpose,
    _ATEN.squeeze.dim: torch.squeeze,
    _ATEN.squeeze.dims: torch.squeeze,
    _ATEN.unsqueeze.default: torch.unsqueeze,
    _ATEN.clamp.default: torch.clamp,
    _ATEN.hardtanh.default: functional.hardtanh,
    _ATEN.leaky_relu.default: functional.leaky_relu,
    _ATEN.max_pool2d.default: functional.max_pool2d,
    _ATEN.avg_pool2d.default: functional.avg_pool2d,
    _ATEN.adaptive_avg_pool2d.default: functional.adaptive_avg_pool2d,
    _ATEN._adaptive_avg_pool2d.default: functional.adaptive_avg_pool2d,
    _ATEN.softmax.int: torch.softmax,
    _ATEN.log_softmax.int: torch.log_softmax,
    _ATEN.sigmoid.default: torch.sigmoid,
}
# The same of programs that were decomposed; their last argument is of half precision.
_DECOMPOSED: dict[Any, Callable[..., Any]] = {
    _ATEN._softmax.default: torch.softmax,
    _ATEN._log_softmax.default: torch.log_softmax,
}
_METHODS: dict[Any, str] = {
    _ATEN.view.default: "reshape",
    _ATEN._unsafe_view.default: "reshape",
    _ATEN.reshape.default: "reshape",
    _ATEN.expand.default: "expand",
    _ATEN.mean.dim: "mean",
    _ATEN.sym_size.int: "size",
}


class Block(nn.Module):
    """A part of a network that has a name: it gives what its last layer gave."""

    def forward(self, x: Tensor) -> Tensor:
        """The same."""
        return x


def with_layers(graph: fx.GraphModule, program: nn.Module, images: Tensor) -> fx.GraphModule:
    """A graph's operations as layers where they have weights, and as functions elsewhere.

    Args:
        graph: images (B, C, H, W) -> logits; is left alone.
        program: whose weights it has, by name.
        images: that it takes, to see how large its values are.
    """
    return _Layers(graph, program, images).network


class _Layers:
    """One conversion."""

    def __init__(self, graph: fx.GraphModule, program: nn.Module, images: Tensor) -> None:
        self._source = graph
        named = [*program.named_parameters(), *program.named_buffers()]
        self._names = {_identity(t): name for name, t in named if t.numel()}
        self._root = nn.Module()
        self._new = fx.Graph()
        self._copied: dict[fx.Node, Any] = {}
        self._taken: set[str] = set()
        # Which layer each node of the new graph belongs to, as far as its weights tell.
        self._layers: dict[fx.Node, str] = {}
        for node in _without_writes(graph).nodes:
            self._copy(node)
        self._new.lint()
        shapes = _Shapes(fx.GraphModule(self._root, self._new))
        shapes.run(images)
        self._shapes = {node.name: shape for node, shape in shapes.found.items()}
        self._name_blocks(_kinds(graph))
        self.network = fx.GraphModule(self._root, self._new)
        self.network.graph.eliminate_dead_code()
        self.network.recompile()
        self.network.delete_all_unused_submodules()
        self.network.eval().requires_grad_(False)

    def _copy(self, node: fx.Node) -> None:
        if node.op == "get_attr":
            return  # where it is used
        if node.op == "output":
            self._new.output(self._mapped(node.args[0]))
            return
        made = self._layer(node) if node.op == "call_function" else None
        if made is None:
            made = self._function(node)
        self._copied[node] = made

    def _mapped(self, value: Any) -> Any:
        return fx.map_arg(value, self._value)

    def _value(self, node: fx.Node) -> Any:
        """What stands for a node of the source: a tensor gets a place of its own then."""
        if node not in self._copied:
            tensor = self._tensor(node)
            name = self._names.get(_identity(tensor), "") or str(node.target)
            where = name if not self._has(name) else self._free(name)
            self._put(where, nn.Buffer(tensor.detach()))
            self._copied[node] = self._new.get_attr(where)
        return self._copied[node]

    def _function(self, node: fx.Node) -> fx.Node:
        target = node.target
        # The first of several results of an operation that is a layer now.
        layer = self._copied.get(node.all_input_nodes[0]) if target is operator.getitem else None
        if isinstance(layer, fx.Node) and layer in self._layers:
            return layer
        if node.op == "call_function" and target in _SKIPPED and not _drops(node):
            first: fx.Node = self._mapped(node.args[0])
            return first
        args, kwargs = self._mapped(node.args), self._mapped(dict(node.kwargs))
        if node.op == "call_function" and _METHODS.get(target):
            return self._new.call_method(_METHODS[target], args, kwargs)
        if node.op == "call_function" and target in _DECOMPOSED and args[2:] == (False,):
            return self._new.call_function(_DECOMPOSED[target], args[:2])
        if node.op == "call_function":
            return self._new.call_function(_FUNCTIONS.get(target, target), args, kwargs)  # type: ignore[arg-type]
        made: fx.Node = self._new.create_node(node.op, node.target, args, kwargs, node.name)
        return made

    def _tensor(self, node: fx.Node) -> Tensor:
        """The weights that a ``get_attr`` gives."""
        value: Any = self._source
        for part in str(node.target).split("."):
            value = getattr(value, part)
        assert isinstance(value, Tensor)
        return value

    def _held(self, value: Any) -> Tensor | None:
        """Weights that an argument is; None for what is computed."""
        return (
            self._tensor(value) if isinstance(value, fx.Node) and value.op == "get_attr" else None
        )

    def _layer(self, node: fx.Node) -> fx.Node | None:
        """An operation with weights as a layer; None for others."""
        make = LAYERS.get(node.target)
        if make is None:
            return None
        if "native" in str(node.target) and any(
            user.target is not operator.getitem or user.args[1] != 0 for user in node.users
        ):
            return None  # its other results are used, too
        given = _transposed(_arguments(node))
        held = {name: self._held(value) for name, value in given.items()}
        found = make(given, held)
        if found is None:
            return None
        module, images = found
        weights = [t for t in held.values() if t is not None and _identity(t) in self._names]
        parents = {self._names[_identity(t)].rpartition(".")[0] for t in weights}
        name = parents.pop() if len(parents) == 1 else ""
        where = self._free(name or node.name)
        self._put(where, module)
        call = self._new.call_module(where, (self._mapped(images),))
        self._layers[call] = where
        return call

    # --- names ---

    def _has(self, name: str) -> bool:
        """Also where a layer has it: a weight that is used within it and beside it."""
        held: Any = self._root
        for part in name.split("."):
            held = getattr(held, part, None)
        return name in self._taken or held is not None

    def _free(self, name: str) -> str:
        """A name that nothing has: a layer that is used twice is two."""
        count, free = 1, name
        while self._has(free):
            count, free = count + 1, f"{name}_{count + 1}"
        return free

    def _put(self, name: str, value: nn.Module | Tensor) -> None:
        self._taken.add(name)
        parent: nn.Module = self._root
        *way, last = name.split(".")
        for part in way:
            if not hasattr(parent, part):
                parent.add_module(part, nn.Module())
            parent = getattr(parent, part)
        if isinstance(value, nn.Module):
            parent.add_module(last, value)
        else:
            parent.register_buffer(last, value)

    def _name_blocks(self, kinds: Mapping[str, str]) -> None:
        """Let a part of several layers give its last map under its own name, ``layer3``.

        It ends where the next layer begins: there a layer of another part takes its input.
        """
        order = {node: place for place, node in enumerate(self._new.nodes)}
        parts: dict[str, list[fx.Node]] = {}
        for node, name in self._layers.items():
            steps = name.split(".")
            for depth in range(1, len(steps)):
                parts.setdefault(".".join(steps[:depth]), []).append(node)
        ends: dict[str, fx.Node] = {}
        for name, nodes in parts.items():
            last = max(nodes, key=order.__getitem__)
            later = [n for n in self._layers if order[n] > order[last]]
            inside = set(nodes)
            after = next((n for n in later if n not in inside), None)
            end = self._map_before(after.args[0], last) if after is not None else None
            if end is not None:
                ends[name] = end
        for name in sorted(ends, key=lambda name: name.count(".")):
            self._end_block(name, ends[name], kinds.get(name, "Block"))

    def _map_before(self, node: Any, last: fx.Node) -> fx.Node | None:
        """What a part gives: on the way from what takes it to its last layer, the first map.

        A map as large as that layer's, so that a pooling between two parts is no part of the first.
        """
        wanted = self._shapes.get(last.name, ())
        while isinstance(node, fx.Node):
            shape = self._shapes.get(node.name, ())
            if len(shape) == len(wanted) and (len(shape) < 4 or shape[2:] == wanted[2:]):
                return node if last in _before(node) else None
            node = next((n for n in node.all_input_nodes if last in _before(n)), None)
        return None

    def _end_block(self, name: str, end: fx.Node, kind: str) -> None:
        old: Any = self._root
        for part in name.split("."):
            old = getattr(old, part)
        if type(old) is not nn.Module:
            return
        block = type(kind if kind.isidentifier() else "Block", (Block,), {})()
        for child, module in old.named_children():
            block.add_module(child, module)
        for own, tensor in old.named_buffers(recurse=False):
            block.register_buffer(own, tensor)
        parent, _, last = name.rpartition(".")
        setattr(self._root.get_submodule(parent), last, block)
        with self._new.inserting_after(end):
            call = self._new.call_module(name, (end,))
        end.replace_all_uses_with(call, delete_user_cb=lambda user: user is not call)


class _Shapes(fx.Interpreter):
    """Runs a graph and notes how large its values are."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.found: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        """As the graph does it."""
        value = super().run_node(n)
        if isinstance(value, Tensor):
            self.found[n] = tuple(value.shape)
        return value


def _identity(tensor: Tensor) -> tuple[Any, ...]:
    """Tells whether two tensors are one."""
    return tensor.data_ptr(), tuple(tensor.shape), tensor.dtype, tuple(tensor.stride())


def _before(node: fx.Node) -> set[fx.Node]:
    found, stack = set[fx.Node](), [node]
    while stack:
        n = stack.pop()
        if n not in found:
            found.add(n)
            stack += n.all_input_nodes
    return found


def _kinds(graph: fx.GraphModule) -> dict[str, str]:
    """The classes of the modules that a program was made of, by their names."""
    found: dict[str, str] = {}
    for node in graph.graph.nodes:
        for path, kind in (node.meta.get("nn_module_stack") or {}).values():
            text = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
            found[str(path).removeprefix("L['self'].")] = text.rpartition(".")[2]
    return found


def _drops(node: fx.Node) -> bool:
    """Whether a dropout is on, as in a program that was made in training."""
    return "dropout" in str(node.target) and _arguments(node).get("train") is not False


def _arguments(node: fx.Node) -> dict[str, Any]:
    """The arguments of an operation by name, with its defaults."""
    schema = node.target._schema  # type: ignore[union-attr]
    names = [each.name for each in schema.arguments]
    found = {each.name: each.default_value for each in schema.arguments if each.has_default_value()}
    return {**found, **dict(zip(names, node.args, strict=False)), **node.kwargs}


def _transposed(given: dict[str, Any]) -> dict[str, Any]:
    """A product with a matrix that lies the other way as the linear layer that it is."""
    turned = given.get("mat2")
    if not isinstance(turned, fx.Node):
        return given
    ways: dict[Any, tuple[Any, ...]] = {
        _ATEN.t.default: (),
        _ATEN.permute.default: ([1, 0],),
        _ATEN.transpose.int: (0, 1),
    }
    if turned.op != "call_function" or ways.get(turned.target) != tuple(turned.args[1:]):
        return given
    scaled = given.get("alpha", 1) != 1 or given.get("beta", 1) != 1
    bias = given["self"] if "mat1" in given else None
    images = given.get("mat1", given["self"])
    return given if scaled else {"input": images, "weight": turned.args[0], "bias": bias}


def _without_writes(graph: fx.GraphModule) -> fx.Graph:
    """A copy of a graph in which nothing is written over: ``relu_`` becomes ``relu``."""
    copied = fx.Graph()
    known: dict[fx.Node, fx.Node] = {}
    for node in graph.graph.nodes:
        known[node] = copied.node_copy(node, lambda old: known[old])
    nodes = list(copied.nodes)
    for place, node in enumerate(nodes):
        plain = _plain(node.target)
        base = node.args[0] if node.args else None
        if plain is None or not isinstance(base, fx.Node):
            continue
        node.target = plain
        later = set(nodes[place + 1 :])
        base.replace_all_uses_with(node, delete_user_cb=later.__contains__)
    return copied


def _plain(target: Any) -> Any:
    """The operation that computes the same and writes nothing; None if there is none."""
    if not isinstance(target, torch._ops.OpOverload) or target.namespace != "aten":
        return None
    name = target._schema.name.partition("::")[2]
    if not name.endswith("_") or name.endswith("__"):
        return None
    packet = getattr(_ATEN, name[:-1], None)
    return getattr(packet, target._overloadname, None) if packet is not None else None
