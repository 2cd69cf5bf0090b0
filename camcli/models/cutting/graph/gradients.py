"""Which values of a graph have influence on its logits: one backward pass tells for all of them."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor, fx

from camcli.models.cutting.graph.fx_graph import PROBE, Traced

log = logging.getLogger(__name__)


def influences(traced: Traced) -> dict[fx.Node, Tensor]:
    """For each node (B, N, K), which of its rows the logits have a gradient to, (N,) of 0 to 1.

    Nodes are missing of which that cannot be told, as behind a `torch.no_grad`.
    """
    if not traced.influences:
        wanted = {
            n
            for n, shape in traced.shapes.items()
            if len(shape) == 3 and shape[0] == PROBE and n in traced.pixels
        }
        try:
            traced.influences.update(_Gradients(traced.whole, wanted).of(traced.images))
        except Exception as error:  # whatever is in foreign code that has no gradient
            log.debug("no gradient through the graph (%s)", error)
    return traced.influences


class _Gradients(fx.Interpreter):
    """Runs a graph and remembers where gradients arrive."""

    def __init__(self, whole: fx.GraphModule, wanted: set[fx.Node]) -> None:
        super().__init__(whole)
        self._wanted, self._kept = wanted, dict[fx.Node, Tensor]()

    def of(self, images: Tensor) -> dict[fx.Node, Tensor]:
        """By node."""
        with torch.enable_grad():
            logits = self.run(images.clone().requires_grad_(True).clone())
            weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(3))
            nodes = list(self._kept)
            found = torch.autograd.grad(
                (logits * weights).sum(), [self._kept[n] for n in nodes], allow_unused=True
            )
        return {
            n: torch.zeros(self._kept[n].shape[1]) if g is None else g.ne(0).any(2).float().mean(0)
            for n, g in zip(nodes, found, strict=True)
        }

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n in self._wanted and isinstance(value, Tensor) and value.requires_grad:
            # What is written over would lose its gradient: what follows gets a copy.
            self._kept[n] = value
            return value.clone()
        return value
