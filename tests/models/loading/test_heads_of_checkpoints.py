"""Checkpoints whose head is on other statistics, or asks its nearest images."""

import json

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import camcli
from camcli.errors import CamcliError, UsageError
from camcli.jobs.inspect import InspectJob
from camcli.jobs.layers import LayersJob
from camcli.models.load import load_classifier
from camcli.models.loading.checkpoint import (
    Checkpoint,
    join_checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from camcli.models.loading.zoo import build_model
from camcli.models.pooling.nearest import NearestHead
from camcli.models.pooling.pooling import Pooling
from camcli.models.runtime.policy import runtime_of, with_runtime

POOLING = Pooling.read("mean+max+std@blocks.2")
K = 2 * 1280 + 40


@pytest.fixture(scope="module")
def lite0():
    return build_model("efficientnet_lite0")


def made(lite0, pooling=POOLING, channels=K, **changes):
    generator = torch.Generator().manual_seed(3)
    state = lite0.module.state_dict()
    values = {
        "architecture": "efficientnet_lite0",
        "classes": ("a", "b", "c"),
        "preprocess": lite0.preprocess.with_(size=96, fit="squash"),
        "backbone": {n: t for n, t in state.items() if not n.startswith("classifier")},
        "weight": torch.randn(3, channels, generator=generator) / channels**0.5,
        "bias": torch.randn(3, generator=generator),
        "pooling": pooling,
    }
    return Checkpoint(**(values | changes))


def rewritten(path, change=lambda header: None, tensors=None):
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["camcli"])
    change(header)
    own = load_file(path) | (tensors or {})
    save_file(own, path, metadata={"camcli": json.dumps(header)})


@pytest.fixture(scope="module")
def pooled(lite0, tmp_path_factory):
    path = tmp_path_factory.mktemp("pooled") / "m.safetensors"
    save_checkpoint(path, made(lite0, temperature=1.5))
    return path


@pytest.fixture(scope="module")
def looked(pooled, photos):
    classifier = load_classifier(checkpoint=pooled, device="cpu")
    pixels = torch.stack([classifier.preprocess.pixels(rgb) for rgb in photos])
    return classifier, pixels


def test_maps_of_photographs_add_up_to_the_logits(looked):
    classifier, pixels = looked
    A, logits = classifier(pixels)
    assert A.shape[1] == K
    maps = torch.einsum("ck,bkhw->bchw", classifier.head.weight, A)
    torch.testing.assert_close(
        maps.mean((2, 3)) + classifier.head.bias, logits, rtol=1e-4, atol=1e-4
    )


def test_statistics_of_photographs_are_timms(looked, pooled):
    """Of the network as timm runs it, with hooks."""
    classifier, pixels = looked
    saved = load_checkpoint(pooled)
    assert (saved.pooling, saved.temperature) == (POOLING, 1.5)
    theirs = pytest.importorskip("timm").create_model("tf_efficientnet_lite0", num_classes=0).eval()
    theirs.load_state_dict(saved.backbone)
    seen = {}
    theirs.blocks[2].register_forward_hook(lambda *a: seen.__setitem__("early", a[2]))
    theirs.bn2.register_forward_hook(lambda *a: seen.__setitem__("last", a[2]))
    with torch.no_grad():
        theirs(classifier.preprocess.normalise(pixels))
    last, early = seen["last"], seen["early"]
    s = torch.cat([last.mean((2, 3)), last.amax((2, 3)), early.std((2, 3), correction=0)], 1)
    truth = s @ saved.weight.T + saved.bias
    torch.testing.assert_close(classifier(pixels)[1], truth, rtol=1e-3, atol=1e-3)


