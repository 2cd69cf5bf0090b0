"""Maps and probabilities of a device beside those of the CPU in float32."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_tables import Setting, Table, told

from camcli.batch.explain import Decoded, explain_batch, make_explanation, read
from camcli.batch.explanation import Explanation
from camcli.cam.map_options import make_map_options
from camcli.cam.methods import METHODS
from camcli.data.sources.find import find_images
from camcli.data.synthetic.scenes import write_scenes
from camcli.errors import CamcliError, UsageError
from camcli.jobs.model import ModelJob
from camcli.models.classifier import Classifier
from camcli.models.load import load_classifier
from camcli.models.runtime.policy import with_runtime
from camcli.models.spec import PYRAMID
from camcli.result import Result

HEAD = ("network", "method", "precision", "least cosine of a map", "largest difference of a map",
        "of a probability", "other class", "empty maps, there and here")  # fmt: skip
# Methods with a pass a channel, or a noisy copy, and what keeps them short.
SHORT: dict[str, dict[str, int]] = {
    "scorecam": {"channels": 32},
    "scorecam-softmax": {},
    "sscam": {"channels": 8, "samples": 2},
    "iscam": {"channels": 8, "samples": 2},
    "smoothgradcam++": {"samples": 3},
}
CUT_METHODS = ("gradcam", "layercam", "gradcam++", "ablationcam", "reciprocam", "shapleycam")
TOKENS = ("gradcam", "legrad", "attnlrp", "chefer", "rollout")


@dataclass(frozen=True)
class Case:
    """A network, and what is compared of it.

    Attributes:
        name: for the table.
        load: the classifier on a device.
        methods: their names; None for all that the registry has and the network can do.
        without: methods that would take too long on it.
    """

    name: str
    load: Callable[[str], Classifier]
    methods: Sequence[str] | None = None
    without: Sequence[str] = ()


def correct(setting: Setting) -> Iterator[Table]:
    """Every method in every precision, layer cuts, transformers, ensembles, other runtimes."""
    warnings.filterwarnings("ignore")
    refs = list(islice(find_images(setting.photos), 2 if setting.small else 8))
    rows: list[tuple[Any, ...]] = []
    left_out: list[tuple[str, str, str]] = []
    try:
        for case in _cases(setting):
            try:
                here, there = case.load("cpu"), case.load(setting.device)
            except Exception as error:
                rows.append((case.name, "loading", "", told(error), "", "", "", ""))
                continue
            decoded = [read(ref, here, lambda rgb: rgb) for ref in refs]
            images = [one for one in decoded if isinstance(one, Decoded)]
            asked: dict[str, Explanation] = {}
            for method in case.methods or [n for n in METHODS if n not in case.without]:
                try:
                    asked[method] = _asked(here, method)
                except UsageError as error:
                    if case.methods:
                        rows.append((case.name, method, "", told(error), "", "", "", ""))
                    left_out.append((case.name, method, str(error)))
            expected: dict[str, list[Result]] = {}
            for precision in setting.precisions:
                rows += _network(case.name, here, there, images, asked, precision, expected)
    finally:
        yield Table(f"{setting.device} beside the CPU in float32", HEAD, rows,
                    "Cosines and differences (over the largest value of a map) are the worst of "
                    f"{len(refs)} photographs, two where a method takes many passes. TF32 is as "
                    "torch leaves it: on in convolutions.")  # fmt: skip
        yield Table("What a network cannot do", ("network", "method", "why"), left_out)
        never = sorted(set(METHODS) - {row[1] for row in rows})
        yield Table("Methods that were compared nowhere", ("method",), [
            (f"Error: {name}",) for name in never
        ])  # fmt: skip


def _cases(setting: Setting) -> Iterator[Case]:
    """One after the other: some have to be made first."""
    # Small: as many methods, of smaller pictures.
    size: dict[str, Any] = {"input_size": 64} if setting.small else {}
    vit = {"model": "timm:vit_tiny_patch16_224", "weights": "random"}
    yield Case("bundled EfficientNet-Lite0", _loader(**size), without=("scorecam-softmax",))
    yield Case("its blocks.4", _loader(layer="blocks.4", **size), CUT_METHODS)
    yield Case("the last maps of its sizes", _loader(layer=PYRAMID, **size), ("refinecam",))
    yield Case("two of its layers", _loader(layer="blocks.4,blocks.6", **size), ("gradcam",))
    yield Case("ViT-tiny, random", _loader(**vit), without=tuple(SHORT) if setting.small else ())
    if find_spec("transformers"):
        yield Case("transformers' ViT, random", partial(_transformers_vit, setting), TOKENS)
    yield Case("ResNet-18, random, layer3", _loader(
        model="resnet18", weights="random", layer="layer3", **size
    ), (*(CUT_METHODS[:1] if setting.small else CUT_METHODS), "scorecam-softmax"))  # fmt: skip
    yield Case("how it differs from photographs", partial(_differing, setting), ("diffcam",))
    if not setting.small:
        yield Case("at 320 pixels", _loader(input_size=320), ("gradcam",))
        yield Case("with predictions at 224", _loader(
            input_size=320, native_predictions=True
        ), ("gradcam",))  # fmt: skip
        yield Case("Swin-T, random", _loader(model="swin_t", weights="random"), (
            "gradcam", "layercam"
        ))  # fmt: skip
    ensemble = _ensemble(setting)
    yield Case("an ensemble of two", _loader(checkpoint=ensemble), ("gradcam", "layercam"))


def _loader(**about: Any) -> Callable[[str], Classifier]:
    return lambda device: load_classifier(device=device, **about)


def _transformers_vit(setting: Setting, device: str) -> Classifier:
    """A folder as transformers writes it, of a network that fits."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    folder = setting.folder / "vit"
    if not folder.exists():
        torch.manual_seed(0)
        ViTForImageClassification(ViTConfig(
            hidden_size=96, num_hidden_layers=4, num_attention_heads=3, intermediate_size=192,
            image_size=64, patch_size=16, num_labels=5,
        )).save_pretrained(folder)  # fmt: skip
        ViTImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
    return load_classifier(str(folder), device=device)


