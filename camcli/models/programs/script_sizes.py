"""Sizes in a traced TorchScript program as the whole numbers that they are.

``torch.jit.trace`` writes ``x.shape[1] * x.shape[2]`` down as products of tensors, which cannot be
followed: nobody knows what is in a tensor before it is computed. As products of whole numbers they
can.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

# Operations on whole numbers, by those on tensors.
_ON_NUMBERS = {
    "aten::mul": "aten::mul", "aten::add": "aten::add", "aten::sub": "aten::sub",
    "aten::floor_divide": "aten::floordiv", "aten::floordiv": "aten::floordiv",
    "aten::remainder": "aten::remainder", "aten::neg": "aten::neg",
}  # fmt: skip
# Of sizes, which are not negative, the two are one; what it computes is compared afterwards.
_WHOLE = ("floor", "trunc")
_SAME = ("prim::NumToTensor", "aten::Int", "aten::ScalarImplicit", "aten::IntImplicit")


class WithNumbers(nn.Module):
    """A program whose sizes are numbers; its weights are the program's."""

    def __init__(self, program: torch.jit.ScriptModule) -> None:
        """Rewrite a copy of what it computes.

        Args:
            program: in eval mode; it is left alone.

        Raises:
            RuntimeError: torch cannot make a function of it.
        """
        super().__init__()
        with warnings.catch_warnings():  # torch's own, that it is going to be another function
            warnings.simplefilter("ignore", FutureWarning)
            frozen: Any = torch.jit.freeze(program, optimize_numerics=False)
        graph = frozen.graph.copy()
        torch._C._jit_pass_inline(graph)
        _with_numbers(graph)
        torch._C._jit_pass_dce(graph)
        graph.eraseInput(0)  # the module: what it has is in the graph now
        self._run: Any = torch._C._create_function_from_graph("forward", graph)

    def forward(self, images: Tensor) -> Tensor:
        """What the program says."""
        answer: Tensor = self._run(images)
        return answer


def _with_numbers(graph: Any) -> None:
    """Change a TorchScript graph in place."""
    numbers: dict[str, Any] = {}  # tensors that hold a whole number, by name: the number

    def number(value: Any, before: Any) -> Any:
        """A value as a whole number; None where it is none."""
        if value.type().kind() == "IntType":
            return value
        if (known := numbers.get(value.debugName())) is not None:
            return known
        held = value.toIValue() if value.node().kind() == "prim::Constant" else None
        if not isinstance(held, Tensor) or held.dim() or held.dtype != torch.int64:
            return None
        graph.setInsertPoint(before)
        made = graph.insertConstant(int(held))
        numbers[value.debugName()] = made
        made.node().moveBefore(next(iter(graph.nodes())))  # others may come to need it
        return made

    for node in list(graph.nodes()):
        kind, given = node.kind(), list(node.inputs())
        wanted = _ON_NUMBERS.get(kind)
        if kind == "aten::div" and len(given) == 3 and given[2].toIValue() in _WHOLE:
            wanted = "aten::floordiv"
        if kind not in _SAME and wanted is None:
            continue
        operands = given[: 1 if kind in _SAME or wanted == "aten::neg" else 2]
        # Of constants alone nothing grows with the image.
        if all(each.node().kind() == "prim::Constant" for each in operands):
            continue
        found = [number(each, node) for each in operands]
        if any(each is None for each in found):
            continue
        out = node.output()
        if kind == "prim::NumToTensor":
            numbers[out.debugName()] = found[0]
        elif kind in _SAME:
            out.replaceAllUsesWith(found[0])
        elif out.type().kind() != "IntType":
            new = graph.create(wanted, found, 1)
            new.insertBefore(node)
            new.output().setType(torch._C.IntType.get())
            # What else needs it as a tensor, such as a root of it, gets one.
            tensor = graph.create("prim::NumToTensor", [new.output()], 1)
            tensor.insertBefore(node)
            out.replaceAllUsesWith(tensor.output())
            numbers[tensor.output().debugName()] = new.output()
