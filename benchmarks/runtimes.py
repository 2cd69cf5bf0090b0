"""What does each runtime of the backbone bring, alone and in a whole `batch`?

    python benchmarks/runtimes.py PHOTOS [--models efficientnet_lite0,resnet50] [--rounds 5]
    python benchmarks/runtimes.py PHOTOS --limit 0 --base "openvino float32"  # the first part only

In one process, in alternating rounds, on the same weights: the bare forward pass as the engine
runs it (one lane a core, batches of 16 that are ready in memory), and `camcli.batch` from JPEG to
overlay and row. Printed are ratios to one of them within a round, their median over the rounds: of
images a second, and of CPU time an image, which other processes on the machine disturb less. Torch
is the engine's own: BatchNorm folded, channels last, one thread a lane, glibc's allocator tuned.

ONNX Runtime is no runtime of camcli's. Where onnxruntime and onnxscript are installed its forward
pass is measured too, tuned as OpenVINO's is: one thread a lane that does not spin, two images at a
time, channels last outside.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from camcli.api import batch
from camcli.batch.lanes import keep_big_blocks
from camcli.data.sources.find import find_images
from camcli.errors import CamcliError
from camcli.models.classifier import Classifier
from camcli.models.load import load_classifier
from camcli.models.runtime.openvino import available_cores
from camcli.models.runtime.policy import with_runtime

BATCH = 16
SETTINGS = {
    "torch float32": ("torch", "float32"),
    "openvino float32": ("openvino", "float32"),
    "openvino bfloat16": ("openvino", "bfloat16"),
    "compile float32": ("compile", "float32"),
}
ONNX = "onnxruntime float32"
Figures = tuple[float, float]


def measured(run: Callable[[], int]) -> Figures:
    """(images a second, CPU milliseconds an image) of what returns its number of images."""
    wall, cpu = time.perf_counter(), time.process_time()
    images = run()
    return images / (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu) / images


def forward(classifier: Classifier, batches: int) -> int:
    """The bare forward pass, one lane a core."""
    images = torch.randn(BATCH, 3, *[classifier.preprocess.size] * 2)
    images = images.contiguous(memory_format=torch.channels_last)

    def lane(_: int) -> int:
        with torch.inference_mode():
            classifier.features(images)
        return len(images)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(available_cores()) as lanes:
            return sum(lanes.map(lane, range(batches)))
    finally:
        torch.set_num_threads(threads)


class _ChannelsLast(nn.Module):
    def __init__(self, backbone: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> Any:
        return self.backbone(images.permute(0, 3, 1, 2))


def onnx_runtime(classifier: Classifier) -> Classifier:
    """A classifier whose `features` run in ONNX Runtime; for `forward` only."""
    import onnxruntime

    backbone = classifier.features if classifier.cut is None else classifier.cut.first
    size, few = classifier.preprocess.size, 2
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = str(Path(folder) / "network.onnx")
        example = torch.zeros(few, size, size, 3)
        torch.onnx.export(_ChannelsLast(backbone), (example,), file, dynamo=True, verbose=False)
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def features(images: Tensor) -> Any:
        batch = images.permute(0, 2, 3, 1).contiguous().numpy()
        return [session.run(None, {name: batch[n : n + few]}) for n in range(0, len(batch), few)]

    return replace(classifier, features=features, cut=None)


def whole(classifier: Classifier, photos: Path, limit: int) -> int:
    """`batch`, from JPEG to overlay and row."""
    with tempfile.TemporaryDirectory() as out:
        results = batch(photos, Path(out) / "run", classifier, runtime="torch", limit=limit)
        return sum(1 for _ in results)


def main() -> None:
    """Print one row a network and runtime."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--models", default="efficientnet_lite0,resnet50")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=8, help="of 16 images, in a bare round")
    parser.add_argument(
        "--limit", type=int, default=128, help="photographs in a `batch` round; or 0"
    )
    parser.add_argument("--base", default="torch float32", help="what the ratios are to")
    args = parser.parse_args()
    find_images(args.photos)
    keep_big_blocks()
    print("| network | runtime | conversion | forward: img/s (CPU ms) | ratio (of CPU time) | "
          "batch: img/s (CPU ms) | ratio (of CPU time) | batch / forward |")  # fmt: skip
    print("|" + " --- |" * 8)
    for name in args.models.split(","):
        plain = load_classifier(name, weights=None if name == "efficientnet_lite0" else "random")
        ready, seconds = {}, {}
        for label, (runtime, precision) in SETTINGS.items():
            start = time.perf_counter()
            try:
                ready[label] = with_runtime(plain, runtime, precision=precision)
            except CamcliError as error:
                print(f"{name}, {label}: {error}")
                continue
            seconds[label] = time.perf_counter() - start
        if find_spec("onnxruntime") and find_spec("onnxscript"):
            start = time.perf_counter()
            ready[ONNX] = onnx_runtime(plain)
            seconds[ONNX] = time.perf_counter() - start
        bare: dict[str, list[Figures]] = {label: [] for label in ready}
        end: dict[str, list[Figures]] = {label: [] for label in ready}
        for number in range(args.rounds + 1):
            for label, classifier in ready.items():
                one = measured(lambda c=classifier: forward(c, args.batches))
                if number:  # the first round warms pools and the page cache
                    bare[label].append(one)
                if args.limit and label != ONNX:
                    two = measured(lambda c=classifier: whole(c, args.photos, args.limit))
                    if number:
                        end[label].append(two)
        for label in ready:
            cells = [name, label, f"{seconds[label]:.1f} s", _row(bare[label], bare[args.base])]
            if end[label]:
                kept = statistics.median(
                    b[0] / a[0] for a, b in zip(bare[label], end[label], strict=True)
                )
                cells += [_row(end[label], end[args.base]), f"{kept:.2f}"]
            print("| " + " | ".join(cells) + " |", flush=True)


def _row(figures: list[Figures], base: list[Figures]) -> str:
    """Medians, and medians of the ratios within a round."""
    speed = statistics.median(f[0] for f in figures)
    cpu = statistics.median(f[1] for f in figures)
    faster = statistics.median(f[0] / b[0] for f, b in zip(figures, base, strict=True))
    cheaper = statistics.median(b[1] / f[1] for f, b in zip(figures, base, strict=True))
    return f"{speed:.1f} ({cpu:.1f}) | {faster:.2f} ({cheaper:.2f})"


if __name__ == "__main__":
    main()
