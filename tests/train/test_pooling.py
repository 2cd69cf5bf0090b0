"""A head on statistics, from the settings to a checkpoint that explains itself exactly."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open

from camcli.data.decode.images import load_image
from camcli.models.load import load_classifier
from camcli.models.loading.checkpoint import load_checkpoint
from camcli.models.pooling.pooling import Pooling
from camcli.train.config import TrainConfig
from camcli.train.prepare import load_backbones
from camcli.train.run import train

TEXT = "mean+max+std@stage2"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def pixels(colours):
    def of(classifier):
        files = sorted((colours / "test").rglob("*.png"))[:3]
        return torch.stack([classifier.preprocess.pixels(load_image(file)) for file in files])

    return of


def complete(classifier, pixels):
    """The class maps of the pooled maps add up to the logits."""
    A, logits = classifier(pixels)
    head = classifier.head
    maps = torch.einsum("ck,bkhw->bchw", head.weight, A)
    torch.testing.assert_close(maps.mean((2, 3)) + head.bias, logits, rtol=1e-4, atol=1e-4)
    return logits


@pytest.mark.slow
@pytest.mark.parametrize("more", [{"ensemble": 2}, {"unfreeze": "stage4", "epochs2": 1}])
def test_what_was_learnt_is_what_is_loaded(quick, tmp_path, cache, pixels, more):
    config = replace(quick, pooling=TEXT, **more)
    outcome = train(config, tmp_path / "run", cache_dir=cache)
    saved = load_checkpoint(outcome.checkpoint)
    assert saved.pooling == Pooling.read(TEXT)
    with safe_open(outcome.checkpoint, framework="pt") as file:
        assert json.loads(file.metadata()["camcli"])["format"] == 4
    loaded = load_classifier(checkpoint=outcome.checkpoint, device="cpu")
    assert loaded.head is not None
    logits = complete(loaded, pixels(loaded))
    # The features as training computed them, and the head on these.
    if "unfreeze" not in more:
        (backbone,) = load_backbones(config, "cpu", offline=True)
        images = loaded.preprocess.normalise(pixels(loaded))
        s = backbone.classifier.features.numbers(images)
        assert backbone.channels == s.shape[1] == 2 * 1024 + 48
        torch.testing.assert_close(
            s @ saved.weight.T + saved.bias, logits, rtol=1e-3, atol=1e-3
        )  # fmt: skip
    early = load_classifier(checkpoint=outcome.checkpoint, device="cpu", layer="stage3")
    torch.testing.assert_close(early(pixels(early))[1], logits, rtol=1e-3, atol=1e-3)
    assert early.head is None


@pytest.mark.slow
def test_members_that_are_networks_of_their_own(quick, tmp_path, cache, pixels):
    config = replace(
        quick, pooling=f"|{TEXT}|", members="random,random", unfreeze="stage4", epochs=1, epochs2=1
    )
    outcome = train(config, tmp_path / "run", cache_dir=cache)
    saved = load_checkpoint(outcome.checkpoint)
    assert (saved.members, saved.pooling.unit) == (2, True)
    loaded = load_classifier(checkpoint=outcome.checkpoint, device="cpu")
    assert loaded.head.weight.shape[1] == 2 * (2 * 1024 + 48)
    complete(loaded, pixels(loaded))


def test_poolings_differ_in_their_statistics_and_share_all_else(quick, tmp_path):
    """What one has kept, another finds."""
    names = {}
    for text in ("mean", "mean+max", "|mean|"):
        (backbone,) = load_backbones(replace(quick, pooling=text), "cpu", offline=True)
        with backbone.cache(tmp_path / text):
            names[text] = {p.name for p in (tmp_path / text).glob("*.features")}
    assert names["mean"] == names["|mean|"] < names["mean+max"]
    assert len(names["mean+max"]) == 2


@pytest.mark.parametrize(("head", "text"), [("neighbours", "mean+std"), ("prototype", "mean+max")])
def test_a_head_that_is_made_of_the_images(quick, colours, tmp_path, cache, pixels, head, text):
    plain = replace(
        quick,
        head=head,
        pooling=text,
        epochs=TrainConfig().epochs,
        batch_size=TrainConfig().batch_size,
    )
    outcome = train(plain, tmp_path / "run", cache_dir=cache)
    saved = load_checkpoint(outcome.checkpoint)
    assert (saved.nearest is not None) == (head == "neighbours")
    loaded = load_classifier(checkpoint=outcome.checkpoint, device="cpu")
    if head == "prototype":
        complete(loaded, pixels(loaded))
    else:
        assert loaded.head is None
        assert saved.nearest.targets.tolist() == [0] * 10 + [1] * 10
    # What is told of the test images is what the checkpoint says of them.
    files = sorted((colours / "test").rglob("*.png"))
    every = torch.stack([loaded.preprocess.pixels(load_image(file)) for file in files])
    found = [loaded.classes[c] for c in loaded(every)[1].argmax(1).tolist()]
    right = [name == file.parent.name for name, file in zip(found, files, strict=True)]
    assert outcome.scores["test"]["top1"] == pytest.approx(sum(right) / len(right))
