"""How much of OpenVINO's bare forward pass does `batch` keep on a network that is a graph?

    python benchmarks/graph_batch.py PHOTOS NET.onnx [NET.xml ...] [--preprocess caffe] [--rounds 5]

In one process, in turns: the bare forward pass of the file as OpenVINO reads it (its throughput
settings in float32, one asynchronous queue, images ready in memory, the best of several batch
sizes), and `camcli.batch` from JPEG to overlay and row. What counts are the ratios of wall and of
CPU time an image, each round's own, and their median: the machine may be shared.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino as ov

from camcli.api import batch
from camcli.models.classifier import Classifier
from camcli.models.load import load_classifier
from camcli.models.runtime.openvino import available_cores

Cost = tuple[float, float]  # wall and CPU seconds an image


def measured(work: Callable[[], int]) -> Cost:
    """Cost an image of something that returns how many images it did."""
    wall, cpu = time.perf_counter(), time.process_time()
    images = work()
    return (time.perf_counter() - wall) / images, (time.process_time() - cpu) / images


def bare(path: Path, shape: tuple[int, int, int], count: int) -> Callable[[float], Cost]:
    """The forward pass of a file as it is, `count` images at a time."""
    core = ov.Core()
    model = core.read_model(path)
    channels, height, width = shape
    partial = model.input(0).partial_shape
    last = partial[1].is_static and partial[1].get_length() == height != channels
    full = [count, height, width, channels] if last else [count, channels, height, width]
    model.reshape(full)
    streams = available_cores()
    compiled = core.compile_model(
        model, "CPU",
        {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": streams,
         "INFERENCE_NUM_THREADS": streams},
    )  # fmt: skip
    queue = ov.AsyncInferQueue(compiled, streams)
    images = np.random.default_rng(0).normal(size=full).astype(np.float32)

    def run(seconds: float) -> Cost:
        def work() -> int:
            done, start = 0, time.perf_counter()
            while time.perf_counter() - start < seconds:
                queue.start_async([images], share_inputs=True)
                done += count
            queue.wait_all()
            return done

        return measured(work)

    run(0.5)
    return run


def end_to_end(classifier: Classifier, photos: Path, method: str, limit: int | None) -> Cost:
    """From JPEG to overlay and row."""
    with tempfile.TemporaryDirectory() as out:
        results = batch(photos, Path(out) / "run", classifier, method=method, limit=limit)
        return measured(lambda: sum(1 for _ in results))


def main() -> None:
    """Print one row a network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("networks", type=Path, nargs="+")
    parser.add_argument("--preprocess")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each forward pass")
    parser.add_argument("--limit", type=int, help="use so many of the photographs")
    parser.add_argument("--method", default="gradcam")
    args = parser.parse_args()
    print("| network | bare forward | batch | of bare, wall | of bare, CPU |")
    print("| --- | --- | --- | --- | --- |")
    for path in args.networks:
        classifier = load_classifier(str(path), preprocess=args.preprocess)
        end_to_end(classifier, args.photos, args.method, 32)  # warm the page cache and the pools
        ways = {n: bare(path, classifier.preprocess.shape, n) for n in (1, 2, 4, 8)}
        best = min(ways, key=lambda n: ways[n](args.seconds)[0])
        rounds = [
            (ways[best](args.seconds), end_to_end(classifier, args.photos, args.method, args.limit))
            for _ in range(args.rounds)
        ]
        plain, whole = (1 / statistics.median(r[i][0] for r in rounds) for i in range(2))
        wall, cpu = (statistics.median(r[0][i] / r[1][i] for r in rounds) for i in range(2))
        print(
            f"| {path.name} | {plain:.1f} img/s (batch {best}) | {whole:.1f} | {wall:.2f} | "
            f"{cpu:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
