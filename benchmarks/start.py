"""What a start costs: seconds of the processor and of the clock, with OpenMP's threads waiting so.

    python benchmarks/start.py --photos ../shared/data/cats-dogs --repeats 5

Threads of OpenMP that have nothing to do spin for a while before they sleep. On a machine with idle
cores that saves microseconds at each parallel loop; where other programs want the cores, or two
threads share one, what spins takes from what works. Each setting is a variable of the environment
that camcli leaves alone when it is set; they take turns, so that a busy minute meets all of them.
The clock says little on a busy machine; the processor's seconds (user and system) say more.
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
from pathlib import Path

SETTINGS = {
    "as libgomp does": {"GOMP_SPINCOUNT": "300000"},  # its own number where nothing is said
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "short spin": {"GOMP_SPINCOUNT": "1000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
    "as camcli sets": {},
}
VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS", "KMP_BLOCKTIME")


def measured(words: list[str], env: dict[str, str], folder: Path) -> tuple[float, float]:
    """(processor, clock) seconds of one process."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    before, began = os.times(), time.perf_counter()
    subprocess.run(
        [sys.executable, *words], env=kept | {"CAMCLI_OFFLINE": "1"} | env, cwd=folder,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    after, ended = os.times(), time.perf_counter()
    return sum(after[2:4]) - sum(before[2:4]), ended - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=Path, required=True, help="a folder of 200 or more")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--images", type=int, default=200, help="of the batch")
    args = parser.parse_args()
    photos = sorted(p.resolve() for p in args.photos.rglob("*.jpg"))[: args.images]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "list.txt").write_text("".join(f"{p}\n" for p in photos))
        shutil.copy(photos[0], folder / "one.jpg")
        camcli = ["-m", "camcli"]
        cases = {
            "import torch": ["-c", "import torch"],
            "explain, a mistake": [*camcli, "explain", "gone.jpg"],
            "explain, one photograph": [*camcli, "explain", "one.jpg", "--overwrite"],
            f"batch, {len(photos)}, torch":
                [*camcli, "batch", "@list.txt", "--overwrite", "--runtime", "torch"],
            f"batch, {len(photos)}, openvino":
                [*camcli, "batch", "@list.txt", "--overwrite", "--runtime", "openvino"],
        }  # fmt: skip
        measured([*camcli, "batch", "@list.txt", "--runtime", "openvino"], {}, folder)  # converted
        print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {args.repeats} repeats")
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


if __name__ == "__main__":
    main()