def test_in_openvino(looked):
    pytest.importorskip("openvino")
    classifier, pixels = looked
    fast = with_runtime(classifier, "openvino")
    for some in (pixels, pixels[:, :, :, :64]):  # another shape, too
        (A, logits), (theirs, others) = fast(some), classifier(some)
        torch.testing.assert_close(A, theirs, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(logits, others, rtol=1e-3, atol=1e-3)
    assert runtime_of(fast)["name"] == "openvino"


@pytest.mark.parametrize("layer", ["blocks.4", "last,blocks.2", "bn2"])
def test_at_another_layer(looked, pooled, layer):
    classifier, pixels = looked
    other = load_classifier(checkpoint=pooled, device="cpu", layer=layer)
    torch.testing.assert_close(other(pixels)[1], classifier(pixels)[1], rtol=1e-3, atol=1e-3)


def test_two_networks_with_pooled_heads(lite0, looked, tmp_path):
    _, pixels = looked
    parts = [made(lite0), made(lite0, bias=torch.ones(3))]
    save_checkpoint(tmp_path / "m.safetensors", join_checkpoints(parts))
    both = load_classifier(checkpoint=tmp_path / "m.safetensors", device="cpu")
    save_checkpoint(tmp_path / "one.safetensors", made(lite0, bias=(parts[0].bias + 1) / 2))
    one = load_classifier(checkpoint=tmp_path / "one.safetensors", device="cpu")
    torch.testing.assert_close(both(pixels)[1], one(pixels)[1], rtol=1e-4, atol=1e-4)
    assert both.head.weight.shape == (3, 2 * K)


def test_inspect_says_what_the_head_is_given(pooled, asking):
    found = InspectJob(str(pooled)).run()
    assert (found.layer, found.map_shape[0], found.linear) == ("pooling", K, True)
    (note,) = found.notes
    assert "mean+max+std@blocks.2" in note
    assert "divided by 1.5" in note
    (note,) = InspectJob(str(asking[0])).run().notes
    assert "asks the 3 nearest of 3 training images" in note


def test_its_layers_begin_with_what_the_head_is_given(pooled):
    found = LayersJob(checkpoint=pooled).run()
    assert (found.last, found.shape) == ("pooling", (K, 7, 7))
    assert "blocks.2" in {layer.name for layer in found.layers}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda h: h.update(pooling="median"), "wrong 'pooling'"),
        (lambda h: h.update(pooling=7), "wrong 'pooling'"),
        (lambda h: h.update(pooling="mean+mean"), "wrong 'pooling'"),
        (lambda h: h.update(pooling="mean+max+std@nowhere"), "has not: .*nowhere"),
        (lambda h: h.update(pooling="mean+max+std@classifier"), "has not"),
        (lambda h: h.update(pooling="mean+max"), "head is for 2600 channels, .*has 2560"),
        (lambda h: h.pop("pooling"), "head is for 2600 channels, .*has 1280"),
        (lambda h: h.update(temperature=0.0), "wrong 'temperature'"),
        (lambda h: h.update(temperature="warm"), "wrong 'temperature'"),
        (lambda h: h.update(format=6), "Update camcli"),
        (lambda h: h.update(nearest={"k": 1}), "wrong 'nearest'"),
        (lambda h: h.update(nearest={"k": 1, "sharpness": 1.0, "temperature": 1.0}), "lack"),
    ],
)
def test_what_a_description_says_is_not_trusted(pooled, tmp_path, change, told):
    path = tmp_path / "m.safetensors"
    path.write_bytes(pooled.read_bytes())
    rewritten(path, change)
    with pytest.raises(CamcliError, match=told) as error:
        load_classifier(checkpoint=path, device="cpu")
    assert not isinstance(error.value, UsageError)


def test_an_older_camcli_does_not_take_it_for_another(lite0, pooled, tmp_path):
    with safe_open(pooled, framework="pt") as file:
        assert json.loads(file.metadata()["camcli"])["format"] == 4
    path = tmp_path / "mean.safetensors"
    save_checkpoint(path, made(lite0, Pooling(), 1280))
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["camcli"])
    assert header["format"] == 1
    assert not {"pooling", "temperature", "nearest"} & set(header)


@pytest.fixture(scope="module")
def asking(lite0, looked, tmp_path_factory):
    """A checkpoint whose three images are the photographs themselves."""
    classifier, pixels = looked
    s = classifier(pixels)[0].mean((2, 3))
    nearest = NearestHead(s, torch.tensor([2, 0, 1]), 3, temperature=0.7)
    path = tmp_path_factory.mktemp("asking") / "m.safetensors"
    save_checkpoint(path, made(lite0, weight=torch.zeros(3, 0), nearest=nearest))
    return path, nearest


def test_a_head_that_asks_its_neighbours(asking, looked, photos, tmp_path):
    path, nearest = asking
    classifier, pixels = looked
    loaded = load_classifier(checkpoint=path, device="cpu")
    assert loaded.head is None
    _, logits = loaded(pixels)
    assert logits.argmax(1).tolist() == [2, 0, 1]
    torch.testing.assert_close(logits, nearest(classifier(pixels)[0]), rtol=1e-3, atol=1e-3)
    Image.fromarray(photos[0]).save(tmp_path / "cat.png")
    result = camcli.explain(tmp_path / "cat.png", loaded)
    assert result.pred == "c"
    assert result.heats[0].heatmap.max() > 0
    early = load_classifier(checkpoint=path, device="cpu", layer="blocks.4")
    torch.testing.assert_close(early(pixels)[1], logits, rtol=1e-3, atol=1e-3)
    with pytest.raises(UsageError, match="cam needs"):
        camcli.explain(tmp_path / "cat.png", loaded, method="cam")


@pytest.mark.parametrize(
    "tensors",
    [
        {"nearest.targets": torch.tensor([0, 1, 3])},
        {"nearest.targets": torch.tensor([0, -1, 2])},
        {"nearest.targets": torch.tensor([0, 1])},
        {"nearest.targets": torch.tensor([0.0, 1.0, 2.0])},
        {"nearest.scale": torch.zeros(7)},
        {"nearest.features": torch.zeros(0, K)},
        {"nearest.features": torch.zeros(3, K, dtype=torch.int64)},
        {"nearest.features": torch.full((3, K), float("nan"))},
        {
            "nearest.features": torch.ones(3, 7), "nearest.scale": torch.ones(7),
        },
    ],
)  # fmt: skip
def test_what_its_tensors_say_is_not_trusted(asking, tmp_path, tensors):
    path = tmp_path / "m.safetensors"
    path.write_bytes(asking[0].read_bytes())
    rewritten(path, tensors=tensors)
    with pytest.raises(CamcliError, match="damaged") as error:
        load_classifier(checkpoint=path, device="cpu")
    assert not isinstance(error.value, UsageError)
