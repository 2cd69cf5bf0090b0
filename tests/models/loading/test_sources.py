"""A kind of network is a file and an entry: names, checks, help and loading read the table."""

import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from camcli.cli.app import app
from camcli.data.decode.preprocess import Preprocess
from camcli.errors import UsageError
from camcli.models.load import load_classifier
from camcli.models.loading import sources
from camcli.models.loading.builder import BuiltModel, name_outputs, provenance
from camcli.models.loading.sources import SOURCES, ModelSource, check_model, names, source_of


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("efficientnet_lite0", "bundled"), ("timm:resnet18", "timm"), ("timm:a:b", "timm"),
        ("nets:small", "own code"), ("package.nets:Small.make", "own code"),
        ("resnet50", "torchvision"), ("anything", "torchvision"), ("", "torchvision"),
    ],
)  # fmt: skip
def test_each_name_has_one_source(name, source):
    assert source_of(name).name == source


def test_names_that_nothing_has_are_refused_by_their_source():
    for name, words in (
        ("resnet19", "Did you mean"), ("timm:resnet19", "model of timm"),
        (":small", "module:factory"), ("nets:", "module:factory"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=words):
            check_model(name)
    for name in ("efficientnet_lite0", "resnet18", "timm:resnet18", "nets:small"):
        check_model(name)
    assert {"efficientnet_lite0", "resnet18", "timm:"} <= set(names(""))
    assert "timm:resnet18" in names("timm:")


def test_a_new_entry_is_checked_built_completed_and_recorded(monkeypatch, tmp_path):
    def build(asked):
        torch.manual_seed(int(asked.name.removeprefix("seed:")))
        module = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(4, 2),
        )  # fmt: skip
        made = provenance(asked.name, "random", None, "random")
        classes = name_outputs(asked.classes, 2, asked.name)
        return BuiltModel(module, classes, Preprocess(size=32), made)

    def check(asked):
        if not asked.name.removeprefix("seed:").isdecimal():
            raise UsageError(f"{asked.name}: a seed is a number.")

    monkeypatch.setitem(sys.modules, "seed_source", SimpleNamespace(build=build))
    entry = ModelSource(
        "seed", "seed:NUMBER", lambda name: name.startswith("seed:"), check, "seed_source:build",
        lambda begun: ["seed:1"],
    )  # fmt: skip
    monkeypatch.setattr(sources, "SOURCES", (entry, *SOURCES))
    with pytest.raises(UsageError, match="a seed is a number"):
        check_model("seed:x")
    assert "seed:1" in names("")
    assert "seed:NUMBER" in sources.ways_to_write()
    classifier = load_classifier("seed:7", classes=["cat", "dog"], device="cpu")
    assert (classifier.classes, classifier.provenance.name) == (("cat", "dog"), "seed:7")
    images = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    assert classifier.look(images).logits.shape == (1, 2)


def test_help_says_each_way_to_write_a_name():
    text = " ".join(
        CliRunner().invoke(app, ["batch", "--help-all"]).output.replace("│", "").split()
    )
    for words in ("efficientnet_lite0", "timm:NAME", "package.module:factory", "resnet50"):
        assert words in text
