"""How long Python's lock is held for an image, and so how many cores one process can feed.

    python benchmarks/lock.py PHOTOS [--cores 1,2] [--overlays] [--network stub|resnet50|...]

One Python process runs one thread's Python code at a time. Whatever else decodes, resizes, draws
and computes lets go of the lock, so an image's time under it is what bounds a machine with many
cores: with L ms of lock an image no process makes more than 1000 / L images a second. ``py-spy``
samples who holds it while `camcli.batch` runs. The network ``stub`` costs nothing: maps of random
numbers that are there already, so that all the rest is seen alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any

RATE = 200
SECONDS = 8.0


def main() -> None:
    """Print Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--cores", default="1,2", help="numbers of cores, with commas between")
    parser.add_argument("--network", default="stub", help="or a model's name")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--overlays", action="store_true")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--top", type=int, default=12, help="how many functions are listed")
    parser.add_argument("--work", help=argparse.SUPPRESS)  # the process that is looked at
    args = parser.parse_args()
    if args.work:
        work(args)
        return
    print("| cores | img/s | ms of a core an image | lock held | ms of lock an image |"
          " at most, one process, img/s |")  # fmt: skip
    print("|" + " --- |" * 6)
    for cores in map(int, args.cores.split(",")):
        found = measured(args, cores)
        ms = 1e3 * found["held"] / found["rate"] if found["rate"] else 0
        most = 1e3 / ms if ms else 0
        print(f"| {cores} | {found['rate']:.0f} | {1e3 * found['used'] / found['rate']:.2f} | "
              f"{found['held']:.0%} | {ms:.2f} | {most:.0f} |", flush=True)  # fmt: skip
    print("\nUnder the lock, of the last row:\n")
    for name, share in found["top"]:
        print(f"- {share:.1%} {name}")


def measured(args: argparse.Namespace, cores: int) -> dict[str, Any]:
    """Run the work in a process of its own and look at it from outside."""
    spy = shutil.which("py-spy", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if spy is None:
        raise SystemExit("py-spy is not installed: pip install py-spy")
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.txt"
        command = [
            sys.executable, __file__, str(args.photos), "--work", folder, "--cores", str(cores),
            "--network", args.network, "--device", args.device, "--precision", args.precision,
            *(["--overlays"] if args.overlays else []),
        ]  # fmt: skip
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert child.stdout
        assert child.stdin
        while child.stdout.readline().strip() != "running":
            if child.poll() is not None:
                raise SystemExit("the measured process ended early")
        spied = subprocess.run(
            [spy, "record", "--gil", "--nonblocking", "--rate", str(RATE), "--format", "raw",
             "--duration", str(round(args.seconds)), "--output", str(raw), "--pid",
             str(child.pid)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        child.stdin.close()
        told = json.loads(child.stdout.read().strip().splitlines()[-1])
        child.wait()
        if spied.returncode:
            raise SystemExit(f"py-spy failed: {spied.stderr[-500:]}")
        here: Counter[str] = Counter()
        for line in raw.read_text().splitlines():
            stack, _, count = line.rpartition(" ")
            frames = stack.split(";")
            own = [frame for frame in frames if "camcli" in frame]
            here[f"{frames[-1]}  <- {own[-1] if own else '?'}"] += int(count)
    total = sum(here.values())
    return {
        "rate": told["rate"], "used": told["used"], "held": total / RATE / round(args.seconds),
        "top": [(name, n / total) for name, n in here.most_common(args.top)],
    }  # fmt: skip


def work(args: argparse.Namespace) -> None:
    """Explain the photographs over and over until the standard input ends."""
    cores = int(args.cores)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    import threading

    from camcli.api import batch
    from camcli.models.classifier import load_classifier
    from camcli.models.runtime.policy import with_runtime

    name = args.network
    classifier = load_classifier(
        "efficientnet_lite0" if name in ("stub", "efficientnet_lite0") else name,
        weights=None if name in ("stub", "efficientnet_lite0") else "random", device=args.device,
    )  # fmt: skip
    if name == "stub":
        classifier = stub(classifier)
    else:
        classifier = with_runtime(
            classifier, "auto" if args.device == "cpu" else "torch", precision=args.precision
        )
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    files = sorted(str(path) for path in args.photos.rglob("*") if path.is_file())
    many = list(chain.from_iterable(repeat(files, max(1, 4000 // len(files)))))
    with tempfile.TemporaryDirectory() as folder:
        links = Path(folder) / "photographs"
        links.mkdir()
        for n, file in enumerate(many):
            (links / f"{n:05}{Path(file).suffix}").symlink_to(Path(file).resolve())

        def results() -> Iterator[Any]:
            for n in range(10_000):
                out = Path(folder) / f"run{n}"
                yield from batch(links, out, classifier, overlays=args.overlays, runtime="torch")
                shutil.rmtree(out)

        every = results()
        for _ in range(400):  # which warms up
            next(every)
        print("running", flush=True)
        start, before, done = time.perf_counter(), time.process_time(), 0
        for _ in every:
            done += 1
            if ended.is_set():
                break
        seconds = time.perf_counter() - start
        used = (time.process_time() - before) / seconds
        print(json.dumps({"rate": done / seconds, "used": used}), flush=True)
        every.close()
    os._exit(0)


def stub(classifier: Any) -> Any:
    """The same classifier with a network that takes no time at all."""
    import torch

    from camcli.models.cutting.types import LinearHead

    random = torch.Generator().manual_seed(0)
    A = torch.rand(256, 64, 7, 7, generator=random).to(classifier.device)
    weight = torch.randn(len(classifier.classes), 64, generator=random)
    bias = torch.zeros(len(weight), device=classifier.device)
    head = LinearHead(weight.to(classifier.device), bias)
    return replace(
        classifier, features=lambda images: A[: len(images)], tail=head, head=head, cut=None
    )


if __name__ == "__main__":
    main()
