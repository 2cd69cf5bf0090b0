"""Folders of transformers and of timm, against these libraries' own inference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from camcli.cam.explainer import maps_of, watching
from camcli.cam.map_options import make_map_options
from camcli.errors import CamcliError, UsageError
from camcli.jobs.model import ModelJob
from camcli.models.classifier import Classifier
from camcli.models.load import load_classifier

transformers = pytest.importorskip("transformers", reason="camcli[hf] is not installed")
from transformers.models.auto import modeling_auto  # noqa: E402

pytestmark = pytest.mark.heavy

PHOTOGRAPHS = sorted(Path(__file__).parents[4].glob("sample_images/*.jpg"))[:3]
_VIT = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64,
    "image_size": 64, "patch_size": 8,
}  # fmt: skip
_STAGES = {"hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 1, 1]}
# Tiny ones of the families that people use, with the processor that such folders have.
NETWORKS: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "resnet": ({"embedding_size": 16, "layer_type": "basic", **_STAGES}, "ConvNextImageProcessor",
               {"size": {"shortest_edge": 64}, "crop_pct": 0.875}),
    "convnext": ({**_STAGES, "image_size": 64}, "ConvNextImageProcessor",
                 {"size": {"shortest_edge": 64}, "crop_pct": 0.875}),
    "regnet": ({"embedding_size": 16, "groups_width": 8, **_STAGES}, "ConvNextImageProcessor",
               {"size": {"shortest_edge": 64}}),
    "vit": (_VIT, "ViTImageProcessor", {"size": {"height": 64, "width": 64}}),
    "deit": (_VIT, "DeiTImageProcessor",
             {"size": {"height": 72, "width": 72}, "crop_size": {"height": 64, "width": 64}}),
    "beit": ({**_VIT, "use_relative_position_bias": True}, "BeitImageProcessor",
             {"size": {"height": 64, "width": 64}, "do_center_crop": False}),
    "swin": ({"embed_dim": 24, "depths": [1, 1, 2], "num_heads": [1, 2, 2], "window_size": 4,
              "image_size": 64, "patch_size": 4}, "ViTImageProcessor",
             {"size": {"height": 64, "width": 64}}),
    "swinv2": ({"embed_dim": 24, "depths": [1, 1, 2], "num_heads": [1, 2, 2], "window_size": 4,
                "image_size": 64, "patch_size": 4}, "ViTImageProcessor",
               {"size": {"height": 64, "width": 64}}),
    "dinov2": (_VIT, "BitImageProcessor",
               {"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}}),
    "dinov2_with_registers": ({**_VIT, "num_register_tokens": 4}, "BitImageProcessor",
                              {"size": {"shortest_edge": 72},
                               "crop_size": {"height": 64, "width": 64}}),
    "mobilenet_v1": ({"depth_multiplier": 0.25, "image_size": 64}, "MobileNetV1ImageProcessor",
                     {"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}}),
    "mobilenet_v2": ({"depth_multiplier": 0.35, "image_size": 64}, "MobileNetV2ImageProcessor",
                     {"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}}),
    "mobilevit": ({"hidden_sizes": [16, 24, 32], "num_attention_heads": 2, "image_size": 64,
                   "neck_hidden_sizes": [8, 8, 16, 16, 24, 32, 48]}, "MobileViTImageProcessor",
                  {"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}}),
    "segformer": ({**_STAGES, "num_attention_heads": [1, 1, 2, 2]}, "SegformerImageProcessor",
                  {"size": {"height": 64, "width": 64}}),
    "efficientnet": ({"image_size": 64, "width_coefficient": 0.25, "depth_coefficient": 0.3,
                      "hidden_dim": 320}, "EfficientNetImageProcessor",
                     {"size": {"height": 64, "width": 64}}),
    "pvt": ({**_STAGES, "image_size": 64, "num_attention_heads": [1, 1, 2, 2]},
            "PvtImageProcessor", {"size": {"height": 64, "width": 64}}),
    "poolformer": (_STAGES, "PoolFormerImageProcessor",
                   {"size": {"shortest_edge": 64}, "crop_size": {"height": 64, "width": 64}}),
    "siglip": ({"vision_config": _VIT, "text_config": {
        "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 16, "vocab_size": 50}}, "SiglipImageProcessor",
        {"size": {"height": 64, "width": 64}}),
}  # fmt: skip
NAMES = ("alpha", "beta", "gamma", "delta", "epsilon")


def saved(folder: Path, kind: str, **changes: Any) -> nn.Module:
    """A tiny network of a kind in a folder, as its library saves it."""
    settings, processor, sizes = NETWORKS[kind]
    torch.manual_seed(1)
    config = transformers.AutoConfig.for_model(
        kind, num_labels=len(NAMES), id2label=dict(enumerate(NAMES)),
        label2id={n: i for i, n in enumerate(NAMES)}, **{**settings, **changes},
    )  # fmt: skip
    classes = modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES[kind]
    name = classes if isinstance(classes, str) else classes[0]
    network = getattr(transformers, name)(config).eval()
    with torch.no_grad():  # as if they were trained: neither signals nor answers fade away
        for name, value in network.named_parameters():
            if value.ndim > 1 and ("classifier" in name or "head" in name):
                value.normal_(std=0.5)
            elif value.ndim == 4 and "embed" not in name:
                nn.init.kaiming_normal_(value)
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0
        if norms:
            network.train()(torch.randn(8, 3, 64, 64))
            network.eval()
    network.save_pretrained(folder)
    getattr(transformers, processor)(**sizes).save_pretrained(folder)
    return network


def own_logits(network: nn.Module, folder: Path, path: Path) -> tuple[Tensor, Tensor]:
    """What the library says of a photograph, and the pixels that it looks at."""
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    pixels = processor(Image.open(path).convert("RGB"), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        return network(pixels).logits, pixels


def map_by_autograd(network: nn.Module, classifier: Classifier, x: Tensor, target: int) -> Tensor:
    """Grad-CAM's weights and map from a backward pass through the original."""
    A, _tail = classifier.cut.split(x)[0] if classifier.cut else (classifier.features(x), None)
    want = A.detach()
    kept: list[Tensor] = []

    # Where the original computes these numbers: whatever module it is, by value.
    def keep(_module: nn.Module, _inputs: Any, out: Any) -> None:
        for value in out if isinstance(out, tuple) else (out,):
            if isinstance(value, Tensor) and value.requires_grad:
                value.retain_grad()
                kept.append(value)

    handles = [m.register_forward_hook(keep) for m in network.modules()]
    logits = network(x.clone().requires_grad_()).logits
    for handle in handles:
        handle.remove()
    logits[0, target].backward()
    K, h, w = want.shape[1:]
    for value in kept:
        if value.grad is None:
            continue
        layouts = []
        if value.shape == want.shape:
            layouts.append((value, value.grad))
        if value.ndim == 4 and value.shape[1:] == (h, w, K):
            layouts.append(tuple(t.permute(0, 3, 1, 2) for t in (value, value.grad)))
        if value.ndim == 3 and value.shape[::2] == (1, K) and value.shape[1] >= h * w:
            prefix = value.shape[1] - h * w
            layouts.append(tuple(t[:, prefix:].mT.reshape(1, K, h, w) for t in (value, value.grad)))
        for a, g in layouts:
            if torch.allclose(a, want, rtol=1e-3, atol=1e-3 * float(want.abs().max())):
                return (g.mean((2, 3), keepdim=True) * a).sum(1)[0].detach()
    raise AssertionError(f"nothing in the original has the numbers of {classifier.layer}")


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_folder_says_what_transformers_says(kind: str, tmp_path: Path) -> None:
    network = saved(tmp_path, kind)
    classifier = load_classifier(str(tmp_path), device="cpu")
    assert classifier.classes == NAMES
    for path in PHOTOGRAPHS[:2]:
        expected, pixels = own_logits(network, tmp_path, path)
        seen = classifier.see(pixels)
        difference = classifier.probabilities(seen.logits) - expected.softmax(1)
        assert difference.abs().max() < 1e-4
        # The same photograph through the preprocessing that was read from the folder.
        rgb = np.asarray(Image.open(path).convert("RGB"))
        ours = classifier.preprocess.tensor(rgb)
        assert ours.shape == pixels.shape
        assert (ours - pixels).abs().max() < 0.05 * pixels.std()
        difference = classifier.probabilities(classifier.see(ours).logits) - expected.softmax(1)
        assert difference.abs().max() < 1e-4
    target = int(expected[0].argmax())
    ours = grad_cam(classifier, pixels, target)
    theirs = map_by_autograd(network, classifier, pixels, target)
    assert cosine(ours, theirs) >= 0.999


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_what_its_configuration_says_of_the_outputs_is_heard(kind: str, tmp_path: Path) -> None:
    network = saved(tmp_path, kind, problem_type="multi_label_classification")
    classifier = load_classifier(str(tmp_path), device="cpu")
    assert classifier.output.kind == "sigmoid"
    expected, pixels = own_logits(network, tmp_path, PHOTOGRAPHS[0])
    probabilities = classifier.probabilities(classifier.see(pixels).logits)
    assert torch.allclose(probabilities, expected.sigmoid(), atol=1e-5)


