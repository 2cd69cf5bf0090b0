"""Which runtimes there are, and what each is for; told without torch.

A new one is a file with an object like `camcli.models.runtime.protocol.Runtime`, and its entry
here. Help, completion, messages, the documentation and the choice of ``auto`` read this table.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from camcli.errors import UsageError

if TYPE_CHECKING:  # it imports torch
    from camcli.models.runtime.protocol import Runtime

PRECISIONS = ("float32", "bfloat16", "float16", "int8")
AUTO = "auto"


@dataclass(frozen=True)
class RuntimeEntry:
    """One runtime.

    Attributes:
        home: the object, as ``module:NAME``; imported when it is used.
        told: what it is, for ``--help``.
        devices: what it runs on, in words.
        precisions: what it computes in, in words.
        needs: what must be installed, in words.
        automatic: whether ``auto`` may take it: the first one of the table that can.
    """

    home: str
    told: str
    devices: str
    precisions: str
    needs: str
    automatic: bool = False

    def load(self) -> Runtime:
        """The runtime itself."""
        module, _, name = self.home.partition(":")
        found: Runtime = getattr(importlib.import_module(module), name)
        return found


# The faster ones first, which is the order in which `auto` asks them.
_FASTEST: dict[str, RuntimeEntry] = {
    "openvino": RuntimeEntry(
        home="camcli.models.runtime.on_openvino:OPENVINO",
        told="openvino, fastest on a CPU",
        devices="CPU",
        precisions="float32, bfloat16, int8",
        needs="nothing; int8: `pip install 'camcli[int8]'`",
        automatic=True,
    ),
    "compile": RuntimeEntry(
        home="camcli.models.runtime.compiled:COMPILE",
        told="compile (torch.compile) on CUDA GPUs, and on CPUs beside a C++ compiler",
        devices="CUDA; CPU beside a C++ compiler",
        precisions="as torch",
        needs="on CPUs a C++ compiler",
    ),
    "torch": RuntimeEntry(
        home="camcli.models.runtime.eager:TORCH",
        told="torch",
        devices="any device",
        precisions="float32; on CUDA also bfloat16, float16",
        needs="nothing",
        automatic=True,
    ),
}
ENTRIES: dict[str, RuntimeEntry] = dict(reversed(_FASTEST.items()))
"""By name, the plainest first, as people read them."""

RUNTIMES: tuple[str, ...] = (AUTO, *ENTRIES)
"""What ``--runtime`` takes."""


def told() -> str:
    """What there is to choose from, for ``--help``."""
    return "; ".join(entry.told for entry in ENTRIES.values())


def candidates(name: str) -> list[RuntimeEntry]:
    """The runtimes that a choice may mean, best first."""
    if name != AUTO:
        return [_FASTEST[name]]
    return [entry for entry in _FASTEST.values() if entry.automatic]


def check_runtime(name: str, precision: str = "float32") -> None:
    """Refuse what is no runtime, or no type that one computes in.

    Raises:
        UsageError: it is none.
    """
    if name not in RUNTIMES:
        raise UsageError(f"Unknown runtime {name!r}. Choose one of {', '.join(RUNTIMES)}.")
    if precision not in PRECISIONS:
        raise UsageError(f"Unknown precision {precision!r}. Choose one of {', '.join(PRECISIONS)}.")
