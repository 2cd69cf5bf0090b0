"""What `camcli check` finds of what was planted in real photographs, and how long it takes.

    python benchmarks/check_data.py [PHOTOGRAPHS [SEEDS]]

PHOTOGRAPHS is a flat folder of ``cat.N.jpg`` and ``dog.N.jpg``, by default the test data's. For
each seed 5% of the labels are flipped, or 30 photographs get a copy that was changed; then the
time beyond the features, and of neighbours among 100,000 points.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from camcli.data.decode.images import load_image
from camcli.jobs.check import CheckJob
from camcli.train.judging.neighbours import nearest, reduced
from camcli.train.progress import Listener

HERE = Path(__file__).resolve().parent.parent
PHOTOGRAPHS = HERE.parent / "shared" / "data" / "cats-dogs"


def changed(rgb: np.ndarray, kind: str, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """A copy, and the JPEG quality that it is saved with."""
    height, width = rgb.shape[:2]
    if kind.startswith("crop"):
        share = int(kind[4:]) / 100
        tall, wide = round(height * share), round(width * share)
        y, x = rng.integers(height - tall + 1), rng.integers(width - wide + 1)
        return rgb[y : y + tall, x : x + wide], 95
    if kind == "jpeg 40":
        return rgb, 40
    if kind == "flip":
        return rgb[:, ::-1], 95
    if kind == "small":
        return cv2.resize(rgb, (width // 3, height // 3), interpolation=cv2.INTER_AREA), 95
    factor = rng.choice([0.7, 1.3])
    return np.clip(rgb * factor, 0, 255).astype(np.uint8), 95


KINDS = ("crop90", "jpeg 40", "flip", "light")
HARDER = ("crop80", "crop70", "small")


def write(path: Path, rgb: np.ndarray, quality: int) -> None:
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality]
    path.write_bytes(cv2.imencode(".jpg", np.ascontiguousarray(rgb[..., ::-1]), flags)[1].tobytes())


def labels(files: list[Path], seed: int, folder: Path) -> None:
    """5% of the labels are flipped."""
    rng = np.random.default_rng(seed)
    count = round(0.05 * len(files)) if seed else 0
    flipped = {files[i].name for i in rng.choice(len(files), count, replace=False)}
    table = folder / f"labels-{seed}.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label"))
        for path in files:
            right = path.name.split(".")[0]
            other = "dog" if right == "cat" else "cat"
            rows.writerow((path, other if path.name in flipped else right))
    found = CheckJob(table).run(Listener()).of("suspect label")
    first = {issue.rel for issue in found[:count]}
    hit = len(first & flipped)
    print(
        f"labels, seed {seed}: {len(found)} listed, {hit} of {count} flipped ones among the first "
        f"{count}",
        flush=True,
    )


def copies(files: list[Path], seed: int, folder: Path, kinds: tuple[str, ...]) -> None:
    """30 photographs get a copy."""
    rng = np.random.default_rng(seed)
    root = folder / f"copies-{seed}-{len(kinds)}"
    root.mkdir()
    planted = {}
    for n, i in enumerate(rng.choice(len(files), 30, replace=False)):
        kind, name = kinds[n % len(kinds)], f"{files[i].name.split('.')[0]}.{90000 + n}.jpg"
        write(root / name, *changed(load_image(files[i]), kind, rng))
        planted[name] = files[i].name
    for path in files:
        (root / path.name).symlink_to(path)
    found = CheckJob(root).run(Listener()).of("near duplicate")
    pairs = {frozenset((issue.rel, issue.other)) for issue in found}
    wanted = {frozenset(pair) for pair in planted.items()}
    print(
        f"copies ({', '.join(kinds)}), seed {seed}: {len(pairs & wanted)} of 30 found, "
        f"{len(pairs - wanted)} others",
        flush=True,
    )


def main() -> None:
    torch.set_num_threads(1)
    files = sorted(Path(sys.argv[1] if len(sys.argv) > 1 else PHOTOGRAPHS).iterdir())
    seeds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed in range(seeds + 1):  # 0: as they are
            labels(files, seed, folder)
        for seed in range(1, seeds + 1):
            copies(files, seed, folder, KINDS)
        copies(files, seeds + 1, folder, HARDER)
        CheckJob(files[0].parent).run(Listener())
        start = time.perf_counter()
        CheckJob(files[0].parent, out=folder / "check").run(Listener())
        print(f"{len(files)} photographs, features known: {time.perf_counter() - start:.1f} s")
    rng = np.random.default_rng(0)
    features = rng.random((100_000, 1280), np.float32).astype(np.float16)
    start = time.perf_counter()
    nearest(reduced(features), 5)
    print(f"neighbours among 100,000: {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
