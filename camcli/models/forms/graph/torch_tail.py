"""The rest of a graph in torch, beside OpenVINO's, where all of its operations are known there.

OpenVINO runs it, as the faster of the two; torch takes over where gradients are asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from camcli.models.cutting.purity import same
from camcli.models.cutting.types import Tail
from camcli.models.forms.graph.halves import GraphTail, held
from camcli.models.forms.graph.torch_steps import Step, step_of
from camcli.models.forms.graph.values import Key, key_of
from camcli.models.runtime.openvino_core import imported

log = logging.getLogger(__name__)


class TorchRest:
    """A graph with fixed shapes, computed by torch so many rows at a time."""

    def __init__(self, rest: Any, rows: int) -> None:
        """Find torch's functions for it.

        Args:
            rest: (value, *context) -> logits, from `halves.rest_of`; what is constant in it is
                computed.
            rows: of each input.

        Raises:
            Exception: an operation is not known, or has settings that are not.
        """
        passes = imported("openvino.passes")

        folding = passes.Manager()
        folding.register_pass(passes.ConstantFolding())
        folding.run_passes(rest)
        self._rows = rows
        self._known: dict[Key, Any] = {}
        self._inputs = [(p.get_friendly_name(), 0) for p in rest.get_parameters()]
        self._steps: list[tuple[Step, list[Key], str, int]] = []
        variable = {name for name, _ in self._inputs}
        for node in rest.get_ordered_ops():
            name, kind = node.get_friendly_name(), node.get_type_name()
            keys = [key_of(source) for source in node.input_values()]
            if kind == "Constant":
                self._known[name, 0] = _tensor(node)
            elif kind == "Result":
                self._end = keys[0]
            elif kind != "Parameter":
                depends = any(key[0] in variable for key in keys)
                if depends:
                    variable.add(name)
                elif not all(key in self._known for key in keys):
                    continue  # of a shape: nothing but shapes is made of it
                try:
                    step = step_of(node, partial(self._fixed, keys)), keys, name
                    if depends:
                        self._steps.append((*step, node.get_output_size()))
                    else:
                        self._do((*step, node.get_output_size()), self._known)
                except Exception:
                    if depends:
                        raise
        if self._end[0] not in variable:
            raise ValueError("the logits do not depend on the map")

    def _fixed(self, keys: Sequence[Key], place: int) -> Tensor | None:
        """The constant that is in a place among an operation's inputs."""
        value: Tensor | None = self._known.get(keys[place]) if place < len(keys) else None
        return value

    @staticmethod
    def _do(step: tuple[Step, list[Key], str, int], values: dict[Key, Any]) -> None:
        run, keys, name, outputs = step
        out = run(*(values.get(key) for key in keys))
        if outputs > 1 and isinstance(out, tuple | list):
            values.update({(name, number): value for number, value in enumerate(out)})
        else:
            values[name, 0] = out

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Logits of any number of rows."""
        count = len(inputs[0])
        parts = []
        for start in range(0, count, self._rows):
            given = [value[start : start + self._rows] for value in inputs]
            missing = self._rows - len(given[0])
            if missing:
                given = [torch.cat([v, v[-1:].expand(missing, *v.shape[1:])]) for v in given]
            values = {**self._known, **dict(zip(self._inputs, given, strict=True))}
            for step in self._steps:
                self._do(step, values)
            parts.append(values[self._end][: self._rows - missing])
        return torch.cat(parts)


def _tensor(node: Any) -> Tensor:
    """A constant; real numbers in float32."""
    value = torch.tensor(node.data.copy())
    return value.float() if value.is_floating_point() else value


class DifferentiableTail:
    """A -> logits: by OpenVINO, and by torch where gradients are asked for.

    Attributes:
        has_gradients: as `camcli.models.cutting.types.has_gradients` asks.
    """

    has_gradients = True

    def __init__(self, plain: GraphTail, rest: TorchRest, outputs: int) -> None:
        self._plain, self._rest, self._outputs = plain, rest, outputs

    def __call__(self, A: Tensor, *context: Tensor) -> Tensor:
        """Logits (n, C) of A (n, K, h, w)."""
        if not (torch.is_grad_enabled() and A.requires_grad):
            return self._plain(A, *context)
        # What was seen in inference mode cannot be saved for a backward pass.
        context = tuple(each.clone() if each.is_inference() else each for each in context)
        value, others = held(A, context, self._plain.layout)
        return self._rest(value, *others).reshape(len(A), self._outputs)


def with_gradients(
    plain: GraphTail, rest: Any, rows: int, outputs: int, A: Tensor, tail: Tail
) -> DifferentiableTail | None:
    """A tail with gradients, if torch has all of its operations and gives the same numbers.

    Args:
        plain: OpenVINO's.
        rest: its graph.
        rows: of that.
        outputs: C.
        A: features of trial images.
        tail: `plain`, for these images.
    """
    try:
        found = DifferentiableTail(plain, TorchRest(rest, rows), outputs)
        context = [value for value, _ in tail.context]
        noise = torch.randn(A.shape, generator=torch.Generator().manual_seed(3))
        for trial in (A, A + A.std() * noise):
            with torch.enable_grad():
                ours = found(trial.detach().requires_grad_(), *context).detach()
            if not same(ours, tail(trial)):
                log.debug("torch's tail gives other numbers")
                return None
    except Exception as error:  # whatever operations a foreign graph has
        log.debug("the tail has no gradients: %r", error)
        return None
    return found
