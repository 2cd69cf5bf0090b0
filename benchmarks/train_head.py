"""Five epochs of a head: features computed once against a forward pass in each epoch.

Usage: python benchmarks/train_head.py [--data DIR] [--backbone NAME] [--images N] [--epochs N]

DIR defaults to $CAMCLI_TEST_DATA/cats-dogs, else ../shared/data/cats-dogs. All ways train the same
head on the same images with the same seed, in one process, so their ratios mean something on a
noisy machine; `plain loop` is what a script does: a frozen backbone without gradients, a batch of
32 at a time, each image decoded and looked at in each epoch. Below, the optimum of a head beside
scikit-learn's on the same features (`head_optimum.py`, which has the large set, too).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from head_optimum import compare, photographs
from torch.nn import functional

from camcli.data.decode.images import load_image
from camcli.train.config import TrainConfig
from camcli.train.dataset import read_data
from camcli.train.fitting.head import L2_GRID
from camcli.train.prepare import load_backbones
from camcli.train.run import train


def default_folder() -> Path:
    shared = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("CAMCLI_TEST_DATA", shared)) / "cats-dogs"


def subset(data: Path, count: int, folder: Path) -> Path:
    """A table of the first images of each class."""
    items = read_data(TrainConfig(data=str(data), val=0.0)).items
    rows, seen = ["path,label"], dict.fromkeys({x.target for x in items}, 0)
    for item in items:
        if seen[item.target] < count // len(seen):
            seen[item.target] += 1
            rows.append(f'"{item.ref.path}",{item.ref.label}')
    table = folder / "subset.csv"
    table.write_text("\n".join(rows) + "\n", "utf-8")
    return table


def plain_loop(config: TrainConfig) -> tuple[float, float]:
    """Seconds and validation accuracy of the loop that tutorials show."""
    dataset = read_data(config)
    backbone = load_backbones(config, "cpu", offline=False)[0]
    classifier, sight = backbone.classifier, backbone.sight
    start = time.perf_counter()

    def look(items) -> torch.Tensor:
        rgb = (load_image(item.ref.path) for item in items)
        return sight(torch.stack([classifier.preprocess.pixels(x) for x in rgb]))

    train_items, val_items = dataset.split("train"), dataset.split("val")
    head = torch.nn.Linear(backbone.channels, len(dataset.classes))
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3)
    accuracy = 0.0
    for epoch in range(config.epochs):
        order = torch.randperm(len(train_items), generator=torch.Generator().manual_seed(epoch))
        for batch in order.split(config.batch_size):
            items = [train_items[i] for i in batch.tolist()]
            loss = functional.cross_entropy(
                head(look(items).clone()), torch.tensor([item.target for item in items])
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        hits = 0
        for i in range(0, len(val_items), config.batch_size):
            items = val_items[i : i + config.batch_size]
            best = head(look(items).clone()).argmax(1)
            hits += int((best == torch.tensor([item.target for item in items])).sum())
        accuracy = hits / len(val_items)
    return time.perf_counter() - start, accuracy


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=default_folder())
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--weights")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    if not options.data.is_dir():
        print(f"No folder {options.data}; name one with --data.", file=sys.stderr)
        return 4
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        config = TrainConfig(
            data=str(subset(options.data, options.images, folder)), backbone=options.backbone,
            weights=options.weights, epochs=options.epochs, val=0.25,
        )  # fmt: skip
        print(
            f"{options.backbone}, {options.images} images, {options.epochs} epochs, "
            f"{torch.get_num_threads()} threads"
        )
        results = {"plain loop, a forward pass in each epoch": plain_loop(config)}
        for name, change in (
            ("camcli --no-cache", {"cache": False}),
            ("camcli, features computed once", {}),
            ("camcli again with another --lr (cached)", {"lr": 3e-3}),
            ("camcli --solver lbfgs (cached)", {"solver": "lbfgs"}),
        ):
            out = folder / name.replace(" ", "-")
            outcome = train(
                replace(config, **change), out, cache_dir=folder / "cache", device="cpu"
            )
            seconds = outcome.seconds["features"] + outcome.seconds["head"]
            results[name] = (seconds, outcome.scores["val"]["top1"])
        slowest = results["plain loop, a forward pass in each epoch"][0]
        for name, (seconds, accuracy) in results.items():
            print(
                f"{name:<42} {seconds:8.2f} s  {slowest / seconds:7.1f}x  "
                f"validation accuracy {accuracy:.3f}"
            )
    compare("photographs", photographs(options.data.parent), L2_GRID)
    return 0


if __name__ == "__main__":
    sys.exit(main())
