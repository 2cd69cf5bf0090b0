"""Builds a network of each family with random weights and writes down what camcli makes of it.

    python docs/networks.py            # writes docs/networks.csv; minutes, and no download

What stands in the table was found by doing it: the cut, one map of each method that is no matter of
course, and the first batch of OpenVINO beside torch's.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path

# The smallest of each family that torchvision has, and what is asked for most of timm's.
NETWORKS = (
    "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2",
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0",
    "googlenet", "inception_v3", "maxvit_t", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small",
    "regnet_y_400mf", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_1", "swin_t", "vgg11",
    "vit_b_16", "timm:resnet50", "timm:convnext_tiny", "timm:efficientnet_b0",
    "timm:vit_small_patch16_224", "timm:deit_small_patch16_224",
    "timm:swin_tiny_patch4_window7_224", "timm:beit_base_patch16_224", "timm:mixer_b16_224",
    "timm:pvt_v2_b0", "timm:xcit_nano_12_p16_224",
)  # fmt: skip
METHODS = ("cam", "gradcam", "ablationcam", "scorecam", "eigencam", "fullgrad")
COLUMNS = ("network", "layer", "map", "input", "linear_head", "refused", "openvino")


def describe(name: str, photo: Path) -> dict[str, str]:
    """One row of the table, in the words of `COLUMNS`.

    Args:
        name: as ``--model`` takes it.
        photo: any photograph.
    """
    import camcli
    from camcli.errors import CamcliError

    classifier = camcli.load_classifier(name, weights="random", device="cpu")
    refused = []
    shape: tuple[int, ...] = ()
    for method in METHODS:
        extra = {"channels": 4} if method == "scorecam" else {}
        try:
            result = camcli.explain(photo, classifier, method=method, **extra)
        except CamcliError:
            refused.append(method)
            continue
        if result.status == "error":
            raise RuntimeError(f"{name}, {method}: {result.error}")
        if method == "eigencam":
            shape = result.heats[0].heatmap.shape
    try:
        result = camcli.explain(photo, classifier, method="eigencam", runtime="openvino")
        openvino = "yes" if result.status != "error" else "no"
    except CamcliError:
        openvino = "no"
    _, height, width = classifier.preprocess.shape
    return {
        "network": name,
        "layer": classifier.layer,
        "map": f"{shape[0]}x{shape[1]}",
        "input": f"{height}x{width}",
        "linear_head": "yes" if classifier.head is not None else "no",
        "refused": " ".join(refused),
        "openvino": openvino,
    }


def main() -> None:
    """Write the table beside this file."""
    import logging

    import numpy as np
    from PIL import Image

    here = Path(__file__).parent
    names = sys.argv[1:] or NETWORKS
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder, "noise.png")
        pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photo)
        rows = []
        for name in names:
            try:
                rows.append(describe(name, photo))
            except Exception as e:
                logging.error("%s: %s", name, e)
                continue
            print(rows[-1], file=sys.stderr)
    with (here / "networks.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
