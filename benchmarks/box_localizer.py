"""A localizer that a few boxes taught, against CAM and the centre box, on photographs left out.

    python benchmarks/box_localizer.py PHOTOGRAPHS BOXES [--told 5 10] [--draws 20] [--size 320]

Each draw takes some photographs to learn from, and measures the others: the mean IoU of the box
that a run would draw (above 20% of the map's maximum), and the box accuracy at IoU 30/50/70 with
each row's thresholds chosen on the photographs of the draw that it learnt from (`chosen`), so that
nothing is chosen where it is measured. Intervals are those of the draws, 2.5% to 97.5%; draws share
photographs, so they say how much it matters which are boxed, not how other sets would do.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
import torch

from camcli.data.sources.find import find_images
from camcli.evaluate.measured.annotations import read_boxes, truth_of
from camcli.evaluate.measured.square_canvas import centre_box, paint
from camcli.evaluate.metrics.localization import IOUS, BoxAccuracy
from camcli.models.load import load_classifier
from camcli.train.fitting.localizer import Boxed, box_iou, fit_localizer
from camcli.train.localizer import look_at
from camcli.train.progress import Listener

NAMES = ("trained-on-boxes", "cam", "centre-box")


def main() -> None:
    """Print a table for each number of photographs."""
    asked = argparse.ArgumentParser()
    asked.add_argument("photographs")
    asked.add_argument("boxes", type=Path)
    asked.add_argument("--told", type=int, nargs="+", default=[5, 10])
    asked.add_argument("--draws", type=int, default=20)
    asked.add_argument("--size", type=int, default=320)
    args = asked.parse_args()
    torch.set_num_threads(1)
    refs = list(find_images(args.photographs, labels="none"))
    boxes = read_boxes(args.boxes).match(refs)
    classifier = load_classifier(fit="squash", input_size=args.size)
    refs = [ref for ref in refs if ref.rel in boxes]
    seen = [one for _, one in look_at(classifier, refs, boxes, failed={}, listener=Listener())]
    cams = [cam_of(classifier, one) for one in seen]
    truths = [truth_of(one.size, one.boxes) for one in seen]
    for count in args.told:
        rng, rows = random.Random(0), {name: list[list[float]]() for name in NAMES}
        for _ in range(args.draws):
            told = set(rng.sample(range(len(seen)), count))
            found = fit_localizer([seen[n] for n in sorted(told)], classifier.layer)
            maps = {
                "trained-on-boxes": [found(one.A[:1])[0].numpy() for one in seen], "cam": cams,
                "centre-box": [],
            }  # fmt: skip
            for name in NAMES:
                scores = [
                    centre_box()
                    if name == "centre-box"
                    else paint(maps[name][n], one.view, one.size)
                    for n, one in enumerate(seen)
                ]
                halves = BoxAccuracy(), BoxAccuracy()  # learnt from, and others
                for n, score in enumerate(scores):
                    halves[n not in told].accumulate(score, truths[n])
                at = halves[1].at(halves[0].chosen())
                others = [n for n in range(len(seen)) if n not in told]
                ious = [box_iou(maps[name][n], seen[n]) for n in others] if maps[name] else [np.nan]
                v2 = float(np.mean(list(at.values())))
                rows[name].append([float(np.mean(ious)), *(at[t] for t in IOUS), v2])
        print(f"\n{count} of {len(seen)} photographs taught, {args.draws} draws, {args.size} px")
        print("| | IoU of the drawn box | @30 | @50 | @70 | MaxBoxAccV2, thresholds chosen |")
        print("| --- | --- | --- | --- | --- | --- |")
        for name, found_rows in rows.items():
            print(f"| {name} | " + " | ".join(map(cell, np.array(found_rows).T)) + " |")
        ours, cam, centre = (np.array(rows[name])[:, -1] for name in NAMES)
        print(f"V2, paired: minus cam {cell(ours - cam)}, minus centre-box {cell(ours - centre)}")


def cam_of(classifier, one: Boxed) -> np.ndarray:
    """CAM of the predicted class, of what was seen already."""
    A = one.A[:1]
    logits = classifier.head(A)
    weight = classifier.head.weight[int(logits.argmax())]
    return torch.einsum("k,kyx->yx", weight, A[0]).numpy()


def cell(values: np.ndarray) -> str:
    """Mean and interval over the draws."""
    if np.isnan(values).any():
        return "—"
    low, high = np.quantile(values, [0.025, 0.975])
    return f"{values.mean():.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