def test_one_output_is_a_value_as_in_its_loss(tmp_path: Path) -> None:
    settings, processor, sizes = NETWORKS["vit"]
    config = transformers.ViTConfig(num_labels=1, **settings)
    network = transformers.ViTForImageClassification(config).eval()
    network.save_pretrained(tmp_path)
    getattr(transformers, processor)(**sizes).save_pretrained(tmp_path)
    classifier = load_classifier(str(tmp_path), device="cpu")
    assert classifier.output.kind == "none"
    expected, pixels = own_logits(network, tmp_path, PHOTOGRAPHS[0])
    assert torch.allclose(classifier.see(pixels).logits, expected, atol=1e-5)


@pytest.mark.parametrize("shard", [True, False])
def test_weights_in_pieces_and_as_pickles_of_tensors(shard: bool, tmp_path: Path) -> None:
    network = saved(tmp_path, "resnet")
    (tmp_path / "model.safetensors").unlink()
    if shard:
        network.save_pretrained(tmp_path, max_shard_size="40KB")
        assert len(list(tmp_path.glob("*.safetensors"))) > 1
    else:
        torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    expected, pixels = own_logits(network, tmp_path, PHOTOGRAPHS[0])
    for name in (tmp_path, tmp_path / "config.json"):
        classifier = load_classifier(str(name), device="cpu")
        assert torch.allclose(classifier.see(pixels).logits, expected, atol=1e-4)


