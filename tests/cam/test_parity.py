"""The same maps as the `grad-cam` and `torchcam` packages, where those follow the papers.

Where they do not, a test shows on the paper's formula in float64 who is right.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from camcli.cam.methods import find_method, heatmaps
from camcli.data.decode.preprocess import Preprocess
from camcli.models.classifier import Classifier, cut_classifier
from camcli.models.loading.zoo import Provenance, build_model

peer = pytest.importorskip("pytorch_grad_cam", reason="grad-cam is compared with, if installed")
image_tools = pytest.importorskip("pytorch_grad_cam.utils.image")
targets_of = pytest.importorskip("pytorch_grad_cam.utils.model_targets").ClassifierOutputTarget


class Network:
    """The same weights as their owner builds them and as camcli cuts them."""

    def __init__(self, name: str, layer: str, weights: str | None, size: int) -> None:
        built = build_model(name, weights=weights)
        if weights == "random":
            # Untrained heads give flat maps and logits near zero.
            torch.nn.init.normal_(
                built.module.fc.weight, generator=torch.Generator().manual_seed(0)
            )
        self.module = built.module
        self.name, self.layer = layer, self.module.get_submodule(layer)
        preprocess = built.preprocess.with_(size=size)
        self.classifier = cut_classifier(
            copy.deepcopy(built.module), classes=built.classes, preprocess=preprocess,
            provenance=built.provenance, device=torch.device("cpu"),
        )  # fmt: skip

    def peers_map(self, make, images, index) -> np.ndarray:
        """The peer's picture (B, H, W) in [0, 1]. It needs gradients on the parameters."""
        self.module.requires_grad_(True)
        try:
            with make(model=self.module, target_layers=[self.layer]) as cam:
                return cam(input_tensor=images, targets=[targets_of(int(c)) for c in index])
        finally:
            self.module.requires_grad_(False)

    def our_map(self, method, images, index) -> np.ndarray:
        """Our signed map, normalised as the peer does it."""
        with torch.no_grad():
            A = self.classifier.features(images)
            logits = self.classifier.tail(A)
        maps = heatmaps(
            find_method(method), A, logits, index,
            head=self.classifier.head, tail=self.classifier.tail,
        )  # fmt: skip
        return normalised(maps.numpy(), images.shape[-1])


def normalised(maps: np.ndarray, size: int) -> np.ndarray:
    return image_tools.scale_cam_image(np.maximum(maps, 0), (size, size))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """The worst of a batch."""
    a, b = a.reshape(len(a), -1).astype(float), b.reshape(len(b), -1).astype(float)
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


@pytest.fixture(scope="module", params=["efficientnet_lite0", "resnet18"])
def network(request):
    if request.param == "resnet18":
        return Network("resnet18", "layer4", "random", 128)
    return Network("efficientnet_lite0", "bn2", None, 224)


@pytest.fixture(scope="module")
def images(network, photos):
    preprocess: Preprocess = network.classifier.preprocess
    return torch.cat([preprocess.tensor(photo) for photo in photos])


@pytest.fixture(scope="module")
def index(network, images):
    """The predicted class and, for the last image, another one."""
    with torch.no_grad():
        order = network.module(images).argsort(1, descending=True)
    return torch.stack([order[0, 0], order[1, 0], order[2, 1]])


@pytest.mark.parametrize(
    ("method", "make"),
    [
        ("gradcam", peer.GradCAM),
        ("hirescam", peer.HiResCAM),
        ("xgradcam", peer.XGradCAM),
        ("layercam", peer.LayerCAM),
    ],
)
def test_grad_cam_package(network, images, index, method, make):
    theirs = network.peers_map(make, images, index)
    assert cosine(network.our_map(method, images, index), theirs) > 0.9999


def test_ablationcam(network, images, index):
    """Theirs is one pass a channel; right for positive logits. On one small image to save time."""
    if network.classifier.provenance.name != "resnet18":
        pytest.skip("1280 passes of the bundled network take a minute; resnet18 shows the same")
    image, c = images[:1, :, ::2, ::2].contiguous(), index[:1]
    with torch.no_grad():
        assert network.module(image)[0, c] > 0
    theirs = network.peers_map(peer.AblationCAM, image, c)
    assert cosine(network.our_map("ablationcam", image, c), theirs) > 0.9999


def test_gradcam_plus_plus_is_right_where_the_package_is_not(network, images, index):
    """Its ε = 1e-6 in the denominator is as large as g² itself for a GAP head; ours is eq. 19."""
    module = copy.deepcopy(network.module).double()
    layer = module.get_submodule(network.name)
    A = []
    handle = layer.register_forward_hook(lambda m, i, out: A.append(out.requires_grad_(True)))
    try:
        logits = module(images.double())
    finally:
        handle.remove()
    S = logits.gather(1, index[:, None]).sum()
    (g,) = torch.autograd.grad(S, A[0])
    features = A[0].detach()
    alpha = g**2 / (2 * g**2 + features.sum((2, 3), keepdim=True) * g**3)
    alpha[g == 0] = 0
    weight = (alpha * g.clamp(min=0)).sum((2, 3), keepdim=True)
    truth = normalised((weight * features).sum(1).numpy(), images.shape[-1])
    theirs = network.peers_map(peer.GradCAMPlusPlus, images, index)
    ours = network.our_map("gradcam++", images, index)
    assert cosine(ours, truth) > 0.99999
    assert cosine(theirs, truth) < cosine(ours, truth)


def test_eigencam_is_uncentred_where_the_package_centres(network, images, index):
    """The package takes the mean over positions off each channel first; the paper does not."""
    with torch.no_grad():
        A = network.classifier.features(images)
    maps = []
    for features in A.double().numpy():
        rows = features.reshape(features.shape[0], -1).T
        _, _, vt = np.linalg.svd(rows, full_matrices=False)
        one = rows @ vt[0]
        maps.append((one * np.sign(one.sum())).reshape(features.shape[1:]))
    truth = normalised(np.stack(maps), images.shape[-1])
    assert cosine(network.our_map("eigencam", images, index), truth) > 0.9999


def test_torchcam_package(network, images, index):
    methods = pytest.importorskip("torchcam.methods")
    for method, make in (
        ("gradcam", methods.GradCAM), ("xgradcam", methods.XGradCAM), ("layercam", methods.LayerCAM)
    ):  # fmt: skip
        network.module.requires_grad_(True)
        try:
            with make(network.module, network.layer) as extractor:
                scores = network.module(images)
                (theirs,) = extractor(index.tolist(), scores)
        finally:
            network.module.requires_grad_(False)
        theirs = normalised(theirs.detach().numpy(), images.shape[-1])
        assert cosine(network.our_map(method, images, index), theirs) > 0.9999


def test_the_cut_is_where_the_comparison_is_made(network, images):
    """Both look at the same features, or the parity above would be luck."""
    assert isinstance(network.classifier, Classifier)
    assert isinstance(network.classifier.provenance, Provenance)
    seen = []
    handle = network.layer.register_forward_hook(lambda m, i, out: seen.append(out))
    try:
        with torch.no_grad():
            network.module(images)
            ours = network.classifier.features(images)
    finally:
        handle.remove()
    torch.testing.assert_close(ours, seen[0], rtol=1e-3, atol=1e-3 * float(ours.abs().max()))
