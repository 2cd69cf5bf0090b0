"""The sets of `train_search.py`, each cut into what trains and what is held out, by a seed.

A split is a table ``path,label,split`` that `camcli train`, scikit-learn and AutoGluon read alike.
What is held out is marked ``test``: camcli cuts its validation images from the rest by itself.
"""

from __future__ import annotations

import csv
import random
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = {".jpg", ".jpeg", ".png"}


@dataclass(frozen=True)
class ImageSet:
    """Photographs and their classes.

    Attributes:
        name: of the set.
        images: path and class of each, in a fixed order.
        held_out: share of each class that judges.
    """

    name: str
    images: tuple[tuple[Path, str], ...]
    held_out: float = 0.25

    def thinned(self, count: int) -> ImageSet:
        """About so many of them, the same share of each class; all where there are no more."""
        if count >= len(self.images):
            return self
        share = count / len(self.images)
        kept = [
            image
            for own in self._classes().values()
            for image in random.Random(0).sample(own, max(8, round(len(own) * share)))
        ]
        return ImageSet(self.name, tuple(sorted(kept)), self.held_out)

    def split(self, seed: int) -> dict[str, list[tuple[Path, str]]]:
        """``train`` and ``test``, the same share of each class; another seed draws another."""
        parts: dict[str, list[tuple[Path, str]]] = {"train": [], "test": []}
        for own in self._classes().values():
            drawn = random.Random(seed).sample(own, len(own))
            count = round(len(own) * self.held_out)
            parts["test"] += drawn[:count]
            parts["train"] += drawn[count:]
        return {name: sorted(own) for name, own in parts.items()}

    def table(self, seed: int, folder: Path) -> Path:
        """The split as a table in `folder`."""
        path = folder / f"{self.name}-{seed}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "label", "split"])
            for name, images in self.split(seed).items():
                writer.writerows([image, label, name] for image, label in images)
        return path

    def _classes(self) -> dict[str, list[tuple[Path, str]]]:
        found = defaultdict(list)
        for image in self.images:
            found[image[1]].append(image)
        return found


def textiles(folder: Path) -> ImageSet:
    """2,000 drawn textiles: nominal, with a local, and with a global defect.

    Args:
        folder: ``data/textile_images/simulated`` of the package conformal-clip-data (MIT), or one
            above it.
    """
    roots = [p.parent for p in sorted(folder.rglob("nominal")) if (p.parent / "global").is_dir()]
    if not roots:
        raise SystemExit(
            f"No folders nominal, local and global under {folder}. `pip download --no-deps "
            "conformal-clip-data`, unzip the wheel, and name its folder with --textiles."
        )
    names = ("nominal", "local", "global")
    images = [(p, n) for n in names for p in sorted((roots[0] / n).iterdir()) if _is_image(p)]
    return ImageSet("textiles", tuple(images))


def cats_dogs(folder: Path) -> ImageSet:
    """Photographs called ``cat.1.jpg`` and ``dog.1.jpg``."""
    images = [(p, p.name.split(".")[0]) for p in sorted(folder.iterdir()) if _is_image(p)]
    return ImageSet("cats-dogs", tuple(images))


def fruit(folder: Path, each: int = 60) -> ImageSet:
    """Eight kinds of fruit on clutter, as ``camcli data synthetic`` draws them, `each` a class."""
    if not (folder / "scenes.csv").is_file():
        subprocess.run(
            [sys.executable, "-m", "camcli", "data", "synthetic", str(folder), "--quiet",
             "--train", str(each), "--val", "0", "--test", "0"],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    kinds = sorted(p for p in (folder / "train").iterdir() if p.is_dir())
    images = [(p, kind.name) for kind in kinds for p in sorted(kind.iterdir()) if _is_image(p)]
    return ImageSet("fruit", tuple(images))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES
