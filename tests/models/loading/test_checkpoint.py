"""A checkpoint is whole or refused, and gives back what was saved."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from camcli.data.decode.preprocess import Preprocess
from camcli.errors import CamcliError, UsageError
from camcli.jobs.model import ModelJob
from camcli.models.load import load_classifier
from camcli.models.loading.checkpoint import FORMAT, Checkpoint, load_checkpoint, save_checkpoint
from camcli.models.loading.zoo import build_model


def small(**changes) -> Checkpoint:
    generator = torch.Generator().manual_seed(0)
    values = {
        "architecture": "resnet18",
        "classes": ("cat", "Dog, große", "猫"),
        "preprocess": Preprocess(size=96, fit="squash", interpolation="bicubic"),
        "backbone": {
            "conv1.weight": torch.randn(4, 3, 3, 3, generator=generator),
            "bn1.num_batches_tracked": torch.tensor(7),
        },
        "weight": torch.randn(3, 5, generator=generator),
        "bias": torch.randn(3, generator=generator),
        "config": {"epochs": 5, "lr": 1e-3},
        "metrics": {"val_accuracy": 0.5},
        "versions": {"torch": "2.11"},
    }
    return Checkpoint(**(values | changes))


def equal(a: Checkpoint, b: Checkpoint) -> None:
    for name in ("architecture", "classes", "preprocess", "config", "metrics", "versions"):
        assert getattr(a, name) == getattr(b, name), name
    assert torch.equal(a.weight, b.weight)
    assert torch.equal(a.bias, b.bias)
    assert a.backbone.keys() == b.backbone.keys()
    for name, tensor in a.backbone.items():
        assert torch.equal(tensor, b.backbone[name]), name
        assert tensor.dtype == b.backbone[name].dtype


def test_round_trip(tmp_path):
    path = tmp_path / "new" / "folder" / "model.safetensors"
    save_checkpoint(path, small())
    equal(load_checkpoint(path), small())
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_strided_and_shared_tensors(tmp_path):
    """safetensors refuses both; a transposed weight and two names for one tensor are ordinary."""
    shared = torch.arange(12.0).reshape(3, 4)
    wanted = small(weight=shared.T[:3, :], backbone={"a": shared, "b": shared, "c": shared[:, 1]})
    save_checkpoint(tmp_path / "x.safetensors", wanted)
    equal(load_checkpoint(tmp_path / "x.safetensors"), wanted)


def test_overwriting_replaces_at_once_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, small())

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("camcli.models.loading.checkpoint.save_file", full)
    with pytest.raises(CamcliError, match="No space left"):
        save_checkpoint(path, small(architecture="other"))
    assert load_checkpoint(path).architecture == "resnet18"
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "a temporary file was left"


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_others_may_read_it(tmp_path):
    save_checkpoint(tmp_path / "m.safetensors", small())
    assert (tmp_path / "m.safetensors").stat().st_mode & 0o777 == 0o644


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(CamcliError, match="Cannot write"):
        save_checkpoint(tmp_path / "file" / "m.safetensors", small())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on the size of a file")
def test_why_it_cannot_be_written_is_told_in_the_systems_words(tmp_path):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(CamcliError) as told:
            save_checkpoint(tmp_path / "m.safetensors", small())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(told.value).endswith("m.safetensors: File too large.")
    assert not list(tmp_path.iterdir())


def test_not_there(tmp_path):
    with pytest.raises(UsageError, match="no checkpoint"):
        load_checkpoint(tmp_path / "none.safetensors")
    with pytest.raises(UsageError, match="no checkpoint"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("content", [b"", b"x", b"not a checkpoint" * 100, b"\xff" * 100])
def test_not_safetensors(tmp_path, content):
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(CamcliError, match="not a whole safetensors file"):
        load_checkpoint(tmp_path / "m.safetensors")


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 0.999))
def test_truncated_anywhere(tmp_path_factory, share):
    path = tmp_path_factory.mktemp("cut") / "m.safetensors"
    save_checkpoint(path, small())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CamcliError) as caught:
        load_checkpoint(path)
    assert not isinstance(caught.value, UsageError)


def test_somebody_elses_safetensors(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"fc.weight": torch.ones(2, 2)}, path)
    with pytest.raises(UsageError, match=r"--model .* or with --weights"):
        load_checkpoint(path)
    save_file({"fc.weight": torch.ones(2, 2)}, path, metadata={"camcli": "{no json"})
    with pytest.raises(CamcliError):
        load_checkpoint(path)
    save_file({"fc.weight": torch.ones(2, 2)}, path, metadata={"camcli": "[1]"})
    with pytest.raises(UsageError):
        load_checkpoint(path)


def test_from_a_newer_camcli(tmp_path):
    path = tmp_path / "m.safetensors"
    save_file({"head.weight": torch.ones(1)}, path, {"camcli": json.dumps({"format": FORMAT + 1})})
    with pytest.raises(CamcliError, match=rf"format {FORMAT + 1}.*Update camcli"):
        load_checkpoint(path)


@pytest.mark.parametrize("missing", ["architecture", "classes", "preprocess"])
def test_a_description_that_lacks_something(tmp_path, missing):
    path = tmp_path / "m.safetensors"
    header = {
        "format": FORMAT, "architecture": "resnet18", "classes": ["a"],
        "preprocess": Preprocess().to_dict(),
    }  # fmt: skip
    del header[missing]
    tensors = {"head.weight": torch.ones(1, 2), "head.bias": torch.ones(1)}
    save_file(tensors, path, {"camcli": json.dumps(header)})
    with pytest.raises(CamcliError, match="damaged"):
        load_checkpoint(path)


def written(path, tensors=None, **changes):
    """A checkpoint of two classes whose description has these entries instead; None: without."""
    header = {
        "format": FORMAT, "architecture": "resnet18", "classes": ["a", "b"],
        "preprocess": Preprocess().to_dict(), "config": {}, "metrics": {}, "versions": {},
    } | changes  # fmt: skip
    header = {name: value for name, value in header.items() if value is not None}
    good = {"head.weight": torch.ones(2, 4), "head.bias": torch.ones(2)}
    save_file(good | (tensors or {}), path, {"camcli": json.dumps(header)})


def preprocessed(**changes):
    return Preprocess().to_dict() | changes


WRONG = {
    "format-text": {"format": "2"}, "format-true": {"format": True}, "format-list": {"format": [1]},
    "format-huge": {"format": 10**400}, "format-0": {"format": 0}, "format-none": {"format": None},
    "architecture-list": {"architecture": ["resnet18"]}, "architecture-empty": {"architecture": ""},
    "classes-text": {"classes": "ab"}, "classes-dict": {"classes": {"0": "a"}},
    "classes-empty": {"classes": []}, "classes-numbers": {"classes": [1, 2]},
    "classes-nested": {"classes": [["a"], ["b"]]}, "classes-three": {"classes": ["a", "b", "c"]},
    "classes-blank": {"classes": ["a", ""]}, "classes-twice": {"classes": ["a", "a"]},
    "members-billion": {"members": 10**9}, "members-text": {"members": "two"},
    "members-negative": {"members": -1}, "members-0": {"members": 0},
    "members-float": {"members": 1.5}, "members-without-tensors": {"members": 2},
    "config-list": {"config": [1]}, "metrics-text": {"metrics": "good"},
    "versions-number": {"versions": 3},
    "preprocess-list": {"preprocess": [224]}, "preprocess-empty": {"preprocess": {}},
    "size-billion": {"preprocess": preprocessed(size=10**9)},
    "size-text": {"preprocess": preprocessed(size="224")},
    "size-negative": {"preprocess": preprocessed(size=-1)},
    "mean-none": {"preprocess": preprocessed(mean=None)},
    "mean-two": {"preprocess": preprocessed(mean=[0.5, 0.5])},
    "mean-text": {"preprocess": preprocessed(mean=["0", "0", "0"])},
    "std-zero": {"preprocess": preprocessed(std=[0, 0, 0])},
    "std-nan": {"preprocess": preprocessed(std=[float("nan")] * 3)},
    "fit": {"preprocess": preprocessed(fit="stretch")},
    "fit-list": {"preprocess": preprocessed(fit=["crop"])},
    "interpolation": {"preprocess": preprocessed(interpolation="sinc")},
    "crop": {"preprocess": preprocessed(crop_pct=0)},
    "crop-inf": {"preprocess": preprocessed(crop_pct=float("inf"))},
    "unknown": {"preprocess": preprocessed(surprise=1)},
    "head-flat": {"tensors": {"head.weight": torch.ones(8)}},
    "head-rows": {"tensors": {"head.weight": torch.ones(3, 4)}},
    "head-whole": {"tensors": {"head.weight": torch.ones(2, 4, dtype=torch.int64)}},
    "bias-scalar": {"tensors": {"head.bias": torch.ones(())}},
    "bias-three": {"tensors": {"head.bias": torch.ones(3)}},
    "weight-nan": {"tensors": {"head.weight": torch.full((2, 4), float("nan"))}},
    "backbone-nan": {"tensors": {"backbone.layer3.0.conv1.weight": torch.tensor(float("nan"))}},
    "backbone-inf": {"tensors": {"backbone.conv1.weight": torch.tensor([1.0, float("inf")])}},
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_description_is_one_sentence(tmp_path, what):
    path = tmp_path / "m.safetensors"
    written(path)
    load_checkpoint(path)
    written(path, **WRONG[what])
    with pytest.raises(CamcliError) as caught:
        load_checkpoint(path)
    text = str(caught.value)
    assert caught.value.exit_code == 1
    assert str(path) in text
    assert "\n" not in text
    assert len(text) < 300 + len(str(path))
    if "backbone" in what:
        (name,) = (n.removeprefix("backbone.") for n in WRONG[what]["tensors"])
        assert name in text


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["format", "architecture", "classes", "preprocess", "config", "metrics", "versions",
             "members", "other"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
            lambda inner: st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["size", "mean", "std", "fit", "a"]), inner),
        ),
    )
)  # fmt: skip
def test_any_description_is_read_or_refused(tmp_path_factory, changes):
    path = tmp_path_factory.mktemp("any") / "m.safetensors"
    written(path, **changes)
    try:
        checkpoint = load_checkpoint(path)
    except CamcliError:
        return
    assert len(checkpoint.classes) == len(checkpoint.weight) == len(checkpoint.bias)
    assert checkpoint.members == len(checkpoint.networks())


def test_what_torch_saved_is_sent_to_the_right_option(tmp_path):
    path = tmp_path / "my.pth"
    torch.save({"model": {"fc.weight": torch.ones(2)}}, path)
    with pytest.raises(UsageError, match=r"give it as --model .*--weights"):
        load_checkpoint(path)
    torch.save(torch.nn.Linear(2, 2), path, _use_new_zipfile_serialization=False)
    with pytest.raises(UsageError, match=r"give it as --model .*--weights"):
        load_checkpoint(path)
    path.write_bytes(b"<!doctype html><html></html>")
    with pytest.raises(CamcliError, match="web page"):
        load_checkpoint(path)


def test_a_huge_header_is_not_parsed(tmp_path):
    path = tmp_path / "m.safetensors"
    with path.open("wb") as file:
        file.write((90 << 20).to_bytes(8, "little") + b'{"a":')
        file.truncate(100 << 20)
    with pytest.raises(CamcliError, match="header"):
        load_checkpoint(path)


# --- as a classifier -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint with the bundled architecture and three classes."""
    built = build_model("efficientnet_lite0", weights="random", seed=3)
    state = {
        n: t for n, t in built.module.state_dict().items() if not n.startswith("classifier.")
    }  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    path = tmp_path_factory.mktemp("trained") / "m.safetensors"
    checkpoint = small(
        architecture="efficientnet_lite0", backbone=state,
        weight=torch.randn(3, 1280, generator=generator),
    )  # fmt: skip
    save_checkpoint(path, checkpoint)
    return path, checkpoint, built.module


