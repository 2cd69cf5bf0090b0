"""Do maps of heads on statistics point at the defect? Textiles with one small local defect each.

    python benchmarks/pooled_maps.py --textiles FOLDER --out DIR [--poolings mean mean+max ...]
    python benchmarks/pooled_maps.py --checkpoint RUN/best.safetensors --held-out TABLE.csv

The second judges a run of `train_search.py` on the rows of its table (DIR/tables) marked ``test``.

`FOLDER` is ``data/textile_images/simulated`` of the package conformal-clip-data (MIT). A head of
EfficientNet-Lite0 at 320 pixels is solved for with each pooling on three quarters of the
photographs; of those with a local defect among the others (`--images` of them) it is told how often
the map's maximum is within 25 of their 250 pixels of the defect, and how much of the map is below
what it says there. Where the defect is nobody wrote down: it is taken for where the photograph is
roughest, its squared Laplacian over 13 pixels. At random 3 of 100 would be a hit.
"""

from __future__ import annotations

import argparse
import csv
import random
import shutil
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from camcli.cam.methods import METHODS, heatmaps
from camcli.data.decode.images import load_image
from camcli.models.classifier import Classifier
from camcli.models.load import load_classifier
from camcli.train.config import TrainConfig
from camcli.train.run import train

POOLINGS = (
    "mean", "mean+max+std@blocks.2", "mean+std+std@blocks.1+std@blocks.2+std@blocks.3",
    "std@blocks.1+std@blocks.2+std@blocks.3",
)  # fmt: skip
NEAR = 25


def defect(rgb: np.ndarray) -> tuple[int, int]:
    """(row, column) where a photograph (H, W, 3) is roughest."""
    grey = torch.from_numpy(rgb).float().mean(2)[None, None]
    laplace = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    rough = functional.conv2d(functional.pad(grey, (1, 1, 1, 1), "replicate"), laplace).square()
    rough = functional.avg_pool2d(rough, 13, 1, 6, count_include_pad=False)[0, 0]
    return divmod(int(rough.argmax()), rough.shape[1])


def judge(classifier: Classifier, files: list[Path], name: str) -> tuple[float, float]:
    """The share of maps of a class that hit, and the mean share of a map below the defect's."""
    index, side = classifier.classes.index(name), classifier.preprocess.size
    hits, below = [], []
    for file in files:
        rgb = load_image(file)
        row, column = defect(rgb)
        seen = classifier.look(classifier.preprocess.pixels(rgb)[None])
        part = seen.parts[0]
        M = heatmaps(
            METHODS["gradcam"], part.A, seen.logits, torch.tensor([index]), head=part.head,
            tail=part.tail,
        )  # fmt: skip
        M = functional.interpolate(M[None], (side, side), mode="bilinear")[0, 0]
        left, top, right, bottom = classifier.preprocess.view(rgb.shape[1], rgb.shape[0])
        corner, scale = np.array([top, left]), np.array([bottom - top, right - left]) / side
        found = corner + np.array(divmod(int(M.argmax()), side)) * scale
        hits.append(float(np.hypot(found[0] - row, found[1] - column)) <= NEAR)
        y, x = ((np.array([row, column]) - corner) / scale).astype(int).clip(0, side - 1)
        at = M[y, x]
        below.append(float((at > M).float().mean()))
    return float(np.mean(hits)), float(np.mean(below))


def main() -> None:
    """Print a line for each pooling."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--textiles", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--held-out", type=Path)
    parser.add_argument("--poolings", nargs="+", default=POOLINGS)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--train", type=int, default=1500)
    given = parser.parse_args()
    if given.checkpoint and given.held_out:
        with given.held_out.open(encoding="utf-8", newline="") as table:
            rows = [row for row in csv.DictReader(table) if row["split"] == "test"]
        local = [Path(row["path"]) for row in rows if row["label"] == "local"]
        hit, below = judge(load_classifier(checkpoint=given.checkpoint), local, "local")
        print(f"{len(local)} held-out maps: hits {hit:.3f}  below the defect {below:.2f}")
        return
    if not given.textiles or not given.out:
        parser.error("--textiles and --out, or --checkpoint and --held-out")
    files = sorted(given.textiles.resolve().rglob("*.jpg"))
    random.Random(0).shuffle(files)
    learnt, held = files[: given.train], files[given.train :]
    given.out.mkdir(parents=True, exist_ok=True)
    with (given.out / "train.csv").open("w", newline="", encoding="utf-8") as table:
        rows = csv.writer(table)
        rows.writerow(["path", "label"])
        rows.writerows([str(file), file.parent.name] for file in learnt)
    local = [file for file in held if file.parent.name == "local"][: given.images]
    print(f"{len(learnt)} photographs to learn from; maps of {len(local)} others")
    for text in given.poolings:
        config = TrainConfig(
            data=str(given.out / "train.csv"), backbone="efficientnet_lite0", input_size=320,
            fit="squash", pooling=text, solver="lbfgs",
        )  # fmt: skip
        run = given.out / "run"
        shutil.rmtree(run, ignore_errors=True)
        outcome = train(config, run, device="cpu", offline=True, cache_dir=given.out / "cache")
        classifier = load_classifier(checkpoint=outcome.checkpoint, device="cpu")
        hit, below = judge(classifier, local, "local")
        top1 = outcome.scores["val"]["top1"]
        print(f"{text:50s} accuracy {top1:.3f}  hits {hit:.2f}  below the defect {below:.2f}")


if __name__ == "__main__":
    main()
