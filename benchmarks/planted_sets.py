"""Data sets with a planted mark, and a head trained on each: made once, kept in a folder.

    ROOT/NAME/train/CLASS/*.jpg     what the head learned from (its own validation part included)
    ROOT/NAME/heldout/CLASS/*.jpg   photographs that it never saw, marked in the same way
    ROOT/NAME/best.safetensors      the head, as `camcli train` writes it (frozen bundled network)
    ROOT/NAME/set.json              what was planted: kind, design, class, where in each file, and
                                    what the mark does in truth (`truth`)

All photographs are written anew at one JPEG quality, marked or not, so that the file does not give
away which one was marked; those without a mark are hard links to one copy in ROOT/photographs.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from other_marks import OTHER, plant
from planted_marks import KINDS, Region

from camcli.data.decode.images import load_image
from camcli.evaluate.findings.audited_photo import reduced
from camcli.models.load import load_classifier
from camcli.train.config import TrainConfig
from camcli.train.run import train

LONGEST, QUALITY = 500, 92
HELD_OUT = 0.25


@dataclass(frozen=True)
class Recipe:
    """How a data set is made.

    Attributes:
        name: of its folder.
        seed: of the split, of the marks and of the head.
        labels: ``random``: photographs are split at random into alpha and beta; ``own``: cats and
            dogs.
        kind: see `other_marks.plant`; empty for no mark.
        design: the same.
        share: share of each class's photographs that carry it, by class.
        trained_on: name of another data set whose head looks at this one; empty: its own.
        most: photographs that are used, drawn at random.
    """

    name: str
    seed: int
    labels: str = "random"
    kind: str = ""
    design: int = 0
    share: dict[str, float] = field(default_factory=dict)
    trained_on: str = ""
    most: int = 1000

    @property
    def classes(self) -> tuple[str, str]:
        """Names of the two classes."""
        return ("alpha", "beta") if self.labels == "random" else ("cat", "dog")


def recipes(kinds: list[str], seeds: list[int], only: list[str]) -> Iterator[Recipe]:
    """What the benchmark tries; see `audit_real`."""
    for seed in seeds:
        chosen = [*(kinds if "planted" in only else ()), *(OTHER if "other" in only else ())]
        for kind in chosen:
            share = {"alpha": 0.9, "beta": 0.02 if seed % 2 else 0.0}
            yield Recipe(f"{kind}-{seed}", seed, "random", kind, seed, share)
    for seed in (n for s in seeds for n in (2 * s, 2 * s + 1)):
        if "clean" in only:
            yield Recipe(f"clean-split-{seed}", 100 + seed)
            most = 1000 if seed % 2 else 600
            yield Recipe(f"clean-plain-{seed}", 200 + seed, "own", most=most)
    for seed in seeds:
        if "unused" in only:
            plain, share = (
                Recipe(f"clean-plain-{2 * seed + 1}", 201 + 2 * seed, "own"),
                {"cat": 0.8},
            )
            yield Recipe(
                f"unused-plain-{seed}", plain.seed, "own", "sticker", seed, share, plain.name
            )
            yield Recipe(f"unused-trained-{seed}", 300 + seed, "own", "sticker", seed, share)
        if "alike" in only:
            kind = ("sticker", "copyright", "frame", "logo", "cast")[seed % 5]
            part = 0.9 if seed % 2 else 0.5
            share = {"cat": part, "dog": part}
            yield Recipe(f"alike-{kind}-{seed}", 400 + seed, "own", kind, seed, share)


def base(data: Path, root: Path) -> list[Path]:
    """The photographs, at most 500 pixels, all of one JPEG quality."""
    folder = root / "photographs"
    if not folder.is_dir():
        new = root / f"photographs.{os.getpid()}"
        new.mkdir(parents=True, exist_ok=True)
        for path in sorted(data.glob("*.jpg")):
            write(new / path.name, reduced(load_image(path), LONGEST))
        try:
            new.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(new)
    return sorted(folder.glob("*.jpg"))


def write(path: Path, rgb: np.ndarray, quality: int = QUALITY) -> None:
    encoded = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    path.write_bytes(encoded.tobytes())


def make(recipe: Recipe, data: Path, root: Path) -> Path:
    """A data set with its head; nothing is done where it is there already.

    Returns:
        Its folder.
    """
    folder = root / recipe.name
    if (folder / "set.json").is_file():
        told = json.loads((folder / "set.json").read_text("utf-8"))
        if {**asdict(recipe), "truth": told.get("truth"), "regions": told["regions"]} == told:
            return folder  # made by this very recipe
    photographs = base(data, root)
    new = root / f"{recipe.name}.{os.getpid()}"
    shutil.rmtree(new, ignore_errors=True)
    rng = np.random.default_rng(recipe.seed)
    order = rng.permutation(len(photographs))[: recipe.most]
    regions: dict[str, Region | None] = {}
    seen: dict[tuple[str, str], int] = {}
    for n, index in enumerate(order):
        path = photographs[index]
        # Of random labels: in turn, which after the permutation is by chance.
        label = recipe.classes[n % 2] if recipe.labels == "random" else path.name[:3]
        part = "heldout" if n < HELD_OUT * len(order) else "train"
        there = new / part / label / path.name
        there.parent.mkdir(parents=True, exist_ok=True)
        number = seen[part, label] = seen.get((part, label), -1) + 1
        share = recipe.share.get(label, 0.0)
        # Evenly spread, so that the share is met in small parts too.
        if int((number + 1) * share) == int(number * share):
            os.link(path, there)
            continue
        own = np.random.default_rng([recipe.seed, index])
        planted = plant(recipe.kind, load_image(path), own, recipe.design)
        write(there, planted.rgb, planted.quality or QUALITY)
        regions[f"{part}/{label}/{path.name}"] = planted.region
    if recipe.trained_on:
        shutil.copy(root / recipe.trained_on / "best.safetensors", new)
    else:
        # Shown whole: by the centre crop, which is the network's own fit, it would never see what
        # is at the border, and could not rest on it.
        config = TrainConfig(
            data=str(new / "train"), backbone="efficientnet_lite0", fit="squash", solver="lbfgs",
            seed=recipe.seed,
        )  # fmt: skip
        train(config, new / "run", cache_dir=root / "features", device="cpu", offline=True)
        shutil.move(new / "run" / "best.safetensors", new)
        shutil.rmtree(new / "run")
    told = {**asdict(recipe), "truth": truth(recipe, new, root, regions), "regions": regions}
    (new / "set.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)
    (root / "README.txt").write_text(f"{__doc__}\nKinds: {', '.join((*KINDS, *OTHER))}.\n", "utf-8")
    return folder


def truth(
    recipe: Recipe, folder: Path, root: Path, regions: dict[str, Region | None], most: int = 80
) -> dict[str, list[int]]:
    """What the mark does to the head's predictions: the same photographs with it and without.

    Returns:
        Counts over held-out photographs. ``removed``: of those that carry it and are predicted as
        the class that does, how many are not without it, and of how many; ``added``: of those of
        the other class that do not carry it and are predicted right, how many become the class
        with it, and of how many. Empty where no mark was planted.
    """
    if not recipe.kind:
        return {}
    classifier = load_classifier(checkpoint=str(folder / "best.safetensors"))
    own, other = recipe.classes

    def predicted(photographs: list[np.ndarray]) -> list[str]:
        found = []
        for i in range(0, len(photographs), 16):
            batch = [classifier.preprocess.pixels(x) for x in photographs[i : i + 16]]
            with torch.inference_mode():
                logits = classifier(torch.stack(batch))[1]
            found += [classifier.classes[int(n)] for n in logits.argmax(1)]
        return found

    def these(label: str, marked: bool) -> list[Path]:
        there = sorted((folder / "heldout" / label).iterdir())
        return [p for p in there if (f"heldout/{label}/{p.name}" in regions) == marked][:most]

    with_it = these(own, True)
    seen = predicted([load_image(p) for p in with_it])
    bare = predicted([load_image(root / "photographs" / p.name) for p in with_it])
    removed = [b != own for s, b in zip(seen, bare, strict=True) if s == own]
    without = [load_image(p) for p in these(other, False)]
    marked = []
    for n, rgb in enumerate(without):
        own_rng = np.random.default_rng([recipe.seed, 9, n])
        new = folder / "truth.jpg"
        planted = plant(recipe.kind, rgb, own_rng, recipe.design)
        write(new, planted.rgb, planted.quality or QUALITY)
        marked.append(load_image(new))
        new.unlink()
    pairs = zip(predicted(without), predicted(marked), strict=True)
    added = [m == own for s, m in pairs if s == other]
    return {"removed": [sum(removed), len(removed)], "added": [sum(added), len(added)]}
