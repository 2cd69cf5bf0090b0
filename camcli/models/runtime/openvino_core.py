"""OpenVINO itself: imported in one place, and one core a process.

Its own converter, which it imports with itself, tells its makers of that (`openvino_telemetry`),
unless it finds that package missing: so it does here. From Python 3.14 on there would be more than
a message: what sends it starts a process that runs the user's script a second time, where that has
no ``if __name__ == "__main__"``.

The core lives for as long as the process. Its CPU plugin gives the thread that makes it an
alternate stack for signals, and gives back what was there before when it is destroyed. Of two cores
the later one then gives back the stack of the earlier, which is gone; and Python, whose handlers
run on that stack, ends by a segmentation fault at the next Ctrl-C.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_LOCK = threading.RLock()
_core: list[Any] = []
_TELLS = "openvino_telemetry"


def imported(module: str) -> Any:
    """A module of OpenVINO, or the package, which tells nobody that it is imported.

    Args:
        module: its dotted name, ``openvino`` or below.

    Raises:
        ImportError: it is not there.
    """
    with _LOCK:
        if "openvino" not in sys.modules:
            with untold():
                importlib.import_module("openvino")
        return importlib.import_module(module)


@contextmanager
def untold() -> Iterator[None]:
    """What sends telemetry for OpenVINO and NNCF cannot be imported meanwhile.

    Both then go without, for as long as the process lives. Whoever had imported it keeps it.
    """
    nothing = object()
    before: Any = sys.modules.get(_TELLS, nothing)
    sys.modules[_TELLS] = None  # type: ignore[assignment] # how Python marks what is not there
    try:
        yield
    finally:
        del sys.modules[_TELLS]
        if before is not nothing:
            sys.modules[_TELLS] = before


def core() -> Any:
    """The `openvino.Core` of this process."""
    with _LOCK:
        if not _core:
            _core.append(imported("openvino").Core())
        return _core[0]
