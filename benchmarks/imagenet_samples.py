"""Top-1 and top-5 of the bundled models on photographs whose names begin with a WordNet id.

Usage: python benchmarks/imagenet_samples.py [DIR]

DIR defaults to $CAMCLI_TEST_DATA/imagenet-samples, else ../shared/data/imagenet-samples.
Photographs that the model was trained on score higher than new ones would: the numbers prove that
the weights, the class order and the preprocessing fit together, not how good a model is.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from camcli.models.classes.imagenet import wnid_index
from camcli.models.loading.zoo import build_model
from camcli.models.weights.bundled_file import BUNDLED

SUFFIXES = {".jpeg", ".jpg", ".png"}


def default_folder() -> Path:
    shared = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("CAMCLI_TEST_DATA", shared)) / "imagenet-samples"


def judge(name: str, photos: list[tuple[Path, int]]) -> None:
    model = build_model(name)
    top1 = top5 = 0
    for path, index in photos:
        with Image.open(path) as photo:
            images = model.preprocess.tensor(np.array(photo.convert("RGB")))
        with torch.inference_mode():
            best = model.module(images)[0].topk(5).indices.tolist()
        top1 += best[0] == index
        top5 += index in best
    count = len(photos)
    print(f"{name}: {count} photos, top-1 {top1 / count:.3f}, top-5 {top5 / count:.3f}")


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else default_folder()
    photos = [
        (path, index)
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES
        and (index := wnid_index(path.name.split("_")[0].split(".")[0])) is not None
    ]
    if not photos:
        print(f"No photographs named <wnid>_*.jpg in {folder}.", file=sys.stderr)
        return 4
    for name, carried in BUNDLED.items():
        if carried.is_here():
            judge(name, photos)
    return 0


if __name__ == "__main__":
    sys.exit(main())