def test_a_checkpoint_is_a_classifier(trained):
    path, checkpoint, module = trained
    classifier = load_classifier(checkpoint=path, device="cpu", offline=True)
    assert classifier.classes == checkpoint.classes
    assert classifier.preprocess == checkpoint.preprocess
    assert classifier.provenance.source == "checkpoint"
    assert len(classifier.provenance.sha256) == 64
    assert classifier.head is not None
    pixels = torch.randint(0, 256, (2, 3, 96, 96), dtype=torch.uint8)
    A, logits = classifier(pixels)
    theirs = pytest.importorskip("timm").create_model("tf_efficientnet_lite0").eval()
    theirs.load_state_dict(module.state_dict())
    with torch.no_grad():
        features = theirs.forward_features(classifier.preprocess.normalise(pixels))
    largest = float(features.abs().max())
    torch.testing.assert_close(A, features, rtol=1e-3, atol=1e-4 * largest)
    truth = features.mean((2, 3)) @ checkpoint.weight.T + checkpoint.bias
    torch.testing.assert_close(logits, truth, rtol=1e-3, atol=1e-3 * float(truth.abs().max()))


def test_a_checkpoint_is_a_model_whatever_its_suffix(trained, tmp_path):
    path, checkpoint, _ = trained
    other = tmp_path / "mine.bin"
    other.write_bytes(path.read_bytes())
    job = ModelJob(str(other), device="cpu", offline=True)
    assert job.settled().checkpoint == other
    assert job.load().classes == checkpoint.classes
    assert load_classifier(str(other), device="cpu").provenance.source == "checkpoint"
    with pytest.raises(UsageError, match="leave --output out"):
        ModelJob(str(other), output="sigmoid").check()
    plain = tmp_path / "plain.safetensors"
    save_file({"weight": torch.zeros(2, 3)}, plain)
    assert ModelJob(str(plain)).settled().checkpoint is None


