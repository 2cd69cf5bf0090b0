"""All that camcli does on a CUDA GPU, checked and measured in one go of at most ten minutes.

    python benchmarks/gpu.py PHOTOS --out results [--only correct,forward] [--count 5000]

Needs no network: the bundled weights, random ones beside them, and photographs that are made from
those in PHOTOS. Each section stands alone, with a limit on its time: what one of them raises is
printed, and the next one goes on. Everything also runs on a CPU, small:

    python benchmarks/gpu.py sample_images --device cpu --small

Prints Markdown; ``--out`` gets the same as ``gpu.md``, and as ``gpu.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import gpu_batch
import gpu_correct
import gpu_forward
import gpu_many
import gpu_stream
from gpu_tables import Setting, Table, machine

# Seconds for which no section is begun.
LEAST = 5.0

Section = Callable[[Setting], Iterator[Table]]

# With the seconds after which each is cut off. First what no GPU has run yet, since one may be at
# hand for minutes only; the last five have been measured (RESULTS.md), and get what time is left.
SECTIONS: dict[str, tuple[Section, int]] = {
    "machine": (machine, 40),
    "correct": (gpu_correct.correct, 110),
    "streams": (gpu_stream.streams, 50),
    "train": (gpu_batch.train, 40),
    "transformers": (gpu_forward.transformers, 40),
    "compiled": (gpu_forward.compiled, 100),
    "processes": (gpu_many.processes, 150),
    "batch": (gpu_batch.batches, 90),
    "ray": (gpu_many.ray, 60),
    "memory": (gpu_batch.memory, 40),
    "forward": (gpu_forward.forward, 100),
    "stages": (gpu_batch.stages, 40),
    "limits": (gpu_batch.limits, 80),
    "peers": (gpu_batch.peers, 80),
}


def main() -> None:
    """Run the sections that were asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path, help="a folder of photographs")
    parser.add_argument("--out", type=Path, help="a folder for gpu.md and gpu.json")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, commas between")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="as little of each as runs it")
    parser.add_argument("--count", type=int, help="photographs of 500x375 from end to end")
    parser.add_argument("--seconds", type=float, default=570, help="for all of it")
    parser.add_argument("--patience", type=float, default=1, help="times a section's own limit")
    args = parser.parse_args()
    unknown = set(args.only.split(",")) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(unknown)}: there are {', '.join(SECTIONS)}")
    report = Report(args.out)
    end = time.monotonic() + args.seconds
    with tempfile.TemporaryDirectory(prefix="camcli-gpu-") as folder:
        setting = Setting(args.photos, args.device, args.small, args.count, Path(folder))
        for name in args.only.split(","):
            run, limit = SECTIONS[name]
            report.section(name, run, setting, min(args.patience * limit, end - time.monotonic()))
    report.close()
    sys.stdout.flush()
    # Threads of a section that was cut off may wait for ever.
    os._exit(bool(report.failed or report.problems))


@dataclass
class Report:
    """What is printed and written.

    Attributes:
        out: folder of the files; None for none.
        failed: sections that raised something.
        problems: rows that tell of something that failed.
        not_run: sections for which no time was left.
    """

    out: Path | None
    failed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)
    _data: dict[str, Any] = field(default_factory=dict)

    def section(self, name: str, run: Section, setting: Setting, seconds: float) -> None:
        """Run one section, and write all that there is after it."""
        if seconds < LEAST:
            self.not_run.append(name)
            return
        start = time.perf_counter()
        tables: list[dict[str, Any]] = []
        try:
            with limited(seconds):
                for table in run(setting):
                    self._say(table.markdown())
                    tables.append(table.plain())
                    self.problems += table.problems()
        except BaseException as error:  # a section that is cut off included
            if isinstance(error, KeyboardInterrupt):
                raise
            self.failed.append(name)
            trace = "".join(traceback.format_exception(error)[-6:])
            self._say(f"**{name} failed**\n\n```\n{trace}```\n")
        took = time.perf_counter() - start
        self._say(f"({name}: {took:.0f} s)\n")
        self._data[name] = {"seconds": took, "tables": tables}
        self._write()

    def close(self) -> None:
        """Say what went wrong, and what was not done."""
        for title, found in (("Failed", self.failed), ("Not run, no time was left", self.not_run),
                             ("Problems", self.problems)):  # fmt: skip
            if found:
                self._say("\n".join([f"**{title}**", "", *(f"- {each}" for each in found), ""]))
        self._write()

    def _write(self) -> None:
        if self.out:
            self.out.mkdir(parents=True, exist_ok=True)
            (self.out / "gpu.md").write_text("\n".join(self._text))
            about = {
                "host": platform.platform(), "failed": self.failed, "problems": self.problems,
                "not_run": self.not_run, "sections": self._data,
            }  # fmt: skip
            (self.out / "gpu.json").write_text(json.dumps(about, indent=1))

    def _say(self, text: str) -> None:
        print(text, flush=True)
        self._text.append(text)


class CutOffError(BaseException):
    """A section took too long; no handler of Exception on the way may swallow it."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise CutOffError in the main thread after so many seconds."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise CutOffError(f"after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


if __name__ == "__main__":
    main()
