"""How long Python's lock is held for an image, and so how many cores one process can feed.

    python benchmarks/lock.py PHOTOS [--cores 1,2] [--overlays] [--network stub|resnet50|...]
    python benchmarks/lock.py PHOTOS --counted [--tree OLD --tree NEW] [--turns 3]

One Python process runs one thread's Python code at a time. Whatever else decodes, resizes, draws
and computes lets go of the lock, so an image's time under it is what bounds a machine with many
cores: with L ms of lock an image no process makes more than 1000 / L images a second. ``py-spy``
samples who holds it while `camcli.batch` runs. The network ``stub`` costs nothing: maps of random
numbers that are there already, so that all the rest is seen alone.

Samples count a holder that the machine does not let run. ``--counted`` counts the processor time
of whoever holds the lock instead (`lock_held.c`, which needs a C compiler, CPython's headers and
Linux), and compares checkouts in turns, so that what else runs meets them alike.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, product, repeat
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
    parser.add_argument("--counted", action="store_true", help="count, where no idle machine is")
    parser.add_argument("--tree", action="append", type=Path, help="a checkout; may be repeated")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--work", help=argparse.SUPPRESS)  # the process that is looked at
    args = parser.parse_args()
    if args.work:
        work(args)
        return
    if args.counted:
        counted(args)
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


def counted(args: argparse.Namespace) -> None:
    """Print what is counted of each checkout, turn by turn."""
    trees = args.tree or [Path(__file__).resolve().parents[1]]
    print("| checkout | cores | img/s | ms of a core an image | ms of lock an image | taken |")
    print("|" + " --- |" * 6)
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "lock_held.so"
        subprocess.run(
            ["cc", "-O2", "-shared", "-fPIC", "-I", sysconfig.get_path("include"), "-o", library,
             Path(__file__).with_name("lock_held.c"), "-ldl"],
            check=True,
        )  # fmt: skip
        for _ in range(args.turns):
            for cores, tree in product(map(int, args.cores.split(",")), trees):
                child = started(
                    args, cores, folder, PYTHONPATH=str(tree.resolve()), LD_PRELOAD=str(library)
                )
                time.sleep(args.seconds)
                told = ended(child)
                print(f"| {tree} | {cores} | {told['rate']:.0f} | "
                      f"{1e3 * told['used'] / told['rate']:.2f} | {told['held_ms']:.3f} | "
                      f"{told['taken']:.0f} |", flush=True)  # fmt: skip


def started(args: argparse.Namespace, cores: int, folder: str, **env: str) -> subprocess.Popen[str]:
    """A process that explains photographs, once it does."""
    command = [
        sys.executable, __file__, str(args.photos), "--work", folder, "--cores", str(cores),
        "--network", args.network, "--device", args.device, "--precision", args.precision,
        *(["--overlays"] if args.overlays else []),
    ]  # fmt: skip
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | env
    )
    assert child.stdout
    while child.stdout.readline().strip() != "running":
        if child.poll() is not None:
            raise SystemExit("the measured process ended early")
    return child


def ended(child: subprocess.Popen[str]) -> dict[str, float]:
    """What the process tells when it is asked to end."""
    assert child.stdin
    assert child.stdout
    child.stdin.close()
    told: dict[str, float] = json.loads(child.stdout.read().strip().splitlines()[-1])
    child.wait()
    return told


def measured(args: argparse.Namespace, cores: int) -> dict[str, Any]:
    """Run the work in a process of its own and look at it from outside."""
    spy = shutil.which("py-spy", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if spy is None:
        raise SystemExit("py-spy is not installed: pip install py-spy")
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.txt"
        child = started(args, cores, folder)
        spied = subprocess.run(
            [spy, "record", "--gil", "--nonblocking", "--rate", str(RATE), "--format", "raw",
             "--duration", str(round(args.seconds)), "--output", str(raw), "--pid",
             str(child.pid)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        told = ended(child)
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
    from camcli.models.load import load_classifier
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
    enough = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), enough.set()), daemon=True).start()
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
        start, before, done, counts = time.perf_counter(), time.process_time(), 0, lock_counts()
        for _ in every:
            done += 1
            if enough.is_set():
                break
        seconds = time.perf_counter() - start
        used = (time.process_time() - before) / seconds
        held, taken = (now - then for now, then in zip(lock_counts(), counts, strict=True))
        told = {"rate": done / seconds, "used": used, "held_ms": held / 1e6 / done}
        print(json.dumps(told | {"taken": taken / done}), flush=True)
        every.close()
    os._exit(0)


def lock_counts() -> tuple[int, int]:
    """Nanoseconds that the lock was held, and how often it was taken; zeros if nobody counts."""
    own = ctypes.PyDLL(None)  # which keeps the lock for the call
    if not hasattr(own, "lock_times"):
        return 0, 0
    own.lock_held_ns.restype = own.lock_times.restype = ctypes.c_longlong
    return own.lock_held_ns(), own.lock_times()


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
