"""How much of the bare forward pass's speed does `batch` keep?

    python benchmarks/batch_vs_forward.py PHOTOS [--models resnet50,efficientnet_lite0] [--rounds 3]

In one process, in turns, both in eager torch: the bare forward pass of the same network over
tensors that are ready in memory (the best of several batch sizes and memory formats, all cores),
and `camcli.batch` from JPEG to overlay and row. Absolute figures depend on the machine; the ratios
are what counts. On a machine that others use, the ratio of CPU time an image says more than that
of wall time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from camcli.api import batch
from camcli.batch.lanes import keep_big_blocks
from camcli.models.classifier import Classifier
from camcli.models.load import load_classifier
from camcli.models.loading.zoo import build_model

Cost = tuple[float, float]  # wall and CPU seconds an image


def measured(work: Callable[[], int]) -> Cost:
    """Cost an image of something that returns how many images it did."""
    wall, cpu = time.perf_counter(), time.process_time()
    images = work()
    return (time.perf_counter() - wall) / images, (time.process_time() - cpu) / images


def forward(network: Callable[[torch.Tensor], torch.Tensor], size: int, setting: tuple[int, str],
            seconds: float) -> Cost:  # fmt: skip
    """The bare forward pass in one setting (batch size, memory format)."""
    memory_format = getattr(torch, setting[1])
    x = torch.randn(setting[0], 3, size, size).to(memory_format=memory_format)
    if isinstance(network, torch.nn.Module):
        network.to(memory_format=memory_format)

    def work() -> int:
        done, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            network(x)
            done += setting[0]
        return done

    with torch.inference_mode():
        network(x)
        return measured(work)


def end_to_end(classifier: Classifier, photos: Path, method: str, limit: int | None) -> Cost:
    """From JPEG to overlay and row."""
    with tempfile.TemporaryDirectory() as out:
        results = batch(
            photos, Path(out) / "run", classifier, method=method, runtime="torch", limit=limit
        )
        return measured(lambda: sum(1 for _ in results))


def main() -> None:
    """Print one row a network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--models", default="resnet50,efficientnet_lite0")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each forward setting")
    parser.add_argument("--limit", type=int, help="use so many of the photographs")
    parser.add_argument("--method", default="gradcam")
    args = parser.parse_args()
    keep_big_blocks()  # the bare forward pass gets the tuned allocator too
    print("| network | bare forward | bare, BN folded | batch | of bare | of folded | CPU |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in args.models.split(","):
        weights = None if name == "efficientnet_lite0" else "random"
        module = build_model(name, weights=weights).module
        classifier = load_classifier(name, weights=weights)
        size = classifier.preprocess.size
        end_to_end(classifier, args.photos, args.method, 32)  # warm the page cache and the pools
        settings = [(n, f) for n in (4, 8, 16, 32) for f in ("contiguous_format", "channels_last")]
        best = min(settings, key=lambda s: forward(module, size, s, args.seconds)[0])
        rounds = [
            (
                forward(module, size, best, args.seconds),
                forward(classifier.features, size, best, args.seconds),
                end_to_end(classifier, args.photos, args.method, args.limit),
            )
            for _ in range(args.rounds)
        ]
        plain, folded, whole = (1 / statistics.median(r[i][0] for r in rounds) for i in range(3))
        of_plain = statistics.median(r[0][0] / r[2][0] for r in rounds)
        of_folded = statistics.median(r[1][0] / r[2][0] for r in rounds)
        cpu = statistics.median(r[1][1] / r[2][1] for r in rounds)
        print(
            f"| {name} | {plain:.1f} img/s (batch {best[0]}, {best[1]}) | {folded:.1f} | "
            f"{whole:.1f} | {of_plain:.2f} | {of_folded:.2f} | {cpu:.2f} of folded |",
            flush=True,
        )


if __name__ == "__main__":
    main()
