"""What the parts of `gpu.py` share: the setting, tables, clocks, and the machine itself."""

from __future__ import annotations

import os
import platform
import re
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from camcli.data.decode.images import load_image
from camcli.data.sources.find import find_images
from camcli.models.runtime.openvino import available_cores

SIZE = 500, 375
MODELS = {"resnet50": "random", "efficientnet_lite0": None}


@dataclass
class Setting:
    """What is measured on.

    Attributes:
        photos: a folder of photographs.
        device: such as ``cuda``.
        small: as little as possible of everything.
        count: photographs from end to end; None for 5,000, and 24 where `small`.
        folder: for scratch.
    """

    photos: Path
    device: str
    small: bool
    count: int | None
    folder: Path

    @property
    def cuda(self) -> bool:
        """Whether there are streams, events and 16 bits."""
        return self.device.startswith("cuda")

    @property
    def devices(self) -> tuple[str, ...]:
        """All GPUs of the machine where ``cuda`` is asked for; else the one device."""
        if self.device != "cuda" or torch.cuda.device_count() < 2:
            return (self.device,)
        return tuple(f"cuda:{n}" for n in range(torch.cuda.device_count()))

    @property
    def precisions(self) -> tuple[str, ...]:
        """What torch computes in on this device."""
        return ("float32", "bfloat16", "float16") if self.cuda else ("float32",)

    @property
    def models(self) -> dict[str, str | None]:
        """Networks by name, with their weights."""
        return {"resnet18": "random", "efficientnet_lite0": None} if self.small else MODELS

    def photographs(self) -> Path:
        """A folder of `count` JPEGs of 500x375 pixels: random parts of the given photographs."""
        folder = self.folder / "photographs"
        if folder.exists():
            return folder
        folder.mkdir()
        count = self.count or (24 if self.small else 5000)
        sources = [load_image(ref) for ref in find_images(self.photos)][:64]

        def make(n: int) -> None:
            random = np.random.default_rng(n)
            picture = sources[n % len(sources)]
            height, width = picture.shape[:2]
            part = random.uniform(0.6, 1.0)
            w, h = int(width * part), int(height * part)
            x, y = random.integers(0, width - w + 1), random.integers(0, height - h + 1)
            made = cv2.resize(picture[y : y + h, x : x + w], SIZE, interpolation=cv2.INTER_AREA)
            quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
            cv2.imwrite(str(folder / f"{n:05}.jpg"), made[..., ::-1], quality)

        with ThreadPoolExecutor(available_cores()) as pool:
            list(pool.map(make, range(count)))
        return folder


