"""The beginning and the end of a process, without what only costs time there.

Measured on importing torch alone, on a busy machine: of 1.7 s of the processor Python's collector
takes 0.2, looking for garbage among modules that all stay; and at the end Python takes 0.5 to take
modules to pieces whose memory the machine gets back anyway.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def importing() -> Iterator[None]:
    """Imports go on without the collector, which leaves what they made alone from then on."""
    if not gc.isenabled():  # by whoever runs this
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def leave(code: object) -> None:
    """End the process now, as Python does but for taking all modules to pieces.

    Threads are waited for, and what is to be done at the end is done. It comes back where Python
    should end the process itself: somebody looks on (a debugger, a profiler, what measures
    coverage), or `code` is a message.

    Args:
        code: of a `SystemExit`; both streams were written out.
    """
    join, finish = getattr(threading, "_shutdown", None), getattr(atexit, "_run_exitfuncs", None)
    if not isinstance(code, int | None) or _watched() or join is None or finish is None:
        return
    with suppress(KeyboardInterrupt):  # whoever presses Ctrl-C now does not want to wait
        join()
    finish()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # they may have said something
    os._exit(code or 0)


def _watched() -> bool:
    """Whether something waits for the end of the program inside of this process."""
    tools = getattr(sys, "monitoring", None)
    return bool(
        sys.gettrace()
        or sys.getprofile()
        or (tools and any(tools.get_tool(number) for number in range(6)))
        or sys.flags.inspect
        or "PYTHONINSPECT" in os.environ
    )
