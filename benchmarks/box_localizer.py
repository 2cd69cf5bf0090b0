"""A localizer that a few boxes taught, against CAM and the centre box, on photographs left out.

    python benchmarks/box_localizer.py PHOTOGRAPHS BOXES [--told 5 10] [--draws 20] [--size 320]
    python benchmarks/box_localizer.py --scenes SCENES --checkpoint FILE [--told 5 10] [--draws 20]

Each draw takes some photographs to learn from, and measures others: the mean IoU of the box that a
run would draw (above 20% of the map's maximum), and the box accuracy at IoU 30/50/70 with each
row's thresholds chosen on the photographs of the draw that it learnt from, so that nothing is
chosen where it is measured. `PHOTOGRAPHS` are drawn from as they are, and the others are measured;
the network is the bundled one. `SCENES` is a folder that ``camcli data synthetic`` made, and
`FILE` what ``camcli train`` made of it: so many scenes *of each class* are drawn from its training
split, with the boxes around their masks, and the whole test split is measured; there the masks
give the pixel AP, too.

Intervals are 2.5% to 97.5% of draws whose measured photographs are drawn again, 50 times each, so
they hold for both which are boxed and which are measured; of few photographs they are wide.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from camcli.data.sources.find import find_images
from camcli.data.sources.refs import ImageRef
from camcli.evaluate.measured.annotations import (
    find_masks,
    read_boxes,
    read_mask,
    truth_of,
)
from camcli.evaluate.measured.square_canvas import Truth, centre_box, paint
from camcli.evaluate.metrics.localization import IOUS, BoxAccuracy, Pixels
from camcli.models.classifier import Classifier
from camcli.models.load import load_classifier
from camcli.train.fitting.localizer import Boxed, Corners, box_iou, fit_localizer
from camcli.train.localizer import look_at
from camcli.train.progress import Listener

NAMES = ("trained-on-boxes", "cam", "centre-box")
AGAIN = 50
"""Times that the measured photographs of a draw are drawn."""


@dataclass(frozen=True)
class Seen:
    """Photographs that a network saw, and where their things are.

    Attributes:
        boxed: what it saw.
        truths: their boxes, and masks where there are any.
        draw: the photographs of a draw, of so many, and those that are measured: their numbers.
    """

    boxed: list[Boxed]
    truths: list[Truth]
    draw: Callable[[random.Random, int], tuple[list[int], list[int]]]


@dataclass(frozen=True)
class Row:
    """The boxes of one map of each photograph.

    Attributes:
        ious: of the box that a run draws, (N,); NaN for what no run draws.
        boxes: at each level.
        pixels: against the masks.
    """

    ious: np.ndarray
    boxes: BoxAccuracy
    pixels: Pixels

    @classmethod
    def of(cls, maps: Sequence[np.ndarray] | None, seen: Seen) -> Row:
        """Of the maps (h, w) of all photographs; None for the centre box."""
        found = cls(np.full(len(seen.boxed), np.nan), BoxAccuracy(), Pixels())
        for n, (one, truth) in enumerate(zip(seen.boxed, seen.truths, strict=True)):
            if maps is not None:
                found.ious[n] = box_iou(maps[n], one)
            score = centre_box() if maps is None else paint(maps[n], one.view, one.size)
            found.boxes.accumulate(score, truth)
            found.pixels.accumulate(score, truth)
        return found

    def numbers(self, told: np.ndarray, measured: np.ndarray) -> list[float]:
        """IoU of the drawn box, accuracy at `IOUS`, their mean, pixel AP; by weights (N,)."""
        at = []
        for t in IOUS:
            curve = self.boxes.curve(t, told, every=True)
            ties = np.flatnonzero(curve >= curve.max() - 1e-9)
            level = int(ties[len(ties) // 2])
            at.append(float(self.boxes.curve(t, measured, every=True)[level]))
        iou = float(measured @ self.ious / measured.sum())
        pxap = self.pixels.compute(measured).get("pxap", np.nan)
        return [iou, *at, float(np.mean(at)), pxap]


def main() -> None:
    """Print a table for each number of photographs."""
    asked = argparse.ArgumentParser()
    asked.add_argument("photographs", nargs="?")
    asked.add_argument("boxes", type=Path, nargs="?")
    asked.add_argument("--scenes", type=Path)
    asked.add_argument("--checkpoint", type=Path)
    asked.add_argument("--told", type=int, nargs="+", default=[5, 10])
    asked.add_argument("--draws", type=int, default=20)
    asked.add_argument("--size", type=int, default=320)
    args = asked.parse_args()
    torch.set_num_threads(1)
    classifier = load_classifier(
        checkpoint=args.checkpoint, fit="squash", input_size=args.size, device="cpu"
    )
    if args.scenes:
        seen = scenes(classifier, args.scenes)
    elif args.boxes:
        seen = photographs(classifier, args.photographs, args.boxes)
    else:
        asked.error("name photographs and their boxes, or --scenes")
    fixed = {
        "cam": Row.of([cam_of(classifier, one) for one in seen.boxed], seen),
        "centre-box": Row.of(None, seen),
    }
    whose = "of each class taught" if args.scenes else f"of {len(seen.boxed)} photographs taught"
    for count in args.told:
        rng, resampled = random.Random(0), np.random.default_rng(0)
        means = {name: list[list[float]]() for name in NAMES}
        spreads = {name: list[list[float]]() for name in NAMES}
        for _ in range(args.draws):
            told, others = seen.draw(rng, count)
            found = fit_localizer([seen.boxed[n] for n in told], classifier.layer)
            maps = [found(one.A[:1])[0].numpy() for one in seen.boxed]
            rows = {"trained-on-boxes": Row.of(maps, seen), **fixed}
            learnt = counts_of(told, len(maps))
            measured = [counts_of(others, len(maps))] + [
                counts_of(resampled.choice(others, len(others)), len(maps)) for _ in range(AGAIN)
            ]
            for name, row in rows.items():
                numbers = [row.numbers(learnt, some) for some in measured]
                means[name].append(numbers[0])
                spreads[name] += numbers[1:]
        print(f"\n{count} {whose}, {args.draws} draws, {args.size} px")
        print("| | IoU of the drawn box | @30 | @50 | @70 | MaxBoxAccV2 | pixel AP |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for name in NAMES:
            columns = zip(np.array(means[name]).T, np.array(spreads[name]).T, strict=True)
            print(f"| {name} | " + " | ".join(cell(*column) for column in columns) + " |")
        for other in NAMES[1:]:
            mean = np.array(means[NAMES[0]]) - np.array(means[other])
            spread = np.array(spreads[NAMES[0]]) - np.array(spreads[other])
            columns = zip(mean.T, spread.T, strict=True)
            print(f"| minus {other}, paired | " + " | ".join(cell(*c) for c in columns) + " |")


def photographs(classifier: Classifier, images: str, boxes_file: Path) -> Seen:
    """Photographs with boxes, of which each draw measures those that it did not take."""
    refs = list(find_images(images, labels="none"))
    boxes = read_boxes(boxes_file).match(refs)
    seen = looked_at(classifier, [ref for ref in refs if ref.rel in boxes], boxes)
    truths = [truth_of(one.size, one.boxes) for one in seen]

    def draw(rng: random.Random, count: int) -> tuple[list[int], list[int]]:
        told = sorted(rng.sample(range(len(seen)), count))
        return told, [n for n in range(len(seen)) if n not in told]

    return Seen(seen, truths, draw)


def scenes(classifier: Classifier, folder: Path) -> Seen:
    """Drawn scenes with masks, of which each draw takes some of each class of one split."""
    refs, masks = [], []
    for split in ("train", "test"):
        some = list(find_images(str(folder / split)))
        files = find_masks(folder / "masks" / split, some)
        masks += [read_mask(files[ref.rel])[0] for ref in some]
        refs += [ImageRef(ref.path, f"{split}/{ref.rel}", ref.label) for ref in some]
    boxes: dict[str, Sequence[Corners]] = {
        ref.rel: [edges(mask)] for ref, mask in zip(refs, masks, strict=True)
    }
    seen = looked_at(classifier, refs, boxes)
    truths = [
        truth_of(one.size, one.boxes, mask=mask) for one, mask in zip(seen, masks, strict=True)
    ]
    of: dict[str | None, list[int]] = {}
    for n, ref in enumerate(refs):
        if ref.rel.startswith("train/"):
            of.setdefault(ref.label, []).append(n)
    tested = [n for n, ref in enumerate(refs) if ref.rel.startswith("test/")]

    def draw(rng: random.Random, count: int) -> tuple[list[int], list[int]]:
        return sorted(n for each in of.values() for n in rng.sample(each, count)), tested

    return Seen(seen, truths, draw)


def looked_at(
    classifier: Classifier, refs: list[ImageRef], boxes: dict[str, Sequence[Corners]]
) -> list[Boxed]:
    """What the network saw of each."""
    failed: dict[str, str] = {}
    seen = [one for _, one in look_at(classifier, refs, boxes, failed=failed, listener=Listener())]
    if failed:
        raise SystemExit(f"Cannot look at {failed}")
    return seen


def edges(mask: np.ndarray) -> Corners:
    """The box around a mask (H, W)."""
    y, x = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return float(x[0]), float(y[0]), float(x[-1] + 1), float(y[-1] + 1)


def cam_of(classifier: Classifier, one: Boxed) -> np.ndarray:
    """CAM of the predicted class, of what was seen already."""
    A: Tensor = one.A[:1]
    if classifier.head is None:
        raise SystemExit("CAM needs a linear head.")
    weight = classifier.head.weight[int(classifier.head(A).argmax())]
    return torch.einsum("k,kyx->yx", weight, A[0]).numpy()


def counts_of(numbers: Sequence[int] | np.ndarray, total: int) -> np.ndarray:
    """How often each of so many photographs was drawn, (total,)."""
    return np.bincount(numbers, minlength=total).astype(np.float64)


def cell(values: np.ndarray, spread: np.ndarray) -> str:
    """Mean over the draws, and the interval."""
    if np.isnan(values).any():
        return "—"
    low, high = np.quantile(spread, [0.025, 0.975])
    return f"{values.mean():.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
