"""Are published numbers found again? Each where the weights and photographs for it are at hand.

    python benchmarks/published.py [--imagenet VAL] [--wsol CHECKPOINT --wsol-photos VAL
        --wsol-boxes LOCALIZATION.txt [--wsol-labels CLASS_LABELS.txt]]
        [--funnybirds FOLDER --funnybirds-weights FILE.pth.tar]

1. *ResNet-50's accuracy*: torchvision says 76.130% top-1 and 92.862% top-5 of its
   ``IMAGENET1K_V1`` on ImageNet's 50,000 validation photographs, in folders by WordNet id.
2. *MaxBoxAccV2 of CAM*: 63.7% of a ResNet-50 on the same photographs (Choe et al. 2020, arXiv
   2007.04178, the CAM row). The network is wsolevaluation's, whose last stage (with
   ``--large_feature_map TRUE`` the last two) has stride 1, trained by its ``main.py``; its authors
   publish no weights. LOCALIZATION.txt is its ``metadata/ILSVRC/test/localization.txt``. The map is
   that of the *true* class, right or wrong as the prediction is: VAL has a folder for each WordNet
   id, or all lie in one and CLASS_LABELS.txt is its ``metadata/ILSVRC/test/class_labels.txt``.
3. *FunnyBirds*: ResNet-50 and input x gradient, as the authors' README prints them: CSDC 0.735,
   PC 0.602, DC 0.532, D 0.544, SD 0.546, TS 0.806. Data and weights:
   https://github.com/visinf/funnybirds-framework

What is missing is said, and how to get it. Exit code 1 if a number is farther from the published
one than its tolerance, which allows for another decoder or resize and no more; 2 if what was asked
for could not be checked; 0 otherwise.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.resnet import ResNet, resnet50

import camcli
from camcli.data.sources.find import find_images
from camcli.errors import CamcliError
from camcli.evaluate.comparison.measuring.part_rows import ask_parts, part_rows
from camcli.evaluate.measured.part_scenes import read_part_scenes
from camcli.models.classes.imagenet import imagenet_classes
from camcli.models.classifier import Classifier
from camcli.models.load import load_classifier


@dataclass(frozen=True)
class Claim:
    """A published number."""

    name: str
    published: float
    tolerance: float


ACCURACY = Claim("top1", 0.76130, 0.003), Claim("top5", 0.92862, 0.003)
BOXES = (Claim("maxboxacc_v2", 0.637, 0.015),)
BIRDS = (
    Claim("csdc", 0.7353, 0.03), Claim("pc", 0.602, 0.03), Claim("dc", 0.532, 0.03),
    Claim("distractibility", 0.54372, 0.03), Claim("single_deletion", 0.54592, 0.03),
    Claim("target_sensitivity", 0.806, 0.03),
)  # fmt: skip


FILES = {
    "--imagenet": "ImageNet's validation photographs",
    "--wsol": "a checkpoint of wsolevaluation's main.py",
    "--wsol-photos": "the photographs that it is measured on",
    "--wsol-boxes": "their localization.txt",
    "--wsol-labels": "their class_labels.txt, where they do not lie in folders by WordNet id",
    "--funnybirds": "the folder of FunnyBirds",
    "--funnybirds-weights": "its authors' ResNet-50",
}
USAGE = "python benchmarks/published.py [OPTIONS]"

RESNET: dict[str, Any] = {"models": "resnet50", "weights": "IMAGENET1K_V1"}
WSOL = {large: f"{Path(__file__).resolve()}:{name}" for large, name in
        ((False, "wsol_resnet50"), (True, "wsol_resnet50_large"))}  # fmt: skip
"""Factories, by whether the feature map is the large one."""


def judged(found: dict[str, float], claims: tuple[Claim, ...]) -> bool:
    """Print each number beside the published one; whether all agree."""
    agree = True
    for claim in claims:
        value = found.get(claim.name, float("nan"))
        near = abs(value - claim.published) <= claim.tolerance
        agree &= near
        print(
            f"  {claim.name}: {value:.4f}, published {claim.published:.4f} "
            f"(within {claim.tolerance}): {'agrees' if near else 'DIFFERS'}"
        )
    return agree


def _strideless(network: ResNet, stage: str) -> None:
    """Let a stage keep the size of its maps."""
    first = network.get_submodule(f"{stage}.0")
    for name in ("conv2", "downsample.0"):
        layer = first.get_submodule(name)
        assert isinstance(layer, nn.Conv2d)
        layer.stride = (1, 1)


def wsol_resnet50() -> ResNet:
    """Wsolevaluation's ResNet-50 without the large feature map: no stride in the last stage."""
    network = resnet50(weights=None)
    _strideless(network, "layer4")
    return network


def wsol_resnet50_large() -> ResNet:
    """The same with ``--large_feature_map TRUE``: none in the last two."""
    network = wsol_resnet50()
    _strideless(network, "layer3")
    return network


def accuracy(photos: Path) -> bool:
    """Top-1 and top-5 of torchvision's ResNet-50."""
    found = camcli.evaluate(photos, **RESNET, labels="folder", bootstrap=0)
    return judged(found.row("classification").metrics, ACCURACY)


