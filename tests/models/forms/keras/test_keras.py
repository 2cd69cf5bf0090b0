"""Networks of Keras, against Keras' own predict and autograd through the original."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

os.environ.setdefault("KERAS_BACKEND", "torch")  # before it is imported
pytest.importorskip("keras", reason="camcli[keras] is not installed")
import keras

from camcli.errors import UsageError
from camcli.jobs.model import ModelJob
from camcli.models.classifier import Classifier
from camcli.models.load import load_classifier

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(keras.backend.backend() != "torch", reason="Keras is not on torch"),
]
PHOTOGRAPH = Path(__file__).parents[4] / "sample_images/cat.jpg"
SIDE = 64
L = keras.layers


def resnet() -> Any:
    return keras.applications.ResNet50(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3))


def mobilenet() -> Any:
    return keras.applications.MobileNet(
        weights=None, include_top=False, input_shape=(SIDE, SIDE, 3), alpha=0.25
    )


def with_head(base: Any, outputs: int, activation: str | None) -> Any:
    """As people add one: to the base's own output."""
    x = L.GlobalAveragePooling2D()(base.output)
    x = L.Dropout(0.2)(x)
    return keras.Model(base.input, L.Dense(outputs, activation=activation)(x))


def nested(base: Any, preprocess: Any, outputs: int, activation: str | None) -> Any:
    """As the guide to transfer learning has it: the base is a layer, preprocessing is inside."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = L.RandomFlip("horizontal")(inputs)
    x = preprocess(x) if preprocess else x
    x = base(x, training=False)
    x = L.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, L.Dense(outputs, activation=activation)(x))


def small() -> Any:
    """Unusual layers beside usual ones."""
    return keras.Sequential([
        keras.Input((SIDE, SIDE, 3)),
        L.Rescaling(1 / 255),
        L.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
        L.SeparableConv2D(12, 3, padding="same"),
        L.BatchNormalization(),
        L.PReLU(shared_axes=[1, 2]),
        L.AveragePooling2D(2, padding="same"),
        L.UnitNormalization(),
        L.Conv2D(16, 4, dilation_rate=2, padding="same", activation="swish"),
        L.MaxPooling2D(3, strides=2, padding="same"),
        L.Flatten(),
        L.Dense(10, activation="relu"),
        L.Dense(4, activation="softmax"),
    ])  # fmt: skip


def squeeze() -> Any:
    """Squeeze and excitation, by multiplication of maps with numbers."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = L.Conv2D(16, 3, strides=4, padding="same", use_bias=False)(inputs)
    x = L.BatchNormalization(scale=False)(x)
    x = L.ReLU(6.0)(x)
    s = L.GlobalAveragePooling2D()(x)
    s = L.Reshape((1, 1, 16))(s)
    s = L.Dense(4, activation="relu")(s)
    s = L.Dense(16, activation="hard_sigmoid")(s)
    x = L.Multiply()([x, s])
    y = L.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x)
    x = L.Concatenate()([x, y])
    x = L.GlobalAveragePooling2D(keepdims=True)(x)
    x = L.Conv2D(3, 1)(x)
    return keras.Model(inputs, L.Flatten()(x))