def test_a_checkpoint_of_another_architecture(trained, tmp_path):
    _, checkpoint, _ = trained
    odd = {**checkpoint.backbone, "conv_stem.weight": torch.zeros(1, 2, 3, 4)}
    save_checkpoint(tmp_path / "m.safetensors", small(
        architecture="efficientnet_lite0", backbone=odd, weight=checkpoint.weight,
    ))  # fmt: skip
    with pytest.raises(CamcliError, match=r"does not fit.*conv_stem\.weight"):
        load_classifier(checkpoint=tmp_path / "m.safetensors", device="cpu")


@pytest.mark.parametrize("layer", ["last", "blocks.2"])
def test_a_head_for_other_channels(trained, tmp_path, layer):
    """Told once when it is opened, not for each image."""
    _, checkpoint, _ = trained
    path = tmp_path / "m.safetensors"
    save_checkpoint(path, replace(checkpoint, weight=torch.ones(3, 7)))
    with pytest.raises(CamcliError, match="head is for 7 channels"):
        load_classifier(checkpoint=path, device="cpu", layer=layer)


@pytest.mark.parametrize("lacks", ["blocks.3.1.conv_pw.weight", "bn2.running_mean"])
def test_a_backbone_that_lacks_a_tensor_is_not_filled_with_random_numbers(trained, tmp_path, lacks):
    _, checkpoint, _ = trained
    path = tmp_path / "m.safetensors"
    less = {name: tensor for name, tensor in checkpoint.backbone.items() if name != lacks}
    save_checkpoint(path, replace(checkpoint, backbone=less))
    with pytest.raises(CamcliError, match=f"lack {lacks}"):
        load_classifier(checkpoint=path, device="cpu")
    save_checkpoint(path, replace(checkpoint, backbone={}))
    with pytest.raises(CamcliError, match=r"lack conv_stem\.weight.*in all"):
        load_classifier(checkpoint=path, device="cpu")


