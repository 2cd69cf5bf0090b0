"""What does it save to decode big JPEGs no larger than needed, and what does it change?

    python benchmarks/big_photos.py PHOTOS [--count 32] [--size 4000x3000]

The photographs are enlarged, given the noise of a camera, and stored with quality 92. In turns in
one process: all pixels, and no more than a table without overlays needs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from camcli.batch.engine import stream
from camcli.batch.explain import Load, make_explanation
from camcli.data.decode.images import Enough, load_image, load_picture
from camcli.data.sources.find import find_images
from camcli.data.sources.source import Source
from camcli.models.classifier import Classifier
from camcli.models.load import load_classifier
from camcli.models.runtime.policy import with_runtime


def enlarge(photos: Path, count: int, size: tuple[int, int], out: Path) -> None:
    draw = np.random.default_rng(0)
    noise = draw.normal(0, 8, (size[1], size[0], 3)).astype(np.float32)
    source = list(find_images(photos))
    for n, ref in enumerate(source[:: max(1, len(source) // count)][:count]):
        big = Image.fromarray(load_image(ref)).resize(size, Image.Resampling.BICUBIC)
        rgb = np.asarray(big, np.float32) + np.roll(noise, n, axis=(0, 1))
        Image.fromarray(rgb.clip(0, 255).astype(np.uint8)).save(out / f"{n:04}.jpg", quality=92)


def run(source: Source, classifier: Classifier, load: Load) -> tuple[float, float, list]:
    """Wall and CPU seconds an image, and the Results."""
    wall, cpu = time.perf_counter(), time.process_time()
    results = list(stream(source, classifier, make_explanation(classifier), load=load))
    count = len(results)
    return (time.perf_counter() - wall) / count, (time.process_time() - cpu) / count, results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--size", default="4000x3000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="efficientnet_lite0")
    args = parser.parse_args()
    classifier = load_classifier(args.model)
    width, height = (int(side) for side in args.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        enlarge(args.photos, args.count, (width, height), Path(folder))
        source = find_images(folder)
        classifier = with_runtime(classifier, "auto", images=range(10_000))
        enough = Enough(classifier.preprocess.enough(), 0)
        loads = {"all pixels": load_picture, "enough": partial(load_picture, enough=enough)}
        for load in loads.values():
            run(source, classifier, load)
        rounds = [
            {name: run(source, classifier, load) for name, load in loads.items()}
            for _ in range(args.rounds)
        ]
    print("| decoded | wall ms an image | CPU ms an image |\n| --- | --- | --- |")
    for name in loads:
        wall, cpu = (statistics.median(r[name][k] for r in rounds) * 1000 for k in (0, 1))
        print(f"| {name} | {wall:.1f} | {cpu:.1f} |")
    gains = [r["all pixels"][0] / r["enough"][0] for r in rounds]
    pairs = list(zip(rounds[0]["all pixels"][2], rounds[0]["enough"][2], strict=True))
    moved = [abs(dict(b.top).get(a.pred, 0.0) - a.prob) for a, b in pairs]
    cosines = [
        float((m * n).sum() / np.linalg.norm(m) / np.linalg.norm(n))
        for m, n in ((a.heats[0].heatmap, b.heats[0].heatmap) for a, b in pairs if a.pred == b.pred)
    ]
    print(
        f"{statistics.median(gains):.2f}x as fast; probability of the prediction moved by "
        f"{statistics.median(moved):.4f} in the median, {max(moved):.4f} at most; "
        f"{sum(a.pred != b.pred for a, b in pairs)} of {len(pairs)} predictions changed; "
        f"least cosine of maps {min(cosines):.4f}"
    )


if __name__ == "__main__":
    main()