def randomised(network: Any, mode: str) -> Any:
    """Weights as if they had been trained: moments of the norms from noise, no answer constant."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    for layer in network._flatten_layers():
        if isinstance(layer, L.BatchNormalization):
            layer.momentum = 0.0
    pixels = rng.random((4, SIDE, SIDE, 3))
    scaled = {"none": pixels * 255, "tf": pixels * 2 - 1, "caffe": (pixels - 0.5) * 255}[mode]
    network(keras.ops.convert_to_tensor(scaled.astype("float32")), training=True)
    dense = [layer for layer in network._flatten_layers() if isinstance(layer, L.Dense)][-1]
    # No answer is so sure that its logarithm overflows.
    dense.kernel.assign(rng.normal(size=dense.kernel.shape) / dense.kernel.shape[0])
    dense.bias.assign(rng.normal(size=dense.bias.shape))
    return network


CASES: dict[str, tuple[Any, str, bool, str]] = {
    # what makes it, its preprocess_input's mode, whether it is GAP + Dense, the output's kind
    "resnet50": (lambda: with_head(resnet(), 3, "softmax"), "caffe", True, "softmax"),
    "mobilenet": (lambda: with_head(mobilenet(), 5, None), "tf", True, "softmax"),
    "nested": (
        lambda: nested(mobilenet(), keras.applications.mobilenet.preprocess_input, 1, "sigmoid"),
        "none", True, "binary",
    ),
    "nested caffe": (
        lambda: nested(mobilenet(), keras.applications.resnet.preprocess_input, 4, "sigmoid"),
        "none", True, "sigmoid",
    ),
    "small": (small, "none", False, "softmax"),
}  # fmt: skip


def pixels_of(mode: str) -> Tensor:
    """A photograph as Keras loads it for a network, (1, side, side, 3)."""
    picture = keras.utils.load_img(PHOTOGRAPH, target_size=(SIDE, SIDE), interpolation="bilinear")
    values = np.asarray(picture, dtype="float32")[None]
    if mode != "none":
        module = {"caffe": "resnet", "tf": "mobilenet", "torch": "densenet"}[mode]
        values = getattr(keras.applications, module).preprocess_input(values.copy())
    return torch.from_numpy(np.ascontiguousarray(values))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("case", CASES)
def test_a_network_says_what_keras_says(case: str, suffix: str, tmp_path: Path) -> None:
    make, mode, head, kind = CASES[case]
    if suffix == ".h5" and case not in ("mobilenet", "small"):
        pytest.skip("the same network in the other form")
    keras.utils.set_random_seed(0)
    network = randomised(make(), mode)
    path = tmp_path / f"network{suffix}"
    network.save(path)
    classifier = load_classifier(str(path), device="cpu")
    assert (classifier.head is not None) == head
    assert classifier.output.kind == kind
    pixels = pixels_of(mode)
    expected = torch.from_numpy(network.predict(pixels.numpy(), verbose=0))
    if kind == "softmax" and case == "mobilenet":  # it says logits
        expected = expected.softmax(1)
    if expected.shape[1] == 1:
        expected = torch.cat([1 - expected, expected], 1)
    # The bytes of the same photograph, squeezed in the same way, through what was recognised.
    picture = Image.open(PHOTOGRAPH).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    images = classifier.preprocess.tensor(np.asarray(picture))
    assert torch.allclose(images.permute(0, 2, 3, 1), pixels, atol=1e-3)
    seen = classifier.see(images)
    assert (classifier.probabilities(seen.logits) - expected).abs().max() < 1e-4
    assert seen.parts[-1].A.shape[2:] == (2, 2) or case == "small"
    check_map(network, classifier, images, pixels)


def check_map(network: Any, classifier: Classifier, images: Tensor, pixels: Tensor) -> None:
    """Grad-CAM's map of the logit, by autograd through the original."""
    part = classifier.see(images).parts[-1]
    C = len(classifier.classes)
    A = part.A.clone().detach().requires_grad_()
    with torch.enable_grad():
        part.tail(A)[0, C - 1].backward()
    assert A.grad is not None
    ours = (A.grad.mean((2, 3), keepdim=True) * A).sum(1)[0].detach()
    # What is known of the original: which of its layers' outputs has these numbers.
    given = [layer._inbound_nodes[-1].outputs[0] for layer in network.layers]
    maps = [tensor for tensor in given if len(tensor.shape) == 4]
    *kept, out = keras.Model(network.inputs, [*maps, *network.outputs])(
        pixels.clone().requires_grad_(), training=False
    )
    p = out[0, -1]
    if classifier.output.kind == "softmax" and network.layers[-1].activation.__name__ == "softmax":
        # log p_c + a constant of the classes: the logit, less the mean of all.
        score = p.log() - out[0].log().mean()
        ours_of = contrast(part, A.detach())
    else:
        sigmoid = network.layers[-1].activation.__name__ == "sigmoid"
        score = torch.log(p) - torch.log1p(-p) if sigmoid else p
        ours_of = ours
    for value in kept:
        a = value.permute(0, 3, 1, 2)
        if a.shape == A.shape and torch.allclose(a, A, rtol=1e-3, atol=1e-3 * float(A.abs().max())):
            (g,) = torch.autograd.grad(score, value)
            g = g.permute(0, 3, 1, 2)
            theirs = (g.mean((2, 3), keepdim=True) * a).sum(1)[0].detach()
            assert cosine(ours_of, theirs) >= 0.999
            return
    raise AssertionError(f"nothing in the original has the numbers of {classifier.layer}")


def contrast(part: Any, A: Tensor) -> Tensor:
    """The map of the last class's logit less the mean of all."""
    A = A.clone().requires_grad_()
    with torch.enable_grad():
        S = part.tail(A)[0]
        (S[-1] - S.mean()).backward()
    assert A.grad is not None
    return (A.grad.mean((2, 3), keepdim=True) * A).sum(1)[0].detach()


def cosine(a: Tensor, b: Tensor) -> float:
    a, b = (each.double().flatten() / each.double().norm() for each in (a, b))
    return float(a @ b)