@pytest.mark.posix
def test_pipes_and_devices_are_called_what_they_are(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    from camcli.models.weights.formats import check_checkpoint

    with pytest.raises(CamcliError, match="it is a pipe"):
        check_checkpoint(tmp_path / "pipe")


def test_labels_and_their_thresholds(tmp_path):
    """In a format of their own: an older camcli must not take labels for classes."""
    path = tmp_path / "labels.safetensors"
    saved = small(output="sigmoid", thresholds=(0.5, 0.25, 0.75))
    save_checkpoint(path, saved)
    found = load_checkpoint(path)
    equal(found, saved)
    assert (found.output, found.thresholds) == ("sigmoid", (0.5, 0.25, 0.75))
    assert header_of(path)["format"] == 3
    save_checkpoint(path, small(output="sigmoid"))
    assert load_checkpoint(path).thresholds is None
    save_checkpoint(path, small())
    assert header_of(path)["format"] == 1
    assert "output" not in header_of(path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"output": "binary"}, {"output": 3}, {"thresholds": [0.5]}, {"thresholds": [0.5, 0.5, 2.0]},
        {"thresholds": [0.5, 0.5, "a"]}, {"thresholds": 0.5},
    ],
)  # fmt: skip
def test_a_wrong_output_is_damage(tmp_path, wrong):
    path = tmp_path / "labels.safetensors"
    save_checkpoint(path, small(output="sigmoid", thresholds=(0.5, 0.25, 0.75)))
    tensors = load_file(path)
    save_file(tensors, path, {"camcli": json.dumps({**header_of(path), **wrong})})
    with pytest.raises(CamcliError, match="damaged"):
        load_checkpoint(path)


def header_of(path):
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["camcli"])
