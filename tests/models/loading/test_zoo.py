from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torchvision import models

from camcli.data.decode.preprocess import Preprocess
from camcli.errors import CamcliError, UnavailableError, UsageError
from camcli.models.classes.imagenet import imagenet_classes
from camcli.models.loading.named import timm_zoo, torchvision_zoo
from camcli.models.loading.named.torchvision_zoo import (
    torchvision_entries,
    torchvision_names,
    torchvision_preprocess,
)
from camcli.models.loading.zoo import build_model, read_class_names
from camcli.models.weights.places import WeightFile


@pytest.fixture(autouse=True)
def places(monkeypatch, tmp_path):
    """No weights but the bundled ones, and no network."""
    (tmp_path / "weights").mkdir()
    monkeypatch.setenv("CAMCLI_WEIGHTS_DIR", str(tmp_path / "weights"))
    monkeypatch.setenv("CAMCLI_OFFLINE", "1")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *args: None)
    monkeypatch.chdir(tmp_path)


def frozen(built) -> bool:
    return not any(m.training for m in built.module.modules()) and not any(
        p.requires_grad for p in built.module.parameters()
    )


def test_bundled():
    built = build_model()
    assert built.classes == imagenet_classes()
    assert (built.provenance.name, built.provenance.weights) == ("efficientnet_lite0", "bundled")
    assert built.provenance.source == "bundled"
    assert len(built.provenance.sha256) == 64
    assert built.provenance.versions["torch"] == torch.__version__.partition("+")[0]
    assert frozen(built)


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "timm:resnet10t"])
def test_random_is_the_same_for_a_seed_and_leaves_the_global_state(name):
    before = torch.get_rng_state()
    first, again, other = (build_model(name, weights="random", seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        logits = [built.module(images) for built in (first, again, other)]
    assert torch.equal(logits[0], logits[1])
    assert not torch.equal(logits[0], logits[2])
    assert first.provenance.source == "random"
    assert first.provenance.sha256 is None
    assert frozen(first)
    assert logits[0].shape == (1, len(first.classes))


def test_a_random_vit_has_a_head_that_is_not_zero():
    built = build_model("timm:vit_tiny_patch16_224", weights="random")
    with torch.inference_mode():
        assert built.module(torch.rand(1, 3, 224, 224)).std() > 0


def test_random_with_classes():
    built = build_model("resnet18", weights="random", classes=["a", "b", "c"])
    assert built.module.fc.out_features == 3
    assert built.classes == ("a", "b", "c")


def test_preprocessing_is_torchvisions_for_every_set_of_weights():
    count = 0
    for name in torchvision_names():
        for entry in torchvision_entries(name):
            ours, theirs = torchvision_preprocess(entry), entry.transforms()
            assert [ours.size] == theirs.crop_size
            # The shorter side after the resize, as `Preprocess` computes it.
            assert [int(ours.size / ours.crop_pct)] == theirs.resize_size
            assert ours.interpolation == theirs.interpolation.value
            assert (list(ours.mean), list(ours.std)) == (theirs.mean, theirs.std)
            count += 1
    assert count > 80


def test_preprocessing_is_timms():
    cfg = timm.get_pretrained_cfg("vit_tiny_patch16_224")
    built = build_model("timm:vit_tiny_patch16_224", weights="random")
    assert built.preprocess == Preprocess(
        224, "crop", cfg.crop_pct, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    )


def pretend(monkeypatch, folder: Path, module: torch.nn.Module, name: str) -> Path:
    """Save `module` where the default weights of `name` are looked up, with a true digest."""
    draft = folder / "draft.pth"
    torch.save(module.state_dict(), draft)
    digest = hashlib.sha256(draft.read_bytes()).hexdigest()
    path = draft.rename(folder / f"{name}-{digest[:8]}.pth")
    default = torchvision_entries(name)[0]
    original = torchvision_zoo.torchvision_file
    monkeypatch.setattr(
        torchvision_zoo,
        "torchvision_file",
        lambda model, entry: (
            WeightFile(model, path.name, "http://127.0.0.1:9/")
            if entry is default
            else original(model, entry)
        ),
    )
    return path


def test_torchvisions_own_weights_are_loaded_as_torchvision_does(monkeypatch, tmp_path):
    torch.manual_seed(0)
    full = models.googlenet(init_weights=False, aux_logits=True)
    path = pretend(monkeypatch, tmp_path / "weights", full, "googlenet")
    for weights in (None, "DEFAULT", "imagenet1k_v1", "GoogLeNet_Weights.IMAGENET1K_V1"):
        built = build_model("googlenet", weights=weights)
        # What only torchvision's builder knows: these weights want their input normalised anew.
        assert built.module.transform_input is True
        assert built.module.aux1 is None
    assert torch.equal(built.module.fc.weight, full.fc.weight)
    assert built.provenance.source == "torchvision"
    assert built.provenance.weights == path.name
    assert built.provenance.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert models.WeightsEnum.get_state_dict.__name__ == "get_state_dict"  # put back
    # The same file under another name is known by its digest.
    copy = tmp_path / "mine.pth"
    copy.write_bytes(path.read_bytes())
    again = build_model("googlenet", weights=copy)
    assert again.module.transform_input is True
    assert again.provenance.weights == str(copy)


def test_a_damaged_file_in_the_cache_is_not_loaded(monkeypatch, tmp_path):
    path = pretend(monkeypatch, tmp_path / "weights", models.resnet18(), "resnet18")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CamcliError, match="is damaged"):
        build_model("resnet18")


def test_timms_own_weights(tmp_path):
    module = timm.create_model("resnet10t")
    file = timm_zoo.timm_file("timm:resnet10t", timm_zoo.timm_config("timm:resnet10t"))
    save_file(module.state_dict(), tmp_path / "weights" / file.filename)
    built = build_model("timm:resnet10t")
    assert torch.equal(built.module.fc.weight, module.fc.weight)
    assert built.provenance.source == "timm"
    assert built.provenance.weights == file.filename


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "timm:resnet10t", "efficientnet_lite0"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_users_own_head(tmp_path, name, suffix):
    trained = build_model(name, weights="random", classes=["cat", "dog"], seed=7)
    path = tmp_path / f"mine{suffix}"
    state = trained.module.state_dict()
    save_file(state, path) if suffix == ".safetensors" else torch.save({"state_dict": state}, path)
    built = build_model(name, weights=path, classes=("cat", "dog"))
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(built.module(images), trained.module(images))
    assert built.classes == ("cat", "dog")
    assert (built.provenance.source, built.provenance.weights) == ("user", str(path))
    assert built.preprocess == trained.preprocess
    assert build_model(name, weights=str(path)).classes == ("0", "1")
    with pytest.raises(UsageError, match=r"3 class names .* 2 outputs"):
        build_model(name, weights=path, classes=["a", "b", "c"])


def test_weights_of_another_model(tmp_path):
    path = tmp_path / "other.pth"
    torch.save(models.squeezenet1_1().state_dict(), path)
    for name in ("resnet18", "timm:resnet10t", "efficientnet_lite0"):
        with pytest.raises(UsageError) as error:
            build_model(name, weights=path)
        text = str(error.value)
        assert str(path) in text
        assert "missing" in text
        assert "features.0.weight" in text
        assert len(text) < 600


def test_wrong_shapes_are_named(tmp_path):
    state = models.resnet18().state_dict()
    state["conv1.weight"] = torch.zeros(64, 3, 3, 3)
    path = tmp_path / "w.pth"
    torch.save(state, path)
    with pytest.raises(UsageError, match=r"conv1.weight is 64x3x3x3 and should be 64x3x7x7"):
        build_model("resnet18", weights=path)


def test_an_empty_state(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"fc.weight": torch.zeros(())}, path)
    with pytest.raises(UsageError, match="missing"):
        build_model("resnet18", weights=path)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("resnt50", "resnet50"),
        ("efficientnet_lite", "efficientnet_lite0"),
        ("ResNet50", "resnet50"),
        ("timm:resnt18", "timm:resnet18"),
        ("timm:resnet18.a9", "timm:resnet18.a1_in1k"),
        ("", "camcli models"),
        ("timm:", "camcli models"),
        ("timm:vit_base_patch16_clip_224.openai", "no classes"),
        ("timm:vit_small_patch14_dinov2", "no classes"),
    ],
)
def test_unknown_models(name, hint):
    with pytest.raises(UsageError) as error:
        build_model(name)
    assert hint in str(error.value)


