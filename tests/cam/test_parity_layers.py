"""The same maps as the `grad-cam` package at layers with a tail, of a ResNet and of a ViT."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import timm
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torchvision.models import resnet18

from camcli.cam.explainer import maps_of
from camcli.cam.map_options import make_map_options
from camcli.data.decode.preprocess import Preprocess
from camcli.models.classifier import cut_classifier
from camcli.models.loading.zoo import Provenance

peer = pytest.importorskip("pytorch_grad_cam", reason="grad-cam is compared with, if installed")
image_tools = pytest.importorskip("pytorch_grad_cam.utils.image")
targets_of = pytest.importorskip("pytorch_grad_cam.utils.model_targets").ClassifierOutputTarget

SIZE = 96


def network(name: str):
    """(module, layer, reshape for the peer)."""
    torch.manual_seed(0)
    if name == "resnet":
        model = resnet18(num_classes=6)
        torch.nn.init.normal_(model.fc.weight, std=0.5)
        # Features that are not alike everywhere, as an untrained ResNet's are.
        for n, b in model.named_buffers():
            if n.endswith("running_mean"):
                torch.nn.init.normal_(b, std=0.3)
        return model.eval(), "layer3", None
    model = timm.create_model(
        "vit_tiny_patch16_224", num_classes=6, img_size=SIZE, depth=3, embed_dim=48, num_heads=3
    )
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.2) if p.ndim > 1 else None
    return model.eval(), "blocks.2.norm1", lambda t: t[:, 1:].transpose(1, 2).unflatten(2, (6, 6))


@pytest.fixture(scope="module", params=["resnet", "vit"])
def pair(request, photos):
    module, layer, reshape = network(request.param)
    preprocess = Preprocess(size=SIZE)
    images = torch.cat([preprocess.tensor(photo) for photo in photos[:2]])
    classifier = cut_classifier(
        copy.deepcopy(module), classes=tuple("abcdef"), preprocess=preprocess,
        provenance=Provenance("test", "random", None, "random"), device=torch.device("cpu"),
        layers=(layer,),
    )  # fmt: skip
    # For each image the class with most positive evidence: the peers' maps stop at zero.
    seen = classifier.see(images)
    every = [
        maps_of(classifier, seen, torch.full((2,), c), make_map_options("gradcam")).amax((1, 2))
        for c in range(6)
    ]
    index = torch.stack(every).argmax(0)
    assert torch.stack(every).amax(0).min() > 0
    return module, module.get_submodule(layer), reshape, classifier, images, index


def theirs(make, pair):
    module, layer, reshape, _, images, index = pair
    # Fused attention has no second derivative, which the peer's ShapleyCAM asks for.
    with (
        sdpa_kernel(SDPBackend.MATH),
        make(model=module, target_layers=[layer], reshape_transform=reshape) as method,
    ):
        return method(input_tensor=images, targets=[targets_of(int(c)) for c in index])


def ours(pair, how):
    _, _, _, classifier, images, index = pair
    maps = maps_of(classifier, classifier.see(images), index, how)
    return image_tools.scale_cam_image(np.maximum(maps.numpy(), 0), (SIZE, SIZE))


def cosine(a, b):
    a, b = a.reshape(len(a), -1).astype(float), b.reshape(len(b), -1).astype(float)
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("gradcam", peer.GradCAM),
        ("hirescam", peer.HiResCAM),
        ("elementwise", peer.GradCAMElementWise),
        ("layercam", peer.LayerCAM),
        ("fem", peer.FEM),
        ("shapleycam", peer.ShapleyCAM),
    ],
)
def test_grad_cam_package(pair, name, make):
    if name == "shapleycam" and pair[2] is not None:
        pytest.skip("the peer's ShapleyCAM does not reshape tokens; see the finite differences")
    assert cosine(ours(pair, make_map_options(name)), theirs(make, pair)) > 0.999


def test_xgradcam(pair):
    """Its weights are a ratio to ΣA: for features of both signs the peer's ε matters, too."""
    if pair[2] is None:
        how = make_map_options("xgradcam")
        assert cosine(ours(pair, how), theirs(peer.XGradCAM, pair)) > 0.9999


@pytest.mark.slow
def test_scorecam_softmax(pair):
    if pair[2] is not None:
        pytest.skip("the peer's Score-CAM divides constant tokens by ε")
    got = ours(pair, make_map_options("scorecam-softmax"))
    assert cosine(got, theirs(peer.ScoreCAM, pair)) > 0.999


def test_smooth_aug(pair):
    """Flips and gains as theirs; the mean is of signed maps, not of pictures scaled one by one."""
    _, _, _, classifier, images, index = pair
    maps = []
    with torch.no_grad():
        for moved in (images, images.flip(3)):
            for gain in (0.9, 1.0, 1.1):
                m = maps_of(
                    classifier, classifier.see(moved * gain), index, make_map_options("gradcam")
                )
                maps.append(m.flip(2) if moved is not images else m)
    got = maps_of(
        classifier, classifier.see(images), index, make_map_options("gradcam", smooth="aug")
    )
    torch.testing.assert_close(got, torch.stack(maps).mean(0))
