"""A network that others trained, on pictures of 32 pixels: thirty lines of code, its weights, and
preprocessing that is said on the command line."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from camcli.cli.app import app
from camcli.models.loading.own.learned_inputs import learned_inputs

NET = """
import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, channels, out):
        super().__init__()
        self.stride, self.pad = out // channels, (out - channels) // 2
        self.conv1 = nn.Conv2d(channels, out, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)

    def forward(self, x):
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.pad:
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return functional.relu(y + x)


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        for n, (a, b) in enumerate([(16, 16), (16, 32), (32, 64)], 1):
            setattr(self, f"layer{n}", nn.Sequential(Block(a, b), Block(b, b), Block(b, b)))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(functional.avg_pool2d(x, x.shape[3]).flatten(1))
"""
NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COUNT = 105  # of each of the two classes


@pytest.fixture(scope="module")
def place(tmp_path_factory, test_data):
    weights = test_data / "foreign-weights" / "resnet20-12fca82f.th"
    photos = test_data / "cats-dogs"
    if not (weights.is_file() and photos.is_dir()):
        pytest.skip(f"there are no foreign weights or photographs in {test_data}")
    folder = tmp_path_factory.mktemp("cifar")
    (folder / "resnet20.py").write_text(NET)
    (folder / "names.txt").write_text("\n".join(NAMES))
    for kind in ("cat", "dog"):
        (folder / "photos" / kind).mkdir(parents=True)
        for file in sorted(photos.glob(f"{kind}.*.jpg"))[:COUNT]:
            (folder / "photos" / kind / file.name).symlink_to(file)
    return folder, weights


def run(place, monkeypatch, out, *options):
    folder, weights = place
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, [
        "batch", "photos", "--model", "resnet20.py:ResNet20", "--weights", str(weights),
        "--classes", "names.txt", "--out", out, "--device", "cpu", "--runtime", "torch",
        *options,
    ])  # fmt: skip
    assert done.exit_code == 0, done.output
    with (folder / out / "predictions.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file)), " ".join(done.output.split())


def network(weights: Path) -> torch.nn.Module:
    scope: dict = {}
    exec(compile(NET, "resnet20.py", "exec"), scope)
    net = scope["ResNet20"]().eval()
    saved = torch.load(weights, map_location="cpu", weights_only=True)["state_dict"]
    net.load_state_dict({name.removeprefix("module."): value for name, value in saved.items()})
    return net


def by_hand(place, paths) -> torch.Tensor:
    """Logits of photographs, squashed by Pillow's area filter."""
    folder, weights = place
    net, images = network(weights), []
    for path in paths:
        picture = Image.open(folder / "photos" / path).convert("RGB")
        pixels = np.asarray(picture.resize((32, 32), Image.Resampling.BOX), np.float32) / 255
        images.append(torch.from_numpy((pixels - MEAN) / STD).permute(2, 0, 1).float())
    with torch.no_grad():
        return net(torch.stack(images))


@pytest.mark.slow
def test_cats_and_dogs_are_predicted_as_by_hand(place, monkeypatch):
    rows, output = run(
        place, monkeypatch, "right", "--preprocess", "imagenet size=32 squash interpolation=area"
    )
    logits = by_hand(place, [row["path"] for row in rows])
    best = logits.softmax(1).max(1)
    assert [row["pred"] for row in rows] == [NAMES[c] for c in best.indices]
    assert [float(row["prob"]) for row in rows] == pytest.approx(best.values.tolist(), abs=2e-4)
    # As accurate as its authors' network is on such photographs: of the two, and of all ten.
    two = logits[:, [3, 5]].argmax(1).tolist()
    truth = [("cat", "dog").index(row["label"]) for row in rows]
    assert np.mean(np.equal(two, truth)) > 0.75
    assert np.mean([row["correct"] == "1" for row in rows]) > 0.6
    assert "ASSUMED" not in output
    assert "smaller ones" not in output


def test_without_a_size_it_is_said_that_it_was_trained_on_smaller_pictures(place, monkeypatch):
    rows, output = run(place, monkeypatch, "unsaid", "--limit", "4")
    assert "56x56 cells at 224x224" in output
    assert "At --input-size 32 it has 8x8" in output
    assert "Input ASSUMED: 224x224" in output
    assert len(rows) == 4
    assert Path("unsaid/run.json").read_text().count("smaller ones") == 1


def test_its_first_batch_norm_knows_what_it_was_trained_on(place):
    """By ImageNet's mean and deviation, as its authors write."""
    found = learned_inputs(network(place[1]), (3, 32, 32))
    assert found is not None
    assert found.preset() == "imagenet"
