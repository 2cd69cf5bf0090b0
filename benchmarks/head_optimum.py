"""The head's optimum beside scikit-learn's, in processor seconds, and the loss held out.

Usage: python benchmarks/head_optimum.py [--small] [--large] [--data DIR]

--small: 2,000 x 1,280 x 3, features of photographs: cats, dogs and the 250 of ImageNet, through
EfficientNet-Lite0, two random views each; 500 more are held out. DIR (by default $CAMCLI_TEST_DATA,
else ../shared/data) has cats-dogs and imagenet-samples.
--large: 30,000 x 2,048 x 131, drawn: a Gaussian a class, whose axes are as unequal as those of a
network's features; 3,000 more are held out.

Both solve for the same strengths, from strong to weak, each from the solution before; both in
float32, on the same features in the same process, one after the other. `gap` is how far above the
lower of the two objectives a solution lies, both computed in float64.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import sklearn
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from camcli.data.sources.find import find_images
from camcli.models.load import load_classifier
from camcli.train.feature_pass.cache import PoolingCache, cache_root
from camcli.train.feature_pass.features import ImageView, extract, hash_files
from camcli.train.feature_pass.sight import Sight
from camcli.train.fitting.head import L2_GRID, FeatureScale
from camcli.train.fitting.loop import Recipe
from camcli.train.fitting.optimum import Problem


def photographs(folder: Path) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features (2000, 1280) and targets of three classes, and 500 held out."""
    classifier = load_classifier(device="cpu")
    images = [
        (ref.path, ("cat", "dog").index(ref.label) if ref.label in ("cat", "dog") else 2)
        for name in ("cats-dogs", "imagenet-samples")
        for ref in find_images(folder / name, labels="prefix")
    ]
    order = np.random.default_rng(0).permutation(len(images))
    images = [images[i] for i in order][:1250]
    paths, targets = [p for p, _ in images], torch.tensor([t for _, t in images])
    contents, sight = hash_files(paths), Sight(classifier)
    space = {"benchmark": "head_optimum", "weights": classifier.provenance.sha256}
    with PoolingCache(cache_root(), space, sight.statistics) as cache:
        views = [
            extract(paths, contents, sight, ImageView(classifier, 0, n), cache=cache)[0]
            for n in (0, 1)
        ]
    train = torch.cat([view[:1000] for view in views]).float()
    held = torch.cat([view[1000:] for view in views]).float()
    return train, targets[:1000].repeat(2), held, targets[1000:].repeat(2)


def drawn(count: int = 30_000, more: int = 3_000) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features (30000, 2048) and targets of 131 classes, and 3000 held out."""
    generator = torch.Generator().manual_seed(0)
    K, C = 2048, 131
    axes = torch.linalg.qr(torch.randn(K, K, generator=generator))[0]
    widths = torch.arange(1, K + 1) ** -0.7  # about what ResNet-50's have on photographs
    centres = torch.randn(C, K, generator=generator) * widths * 0.9
    targets = torch.randint(C, (count + more,), generator=generator)
    X = centres[targets] + torch.randn(count + more, K, generator=generator) * widths
    X = (X @ axes).half().float()
    return X[:count], targets[:count], X[count:], targets[count:]


def loss(X: Tensor, targets: Tensor, weight: Tensor, bias: Tensor) -> float:
    """Mean cross-entropy in float64."""
    parts = zip(X.split(4096), targets.split(4096), strict=True)
    total = 0.0
    for rows, truth in parts:
        logits = rows.double() @ weight.double().T + bias.double()
        total += float(torch.nn.functional.cross_entropy(logits, truth, reduction="sum"))
    return total / len(targets)


def ours(X: Tensor, targets: Tensor, classes: int, grid) -> Iterator[tuple[Tensor, Tensor, float]]:
    """Weight, bias and processor seconds for each strength; what all share is in the first's."""
    start = time.process_time()
    problem = Problem(X, targets, classes, Recipe())
    for l2 in grid:
        problem.solve(l2)
        yield *problem.solution(), time.process_time() - start
        start = time.process_time()


def theirs(X: Tensor, targets: Tensor, grid) -> Iterator[tuple[Tensor, Tensor, float]]:
    """The same by scikit-learn at its own tolerance."""
    model = LogisticRegression(max_iter=1000, warm_start=True)
    features, truth = X.numpy(), targets.numpy()
    for l2 in grid:
        model.C = 1 / (l2 * len(X))
        start = time.process_time()
        model.fit(features, truth)
        seconds = time.process_time() - start
        yield torch.tensor(model.coef_), torch.tensor(model.intercept_), seconds


def compare(name: str, sets: tuple[Tensor, Tensor, Tensor, Tensor], grid) -> None:
    """Print a table."""
    train, targets, held, truth = sets
    scale = FeatureScale.of(train)
    X, Y = scale(train), scale(held)
    classes = int(targets.max()) + 1
    print(f"\n{name}: {len(X)} x {X.shape[1]} x {classes}, {torch.get_num_threads()} threads")
    own = "CPU s | held-out loss | gap"
    print(f"| l2 | camcli, {own} | scikit-learn, {own} |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    pairs = zip(grid, ours(X, targets, classes, grid), theirs(X, targets, grid), strict=True)
    total = [0.0, 0.0]
    for l2, *found in pairs:
        goals = [loss(X, targets, w, b) + 0.5 * l2 * float(w.square().sum()) for w, b, _ in found]
        cells = []
        for n, (weight, bias, seconds) in enumerate(found):
            total[n] += seconds
            gap = goals[n] - min(goals)
            cells += [f"{seconds:.2f}", f"{loss(Y, truth, weight, bias):.4f}", f"{gap:.1e}"]
        print(f"| {l2:.2g} | " + " | ".join(cells) + " |", flush=True)
    print(f"all: {total[0]:.2f} and {total[1]:.2f} s, {total[0] / total[1]:.2f} of scikit-learn's")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shared = Path(__file__).resolve().parents[2] / "shared" / "data"
    data = Path(os.environ.get("CAMCLI_TEST_DATA", shared))
    parser.add_argument("--data", type=Path, default=data)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--large", action="store_true")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=sklearn.exceptions.ConvergenceWarning)
    print(f"torch {torch.__version__}, scikit-learn {sklearn.__version__}")
    if options.small or not options.large:
        compare("photographs", photographs(options.data), L2_GRID)
    if options.large or not options.small:
        compare("drawn", drawn(), L2_GRID[3:6:2])


if __name__ == "__main__":
    main()
