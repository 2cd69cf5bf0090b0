"""What five boxes are worth: thresholds chosen by a few photographs, boxes judged on the others.

    python benchmarks/calibrated_boxes.py PHOTOGRAPHS BOXES [PHOTOGRAPHS BOXES ...]
        [--draws 20] [--told 5]

For each set and setting the mean over random draws (20) of five photographs that tell, of the box
of each other photograph as a run writes it: mean IoU and mean accuracy at IoU 0.3, 0.5 and 0.7;
with the usual 20%, with that of `--preset localize`, with Otsu's threshold of each map, with the
share that the five chose, and with the one that is best for the others themselves (which nobody
knows). Then MaxBoxAccV2 at levels that the five chose, one for each IoU, and the centred box in the
same way. Beside each mean stands the range that holds 95% of the draws. Draws share photographs, so
their range is no interval for other photographs.

A second table has the accuracy at each IoU, and what comes out against the centred box: where
nothing is chosen by these photographs (the preset's share, and 20% for the centred box) with a 95%
interval by bootstrap over photographs, and by the five, draw by draw.

Of several sets also the share with the best mean IoU, each set counted alike: the preset's was
chosen by `benchmarks/other_boxes.csv`, boxes drawn by eye on 40 photographs of cats and dogs and 37
of ImageNet, to a few percent of the side; and is judged on other photographs.
"""

from __future__ import annotations

import argparse
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
from camcli.jobs.presets import find_preset
from camcli.models.load import load_classifier

PRESET = find_preset("localize")
SETTINGS = (
    ("cam", "crop", 224, None), ("layercam", "crop", 224, None),
    ("cam", "squash", 384, None), ("layercam", "squash", 384, None),
    ("cam", "squash", 384, "aug"),
    (PRESET.method, PRESET.fit, PRESET.input_size, PRESET.smooth),
)  # fmt: skip
CENTRE = "centre box"
THRESHOLDS = [*map(float, SHARES), USUAL_SHARE, PRESET.box, OTSU]
USUAL, OURS, BY_OTSU = range(len(SHARES), len(THRESHOLDS))
Found = dict[str, tuple[np.ndarray, np.ndarray]]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="+", help="photographs and their boxes, in turns")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--told", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    pairs = list(zip(asked.sets[::2], asked.sets[1::2], strict=True))
    seen = {photographs: measured(photographs, Path(boxes)) for photographs, boxes in pairs}
    for photographs, found in seen.items():
        tables(photographs, found, asked.draws, asked.told)
    if len(seen) > 1:
        print("\nShare with the best mean IoU, each set counted alike")
        for name in next(iter(seen.values())):
            curves = [found[name][0][:, : len(SHARES)].mean(0) for found in seen.values()]
            print(f"{name}: {SHARES[best_share(np.stack(curves))]:.3f}")


def measured(photographs: str, boxes: Path) -> Found:
    """By setting the IoU of each photograph's box (N, thresholds), and hits (N, IoUs, levels)."""
    refs = list(find_images(photographs))
    annotations = Annotations(read_boxes(boxes).match(refs))
    refs = [ref for ref in refs if ref.rel in annotations]
    curves: dict[str, list[np.ndarray]] = {}
    hits: dict[str, list[np.ndarray]] = {}

    def add(name: str, heat: np.ndarray, view, size, truth) -> None:
        curves.setdefault(name, []).append(overlaps(heat, view, size, truth, THRESHOLDS))
        one = BoxAccuracy()
        one.accumulate(paint(heat, view, size), truth)
        hits.setdefault(name, []).append(np.stack([one.curve(least, every=True) for least in IOUS]))

    for n, (method, fit, side, smooth) in enumerate(SETTINGS):
        hows = {method: make_map_options(method, smooth=smooth)}
        network = load_classifier(fit=fit, input_size=side)
        for seen in see_photographs(network, refs, hows, predicted=True):
            truth = annotations.truth(seen.ref.rel, seen.size)
            if n == 0:
                whole = (0.0, 0.0, float(seen.size[0]), float(seen.size[1]))
                add(CENTRE, centre_box(), whole, seen.size, truth)
            name = f"{method} {fit} {side} {smooth or ''}".strip()
            add(name, seen.maps[method], seen.view, seen.size, truth)
    return {name: (np.stack(curves[name]), np.stack(hits[name])) for name in curves}