def test_unknown_weights():
    with pytest.raises(UsageError, match=r"IMAGENET1K_V7.*IMAGENET1K_V2 or IMAGENET1K_V1"):
        build_model("resnet50", weights="IMAGENET1K_V7")


def test_missing_weights_say_what_else_is_here(tmp_path):
    v1 = torchvision_entries("resnet50")[1].url.rsplit("/", 1)[-1]
    (tmp_path / "weights" / v1).write_bytes(b"")
    with pytest.raises(UnavailableError, match="--weights IMAGENET1K_V1") as error:
        build_model("resnet50")
    assert error.value.exit_code == 4


# A user's own factory.

MODULE = """
import torch
from torch import nn
def net(classes=2):
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(4, classes))
def named():
    module = net(3)
    module.classes = ["x", "y", "z"]
    return module
def broken(): raise ValueError("no luck\\nat all")
def maps(): return nn.Conv2d(3, 4, 3)
def number(): return 7
instance = net()
needs = lambda size: net(size)
class Holder:
    build = staticmethod(net)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_net.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.modules.pop("own_net", None)
    yield
    sys.modules.pop("own_net", None)


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("own_net:net", ("0", "1")),
        ("own_net:named", ("x", "y", "z")),
        ("own_net:instance", ("0", "1")),
        ("own_net:Holder.build", ("0", "1")),
    ],
)
def test_factories(own, name, classes):
    before = torch.get_rng_state()
    built = build_model(name)
    assert torch.equal(torch.get_rng_state(), before)
    assert built.classes == classes
    assert (built.provenance.source, built.provenance.weights) == ("user", "factory")
    assert built.preprocess == Preprocess()
    assert frozen(built)


def test_factory_with_weights_and_classes(own, tmp_path):
    state = {
        k: torch.full_like(v, 0.5)
        for k, v in build_model("own_net:net").module.state_dict().items()
    }
    torch.save(state, tmp_path / "w.pth")
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    built = build_model("own_net:net", weights="w.pth", classes=tmp_path / "names.txt")
    assert built.classes == ("cat", "dog")
    assert built.module[3].bias.tolist() == [0.5, 0.5]
    assert built.provenance.sha256 == hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()


def test_a_timm_module_brings_its_preprocessing(own, tmp_path):
    (tmp_path / "own_net.py").write_text(
        "import timm\ndef net(): return timm.create_model('resnet10t', num_classes=4)\n"
    )
    built = build_model("own_net:net")
    cfg = timm.get_pretrained_cfg("resnet10t")
    assert built.preprocess.size == cfg.input_size[-1]
    assert built.preprocess.crop_pct == cfg.crop_pct


@pytest.mark.parametrize(
    ("name", "error", "hint"),
    [
        ("own_net:nett", UsageError, "did you mean net"),
        ("own_nett:net", UsageError, "no Python module 'own_nett'"),
        ("own_net:broken", UsageError, "ValueError: no luck"),
        ("own_net:number", UsageError, "returned a int"),
        ("own_net:MISSING", UsageError, "no 'MISSING'"),
        ("own_net:needs", UsageError, "size"),
        ("own_net:torch", UsageError, "not a function"),
        ("own_net:maps", CamcliError, "logits of shape BxC"),
        (":", UsageError, "module:factory"),
        (":net", UsageError, "module:factory"),
        ("own_net:", UsageError, "module:factory"),
    ],
)
def test_factories_that_fail(own, name, error, hint):
    with pytest.raises(error) as caught:
        build_model(name)
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("code", ["import not_there", "def f(:", "1 / 0", "raise SystemExit(3)"])
def test_modules_that_cannot_be_imported(own, tmp_path, code):
    (tmp_path / "own_net.py").write_text(code)
    with pytest.raises(UsageError, match="importing own_net fails"):
        build_model("own_net:net")


def test_random_is_not_for_factories(own):
    with pytest.raises(UsageError, match="random"):
        build_model("own_net:net", weights="random")


# Class names.


def test_read_class_names(tmp_path):
    path = tmp_path / "names"
    path.write_text("cat\r\n\n  dog \nCzech wolfdog\n", encoding="utf-8")
    assert read_class_names(path) == ("cat", "dog", "Czech wolfdog")
    path.write_text(json.dumps(["cat", "dög"]), encoding="utf-8-sig")
    assert read_class_names(str(path)) == ("cat", "dög")
    assert read_class_names(None) is None


@pytest.mark.parametrize("text", ["", "\n\n", "[1, 2]", '["a"', "[]", '["a", ""]'])
def test_bad_class_files(tmp_path, text):
    path = tmp_path / "names"
    path.write_text(text)
    with pytest.raises(UsageError, match="names"):
        read_class_names(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(), st.text().map(lambda text: "[" + text), st.binary()))
def test_any_class_file_is_read_or_explained(tmp_path, content):
    path = tmp_path / "names"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
    try:
        names = read_class_names(path)
    except UsageError as error:
        names = (str(error),)
    assert names
    assert all(names)
    assert len(set(names)) == len(names)


def test_huge_numbers_and_deep_lists_are_explained(tmp_path):
    path = tmp_path / "names"
    for text in ("[" + "9" * 5000 + "]", "[" * 100_000):
        path.write_text(text)
        with pytest.raises(UsageError, match="names"):
            read_class_names(path)


def test_class_files_that_cannot_be_read(tmp_path):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00\xd8")
    for path in (tmp_path / "gone", tmp_path, tmp_path / "bytes"):
        with pytest.raises(UsageError, match="cannot be read"):
            read_class_names(path)


@pytest.mark.slow
def test_torchvision_and_timm_are_not_imported_before_they_are_needed():
    code = (
        "import sys, camcli.models.loading.zoo; "
        "print([m for m in ('timm', 'torchvision', 'huggingface_hub') if m in sys.modules])"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.stdout.strip() == "[]", done.stderr