def test_another_size_has_its_positions_interpolated(tmp_path: Path) -> None:
    network = saved(tmp_path, "vit")
    classifier = load_classifier(str(tmp_path), device="cpu", input_size=96)
    x = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        expected = network(x, interpolate_pos_encoding=True).logits
    seen = classifier.see(x)
    assert torch.allclose(seen.logits, expected, atol=1e-4)
    assert seen.parts[-1].A.shape[2:] == (12, 12)


def test_a_folder_without_a_processor_says_what_is_assumed(tmp_path: Path) -> None:
    saved(tmp_path, "vit")
    (tmp_path / "preprocessor_config.json").unlink()
    classifier = load_classifier(str(tmp_path), device="cpu")
    assert classifier.preprocess.size == 64
    assert any("ASSUMED" in note for note in classifier.provenance.notes)
    # As google/vit-base-patch16-224 and its family: ViTImageProcessor's own defaults.
    theirs = transformers.ViTImageProcessor(size={"height": 64, "width": 64})
    photograph = Image.open(PHOTOGRAPHS[0]).convert("RGB")
    wanted = torch.as_tensor(np.asarray(theirs(photograph, return_tensors="np")["pixel_values"]))
    ours = classifier.preprocess.tensor(np.asarray(photograph))
    assert (ours - wanted).abs().mean() < 0.01
    told = load_classifier(str(tmp_path), device="cpu", preprocess="inception")
    assert told.preprocess.mean == (0.5, 0.5, 0.5)
    assert not any("ASSUMED" in note for note in told.provenance.notes)