def tables(photographs: str, found: Found, draws: int, few: int) -> None:
    """What is measured of one set."""
    count = len(found[CENTRE][0])
    rng = np.random.default_rng(0)
    orders = [rng.permutation(count) for _ in range(draws)]
    print(f"\n{photographs}: {count} photographs, {draws} draws of {few}\n")
    heads = ("usual 20%", f"preset's {PRESET.box:.0%}", "otsu", f"by {few}", "best for them")
    print("| setting | " + " | ".join(f"{h}: IoU, acc" for h in heads) + f" | V2 by {few} |")
    print("| --- |" + " --- |" * (len(heads) + 1))
    levels: dict[str, np.ndarray] = {}  # accuracy (draws, IoUs) at levels that the few chose
    fits: dict[str, np.ndarray] = {}  # IoU (draws,) of boxes with the share that the few chose
    for name, (own, hits) in found.items():
        cells: list[list[tuple[float, float]]] = [[] for _ in heads]
        for order in orders:
            some, others = order[:few], order[few:]
            chosen = best_share(own[some, : len(SHARES)])
            best = int(own[others, : len(SHARES)].mean(0).argmax())
            for cell, column in zip(cells, (USUAL, OURS, BY_OTSU, chosen, best), strict=True):
                cell.append((float(own[others, column].mean()), accuracy(own[others, column])))
        levels[name] = np.array(
            [[hit_at(hits[:, k], o[:few], o[few:]) for k in range(len(IOUS))] for o in orders]
        )
        fits[name] = np.array([one[0] for one in cells[3]])
        texts = [
            f"{shown([c[0] for c in cell])}, {np.mean([c[1] for c in cell]):.2f}" for cell in cells
        ]
        print(f"| {name} | " + " | ".join(texts) + f" | {shown(levels[name].mean(1))} |")

    print(f"\n| setting | as written, nothing chosen | by {few} | best levels (V2) |")
    print("| --- | --- | --- | --- |")
    for name, (own, hits) in found.items():
        written = own[:, USUAL if name == CENTRE else OURS]
        best = [hits[:, k].mean(0).max() for k in range(len(IOUS))]
        rows = ([(written >= least).mean() for least in IOUS], levels[name].mean(0), best)
        print(
            f"| {name} | " + " | ".join(" / ".join(f"{v:.2f}" for v in row) for row in rows) + "|"
        )

    print("\nAgainst the centred box")
    middle = found[CENTRE][0][:, USUAL]
    again = np.random.default_rng(1).integers(count, size=(2000, count))
    for name, (own, _) in found.items():
        if name == CENTRE:
            continue
        gain = own[:, OURS] - middle
        hit = np.mean([own[:, OURS] >= k for k in IOUS], 0) - np.mean(
            [middle >= k for k in IOUS], 0
        )
        parts = [
            f"{what} {values.mean():+.3f} ({', '.join(f'{v:+.3f}' for v in span)})"
            for what, values in (("IoU", gain), ("accuracy", hit))
            for span in [np.quantile(values[again].mean(1), (0.025, 0.975))]
        ]
        for what, ours, theirs in (
            ("IoU", fits[name], fits[CENTRE]),
            ("V2", levels[name].mean(1), levels[CENTRE].mean(1)),
        ):
            more = ours - theirs
            parts.append(f"by {few} {what} {more.mean():+.3f}, {np.mean(more > 0):.0%} of draws")
        print(f"{name}: {'; '.join(parts)}")


def accuracy(values: np.ndarray) -> float:
    return float(np.mean([(values >= least).mean() for least in IOUS]))


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
