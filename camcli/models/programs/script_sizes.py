"""Sizes in a traced TorchScript program as the whole numbers that they are.

``torch.jit.trace`` writes ``x.shape[1] * x.shape[2]`` down as products of tensors, which cannot be
followed: nobody knows what is in a tensor before it is computed. As products of whole numbers they
can.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

# Operations on whole numbers, by those on tensors.
_ON_NUMBERS = {
    "aten::mul": "aten::mul", "aten::add": "aten::add", "aten::sub": "aten::sub",
    "aten::floor_divide": "aten::floordiv", "aten::floordiv": "aten::floordiv",
    "aten::remainder": "aten::remainder", "aten::neg": "aten::neg",
}  # fmt: skip
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
    for node in list(graph.nodes()):
        given = list(node.inputs())
        if not given or not all(_is_number(each) for each in given[:2]):
            continue
        kind = node.kind()
        if kind in _SAME:
            node.output().replaceAllUsesWith(given[0])
            continue
        wanted = _ON_NUMBERS.get(kind)
        if kind == "aten::div" and len(given) == 3 and given[2].toIValue() == "floor":
            wanted = "aten::floordiv"
        if wanted is None or _is_number(node.output()):
            continue
        new = graph.create(wanted, given[: 1 if wanted == "aten::neg" else 2], 1)
        new.insertBefore(node)
        new.output().setType(torch._C.IntType.get())
        node.output().replaceAllUsesWith(new.output())


def _is_number(value: Any) -> bool:
    return bool(value.type().kind() == "IntType")
