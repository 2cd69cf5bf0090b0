"""What five boxes are worth: thresholds chosen by a few photographs, boxes judged on the others.

    python benchmarks/calibrated_boxes.py PHOTOGRAPHS BOXES [DRAWS] [CALIBRATING]

For each setting the mean over random draws (20) of five calibrating photographs, of the box of each
other photograph as a run writes it: mean IoU and mean accuracy at IoU 0.3, 0.5 and 0.7; with the
usual 20%, with Otsu's threshold of each map, with the share that the five chose, and with the one
that is best for the others themselves (which nobody knows). Then MaxBoxAccV2 at levels that the
five chose, one for each IoU, and the centred box in the same way. Beside each mean stands the range
that holds 95% of the draws; after the last, how the five chose against the centred box, draw by
draw. Draws share photographs, so their range is no interval for other photographs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from camcli.cam.box_threshold import OTSU, USUAL_SHARE
from camcli.cam.map_options import make_map_options
from camcli.data.sources.find import find_images
from camcli.evaluate.measured.annotations import Annotations, read_boxes
from camcli.evaluate.measured.seen import see_photographs
from camcli.evaluate.measured.square_canvas import centre_box, paint
from camcli.evaluate.metrics.localization import IOUS, BoxAccuracy
from camcli.evaluate.metrics.written_boxes import SHARES, best_share, overlaps
from camcli.models.load import load_classifier

SETTINGS = (("crop", 224, None), ("squash", 384, None), ("squash", 384, "aug"))
METHODS = ("cam", "layercam")


def main() -> None:
    torch.set_num_threads(1)
    refs = list(find_images(sys.argv[1]))
    annotations = Annotations(read_boxes(Path(sys.argv[2])).match(refs))
    refs = [ref for ref in refs if ref.rel in annotations]
    draws, few = (
        int(sys.argv[n]) if len(sys.argv) > n else usual for n, usual in ((3, 20), (4, 5))
    )
    thresholds = [*map(float, SHARES), USUAL_SHARE, OTSU]
    curves: dict[str, list[np.ndarray]] = {}
    levels: dict[str, list[np.ndarray]] = {}

    def add(name: str, heat: np.ndarray, view, size, truth) -> None:
        curves.setdefault(name, []).append(overlaps(heat, view, size, truth, thresholds))
        one = BoxAccuracy()
        one.accumulate(paint(heat, view, size), truth)
        levels.setdefault(name, []).append(
            np.stack([one.curve(least, every=True) for least in IOUS])
        )

    for n, (fit, side, smooth) in enumerate(SETTINGS):
        hows = {method: make_map_options(method, smooth=smooth) for method in METHODS}
        for seen in see_photographs(load_classifier(fit=fit, input_size=side), refs, hows):
            truth = annotations.truth(seen.ref.rel, seen.size)
            if n == 0:
                whole = (0.0, 0.0, float(seen.size[0]), float(seen.size[1]))
                add("centre box", centre_box(), whole, seen.size, truth)
            for method, heat in seen.maps.items():
                add(f"{method} {fit} {side} {smooth or ''}", heat, seen.view, seen.size, truth)

    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(refs)) for _ in range(draws)]
    print(f"{len(refs)} photographs, {draws} draws of {few}\n")
    heads = ("usual 20%", "otsu", "calibrated", "best for them")
    print("| setting | " + " | ".join(f"{h}: IoU, acc" for h in heads) + " | V2, calibrated |")
    print("| --- |" + " --- |" * (len(heads) + 1))
    v2: dict[str, np.ndarray] = {}
    iou: dict[str, np.ndarray] = {}
    for name, rows in curves.items():
        own, hits = np.stack(rows), np.stack(levels[name])
        cells: list[list[tuple[float, float]]] = [[], [], [], []]
        at = []
        for order in orders:
            some, others = order[:few], order[few:]
            chosen = best_share(own[some, : len(SHARES)])
            best = int(own[others, : len(SHARES)].mean(0).argmax())
            for cell, column in zip(
                cells, (len(SHARES), len(SHARES) + 1, chosen, best), strict=True
            ):
                found = own[others, column]
                accuracy = np.mean([(found >= least).mean() for least in IOUS])
                cell.append((float(found.mean()), float(accuracy)))
            at.append(np.mean([hit_at(hits[:, k], some, others) for k in range(len(IOUS))]))
        v2[name], iou[name] = np.array(at), np.array([c[0] for c in cells[2]])
        texts = [
            f"{shown([c[0] for c in cell])}, {np.mean([c[1] for c in cell]):.2f}" for cell in cells
        ]
        print(f"| {name} | " + " | ".join(texts) + f" | {shown(at)} |")
    print("\nAgainst the centred box, draw by draw: difference, and share of draws that win")
    for name in v2:
        if name != "centre box":
            for what, found in (("IoU", iou), ("V2", v2)):
                gain = found[name] - found["centre box"]
                print(f"{name}: {what} {gain.mean():+.3f}, {np.mean(gain > 0):.0%} of draws")


def hit_at(hits: np.ndarray, some: np.ndarray, others: np.ndarray) -> float:
    """Accuracy of others at the level that is best for some; the middle of a tie."""
    curve = hits[some].mean(0)
    ties = np.flatnonzero(curve >= curve.max() - 1e-9)
    return float(hits[others, ties[len(ties) // 2]].mean())


def shown(values) -> str:
    low, high = np.quantile(values, (0.025, 0.975))
    return f"{np.mean(values):.2f} ({low:.2f}-{high:.2f})"


if __name__ == "__main__":
    main()
