"""SESS and SegEigenCAM of pip's grad-cam, against what camcli has for the same network.

    python benchmarks/peers_left_out.py PHOTOGRAPHS BOXES

All explain the class that the bundled network predicts for the whole photograph at 224 pixels, and
are judged by that network at that size: deletion and insertion as `camcli evaluate` has them, and
MaxBoxAccV2 against the boxes. Differences to CAM, and of CAM at 384 pixels to SESS, are paired,
with 95% intervals of 2,000 sets drawn from these photographs. Passes are counted; seconds are of
processor time, for one photograph.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
from pytorch_grad_cam import SESS, SegEigenCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from camcli.cam.map_options import make_map_options
from camcli.data.sources.find import find_images
from camcli.evaluate.measured.annotations import Annotations, read_boxes
from camcli.evaluate.measured.seen import heat_on, probability_of, see_photographs
from camcli.evaluate.measured.square_canvas import paint
from camcli.evaluate.metrics.faithfulness import deletion, insertion
from camcli.evaluate.metrics.localization import IOUS, BoxAccuracy
from camcli.models.classifier import Classifier
from camcli.models.load import load_classifier

OURS = ("cam", "eigencam", "eigengradcam", "random")
PEERS = {"SESS": SESS, "SegEigenCAM": SegEigenCAM}
LARGE = 384


class Network(nn.Module):
    """A classifier as grad-cam takes it: a module with a layer to listen at, and parameters."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier, self.layer, self.passes = classifier, nn.Identity(), 0
        self.device_of = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, C), with gradients from the features on."""
        self.passes += len(images)
        A = self.classifier.features(images)
        if torch.is_grad_enabled():
            A = A.detach().requires_grad_(True)
        return self.classifier.tail(self.layer(A))


def main() -> None:
    """Print a table."""
    torch.set_num_threads(1)
    refs = list(find_images(sys.argv[1], labels="none"))
    annotations = Annotations(read_boxes(Path(sys.argv[2])).match(refs))
    classifier = load_classifier(fit="squash", input_size=224)
    large = load_classifier(fit="squash", input_size=LARGE)
    network = Network(classifier).eval()
    hows = {name: make_map_options(name) for name in OURS}
    found: dict[str, list[tuple[float, float]]] = {}
    boxes: dict[str, BoxAccuracy] = {}
    cost: dict[str, list[tuple[int, float]]] = {}
    index: dict[str, int] = {}
    kept = {}
    for seen in see_photographs(classifier, refs, hows):
        index[seen.ref.rel] = seen.index
        kept[seen.ref.rel] = seen
        for name, make in PEERS.items():
            method, start = make(network, [network.layer]), time.process_time()
            network.passes = 0
            (heat,) = method(seen.image[None], [ClassifierOutputTarget(seen.index)])
            cost.setdefault(name, []).append((network.passes, time.process_time() - start))
            seen.maps[name] = np.float32(heat)
    for other in see_photographs(large, refs, {"cam": hows["cam"]}, index=index):
        kept[other.ref.rel].maps[f"cam, {LARGE} px"] = other.maps["cam"]
    for rel, seen in kept.items():
        ask = probability_of(classifier, seen.index)
        truth = annotations.truth(rel, seen.size)
        for name, heatmap in seen.maps.items():
            heat = heat_on(seen.image, heatmap)
            found.setdefault(name, []).append(
                (deletion(seen.image, heat, ask), insertion(seen.image, heat, ask))
            )
            boxes.setdefault(name, BoxAccuracy()).accumulate(
                paint(heatmap, seen.view, seen.size), truth
            )
    print("| | deletion | against cam | insertion | against cam | MaxBoxAccV2 | passes, seconds |")
    print("| --- |" + " --- |" * 6)
    for name, rows in found.items():
        v2 = np.mean([boxes[name].curve(least, every=True).max() for least in IOUS])
        cells = []
        for own, cam in zip(np.array(rows).T, np.array(found["cam"]).T, strict=True):
            cells += [f"{own.mean():.3f}", paired(own, cam)]
        spent = np.mean(cost[name], axis=0) if name in cost else None
        took = "" if spent is None else f"{spent[0]:.0f}, {spent[1]:.1f}"
        print(f"| {name} | " + " | ".join(cells) + f" | {v2:.2f} | {took} |")
    for n, what in enumerate(("deletion", "insertion")):
        one, other = (
            np.array(found[name])[:, n] for name in (f"cam, {LARGE} px", "SESS")
        )  # fmt: skip
        print(f"cam at {LARGE} px minus SESS, {what}: {paired(one, other)}")


def paired(own: np.ndarray, other: np.ndarray) -> str:
    """Mean difference and its interval."""
    gain = own - other
    drawn = np.random.default_rng(0).integers(len(gain), size=(2_000, len(gain)))
    low, high = np.quantile(gain[drawn].mean(1), (0.025, 0.975))
    return f"{gain.mean():+.3f} ({low:+.3f} to {high:+.3f})"


if __name__ == "__main__":
    main()
