"""Maps and probabilities of a device beside those of the CPU in float32."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from gpu_tables import Setting, Table

from camcli.batch.explain import Decoded, explain_batch, make_explanation, read
from camcli.cam.map_options import make_map_options
from camcli.cam.methods import METHODS
from camcli.data.sources.find import find_images
from camcli.data.synthetic.scenes import write_scenes
from camcli.errors import CamcliError
from camcli.models.classifier import Classifier
from camcli.models.load import load_classifier
from camcli.models.runtime.policy import with_runtime
from camcli.result import Result

HEAD = ("network", "method", "precision", "least cosine of a map", "largest difference of a map",
        "of a probability", "other class")  # fmt: skip
# Methods with a pass a channel, or a noisy copy, and what keeps them short.
SHORT: dict[str, dict[str, int]] = {
    "scorecam": {"channels": 32},
    "scorecam-softmax": {},
    "sscam": {"channels": 8, "samples": 2},
    "iscam": {"channels": 8, "samples": 2},
    "smoothgradcam++": {"samples": 3},
}
CUT_METHODS = ("gradcam", "layercam", "gradcam++", "ablationcam", "reciprocam", "shapleycam")


def correct(setting: Setting) -> Iterator[Table]:
    """Every method in every precision, layer cuts, transformers, ensembles, other runtimes."""
    warnings.filterwarnings("ignore")
    cases: list[tuple[str, dict[str, Any], Sequence[str]]] = [
        ("bundled EfficientNet-Lite0", {}, [n for n in METHODS if n != "scorecam-softmax"]),
        ("its blocks.4", {"layer": "blocks.4"}, CUT_METHODS),
        ("two of its layers", {"layer": "blocks.4,blocks.6"}, ("gradcam",)),
        ("at 320 pixels", {"input_size": 320}, ("gradcam",)),
        ("with predictions at 224", {"input_size": 320, "native_predictions": True}, ("gradcam",)),
        ("ResNet-18, random, layer3", {"model": "resnet18", "weights": "random",
                                       "layer": "layer3"}, (*CUT_METHODS, "scorecam-softmax")),
        ("ViT-tiny, random", {"model": "timm:vit_tiny_patch16_224", "weights": "random"},
         ("gradcam", "layercam", "eigencam", "scorecam")),
        ("Swin-T, random", {"model": "swin_t", "weights": "random"}, ("gradcam", "layercam")),
    ]  # fmt: skip
    if setting.small:
        cases = [(name, about, methods[:2]) for name, about, methods in cases[:3] + cases[6:7]]
    ensemble = _ensemble(setting)
    cases.append(("an ensemble of two", {"checkpoint": ensemble}, ("gradcam", "layercam")))
    refs = list(islice(find_images(setting.photos), 2 if setting.small else 8))
    rows: list[tuple[Any, ...]] = []
    try:
        for name, about, methods in cases:
            try:
                here = load_classifier(device="cpu", **about)
                there = load_classifier(device=setting.device, **about)
            except Exception as error:
                rows.append((name, "loading", "", _told(error), "", "", ""))
                continue
            decoded = [read(ref, here, lambda rgb: rgb) for ref in refs]
            images = [one for one in decoded if isinstance(one, Decoded)]
            expected: dict[str, list[Result]] = {}
            for precision in setting.precisions:
                rows += _network(name, here, there, images, methods, precision, expected)
    finally:
        yield Table(f"{setting.device} beside the CPU in float32", HEAD, rows,
                    "Cosines and differences (over the largest value of a map) are the worst of "
                    f"{len(refs)} photographs, two where a method takes many passes. TF32 is as "
                    "torch leaves it: on in convolutions.")  # fmt: skip


def _network(
    name: str,
    here: Classifier,
    there: Classifier,
    images: list[Decoded],
    methods: Sequence[str],
    precision: str,
    expected: dict[str, list[Result]],
) -> Iterator[tuple[Any, ...]]:
    try:
        fast = with_runtime(there, "torch", precision=precision)
    except CamcliError as error:
        yield (name, "", precision, _told(error), "", "", "")
        return
    for method in methods:
        some = images[:2] if method in SHORT else images
        try:
            how = make_map_options(method, **SHORT.get(method, {}))
            # One class for all, so that a prediction that flips does not hide what maps do.
            what = make_explanation(here, how, target="0" if here.provenance.weights == "random"
                                    else None)  # fmt: skip
            if method not in expected:
                expected[method] = explain_batch(here, some, what)
            found = explain_batch(fast, some, what)
            yield (name, method, precision, *_compared(expected[method], found))
        except Exception as error:
            yield (name, method, precision, _told(error), "", "", "")


def _compared(here: list[Result], there: list[Result]) -> tuple[Any, ...]:
    cosines, differences, probabilities, flips, errors = [], [], [], 0, []
    for a, b in zip(here, there, strict=True):
        if "error" in (a.status, b.status):
            errors.append(a.error or b.error)
            continue
        probabilities.append(abs((a.prob or 0) - (b.prob or 0)))
        if a.pred != b.pred:
            flips += 1
        if a.heats[0].index != b.heats[0].index:
            continue
        x, y = (np.asarray(r.heats[0].heatmap, np.float64).ravel() for r in (a, b))
        lengths = np.linalg.norm(x) * np.linalg.norm(y)
        cosines.append(float(x @ y / lengths) if lengths else float(np.array_equal(x, y)))
        differences.append(float(np.abs(x - y).max() / max(np.abs(x).max(), 1e-12)))
    if errors:
        return f"{len(errors)} errors: {errors[0]}"[:200], "", "", ""
    cosine = round(min(cosines), 5) if cosines else None
    return cosine, max(differences, default=None), max(probabilities), f"{flips} of {len(here)}"


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def _ensemble(setting: Setting) -> Path:
    """A checkpoint of two heads on the bundled network, trained on drawn pictures."""
    from camcli.train.config import TrainConfig
    from camcli.train.run import train

    data, out = setting.folder / "drawn", setting.folder / "ensemble"
    write_scenes(data, counts={"train": 8, "val": 4}, size=96)
    config = TrainConfig(
        data=str(data), backbone="efficientnet_lite0", epochs=2, members="pretrained,pretrained",
        cache=False,
    )  # fmt: skip
    return train(config, out, device=setting.device, offline=True).checkpoint