def _differing(setting: Setting, device: str) -> Classifier:
    """The bundled network beside photographs that it is to compare with."""
    return ModelJob(device=device, against=str(setting.photos)).load()


def _asked(classifier: Classifier, method: str) -> Explanation:
    """One class for all of a random network: a prediction that flips hides what maps do."""
    how = make_map_options(method, **SHORT.get(method, {}))
    random = classifier.provenance.weights == "random"
    return make_explanation(classifier, how, target="0" if random else None)


def _network(
    name: str,
    here: Classifier,
    there: Classifier,
    images: list[Decoded],
    asked: dict[str, Explanation],
    precision: str,
    expected: dict[str, list[Result]],
) -> Iterator[tuple[Any, ...]]:
    try:
        fast = with_runtime(there, "torch", precision=precision)
    except CamcliError as error:
        yield (name, "", precision, told(error), "", "", "", "")
        return
    for method, what in asked.items():
        some = images[:2] if method in SHORT else images
        try:
            if method not in expected:
                expected[method] = explain_batch(here, some, what)
            found = explain_batch(fast, some, what)
            yield (name, method, precision, *compared(expected[method], found))
        except Exception as error:
            yield (name, method, precision, told(error), "", "", "", "")


def compared(here: list[Result], there: list[Result]) -> tuple[Any, ...]:
    """The last five columns of `HEAD`: how far apart the same images' results are."""
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
        return f"Error: {len(errors)} times, {errors[0]}"[:200], "", "", "", ""
    cosine = round(min(cosines), 5) if cosines else None
    empty = [sum(r.status == "empty" for r in results) for results in (there, here)]
    return (cosine, max(differences, default=None), max(probabilities),
            f"{flips} of {len(here)}", f"{empty[0]}, {empty[1]}")  # fmt: skip


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
