"""Does --against find what is wrong with a piece, and where, from good pieces alone? Textiles.

    python benchmarks/against.py --textiles FOLDER [--layers blocks.5 last] [--references 20 200]

`FOLDER` is ``data/textile_images/simulated`` of the package conformal-clip-data (MIT): 1,000 good
photographs, 500 with one small local defect, 500 with a defect all over. EfficientNet-Lite0 at 320
pixels has never seen any. Of each layer and number of references, drawn at random from the first
half of the good ones:

- how often a defective photograph is more different than a good one of the other half (AUROC), by
  S, and by its two parts u and v alone, and for control by the distance of the mean features that
  knows nothing of their spread; with intervals over 1,000 draws of the photographs;
- what the good ones' place among the references is on average: one half where it is what it says;
- how often a map's maximum is within 25 of 250 pixels of a local defect, and how much of the map is
  below what it says there: DiffCAM (gradcam), each place's own distance (hirescam), and for control
  random weights and the features' first component. Where the defect is nobody wrote down: it is
  taken for where the photograph is roughest, as in ``pooled_maps.py``. At random 3 of 100 hit.
"""

from __future__ import annotations

import argparse
import random
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from camcli.batch.explain import make_explanation
from camcli.batch.references import features_of
from camcli.cam.explainer import maps_of
from camcli.data.decode.images import load_image
from camcli.data.sources.refs import ImageRef
from camcli.models.classifier import Classifier, Look
from camcli.models.load import load_classifier
from camcli.models.reference.compared import References, compared
from camcli.models.reference.usual import distances, fit_usual

sys.path.insert(0, str(Path(__file__).parent))
from pooled_maps import NEAR, defect

METHODS = ("gradcam", "hirescam", "eigencam", "random")


def auroc(good: np.ndarray, bad: np.ndarray) -> str:
    """How often `bad` is above `good`, and its 95% interval."""
    wins = (bad[:, None] > good[None]) + 0.5 * (bad[:, None] == good[None])
    rng = np.random.default_rng(0)
    draws = [
        wins[rng.integers(len(bad), size=len(bad))][
            :, rng.integers(len(good), size=len(good))
        ].mean()
        for _ in range(1000)
    ]
    low, high = np.percentile(draws, [2.5, 97.5])
    return f"{wins.mean():.3f} [{low:.2f}, {high:.2f}]"


def where(maps: Tensor, truths: list[tuple[int, int]], side: int) -> str:
    """The share of maps (n, h, w) that hit, its interval, and the mean share below the defect's."""
    maps = functional.interpolate(maps[:, None], (side, side), mode="bilinear")[:, 0]
    hits, below = [], []
    for M, (row, column) in zip(maps, truths, strict=True):
        found = divmod(int(M.argmax()), side)
        hits.append(np.hypot(found[0] - row, found[1] - column) <= NEAR)
        below.append(float((M[row, column] > M).float().mean()))
    rng = np.random.default_rng(0)
    draws = [rng.choice(hits, len(hits)).mean() for _ in range(1000)]
    low, high = np.percentile(draws, [2.5, 97.5])
    return f"hits {np.mean(hits):.2f} [{low:.2f}, {high:.2f}] below {np.mean(below):.2f}"


def at_one_layer(
    classifier: Classifier, groups: dict[str, list[ImageRef]], counts: list[int],
    truths: list[tuple[int, int]],
) -> None:  # fmt: skip
    """Print what one layer finds."""
    A = {
        name: torch.stack(list(features_of(classifier, refs, {}))) for name, refs in groups.items()
    }
    for count in counts:
        some = A["references"][:count]
        usual = fit_usual(iter(some), iter(some))
        network = compared(classifier, usual, References("benchmark", count, ""))
        tail = network.tail
        told = {name: tail(a) for name, a in A.items()}
        z = {name: a - usual.mean.float()[:, None, None] for name, a in A.items()}
        parts = {name: distances(one, usual.factor.float()) for name, one in z.items()}
        plain = {name: one.mean((2, 3)).square().sum(1) for name, one in z.items()}
        place = float(told["good"][:, 1].mean())
        print(f"{classifier.layer}, {count} references: place of good ones {place:.2f} on average")
        for title, numbers in (
            ("S", {name: one[:, 0] for name, one in told.items()}),
            ("u", {name: one[:, 0] for name, one in parts.items()}),
            ("v", {name: one[:, 1] for name, one in parts.items()}),
            ("control: plain distance", plain),
        ):
            of = {name: one.numpy() for name, one in numbers.items()}
            print(
                f"  {title:24s} AUROC local {auroc(of['good'], of['local'])}"
                f"  global {auroc(of['good'], of['global'])}"
            )
        seen = network.look(torch.zeros(1, 3, *network.preprocess.shape[1:], dtype=torch.uint8))
        part = replace(seen.parts[0], A=A["local"])
        look = Look(seen.images, told["local"], (part,))
        for method in METHODS:
            how = make_explanation(network, method).how
            M = maps_of(network, look, torch.zeros(len(A["local"]), dtype=torch.int64), how)
            print(f"  {method:24s} {where(M, truths, 250)}", flush=True)


def main() -> None:
    """Print what each layer finds with each number of references."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--textiles", type=Path, required=True)
    parser.add_argument("--layers", nargs="+", default=["blocks.2", "blocks.4", "blocks.5", "last"])
    parser.add_argument("--references", nargs="+", type=int, default=[20, 100, 300])
    parser.add_argument("--images", type=int, default=150)
    given = parser.parse_args()

    def drawn(kind: str) -> list[ImageRef]:
        files = sorted((given.textiles / kind).glob("*.jpg"))
        random.Random(0).shuffle(files)
        return [ImageRef(file.resolve(), file.name) for file in files]

    good = drawn("nominal")
    groups = {
        "references": good[: min(max(given.references), len(good) // 2)],
        "good": good[len(good) // 2 :][: given.images],
        "local": drawn("local")[: given.images],
        "global": drawn("global")[: given.images],
    }
    truths = [defect(load_image(ref)) for ref in groups["local"]]
    print({name: len(refs) for name, refs in groups.items()})
    for layer in given.layers:
        classifier = load_classifier(input_size=320, fit="squash", layer=layer, device="cpu")
        at_one_layer(classifier, groups, given.references, truths)


if __name__ == "__main__":
    main()