def changed(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


class Writes:
    """A pickle that would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "run")


def test_nothing_that_a_folder_brings_is_run(tmp_path: Path) -> None:
    saved(tmp_path, "vit")
    mark = tmp_path / "was-run"
    (tmp_path / "own.py").write_text(f"open({str(mark)!r}, 'w').close()\nclass C: pass\n")
    changed(
        tmp_path, model_type="of_their_own", architectures=["TheirsForImageClassification"],
        auto_map={"AutoConfig": "own.C", "AutoModelForImageClassification": "own.C"},
    )  # fmt: skip
    with pytest.raises(UsageError, match="code of its own, which is not run"):
        load_classifier(str(tmp_path), device="cpu")
    changed(tmp_path, model_type="vit", architectures=["ViTForImageClassification"])
    load_classifier(str(tmp_path), device="cpu")
    (tmp_path / "model.safetensors").unlink()
    torch.save({"w": Writes(mark)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CamcliError, match="could run code"):
        load_classifier(str(tmp_path), device="cpu")
    assert not mark.exists()


def test_a_head_that_was_never_trained_is_refused(tmp_path: Path) -> None:
    network = saved(tmp_path, "vit")
    network.vit.save_pretrained(tmp_path)  # features alone
    with pytest.raises(UsageError, match=r"ViTModel, which has no classes"):
        ModelJob(model=str(tmp_path)).check()
    changed(tmp_path, architectures=["ViTForImageClassification"])
    with pytest.raises(UsageError, match="its classifier was never trained"):
        load_classifier(str(tmp_path), device="cpu")


def test_a_folder_of_timm_says_what_timm_says(tmp_path: Path) -> None:
    import timm
    from timm.data import create_transform, resolve_data_config
    from timm.models import save_for_hf

    torch.manual_seed(0)
    network = timm.create_model("resnet18", num_classes=3).eval()
    nn.init.normal_(network.fc.weight)
    save_for_hf(
        network, tmp_path,
        model_config={"num_classes": 3, "label_names": ["a", "b", "c"]},
        model_args={"checkpoint_path": "/nowhere"},
    )  # fmt: skip
    changed(tmp_path, pretrained_cfg={
        **json.loads((tmp_path / "config.json").read_text())["pretrained_cfg"],
        "input_size": [3, 96, 96], "crop_pct": 0.9, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5],
    })  # fmt: skip
    classifier = load_classifier(str(tmp_path), device="cpu")
    assert classifier.classes == ("a", "b", "c")
    config = resolve_data_config(
        {}, pretrained_cfg=json.loads((tmp_path / "config.json").read_text())["pretrained_cfg"]
    )
    picture = Image.open(PHOTOGRAPHS[0]).convert("RGB")
    pixels = create_transform(**config)(picture)[None]
    with torch.no_grad():
        expected = network(pixels).softmax(1)
    ours = classifier.see(classifier.preprocess.tensor(np.asarray(picture)))
    assert torch.allclose(classifier.probabilities(ours.logits), expected, atol=0.01)
    assert torch.allclose(
        classifier.probabilities(classifier.see(pixels).logits), expected, atol=1e-5
    )


def grad_cam(classifier: Classifier, x: Tensor, target: int) -> Tensor:
    """camcli's own map before its ReLU, from the cut."""
    part = classifier.see(x).parts[-1]
    A = part.A.clone()
    if part.head is not None:
        return torch.einsum("k,khw->hw", part.head.weight[target], A[0])
    with torch.enable_grad():
        A = A.detach().requires_grad_()
        part.tail(A)[0, target].backward()
    return (A.grad.mean((2, 3), keepdim=True) * A).sum(1)[0].detach()


def cosine(a: Tensor, b: Tensor) -> float:
    a, b = (each.double().flatten() / each.double().norm() for each in (a, b))
    return float(a @ b)


def test_a_network_of_timm_that_transformers_saved_is_timms(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = transformers.TimmWrapperConfig(
        architecture="resnet10t", id2label=dict(enumerate(NAMES)), do_pooling=True
    )
    network = transformers.TimmWrapperForImageClassification(config).eval()
    network.save_pretrained(tmp_path)
    classifier = load_classifier(str(tmp_path), device="cpu")
    assert classifier.classes == NAMES
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = network(x).logits
    assert torch.allclose(classifier.see(x).logits, expected, atol=1e-4)


def test_logits_by_another_name_are_logits(tmp_path: Path) -> None:
    config = transformers.PPLCNetConfig(
        scale=0.25, num_labels=len(NAMES), id2label=dict(enumerate(NAMES))
    )
    network = transformers.PPLCNetForImageClassification(config).eval()
    network.save_pretrained(tmp_path)
    classifier = load_classifier(str(tmp_path), device="cpu", input_size=64)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = network(x).last_hidden_state
    assert torch.allclose(classifier.see(x).logits, expected, atol=1e-4)


@pytest.mark.parametrize("kind", ["vit", "deit", "dinov2", "dinov2_with_registers"])
def test_attention_is_what_transformers_says_it_is(kind: str, tmp_path: Path) -> None:
    """Rollout of the attentions that the library returns, the class token's row."""
    network = saved(tmp_path, kind)
    classifier = load_classifier(str(tmp_path), device="cpu")
    _, pixels = own_logits(network, tmp_path, PHOTOGRAPHS[0])
    network.set_attn_implementation("eager")
    with torch.no_grad():
        attentions = network(pixels, output_attentions=True).attentions
    R = torch.eye(attentions[0].shape[-1])
    for P in attentions:
        R = (P.mean(1) + torch.eye(P.shape[-1])) / 2 @ R
    how = make_map_options("rollout")
    seen = classifier.see(pixels, watching([how]))
    index = seen.logits.argmax(1)
    # The head of DINOv2 takes the class token and the mean of the places.
    places = slice(R.shape[-1] - 64, None)
    rows = [R[:, :1], R[:, places]] if kind.startswith("dinov2") else [R[:, :1]]
    read = torch.cat(rows, 1).mean(1)
    got = maps_of(classifier, seen, index, how)
    torch.testing.assert_close(got[0].flatten(), read[0, -64:], rtol=1e-4, atol=1e-6)
