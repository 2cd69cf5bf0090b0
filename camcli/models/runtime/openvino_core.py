"""OpenVINO's core: one a process, for as long as the process lives.

Its CPU plugin gives the thread that makes it an alternate stack for signals, and gives back what
was there before when it is destroyed. Of two cores the later one then gives back the stack of the
earlier, which is gone; and Python, whose handlers run on that stack, ends by a segmentation fault
at the next Ctrl-C.
"""

from __future__ import annotations

import threading
from typing import Any

_LOCK = threading.Lock()
_core: list[Any] = []


def core() -> Any:
    """The `openvino.Core` of this process."""
    with _LOCK:
        if not _core:
            import openvino as ov

            _core.append(ov.Core())
        return _core[0]
