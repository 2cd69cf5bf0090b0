"""A compiled program (TorchScript, ``torch.export``) as a network of modules again.

A program knows operations on tensors and the names of its weights. What it computes is written down
as a graph of `torch.ops.aten`, and each operation that has a layer's weights becomes that layer
under its old name. Everything else then treats it as any other network: it can be cut, its linear
head is found, its batch normalisation folded, and gradients go through it. Whether the network is
still the program is decided by numbers.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_unflatten

from camcli.errors import CamcliError
from camcli.models.cutting.graph.fx_graph import PROBE
from camcli.models.cutting.scores.answers import SCORES, parts_of, scores_in
from camcli.models.outputs import largest
from camcli.models.programs.batch import for_any_batch
from camcli.models.programs.layers import with_layers
from camcli.models.programs.script_sizes import WithNumbers
from camcli.printable import shortened

_ATEN = torch.ops.aten
_UNBATCHED = (_ATEN.view.default, _ATEN.reshape.default, _ATEN.expand.default,
              _ATEN._unsafe_view.default)  # fmt: skip


def is_program(module: object) -> bool:
    """Whether a module is, or holds, a compiled program that is to be made a network again."""
    if isinstance(module, fx.GraphModule):
        return any(isinstance(n.target, torch._ops.OpOverload) for n in module.graph.nodes)
    return isinstance(module, nn.Module) and any(
        isinstance(part, torch.jit.ScriptModule) for part in module.modules()
    )


def as_network(program: nn.Module, shape: tuple[int, int, int]) -> fx.GraphModule:
    """A program as a network of modules, for any number of images.

    Args:
        program: for which `is_program` says yes; in eval mode. It is not changed.
        shape: of an image that it takes, (channels, height, width).

    Raises:
        CamcliError: it cannot be; says how to export it.
    """
    images = torch.randn(PROBE + 1, *shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        if isinstance(program, fx.GraphModule):
            one = _fixed_batch(program)
            part = scores_of(program, images if one is None else images[:1].expand(one, -1, -1, -1))
            graph = _unguarded(program, part)
            if one is not None:
                return _said(_of_fixed(program, graph, one, images, part), part)
        else:
            part = scores_of(program, images)
            try:
                graph = _answering(_recorded(program, images), part)
            except RuntimeError as error:
                raise CamcliError(
                    f"What the program computes cannot be followed: {_reason(error)}. Give the "
                    "module that it was made of, --model FILE.py:FACTORY."
                ) from error
        expected = _part(program(images.clone()), part)
        return _said(_checked(graph, program, images, expected), part)


def _reason(error: RuntimeError) -> str:
    """What torch says is wrong: its last line, above which lies where, if it says anything."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = lines[-1].removeprefix("RuntimeError:").strip() if lines else ""
    return shortened(last or "an operation in it fails").rstrip(".:")


def _said(network: fx.GraphModule, part: str) -> fx.GraphModule:
    """With the part of the program's answer that it returns, for a note."""
    network.meta[SCORES] = part
    return network


def _checked(
    graph: fx.GraphModule, program: nn.Module, images: Tensor, expected: Tensor
) -> fx.GraphModule:
    """The graph as modules, if that answers as the program does.

    Raises:
        CamcliError: it does not.
    """
    network = with_layers(graph, program, images[:1])
    for count in (len(images), 1):
        # Run step by step: as a whole, it would print where it fails.
        got, truth = fx.Interpreter(network).run(images[:count].clone()), expected[:count]
        if not isinstance(got, Tensor) or got.shape != truth.shape:
            raise CamcliError(_NOT_THE_SAME)
        if not truth.isfinite().all():
            raise CamcliError(
                "The program's answers are no numbers (NaN or infinite): its weights are damaged, "
                "or are for another input than --preprocess says."
            )
        if not torch.allclose(got, truth, rtol=1e-4, atol=1e-5 * largest(truth)):
            raise CamcliError(_NOT_THE_SAME)
    return network


_NOT_THE_SAME = (
    "The program cannot be made a network again: its operations one by one give another answer. "
    "Give the module that it was made of, --model FILE.py:FACTORY."
)
_DYNAMIC = (
    "torch.export.export(model, (torch.zeros(2, {shape}),), "
    "dynamic_shapes=({{0: torch.export.Dim('batch')}},))"
)


# --- the batch -----------------------------------------------------------------------------------