def true_classes(labels: Path | None, place: Path) -> tuple[str, Path]:
    """Where labels come from and the names of the classes, as `camcli.evaluate` takes them.

    Args:
        labels: wsolevaluation's ``class_labels.txt``, lines of ``val/NAME.JPEG,INDEX``; None where
            the photographs lie in folders by WordNet id.
        place: folder for what is written.
    """
    names = place / "classes.txt"
    if labels is None:
        names.write_text("\n".join(imagenet_classes()), "utf-8")
        return "folder", names
    names.write_text("\n".join(map(str, range(1000))), "utf-8")
    rows = [line.strip().removeprefix("val/") for line in labels.open(encoding="utf-8")]
    table = place / "labels.csv"
    table.write_text("\n".join(["path,label", *filter(None, rows)]), "utf-8")
    return str(table), names


def boxes(checkpoint: Path, photos: Path, truth: Path, labels: Path | None, *, large: bool) -> bool:
    """MaxBoxAccV2 of CAM of the true class, at 224 pixels, squashed, from minimum to maximum."""
    # Its names begin with the photographs' folder, ``val/``.
    lines = truth.read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory() as place:
        own = Path(place) / "localization.txt"
        own.write_text("".join(f"{line.removeprefix('val/')}\n" for line in lines), "utf-8")
        named, classes = true_classes(labels, Path(place))
        found = camcli.evaluate(
            photos, WSOL[large], weights=checkpoint,
            boxes=own, methods="cam", scale="minmax", fit="squash", input_size=224, bootstrap=0,
            preprocess="imagenet", labels=named, classes=classes,
        )  # fmt: skip
    if all(row.method != "classification" for row in found.rows):
        raise CamcliError(
            "no photograph has a label that is a class, so the true class cannot be explained: "
            "VAL with a folder for each WordNet id, or --wsol-labels class_labels.txt"
        )
    return judged(found.row("cam").metrics, BOXES)


def birds_network(weights: Path) -> Classifier:
    """The authors' ResNet-50, whose pixels are in [0, 1] and not normalised."""
    return load_classifier(
        "resnet50", weights=weights, classes=[str(n) for n in range(50)],
        preprocess="mean=0,0,0 std=1,1,1 size=256 squash",
    )  # fmt: skip


def birds(folder: Path, weights: Path, limit: int | None) -> bool:
    """FunnyBirds' protocol of input x gradient."""
    classifier = birds_network(weights)

    def input_gradient(images: Tensor, index: int) -> np.ndarray:
        with torch.inference_mode(False), torch.enable_grad():
            x = images.clone().requires_grad_()
            (slope,) = torch.autograd.grad(classifier.differentiable(x)[0, index], x)
            return (x * slope)[0].sum(0).detach().cpu().numpy()

    refs = list(find_images(folder / "test", labels="folder"))[:limit]
    answers = ask_parts(
        classifier, "resnet50", refs, {}, read_part_scenes(folder),
        others={"input x gradient": input_gradient}, failed=print,
    )  # fmt: skip
    rows = {row.method: row.metrics for row in part_rows(answers, "", repeats=0, seed=0)}
    return judged(rows["input x gradient"], BIRDS)


def main() -> None:
    """Check what can be checked here."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, usage=USAGE
    )
    for name, what in FILES.items():
        parser.add_argument(name, type=Path, help=what)
    parser.add_argument("--wsol-large", action="store_true", help="it has the large feature map")
    parser.add_argument("--limit", type=int, help="only the first scenes of FunnyBirds")
    asked = parser.parse_args()
    missing, agree, failed = [], True, False
    for name, given, check, need in (
        (
            "ResNet-50's accuracy", (asked.imagenet,), accuracy,
            "--imagenet: ImageNet's validation photographs, which need a login at image-net.org "
            "(and torchvision's weights: camcli weights fetch resnet50)",
        ),
        (
            "MaxBoxAccV2 of CAM", (asked.wsol, asked.wsol_photos, asked.wsol_boxes),
            lambda *files: boxes(*files, asked.wsol_labels, large=asked.wsol_large),
            "--wsol, --wsol-photos, --wsol-boxes: python main.py --dataset_name ILSVRC "
            "--architecture resnet50 --wsol_method cam of github.com/clovaai/wsolevaluation trains "
            "it; its authors publish no weights",
        ),
        (
            "FunnyBirds", (asked.funnybirds, asked.funnybirds_weights),
            lambda folder, weights: birds(folder, weights, asked.limit),
            "--funnybirds, --funnybirds-weights: FunnyBirds.zip and "
            "resnet50_final_0_checkpoint_best.pth.tar from "
            "download.visinf.tu-darmstadt.de/data/funnybirds",
        ),
    ):  # fmt: skip
        print(f"{name}:")
        if None in given:
            missing.append(name)
            failed |= any(each is not None for each in given)  # half of what it takes
            print(f"  not checked; needs {need}")
            continue
        try:
            agree &= check(*given)
        except (CamcliError, OSError, UnicodeDecodeError) as error:
            missing.append(name)
            failed = True
            print(f"  not checked: {error}")
    print(f"not checked here: {', '.join(missing) or 'nothing'}")
    sys.exit(1 if not agree else 2 if failed else 0)


if __name__ == "__main__":
    main()