def test_pixels_that_nothing_tells_are_asked_for(tmp_path: Path) -> None:
    network = squeeze()
    path = tmp_path / "network.keras"
    network.save(path)
    with pytest.raises(UsageError, match="--preprocess none"):
        ModelJob(model=str(path)).check()
    classifier = load_classifier(str(path), device="cpu", preprocess="none")
    assert classifier.preprocess.size == SIDE
    pixels = torch.rand(2, SIDE, SIDE, 3)
    expected = torch.from_numpy(network.predict(pixels.numpy(), verbose=0))
    logits = classifier.see(pixels.permute(0, 3, 1, 2)).logits
    assert torch.allclose(logits, expected, atol=1e-4)


class Own(keras.Model):
    """A network without a graph."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool = L.Conv2D(8, 3, strides=4), L.GlobalAveragePooling2D()
        self.dense = L.Dense(3)

    def call(self, x: Any) -> Any:
        return self.dense(self.pool(self.conv(x)))


def test_code_is_not_run_without_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix in (".keras", ".h5"):
        path = tmp_path / f"lambda{suffix}"
        network = keras.Sequential([
            keras.Input((32, 32, 3)),
            L.Lambda(lambda x: [__import__("os").environ.update(CAMCLI_WAS_RUN="1"), x * 2][1]),
            L.Rescaling(1.0), L.Conv2D(8, 3), L.GlobalAveragePooling2D(), L.Dense(3),
        ])  # fmt: skip
        network.save(path)
        monkeypatch.delenv("CAMCLI_WAS_RUN", raising=False)
        with pytest.raises(UsageError, match="--trust-pickle"):
            ModelJob(model=str(path)).check()
        with pytest.raises(UsageError, match="--trust-pickle"):
            load_classifier(str(path), device="cpu")
        assert "CAMCLI_WAS_RUN" not in os.environ
        classifier = load_classifier(
            str(path), device="cpu", trust_pickle=True, preprocess="scale=255"
        )
        images = torch.rand(2, 3, 32, 32)
        expected = torch.from_numpy(network.predict(images.permute(0, 2, 3, 1).numpy(), verbose=0))
        assert torch.allclose(classifier.see(images).logits, expected, atol=1e-4)
        assert classifier.head is not None


def test_a_class_of_ones_own_is_named_and_weights_alone_are_told(tmp_path: Path) -> None:
    network = Own()
    network(torch.zeros(1, 32, 32, 3))
    network.save(tmp_path / "own.keras")
    with pytest.raises(UsageError, match="Own"):
        ModelJob(model=str(tmp_path / "own.keras"), preprocess="none").check()
    network.save_weights(tmp_path / "own.weights.h5")
    with pytest.raises(UsageError, match="weights of Keras without their network"):
        ModelJob(model=str(tmp_path / "own.weights.h5")).check()


def test_several_inputs_are_refused(tmp_path: Path) -> None:
    one, two = keras.Input((32, 32, 3)), keras.Input((4,))
    x = L.Concatenate()([L.GlobalAveragePooling2D()(L.Rescaling(1 / 255)(one)), two])
    keras.Model([one, two], L.Dense(3)(x)).save(tmp_path / "two.keras")
    with pytest.raises(UsageError, match="takes 2 inputs"):
        load_classifier(str(tmp_path / "two.keras"), device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mode"),
    [("ResNet50V2", "tf"), ("VGG16", "caffe"), ("MobileNetV2", "tf"), ("DenseNet121", "torch"),
     ("EfficientNetB0", "none"), ("MobileNetV3Small", "none"), ("ConvNeXtTiny", "none"),
     ("EfficientNetV2B0", "none"), ("InceptionV3", "tf"), ("Xception", "tf"),
     ("InceptionResNetV2", "tf")],
)  # fmt: skip
def test_applications_are_recognised_with_their_preprocessing(
    name: str, mode: str, tmp_path: Path
) -> None:
    from camcli.models.forms.keras.file import preprocess_of, read_file

    side = {"InceptionV3": 96, "Xception": 96, "InceptionResNetV2": 96}.get(name, SIDE)
    network = getattr(keras.applications, name)(
        weights=None, include_top=False, input_shape=(side, side, 3)
    )
    path = tmp_path / "network.keras"
    with_head(network, 3, None).save(path)
    preprocess, told = preprocess_of(read_file(path), (side, side, 3))
    pixels = np.asarray(Image.open(PHOTOGRAPH).convert("RGB").resize((side, side)))
    expected = torch.from_numpy(pixels.astype("float32"))[None]
    if mode != "none":
        module = {"caffe": "resnet", "tf": "mobilenet", "torch": "densenet"}[mode]
        expected = torch.from_numpy(
            getattr(keras.applications, module).preprocess_input(expected.numpy().copy()).copy()
        )
    assert torch.allclose(preprocess.tensor(pixels).permute(0, 2, 3, 1), expected, atol=1e-3)
    if mode != "none":
        assert "ASSUMED" in told