def _recorded(program: nn.Module, images: Tensor) -> fx.GraphModule:
    """What a program computes, for any number of images.

    It is run for two and for three of them: whole numbers that grow with the images are theirs.
    """
    try:
        three = _recorded_once(program, images)
    except RuntimeError:
        if not isinstance(program, torch.jit.ScriptModule):
            raise
        program = WithNumbers(program)
        three = _recorded_once(program, images)
    two = _recorded_once(program, images[:PROBE])
    nodes = list(zip(three.graph.nodes, two.graph.nodes, strict=False))
    if len(three.graph.nodes) != len(two.graph.nodes) or any(
        a.target != b.target for a, b in nodes if a.op == "call_function"
    ):
        raise CamcliError("The program computes something else for two images than for three.")
    size: list[fx.Node] = []

    def merged(a: Any, b: Any) -> Any:
        if isinstance(a, list | tuple):
            return type(a)([merged(x, y) for x, y in zip(a, b, strict=True)])
        if type(a) is int and a != b and a * PROBE == b * (PROBE + 1):
            if not size:
                first = next(n for n in three.graph.nodes if n.op == "placeholder")
                with three.graph.inserting_after(first):
                    size.append(three.graph.call_method("size", (first, 0)))
            per_image = a // (PROBE + 1)
            with three.graph.inserting_after(size[0]):
                return size[0] if per_image == 1 else three.graph.call_function(
                    operator.mul, (size[0], per_image)
                )  # fmt: skip
        return a

    for a, b in nodes:
        if a.op == "call_function":
            a.args = tuple(merged(x, y) for x, y in zip(a.args, b.args, strict=True))
            a.kwargs = {k: merged(x, b.kwargs[k]) for k, x in a.kwargs.items()}
    three.recompile()
    return three


def _recorded_once(program: nn.Module, images: Tensor) -> fx.GraphModule:
    """What it computes for these images, with every size as it is for them."""
    with torch.jit.optimized_execution(False):
        made: fx.GraphModule = make_fx(program, pre_dispatch=True)(images.clone())
    return made


def _unguarded(program: fx.GraphModule, part: str) -> fx.GraphModule:
    """A copy of an exported program's graph that takes whatever it can compute."""
    graph = fx.Graph()
    out: Any = graph.graph_copy(program.graph, {})
    form: Any = getattr(program.graph._codegen, "pytree_info", None)
    if form is not None and form.out_spec is not None and isinstance(out, list | tuple):
        out = tree_unflatten(list(out), form.out_spec)
    graph.output(_part(out, part))
    for node in list(graph.nodes):
        if node.op == "call_module" and str(node.target).startswith("_guards"):
            graph.erase_node(node)
    return fx.GraphModule(program, graph)


def scores_of(program: nn.Module, images: Tensor) -> str:
    """The name of the scores in what a program returns; "" where it returns nothing else.

    Raises:
        CamcliError: it returns several values, and it is not told which are the scores.
    """
    answer = program(images.clone())
    scores, part = scores_in(answer, len(images))
    if not isinstance(scores, Tensor):
        raise CamcliError(
            f"The program returns {len(parts_of(answer))} values: export a module whose forward "
            "returns the scores of the classes and nothing else."
        )
    return part


def _part(answer: Any, part: str) -> Any:
    """What is called `part` in an answer, of tensors or of a graph's nodes."""
    return parts_of(answer)[part] if part else answer


def _answering(graph: fx.GraphModule, part: str) -> fx.GraphModule:
    """A graph that returns one part of its answer."""
    if part:
        output = next(n for n in graph.graph.nodes if n.op == "output")
        output.args = (_part(output.args[0], part),)
        graph.graph.eliminate_dead_code()
        graph.recompile()
    return graph


def _fixed_batch(program: fx.GraphModule) -> int | None:
    """How many images a program was exported for; None for any number."""
    value = next(n for n in program.graph.nodes if n.op == "placeholder").meta.get("val")
    count = value.shape[0] if isinstance(value, Tensor) and value.ndim == 4 else None
    return int(count) if isinstance(count, int) else None


def _of_fixed(
    program: fx.GraphModule, graph: fx.GraphModule, count: int, images: Tensor, part: str
) -> fx.GraphModule:
    """A program that was exported for one number of images, for any.

    Its shapes begin with that number where the images are rows: there it becomes their number. What
    that gives is compared with the program itself, one picture at a time.
    """
    few = [image.expand(count, -1, -1, -1).clone() for image in images]
    expected = torch.cat([_part(program(each), part)[:1] for each in few])
    first = next(n for n in graph.graph.nodes if n.op == "placeholder")
    with graph.graph.inserting_after(first):
        size = graph.graph.call_method("size", (first, 0))
    rows = {first}
    for node in graph.graph.nodes:
        # A class token is given to each image by expanding it.
        if node.target is not _ATEN.expand.default and rows.isdisjoint(node.all_input_nodes):
            continue
        rows.add(node)
        if node.target in _UNBATCHED and list(node.args[1])[:1] == [count]:
            node.args = (node.args[0], [size, *node.args[1][1:]], *node.args[2:])
    graph.recompile()
    try:
        return _checked(graph, program, images, expected)
    except Exception as failure:
        error = failure
    if count == 1:  # rows of a transformer's heads and windows, too
        try:
            whole = for_any_batch(_unguarded(program, part), images)
            return _checked(whole, program, images, expected)
        except Exception as failure:
            error = failure
    shape = ", ".join(map(str, images.shape[1:]))
    raise CamcliError(
        f"The program was exported for {count} image{'s' * (count > 1)} at a time, and cannot "
        f"be run for others: export it again with {_DYNAMIC.format(shape=shape)}."
    ) from error
