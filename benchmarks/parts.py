"""Which map says what the network needs? Every method on drawn birds whose parts can be removed.

    python benchmarks/parts.py --out DIR [--network cnn|vit] [--scenes 10] [--few 3]

The protocol of FunnyBirds (docs/evaluation.md, "Parts that can be taken away") on scenes of
``camcli data synthetic --parts``. Two networks are trained on 1200 of them:

- *cnn*: EfficientNet-Lite0, its last four stages unfrozen, by ``camcli train``;
- *vit*: a hybrid (Dosovitskiy et al. 2020, section 3.1), a vision transformer of four blocks with a
  class token on the frozen 14x14 maps of its ``blocks.4``, 2x2 places a token: 7x7 tokens, as many
  places as the map of the other network has.

Every method that can explain the network is measured on `--scenes` scenes a class; those that show
the network masked images by the dozen on `--few` a class, in a table of their own with its own
controls. Methods that join layers have the network cut at several. Methods that cannot are named
with the reason. Trained once and measured many times: `--methods` takes some of them only.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from types import ModuleType

import torch

import camcli
from camcli.cam.explainer import check_influence
from camcli.cam.map_options import SHOWN, make_map_options, settled
from camcli.cam.method_facts import FACTS
from camcli.data.sources.find import find_images
from camcli.data.synthetic.birds import USUAL
from camcli.errors import CamcliError
from camcli.evaluate.comparison.result.table import markdown
from camcli.evaluate.comparison.rows.columns import MetricRow
from camcli.evaluate.measured.seen import see_photographs
from camcli.models.classifier import Classifier
from camcli.models.load import load_classifier
from camcli.models.spec import LAST, PYRAMID

MANY = {*SHOWN}
NEVER = {
    "scorecam-softmax": "a pass for every channel and class, and no way to stop early",
    "sscam": "eight times the passes of scorecam",
    "iscam": "eight times the passes of scorecam",
}


def command(*words: object) -> None:
    """Run camcli as a user does."""
    subprocess.run([sys.executable, "-m", "camcli", *map(str, words)], check=True)


def cnn(birds: Path, out: Path, layer: str = LAST) -> Classifier:
    """The convolutional network, trained if it is not there."""
    run = out / "cnn"
    if not (run / "best.safetensors").exists():
        command(
            "train", "--data", birds, "--backbone", "efficientnet_lite0", "--epochs2", 4,
            "--unfreeze", "blocks.3,blocks.4,blocks.5,blocks.6", "--out", run,
        )  # fmt: skip
    return load_classifier(checkpoint=run / "best.safetensors", layer=layer)


def _beside(name: str) -> ModuleType:
    """Another benchmark, under a name that no package has."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def vit(birds: Path, out: Path, layer: str = LAST, epochs: int = 10) -> Classifier:
    """The transformer, trained if it is not there."""
    made = _beside("transformers")
    base = load_classifier(layer="blocks.4", fit="squash", offline=True)
    torch.manual_seed(0)
    net = made.vit(14, 2, 112, len(USUAL), 4)
    weights = out / "vit.pt"
    if not weights.exists():
        sets = []
        for split in ("train", "val"):
            files = sorted((birds / split).glob("*/*.jpg"))
            kinds = torch.tensor([USUAL.index(file.parent.name) for file in files])
            sets.append((made._maps(base, files), kinds))
        (x, y), held = sets
        made.fit(net, torch.cat([x, x.flip(3)]), y.repeat(2), epochs, held)
        torch.save(net.state_dict(), weights)
    net.load_state_dict(torch.load(weights, weights_only=True))
    network = made.Hybrid(base.features, net).eval()
    return load_classifier(network, classes=list(USUAL), preprocess=base.preprocess, layer=layer)


def able(
    classifier: Classifier, scene: Path, names: Collection[str]
) -> tuple[list[str], dict[str, str]]:
    """Those of the methods that can explain a network, and why the others cannot."""
    fit, unfit = [], {}
    (ref,) = find_images(scene)
    for name in names:
        if name in NEVER:
            unfit[name] = NEVER[name]
            continue
        if name == "random":
            continue  # is in every table
        failed: list[CamcliError] = []
        try:
            how = make_map_options(name, converge=0.98 if name in MANY else None)
            check_influence(how, classifier)
            hows = {name: settled(how, classifier)}
            list(see_photographs(classifier, [ref], hows, failed=failed.append))
            if failed:
                raise failed[0]
            fit.append(name)
        except CamcliError as error:
            unfit[name] = str(error)
    return fit, unfit


def measured(
    name: str, classifier: Classifier, birds: Path, methods: list[str], count: int
) -> tuple[MetricRow, ...]:
    """The rows of some methods, and of the controls, on so many scenes a class."""
    scenes = [str(f) for n in range(count) for f in sorted(birds.glob(f"test/*/{n:04}.jpg"))]
    began = time.perf_counter()
    found = camcli.evaluate(
        scenes, {name: classifier}, methods=methods, parts=birds, labels="folder",
        converge=0.98 if set(methods) & MANY else None,
    )  # fmt: skip
    print(f"\n{len(scenes)} scenes, {time.perf_counter() - began:.0f} s\n")
    print(markdown(found.rows))
    for advice in found.advice:
        print("\n".join(advice.lines), flush=True)
    return found.rows


def main() -> None:
    """Draw, train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--network", choices=("cnn", "vit"), default="cnn")
    parser.add_argument("--scenes", type=int, default=10)
    parser.add_argument("--few", type=int, default=3)
    parser.add_argument("--methods", help="only these, with commas between")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    birds = asked.out / "birds"
    if not birds.exists():
        command("data", "synthetic", birds, "--parts", "--train", 150, "--val", 20, "--test", 10)
    network = {"cnn": cnn, "vit": vit}[asked.network]
    first = sorted((birds / "test").glob("*/*.jpg"))[0]
    wanted = asked.methods.split(",") if asked.methods else [*FACTS]
    alone = [name for name in wanted if not FACTS[name].joins]
    joining = [name for name in wanted if FACTS[name].joins]
    rows: list[MetricRow] = []
    unfit: dict[str, str] = {}
    for layer, group in ((LAST, alone), (PYRAMID, joining)):
        if not group:
            continue
        classifier = network(birds, asked.out, layer)
        methods, odd = able(classifier, first, group)
        unfit |= odd
        for names, count in (
            ([name for name in methods if name not in MANY], asked.scenes),
            ([name for name in methods if name in MANY], asked.few),
        ):
            if names and count:
                rows += measured(asked.network, classifier, birds, names, count)
    for name, why in unfit.items():
        print(f"left out: {name}: {why}")
    table = [[row.method, row.count, row.metrics, row.intervals] for row in rows]
    (asked.out / f"{asked.network}.json").write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