@dataclass
class Table:
    """One table.

    Attributes:
        title: what it shows.
        head: of its columns.
        rows: their cells.
        note: under it.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""

    def markdown(self) -> str:
        """As Markdown."""
        lines = [f"### {self.title}", "", "| " + " | ".join(self.head) + " |"]
        lines.append("|" + " --- |" * len(self.head))
        lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in self.rows]
        return "\n".join([*lines, "", *([self.note, ""] if self.note else [])])

    def problems(self) -> list[str]:
        """Rows that tell of something that failed, in place of a number or beside it."""
        counted = [n for n, name in enumerate(self.head) if name == "errors"]
        return [
            f"{self.title}: {' / '.join(map(_cell, row))}"
            for row in self.rows
            if any(isinstance(cell, str) and _FAILED.match(cell) for cell in row)
            or any(row[n] not in (0, "") for n in counted)
        ]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        rows = [[None if v is None else v for v in row] for row in self.rows]
        return {"title": self.title, "head": list(self.head), "rows": rows, "note": self.note}


# As `told` writes it.
_FAILED = re.compile(r"\w*(Error|Exception|Interrupt)\b: ")


def told(error: BaseException) -> str:
    """What a cell has in place of a number."""
    return f"{type(error).__name__}: {error}"[:300]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value).replace("|", "/").replace("\n", " ")


def synchronize(setting: Setting) -> None:
    """Wait for the device."""
    if setting.cuda:
        torch.cuda.synchronize()


def by_turns(
    setting: Setting, jobs: dict[str, Callable[[], object]], rounds: int = 7, least: float = 0.1
) -> dict[str, list[float]]:
    """Seconds of each job, by turns; each is repeated until it takes `least` seconds."""
    repeats = {}
    for name, run in jobs.items():
        run()  # which warms up
        synchronize(setting)
        start = time.perf_counter()
        run()
        synchronize(setting)
        repeats[name] = max(1, round(least / max(time.perf_counter() - start, 1e-6)))
    took: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, run in jobs.items():
            synchronize(setting)
            start = time.perf_counter()
            for _ in range(repeats[name]):
                run()
            synchronize(setting)
            took[name].append((time.perf_counter() - start) / repeats[name])
    return took


def ratio(a: list[float], b: list[float]) -> float:
    """Median over the rounds."""
    return statistics.median(x / y for x, y in zip(a, b, strict=True))


@dataclass
class Use:
    """What a stretch of time used.

    Attributes:
        seconds: of the clock.
        cores: processor cores busy, on average.
        gpu: share of the time in which a kernel ran, as the driver samples it; None without one.
    """

    seconds: float = 0.0
    cores: float = 0.0
    gpu: float | None = None


@contextmanager
def watched(setting: Setting) -> Iterator[Use]:
    """Fills in what it yields when it is left."""
    use, samples, stop = Use(), [], threading.Event()

    def sample() -> None:
        try:
            import pynvml

            pynvml.nvmlInit()
            card = pynvml.nvmlDeviceGetHandleByIndex(0)
            while not stop.wait(0.1):
                samples.append(pynvml.nvmlDeviceGetUtilizationRates(card).gpu / 100)
        except Exception as error:  # no such package, or a driver that does not tell
            print(f"(utilisation of the GPU is not known: {error})")

    thread = threading.Thread(target=sample, daemon=True)
    if setting.cuda:
        thread.start()
    start, before = time.perf_counter(), os.times()
    try:
        yield use
    finally:
        after = os.times()
        use.seconds = time.perf_counter() - start
        spent = sum(after[:4]) - sum(before[:4])  # children that have ended included
        use.cores = spent / use.seconds
        stop.set()
        if setting.cuda:
            thread.join()
        use.gpu = statistics.mean(samples) if samples else None


def machine(setting: Setting) -> Iterator[Table]:
    """What it is, and its two ceilings: bytes and products."""
    rows: list[tuple[str, Any]] = [
        ("processor", f"{available_cores()} cores, {platform.machine()}, {_processor()}"),
        ("system", platform.platform()),
        ("Python", platform.python_version()),
    ]
    for name in ("torch", "torchvision", "timm", "triton", "numpy", "opencv-python-headless",
                 "pillow", "openvino", "nvidia-ml-py"):  # fmt: skip
        try:
            rows.append((name, version(name)))
        except PackageNotFoundError:
            rows.append((name, "absent"))
    side = 512 if setting.small else 8192
    if setting.cuda:
        about = torch.cuda.get_device_properties(0)
        rows.append(("GPU", f"{about.name}, {about.total_memory / 2**30:.0f} GiB, "
                            f"{about.multi_processor_count} multiprocessors"))  # fmt: skip
    a, b = (torch.randn(side, side, device=setting.device, dtype=torch.bfloat16) for _ in range(2))
    big = torch.randn(16, side, side, device=setting.device)
    other = torch.empty_like(big)
    took = by_turns(setting, {"mm": lambda: a @ b, "copy": lambda: other.copy_(big)}, rounds=3)
    rows.append(("bfloat16 product, TFLOP/s", 2 * side**3 / min(took["mm"]) / 1e12))
    rows.append(("copy on the device, GB/s", 2 * big.nbytes / min(took["copy"]) / 1e9))
    yield Table("The machine", ("what", "is"), rows)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "")
