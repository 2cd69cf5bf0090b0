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
from pathlib import Path
from types import FrameType

from camcli.cli.terminal import streams


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


def is_program(frame: FrameType | None) -> bool:
    """Whether camcli is all that this process does: nobody waits for it to come back.

    So it is as ``python -m camcli`` and as the console script. A program that calls it may have
    something to do after it, and a test certainly has.

    Args:
        frame: that of the caller of ``main``.
    """
    if frame is None or frame.f_code.co_name != "<module>":
        return False
    file = Path(str(frame.f_globals.get("__file__") or ""))
    named = any(part.startswith("camcli") for part in file.parts[-2:])  # Windows: camcli.exe/...
    if frame.f_globals.get("__name__") != "__main__" or not named:
        return False
    while frame := frame.f_back:
        if frame.f_code.co_name not in ("_run_code", "_run_module_as_main"):
            return False
    return True


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
    failed = streams.finish()  # they may have said something
    os._exit(code or failed)


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
