"""A set of the size of Fruits-360, from files to checkpoint: seconds by stage, and memory.

Usage: python benchmarks/train_whole.py [--photos DIR] [--images N] [--classes N] [--rounds N]
       [--work DIR] [-- OPTIONS OF camcli train]

DIR defaults to $CAMCLI_TEST_DATA/imagenet-samples, else ../shared/data/imagenet-samples. What is
trained on is not Fruits-360, but as large: each class is one photograph, each of its images a part
of it of 100x100 pixels, another one each time, as a JPEG of a few kilobytes in a folder of its
class. So the seconds and the bytes mean something, and the accuracy nothing: parts of one
photograph are in training and test.

The bare forward pass that the feature pass is compared with is the network alone in the fastest
runtime, on pixels that are in memory already, with a lane a core as `camcli train` has; it is
measured before and after the run, on the same machine. The run is a process of its own, whose
peak memory and time are told; OPTIONS replace ``--solver lbfgs``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from camcli.batch.lanes import Lanes
from camcli.data.decode.images import load_image
from camcli.models.runtime.openvino import available_cores
from camcli.train.config import TrainConfig
from camcli.train.prepare import load_backbones

SIDE = 100
TEST = 0.25  # of Fruits-360's pictures
BATCH = 16


def default_folder() -> Path:
    shared = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("CAMCLI_TEST_DATA", shared)) / "imagenet-samples"


def draw(photos: list[Path], images: int, folder: Path) -> None:
    """`folder`/train|test/<class>/<n>.jpg."""

    def one_class(number: int) -> None:
        rng = np.random.default_rng(number)
        rgb = load_image(photos[number])
        own = images // len(photos) + (number < images % len(photos))
        for split in ("train", "test"):
            (folder / split / f"class {number:03}").mkdir(parents=True)
        for n in range(own):
            side = int(min(rgb.shape[:2]) * rng.uniform(0.4, 0.8))
            y, x = (int(rng.integers(length - side + 1)) for length in rgb.shape[:2])
            part = Image.fromarray(rgb[y : y + side, x : x + side]).resize((SIDE, SIDE))
            split = "test" if n < own * TEST else "train"
            part.save(folder / split / f"class {number:03}" / f"{n}.jpg", quality=90)

    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(one_class, range(len(photos))))


def bare(backbone: str, files: list[Path], images: int) -> float:
    """Images a second of the network alone."""
    (made,) = load_backbones(TrainConfig(backbone=backbone), "cpu", offline=True)
    preprocess, sight = made.classifier.preprocess, made.sight
    pixels = torch.stack([preprocess.pixels(load_image(f)) for f in files[:BATCH]])
    ready = preprocess.normalise(pixels).contiguous(memory_format=torch.channels_last)
    sight.expect(10**6)
    sight(pixels)  # the first is compared with torch
    network = sight.network
    groups = max(images // BATCH, 2 * available_cores())
    with Lanes(torch.device("cpu"), available_cores()) as lanes, torch.inference_mode():
        for timed in (False, True):
            start = time.perf_counter()
            jobs = iter([[0]] * (groups if timed else available_cores()))
            for _ in lanes.run(jobs, lambda job: None, lambda group, read: network(ready)):
                pass
    print(f"  ({sight.runtime['name']} {sight.runtime['version']})")
    return groups * BATCH / (time.perf_counter() - start)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, default=default_folder())
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--classes", type=int, default=131)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--bare", type=int, default=2_000, help="images of the bare forward pass")
    parser.add_argument("--work", type=Path, help="where the set is drawn, and found again")
    parser.add_argument("options", nargs="*", default=["--solver", "lbfgs"])
    options = parser.parse_args()
    photos = sorted(p for p in options.photos.rglob("*") if p.suffix.lower() in (".jpeg", ".jpg"))
    if len(photos) < options.classes:
        print(f"{len(photos)} photographs in {options.photos}: too few.", file=sys.stderr)
        return 4
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        data = work / f"parts-{options.images}-{options.classes}"
        start = time.perf_counter()
        if not data.is_dir():
            draw(photos[: options.classes], options.images, data)
            print(f"drawn in {time.perf_counter() - start:.0f} s")
        files = sorted(data.rglob("*.jpg"))
        print(f"{len(files)} pictures of {SIDE}x{SIDE}, {options.classes} classes")
        for n in range(options.rounds):
            one_run(options, data, files, Path(scratch) / str(n))
    return 0


def one_run(options: argparse.Namespace, data: Path, files: list[Path], folder: Path) -> None:
    """Measure, and print."""
    first = bare(options.backbone, files, options.bare)
    command = [
        sys.executable, "-m", "camcli", "train", "--data", str(data), "--out", str(folder / "run"),
        "--backbone", options.backbone, "--cache-dir", str(folder / "cache"), "--device", "cpu",
        "--quiet", *options.options,
    ]  # fmt: skip
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    second = bare(options.backbone, files, options.bare)
    told = json.loads((folder / "run" / "run.json").read_text("utf-8"))
    seconds = told["seconds"]
    rate = len(files) / seconds["features"]
    kept = sum(p.stat().st_size for p in (folder / "cache").rglob("*"))
    print(f"bare forward pass      {first:6.0f} images/s before, {second:.0f} after")
    print(f"feature pass           {rate:6.0f} images/s, {rate / ((first + second) / 2):.2f} of it")
    for name, value in seconds.items():
        print(f"{name:22} {value:6.1f} s")
    print(
        f"all                    {wall:6.1f} s, {peak:.2f} GB at most, {kept / 2**20:.0f} MB kept"
    )
    print(f"scores {json.dumps({k: v.get('top1') for k, v in told['metrics'].items()})}")


if __name__ == "__main__":
    sys.exit(main())
