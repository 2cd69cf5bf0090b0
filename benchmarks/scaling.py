"""How speed and memory depend on threads, on the photographs' size and on how many there are.

    python benchmarks/scaling.py threads|size|folder|steady [--counts 1000,10000,100000]

threads: 500x375 photographs to overlays and rows, on one core, on two ... on all of them.
size: photographs of more and more pixels, to full-sized overlays, to small ones, to the table only.
folder: tiny JPEGs (links to 400 different ones, a thousand a folder) and a network that sees
64x64 pixels, so that what belongs to the engine weighs most. Time and memory are read after each
tenth of the images; the first one follows a warm-up of 300. On a machine that others use, CPU time
an image says more than images a second.
steady: the last tenth of such a folder against the first tenth in a new process, taking turns of
125 images, so that a machine that is faster now and slower then is so for both. Quoted is the
median over the pairs of turns, as a machine that is disturbed spoils some of them by a lot.

Each measurement has a process of its own. The bundled network, in the fastest runtime. Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from camcli.batch.run import Run

SAMPLES = Path(__file__).resolve().parent.parent / "sample_images"
DIFFERENT = 400
WIDTHS = {500: 160, 1000: 120, 2000: 60, 4000: 20}
"""How many photographs of each width."""
TURN = 125
"""Images in a turn of `steady`."""


class Mark(NamedTuple):
    """How far a run is."""

    seconds: float
    cpu: float
    megabytes: float


def photographs(folder: Path, width: int, count: int) -> None:
    """The sample images at another size, with some noise, as enlarged ones are too smooth."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    originals = sorted(SAMPLES.glob("*.jpg"))
    for n in range(min(count, len(originals))):
        with Image.open(originals[n]) as image:
            rgb = np.asarray(image.convert("RGB").resize((width, width * 3 // 4)), np.int16)
        noisy = rgb + draw.integers(-6, 7, rgb.shape, np.int16)
        name = folder / f"{n:04}.jpg"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(name, quality=90)
    for n in range(len(originals), count):
        os.link(folder / f"{n % len(originals):04}.jpg", folder / f"{n:04}.jpg")


def tiny(folder: Path, count: int) -> None:
    draw = np.random.default_rng(0)
    (folder / "different").mkdir()
    for n in range(DIFFERENT):
        rgb = Image.fromarray(draw.integers(0, 255, (6, 6, 3), np.uint8)).resize((96, 72))
        rgb.save(folder / "different" / f"{n}.jpg")
    for n in range(count):
        if n % 1000 == 0:
            (folder / "in" / f"{n // 1000:03}").mkdir(parents=True)
        target = folder / "different" / f"{n % DIFFERENT}.jpg"
        os.link(target, folder / "in" / f"{n // 1000:03}" / f"{n % 1000:03}.jpg")


def megabytes() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def run_of(
    folder: str, *, cores: int | None = None, size: int | None = None,
    overlays: bool = True, max_size: int | None = None, isolate: bool = False,
) -> Callable[[str, int | None], Run]:  # fmt: skip
    """What makes a run of this name over so many images in ``folder/in``."""
    if cores is not None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])

    # Only now, as libraries look at import how many cores there are.
    from camcli.batch.explain import make_explanation
    from camcli.batch.run import Run
    from camcli.batch.run_files.rundir import RunDirectory
    from camcli.data.sources.find import find_images
    from camcli.models.load import load_classifier
    from camcli.models.runtime.policy import with_runtime
    from camcli.render.style import Style

    classifier = load_classifier()
    if size is not None:
        classifier = replace(classifier, preprocess=classifier.preprocess.with_(size=size))
    classifier = with_runtime(classifier, "auto", images=range(10_000))

    def run(name: str, limit: int | None) -> Run:
        made = Run(
            find_images(Path(folder) / "in", limit=limit), classifier, make_explanation(classifier),
            RunDirectory(Path(folder) / name), Style(max_size=max_size), overlays=overlays,
            isolate=isolate,
        )  # fmt: skip
        made.prepare()
        return made

    return run


def measure(folder: str, count: int, **options: Any) -> list[Mark]:
    """The state after each tenth of the images in ``folder/in``."""
    run = run_of(folder, **options)
    for _ in run("warm", min(300, count // 4)):
        pass
    marks, start, cpu = [], time.perf_counter(), time.process_time()
    for n, _ in enumerate(run("run", None), 1):
        if n % (count // 10) == 0:
            now = time.perf_counter() - start, time.process_time() - cpu
            marks.append(Mark(*now, megabytes()))
    return marks


def apart(folder: str, count: int, **options: Any) -> list[Mark]:
    """`measure` in a process of its own."""
    task = json.dumps({"folder": folder, "count": count, **options})
    command = [sys.executable, __file__, "one", "--task", task]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return [Mark(*values) for values in json.loads(done.stdout)]


def take_turns(folder: str, name: str, skip: int, **options: Any) -> None:
    """Explain ``folder/in`` as a run `name`: `skip` images at once, the others as stdin asks.

    Each line there is a number of images; the answer is the seconds and the CPU seconds they took.
    """
    run = run_of(folder, **options)
    for _ in run(f"{name}-warm", 2000):
        pass
    images = iter(run(name, None))
    for _ in islice(images, skip):
        pass
    for line in chain(["0"], sys.stdin):
        start, cpu = time.perf_counter(), time.process_time()
        for _ in islice(images, int(line)):
            pass
        seconds = time.perf_counter() - start
        time.sleep(0.15)  # what is in flight comes to rest in this process's own time
        print(json.dumps((seconds, time.process_time() - cpu)), flush=True)


def steady(counts: list[int], overlays: str) -> None:
    print("| images | overlays | turns | speed, last tenth over first | CPU an image |")
    print("| --- | --- | --- | --- | --- |")
    for count in counts:
        for drawn in {"both": (False, True), "yes": (True,), "no": (False,)}[overlays]:
            with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
                tiny(Path(folder), count)
                workers = []
                for name, skip in (("last", count - count // 10), ("first", 0)):
                    task = json.dumps(
                        {"folder": folder, "name": name, "skip": skip, "size": 64,
                         "overlays": drawn}
                    )  # fmt: skip
                    command = [sys.executable, __file__, "turns", "--task", task]
                    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
                    worker = stack.enter_context(subprocess.Popen(command, text=True, **pipes))
                    worker.stdout.readline()  # it has come to its tenth
                    workers.append(worker)
                turns = count // 10 // TURN
                took = np.empty((turns, 2, 2))
                for turn in range(turns):
                    for n in (0, 1) if turn % 2 else (1, 0):
                        print(TURN, file=workers[n].stdin, flush=True)
                        took[turn, n] = json.loads(workers[n].stdout.readline())
                for worker in workers:
                    worker.stdin.close()
                    worker.terminate()
            # Speed is one over seconds; CPU time an image is as it is.
            pairs = took[:, 1, 0] / took[:, 0, 0], took[:, 0, 1] / took[:, 1, 1]
            cells = (f"{np.median(p):.3f} (standard error {error_of_median(p):.3f})" for p in pairs)
            print(
                f"| {count:,} | {'yes' if drawn else 'no'} | {turns} | {' | '.join(cells)} |",
                flush=True,
            )
            print("  pairs:", *(f"{pair:.3f}" for pair in pairs[0]), file=sys.stderr)


def error_of_median(values: np.ndarray) -> float:
    """By the bootstrap."""
    again = np.random.default_rng(0).choice(values, (2000, values.size))
    return float(np.median(again, axis=1).std())


def by_threads() -> None:
    count, first = 480, None
    print("| cores | img/s | over one core |\n| --- | --- | --- |")
    for cores in range(1, len(os.sched_getaffinity(0)) + 1):
        with tempfile.TemporaryDirectory() as folder:
            photographs(Path(folder) / "in", 500, count)
            speed = count / apart(folder, count, cores=cores)[-1].seconds
        first = first or speed
        print(f"| {cores} | {speed:.1f} | {speed / first:.2f} |", flush=True)


def by_size() -> None:
    print("| photographs | full overlays, img/s | overlays of 800 | table only |")
    print("| --- | --- | --- | --- |")
    for width, count in WIDTHS.items():
        speeds = []
        for options in ({}, {"max_size": 800}, {"overlays": False}):
            with tempfile.TemporaryDirectory() as folder:
                photographs(Path(folder) / "in", width, count)
                speeds.append(count / apart(folder, count, **options)[-1].seconds)
        cells = " | ".join(f"{speed:.1f}" for speed in speeds)
        print(f"| {width}x{width * 3 // 4} | {cells} |", flush=True)


def by_count(counts: list[int], overlays: str, isolate: bool) -> None:
    print("| images | overlays | img/s | CPU ms, first tenth | last tenth | MB, first | MB, end |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for count in counts:
        for drawn in {"both": (False, True), "yes": (True,), "no": (False,)}[overlays]:
            with tempfile.TemporaryDirectory() as folder:
                tiny(Path(folder), count)
                marks = apart(folder, count, size=64, overlays=drawn, isolate=isolate)
            steps = list(pairwise([Mark(0, 0, 0), *marks]))
            speeds = [count / 10 / (b.seconds - a.seconds) for a, b in steps]
            costs = [1e4 * (b.cpu - a.cpu) / count for a, b in steps]
            print(
                f"| {count:,} | {'yes' if drawn else 'no'} | {count / marks[-1].seconds:.0f} "
                f"| {costs[0]:.2f} | {costs[-1]:.2f} ({costs[-1] / costs[0]:.3f}) "
                f"| {marks[0].megabytes:.0f} | {marks[-1].megabytes:.0f} |",
                flush=True,
            )
            for what, values in (("img/s", speeds), ("CPU ms", costs)):
                print(f"  {what}, tenths:", *(f"{v:.4g}" for v in values), file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("threads", "size", "folder", "steady", "one", "turns"))
    parser.add_argument("--counts", default="1000,10000,100000", help="of tiny files")
    parser.add_argument("--overlays", choices=("both", "yes", "no"), default="both")
    parser.add_argument("--isolate", action="store_true", help="decode in processes")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part == "one":
        print(json.dumps(measure(**json.loads(args.task))))
    elif args.part == "turns":
        take_turns(**json.loads(args.task))
    elif args.part == "steady":
        steady([int(n) for n in args.counts.split(",")], args.overlays)
    elif args.part == "threads":
        by_threads()
    elif args.part == "size":
        by_size()
    else:
        by_count([int(n) for n in args.counts.split(",")], args.overlays, args.isolate)


if __name__ == "__main__":
    main()
