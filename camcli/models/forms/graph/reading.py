"""From a file to OpenVINO's graph; without torch, so that a process of its own can do it, too.

Reading computes: shapes, and whatever they are made of, without a limit and without an ear for
Ctrl-C. A file in which that may be more than a little (`camcli.models.forms.graph.doubtful`) is
read in a process first that may not take more than files of its size need.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from camcli.errors import CamcliError
from camcli.files import open_regular
from camcli.models.forms.graph.doubtful import is_doubtful, is_ir
from camcli.models.forms.graph.entrance import entrance_made
from camcli.models.forms.graph.values import fold_shapes
from camcli.models.runtime.openvino_core import core, imported
from camcli.printable import shortened

log = logging.getLogger(__name__)

SECONDS = 15
"""CPU time that reading may take, and as much again for each gigabyte of its file."""
MEMORY = 4 << 30
"""Bytes that it may map, beside `_TIMES` those of its file."""
_TIMES = 6
# By the clock it may take longer: a busy machine is nobody's fault.
_CLOCK = 10
_TOO_LARGE = 3


def read(path: Path) -> Any:
    """An ONNX or IR file as OpenVINO's graph.

    Raises:
        CamcliError: OpenVINO cannot read it, or would take too much memory or time for it.
    """
    if is_doubtful(path):
        try_out(path)
    return read_at_once(path)


def read_at_once(path: Path) -> Any:
    """The same of a file that may be trusted with this process.

    Raises:
        CamcliError: OpenVINO cannot read it.
    """
    FrontEndManager = imported("openvino.frontend").FrontEndManager

    try:
        with open_regular(path) as file:
            xml = is_ir(file)
        if xml:
            return core().read_model(path)
        frontend = FrontEndManager().load_by_framework("onnx")
        return frontend.convert(frontend.load(str(path)))
    except Exception as error:  # whatever a reader meets in a foreign file
        log.debug("cannot be read", exc_info=True)
        raise CamcliError(f"OpenVINO cannot read {path}: {reason(error)}.") from error


def reason(error: BaseException) -> str:
    """What OpenVINO says is wrong, for the middle of a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("Check '", "Exception from"))]
    return shortened((lines or [type(error).__name__])[-1]).rstrip(".:")


def try_out(path: Path) -> None:
    """Read a file in a process of its own.

    Raises:
        CamcliError: it took more memory or time than it may, or the reader crashed on it.
    """
    beside = [path.with_suffix(".bin")] if path.with_suffix(".bin").is_file() else []
    size = sum(each.stat().st_size for each in [path, *beside])
    seconds = SECONDS * (1 + size / (1 << 30))
    memory = MEMORY + _TIMES * size
    command = [
        sys.executable, "-c",
        f"import sys; sys.path[:] = {sys.path!r}\n"
        f"from {__name__} import serve; serve({str(path)!r}, {int(seconds)}, {memory})",
    ]  # fmt: skip
    try:
        # A session of its own: at Ctrl-C it is ended here, and says nothing.
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, timeout=_CLOCK * seconds, check=False,
            start_new_session=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        code = done.returncode
    except subprocess.TimeoutExpired:
        code = -_BUSY
    except OSError as error:
        log.debug("a graph cannot be tried out: %s", error)
        return
    if code == 0:
        return
    what = f"its reader crashed on it (exit status {code})"
    if code == -_BUSY:
        what = f"computing its shapes took more than {seconds:.0f} seconds"
    elif code == _TOO_LARGE:
        what = f"computing its shapes took more than {memory / (1 << 30):.1f} GiB of memory"
    raise CamcliError(
        f"{path.name} is not opened: {what}. The file is damaged, or made to harm; if it is yours, "
        "export the network anew, with the size of its pictures fixed and constants folded."
    )


_BUSY = getattr(signal, "SIGXCPU", 9)


def serve(path: str, seconds: int, memory: int) -> None:
    """The far end: read a file, and end with 0, or `_TOO_LARGE`.

    What is wrong with a file otherwise is no matter here: it is read again, and said then.
    """
    if sys.platform != "win32":
        import resource

        limits = (
            (resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_CORE, 0),
        )  # fmt: skip
        for limit, value in limits:
            with suppress(OSError, ValueError):  # not on this system, or stricter already
                resource.setrlimit(limit, (value, resource.getrlimit(limit)[1]))
    try:
        model = read_at_once(Path(path))
        entrance = entrance_made(model, path)
        height, width = entrance.size or (224, 224)
        model.reshape([entrance.batch or 2, height, width, entrance.channels])
        fold_shapes(model)
    except MemoryError:
        os._exit(_TOO_LARGE)
    except Exception as error:
        told = f"{error} {error.__cause__}"
        os._exit(_TOO_LARGE if "bad_alloc" in told or "allocate" in told else 0)
    os._exit(0)
