"""The blocks of a transformer that a map is made of."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from camcli.cam.attention.seen import Attention, Ending


@dataclass(frozen=True, slots=True)
class Blocks:
    """The attention of the blocks whose tokens the network decides on.

    Attributes:
        calls: in the order of computation, of as many rows as images, queries as keys.
        ending: what follows the last block's tokens.
        prefix: how many tokens come first that have no place: the class token, registers.
        grid: (h, w) of the others, row by row.
    """

    calls: list[Attention]
    ending: Ending
    prefix: int
    grid: tuple[int, int]

    def on_grid(self, by_key: Tensor) -> Tensor:
        """(B, h, w) of what the tokens were given, (B, N)."""
        return by_key[:, self.prefix :].reshape(len(by_key), *self.grid)

    def along(self, tokens: Tensor) -> int:
        """The dimension of (B, N, D) or (N, B, D) that counts tokens."""
        rows, N, _ = self.calls[-1].shape
        return 1 if tuple(tokens.shape[:2]) == (rows, N) else 0
