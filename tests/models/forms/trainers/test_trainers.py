"""Files of Ultralytics and of fastai: known without being opened, opened where they are trusted."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from camcli.errors import UnavailableError, UsageError
from camcli.jobs.model import ModelJob
from camcli.models.classifier import Classifier
from camcli.models.forms.registry import form_of
from camcli.models.forms.trainers import opening
from camcli.models.load import load_classifier

PHOTOGRAPH = Path(__file__).parents[4] / "sample_images/cat.jpg"


@pytest.fixture
def pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a file that names a class of a library which is not here."""

    def make(module: str, name: str) -> Path:
        for end in range(len(module.split("."))):
            part = ".".join(module.split(".")[: end + 1])
            monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
        kind = type(name, (nn.Linear,), {"__module__": module})
        setattr(sys.modules[module], name, kind)
        path = tmp_path / "network.bin"
        torch.save({"model": kind(2, 2)}, path)
        for part in [p for p in sys.modules if p.partition(".")[0] == module.partition(".")[0]]:
            monkeypatch.delitem(sys.modules, part)
        return path

    return make


@pytest.mark.parametrize(
    ("module", "name", "form", "line"),
    [
        ("ultralytics.nn.tasks", "ClassificationModel", "ultralytics", "export(format='onnx')"),
        ("fastai.learner", "Learner", "fastai", "load_learner('network.bin')"),
    ],
)
def test_what_it_is_and_how_to_export_it_is_told_without_opening_it(
    module: str, name: str, form: str, line: str, pickled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pickled(module, name)
    assert form_of(path).name == form
    with pytest.raises(UsageError, match="--trust-pickle") as told:
        ModelJob(model=str(path)).check()
    assert line in str(told.value)
    with pytest.raises(UsageError, match="--trust-pickle"):
        load_classifier(str(path), device="cpu")
    monkeypatch.setattr(opening.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match=f"pip install {form}") as told:
        ModelJob(model=str(path), trust_pickle=True).check()
    assert line in str(told.value)


def is_here(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def gradient_map(
    classifier: Classifier, network: nn.Module, layer: nn.Module, images: Tensor, score: Any
) -> None:
    """Grad-CAM of the first class at the cut, against a hook on the original's layer."""
    part = classifier.see(images).parts[-1]
    assert part.head is not None
    ours = torch.einsum("k,khw->hw", part.head.weight[0], part.A[0])
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, out: Tensor) -> None:
        out.retain_grad()
        kept.append(out)

    handle = layer.register_forward_hook(keep)
    score(network(images.clone().requires_grad_())).backward()
    handle.remove()
    (A,) = kept
    assert A.grad is not None
    theirs = (A.grad.mean((2, 3), keepdim=True) * A).sum(1)[0].detach()
    a, b = (each.double().flatten() / each.double().norm() for each in (ours, theirs))
    assert a @ b >= 0.999


@pytest.mark.heavy
@pytest.mark.skipif(not is_here("ultralytics"), reason="ultralytics is not installed")
def test_a_classifier_of_ultralytics_says_what_it_says_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path / "settings"))
    monkeypatch.setenv("YOLO_OFFLINE", "true")
    from ultralytics import YOLO
    from ultralytics.data.augment import classify_transforms
    from ultralytics.nn.tasks import ClassificationModel

    torch.manual_seed(0)
    network = ClassificationModel("yolo11n-cls.yaml", nc=3, verbose=False).eval()
    nn.init.normal_(network.model[-1].linear.weight)
    network.names = {0: "ant", 1: "bee", 2: "cow"}
    path = tmp_path / "tiny-cls.pt"
    torch.save(
        {"model": network.half(), "ema": None, "train_args": {"task": "classify", "imgsz": 96}},
        path,
    )
    classifier = load_classifier(str(path), device="cpu", trust_pickle=True)
    assert classifier.classes == ("ant", "bee", "cow")
    network = network.float()
    picture = Image.open(PHOTOGRAPH).convert("RGB")
    pixels = classify_transforms(96)(picture)[None]
    with torch.no_grad():
        expected, _ = network(pixels)
    seen = classifier.see(classifier.preprocess.tensor(np.asarray(picture)))
    assert (classifier.probabilities(seen.logits) - expected).abs().max() < 1e-2
    seen = classifier.see(pixels)
    assert (classifier.probabilities(seen.logits) - expected).abs().max() < 1e-4
    theirs = YOLO(path).predict(PHOTOGRAPH, imgsz=96, verbose=False, device="cpu", save=False)
    assert torch.allclose(theirs[0].probs.data.cpu(), expected[0], atol=0.05)
    gradient_map(classifier, network, network.model[-1].conv, pixels, lambda out: out[1][0, 0])


@pytest.mark.heavy
@pytest.mark.skipif(not is_here("fastai"), reason="fastai is not installed")
@pytest.mark.filterwarnings("ignore")
def test_a_learner_of_fastai_says_what_it_says_there(tmp_path: Path) -> None:
    vision = pytest.importorskip("fastai.vision.all")
    root = tmp_path / "pictures"
    rng = np.random.default_rng(0)
    for name in ("ant", "bee", "cow"):
        (root / name).mkdir(parents=True)
        for number in range(3):
            noise = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
            Image.fromarray(noise).save(root / name / f"{number}.png")
    data = vision.ImageDataLoaders.from_folder(
        root, valid_pct=0.34, seed=1, item_tfms=vision.Resize(96), num_workers=0, bs=2,
        batch_tfms=[*vision.aug_transforms(), vision.Normalize.from_stats(*vision.imagenet_stats)],
    )  # fmt: skip
    body = nn.Sequential(nn.Conv2d(3, 8, 5, stride=8), nn.BatchNorm2d(8), nn.ReLU())
    torch.manual_seed(0)
    network = nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    learner = vision.Learner(data, network, loss_func=vision.CrossEntropyLossFlat())
    path = tmp_path / "export.pkl"
    learner.export(path)
    classifier = load_classifier(str(path), device="cpu", trust_pickle=True)
    assert classifier.classes == ("ant", "bee", "cow")
    assert classifier.output.kind == "softmax"
    learner = vision.load_learner(path)
    with learner.no_bar():
        expected = learner.predict(PHOTOGRAPH)[2]
    picture = np.asarray(Image.open(PHOTOGRAPH).convert("RGB"))
    images = classifier.preprocess.tensor(picture)
    (theirs,) = learner.dls.test_dl([PHOTOGRAPH], num_workers=0).one_batch()
    theirs = theirs.as_subclass(Tensor)
    assert images.shape == theirs.shape
    assert (images - theirs).abs().mean() < 0.05  # crops before it resizes
    seen = classifier.see(theirs)
    probabilities = classifier.probabilities(seen.logits)[0]
    assert torch.allclose(probabilities, expected.as_subclass(Tensor), atol=1e-4)
    network = learner.model.eval()
    gradient_map(classifier, network, network[0], theirs, lambda out: out[0, 0])
