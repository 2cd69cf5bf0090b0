"""Search for the settings that find boxes best: chosen on one half, reported on the other.

    python benchmarks/localization.py PHOTOGRAPHS BOXES

Every setting's box accuracy at IoU 30/50/70 (all contours) on the first half of the photographs,
with the thresholds that are best there; then, for the settings that are best on the first half,
the accuracy on the second half at those same thresholds, and the other way round.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from camcli.cam.map_options import make_map_options
from camcli.data.sources.find import find_images
from camcli.evaluate.measured.annotations import Annotations, read_boxes
from camcli.evaluate.measured.seen import see_photographs
from camcli.evaluate.measured.square_canvas import centre_box, paint
from camcli.evaluate.metrics.localization import IOUS, BoxAccuracy
from camcli.models.load import load_classifier

METHODS = ("cam", "layercam", "gradcam++")
SHAPES = (("crop", 224), ("squash", 224), ("squash", 288), ("squash", 320), ("squash", 384))


def main() -> None:
    torch.set_num_threads(1)
    refs = list(find_images(sys.argv[1]))
    annotations = Annotations(read_boxes(Path(sys.argv[2])).match(refs))
    halves = [refs[0::2], refs[1::2]]
    settings: dict[str, list[BoxAccuracy]] = {}

    def add(name: str, half: int, score: np.ndarray, truth) -> None:
        pair = settings.setdefault(name, [BoxAccuracy(), BoxAccuracy()])
        pair[half].accumulate(score, truth)

    for fit, size in SHAPES:
        classifier = load_classifier(fit=fit, input_size=size)
        hows = {m: make_map_options(m) for m in METHODS}
        hows |= {"cam+aug": make_map_options("cam", smooth="aug")}
        hows |= {"cam contrast": make_map_options("cam", score="contrast")}
        for half, some in enumerate(halves):
            for seen in see_photographs(classifier, some, hows):
                truth = annotations.truth(seen.ref.rel, seen.size)
                if (fit, size) == SHAPES[0]:
                    add("centre box", half, centre_box(), truth)
                for method, heatmap in seen.maps.items():
                    for scale in ("relu", "minmax") if method == "cam" else ("relu",):
                        score = paint(heatmap, seen.view, seen.size, scale)
                        add(f"{method} {fit} {size} {scale}", half, score, truth)
        print(f"{fit} {size} done", file=sys.stderr, flush=True)
    table = []
    for name, pair in settings.items():
        chosen = [p.chosen() for p in pair]
        table.append(
            (
                [mean(pair[h].at(chosen[h])) for h in (0, 1)],
                [pair[1 - h].at(chosen[h]) for h in (0, 1)],
                name,
            )
        )
    for h in (0, 1):
        print(f"\nchosen on half {h + 1}; then IoU 30/50/70 on the other half")
        for own, other, name in sorted(table, key=lambda row: -row[0][h])[:12]:
            print(f"{own[h]:.3f}  {show(other[h])}  {name}")
        print("       ", show(next(r for r in table if r[2] == "centre box")[1][h]), " centre box")
    print("\nboth halves, mean of the held-out accuracies (for every setting)")
    for _, other, name in sorted(table, key=lambda r: -sum(mean(o) for o in r[1])):
        print(show({t: (other[0][t] + other[1][t]) / 2 for t in IOUS}), "", name)


def mean(found: dict[float, float]) -> float:
    return float(np.mean(list(found.values())))


def show(found: dict[float, float]) -> str:
    return " / ".join(f"{found[t]:.2f}" for t in IOUS)


if __name__ == "__main__":
    main()
