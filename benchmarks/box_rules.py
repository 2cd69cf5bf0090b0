"""Which rule of a box's threshold is right without any true box, for large objects and for small.

    python benchmarks/box_rules.py PHOTOGRAPHS BOXES [--fit squash] [--size 384] [--smooth aug]
    python benchmarks/box_rules.py PHOTOGRAPHS BOXES --size 448 --mosaics OTHER_PHOTOGRAPHS
    python benchmarks/box_rules.py SCENES/test SCENES/masks/test --checkpoint FILE --size 320

The one box that a run writes, of the class that the network predicts, for each rule: its mean IoU,
its mean accuracy at IoU 0.3, 0.5 and 0.7, the share of the map's maximum that the rule comes to,
and what it gains in IoU over the usual 20%, paired, with the interval of 2,000 sets of photographs
drawn from these. Beside them a centred box, and the share that is best for these photographs, which
nobody knows. `--mosaics` shows each photograph as one quarter of a picture whose other three are
drawn from other photographs: the same objects, a quarter as large.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from camcli.cam.box_threshold import BoxThreshold
from camcli.cam.map_options import MapOptions, make_map_options
from camcli.data.decode.images import load_image
from camcli.data.sources.find import find_images
from camcli.data.sources.refs import ImageRef
from camcli.evaluate.measured.annotations import Annotations, find_masks, read_boxes
from camcli.evaluate.measured.seen import Seen, see_photographs
from camcli.evaluate.measured.square_canvas import SIDE, Truth, centre_box
from camcli.evaluate.metrics.localization import IOUS
from camcli.evaluate.metrics.written_boxes import SHARES, overlaps
from camcli.models.classifier import Classifier
from camcli.models.load import load_classifier

RULES = (0.2, "otsu", "0.2@90", "0.35@90", "0.2@95")
CELLS, DRAWS, MOSAICS = 4, 2_000, 2
Row = tuple[Seen, Truth]


def main() -> None:
    """Print a table."""
    asked = argparse.ArgumentParser()
    asked.add_argument("photographs")
    asked.add_argument("truth", type=Path, help="boxes, or a folder of masks")
    asked.add_argument("--checkpoint")
    asked.add_argument("--method", default="cam")
    asked.add_argument("--fit", default="squash")
    asked.add_argument("--size", type=int, default=384)
    asked.add_argument("--smooth", choices=("aug", "noise", "views"))
    asked.add_argument("--mosaics", help="photographs of other things")
    args = asked.parse_args()
    torch.set_num_threads(1)
    classifier = load_classifier(checkpoint=args.checkpoint, fit=args.fit, input_size=args.size)
    how = make_map_options(args.method, smooth=args.smooth)
    refs = list(find_images(args.photographs, labels="none"))
    annotations = truths(args.truth, refs)
    refs = [ref for ref in refs if ref.rel in annotations]
    with tempfile.TemporaryDirectory() as folder:
        if args.mosaics:
            one = load_classifier(
                checkpoint=args.checkpoint, fit="squash", input_size=args.size // 2
            )
            rows = mosaics(classifier, one, refs, annotations, args.mosaics, how, Path(folder))
        else:
            rows = (
                (seen, annotations.truth(seen.ref.rel, seen.size))
                for seen in see_photographs(classifier, refs, {"map": how})
            )
        table([row for row in rows if len(row[1].boxes)])


def truths(path: Path, refs: list[ImageRef]) -> Annotations:
    """Boxes where there are any, else the boxes around masks."""
    if path.is_dir() and not list(path.rglob("*.xml")):
        return Annotations(masks=find_masks(path, refs))
    return Annotations(read_boxes(path).match(refs))


def mosaics(
    classifier: Classifier,
    one: Classifier,
    refs: list[ImageRef],
    annotations: Annotations,
    others: str,
    how: MapOptions,
    folder: Path,
) -> Iterator[Row]:
    """Each photograph as a quarter of two pictures; explained as what it is by itself."""
    side, rng = one.preprocess.size, random.Random(0)
    strangers = list(find_images(others, labels="none"))
    index: dict[str, int] = {}
    truth: dict[str, Truth] = {}
    for seen in see_photographs(one, refs, {"map": how}):
        boxes = annotations.truth(seen.ref.rel, seen.size).boxes
        for _ in range(MOSAICS):
            cell = rng.randrange(CELLS)
            shown = [stranger.path for stranger in rng.sample(strangers, CELLS - 1)]
            shown.insert(cell, seen.ref.path)
            picture = Image.new("RGB", (2 * side, 2 * side))
            for k, path in enumerate(shown):
                quarter = Image.fromarray(load_image(path)).resize((side, side))
                picture.paste(quarter, (k % 2 * side, k // 2 * side))
            name = f"{len(truth):04d}.png"
            picture.save(folder / name)
            corner = np.array([cell % 2, cell // 2] * 2) * SIDE / 2
            index[name] = seen.index
            truth[name] = Truth(boxes / 2 + corner, None, None, picture.size)
    made = list(find_images(str(folder), labels="none"))
    for seen in see_photographs(classifier, made, {"map": how}, index=index):
        yield seen, truth[seen.ref.rel]


def table(rows: list[Row]) -> None:
    """What each rule's boxes are worth."""
    thresholds: list[BoxThreshold] = [*RULES, *map(float, SHARES)]
    area = [np.ptp(truth.boxes[0][::2]) * np.ptp(truth.boxes[0][1::2]) for _, truth in rows]
    print(f"{len(rows)} pictures, boxes of {np.median(area) / SIDE**2:.0%} of them\n")
    found = np.stack(
        [overlaps(s.maps["map"], s.view, s.size, truth, thresholds) for s, truth in rows]
    )
    whole = [(0.0, 0.0, float(s.size[0]), float(s.size[1])) for s, _ in rows]
    centred = [
        overlaps(centre_box(), view, s.size, truth, [0.2])[0]
        for view, (s, truth) in zip(whole, rows, strict=True)
    ]
    best = int(found[:, len(RULES) :].mean(0).argmax())
    columns = {str(rule): found[:, n] for n, rule in enumerate(RULES)}
    columns["centre-box"] = np.array(centred)
    columns[f"best share, {SHARES[best]:.2f}"] = found[:, len(RULES) + best]
    print("| threshold | mean IoU | accuracy | IoU over 0.2's |\n| --- | --- | --- | --- |")
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(rows), size=(DRAWS, len(rows)))
    for name, overlap in columns.items():
        accuracy = np.mean([(overlap >= least).mean() for least in IOUS])
        gain = overlap - columns[str(RULES[0])]
        low, high = np.quantile(gain[drawn].mean(1), (0.025, 0.975))
        print(
            f"| {name} | {overlap.mean():.2f} | {accuracy:.2f} | {gain.mean():+.3f} "
            f"({low:+.3f} to {high:+.3f}) |"
        )


if __name__ == "__main__":
    main()
