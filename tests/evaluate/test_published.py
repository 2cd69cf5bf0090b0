"""`benchmarks/published.py` on sets so small that its numbers are known: it agrees, and differs."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from camcli.errors import CamcliError
from tests.evaluate.part_set import write

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "published.py"
TINY = '''
from torch import nn


def tiny():
    """A thousand classes, all of which look at what is red."""
    return nn.Sequential(
        nn.Conv2d(3, 1, 8, stride=8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(1, 1000),
    )
'''


@pytest.fixture
def published(monkeypatch):
    spec = importlib.util.spec_from_file_location("benchmark_published", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def all_of(claims, value):
    return tuple(replace(claim, published=value) for claim in claims)


def run(published, monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["published.py", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        published.main()
    return ended.value.code


def test_a_number_agrees_within_its_tolerance_and_one_that_is_missing_does_not(published, capsys):
    claims = (published.Claim("one", 0.5, 0.01), published.Claim("other", 0.5, 0.01))
    assert published.judged({"one": 0.509, "other": 0.491}, claims)
    assert not published.judged({"one": 0.509, "other": 0.511}, claims)
    assert "other: 0.5110, published 0.5000 (within 0.01): DIFFERS" in capsys.readouterr().out
    assert not published.judged({"one": 0.5}, claims), "nothing was measured of the other"


def test_nothing_at_hand_is_nothing_found(published, monkeypatch, capsys):
    assert run(published, monkeypatch) == 0
    told = capsys.readouterr().out
    assert told.count("not checked; needs --") == 3
    assert "agrees" not in told
    assert "not checked here: ResNet-50's accuracy, MaxBoxAccV2 of CAM, FunnyBirds" in told


def test_accuracy_is_compared(published, monkeypatch, by_colour, halves, capsys):
    """Of three photographs whose class is known one is taken for another: 2/3, and all in five."""
    photos = halves[0].path.parent.parent
    monkeypatch.setattr(published, "RESNET", {"models": {"net": by_colour}})
    assert run(published, monkeypatch, "--imagenet", photos) == 1
    assert "top1: 0.6667, published 0.7613 (within 0.003): DIFFERS" in capsys.readouterr().out
    right = tuple(
        replace(claim, published=value)
        for claim, value in zip(published.ACCURACY, (2 / 3, 1), strict=True)
    )
    monkeypatch.setattr(published, "ACCURACY", right)
    assert run(published, monkeypatch, "--imagenet", photos) == 0
    assert capsys.readouterr().out.count("agrees") == 2


@pytest.fixture
def wsol(published, monkeypatch, tmp_path):
    """Red squares on black, one folder of photographs, and what wsolevaluation has beside them."""
    (tmp_path / "tiny.py").write_text(TINY)
    weights = {
        "0.weight": torch.zeros(1, 3, 8, 8), "0.bias": torch.zeros(1),
        "4.weight": torch.ones(1000, 1), "4.bias": torch.arange(1000.0).flip(0) * 1e-3,
    }  # fmt: skip
    weights["0.weight"][:, 0] = 1 / 64
    save_file(weights, tmp_path / "tiny.safetensors")
    photos = tmp_path / "photos"
    photos.mkdir()
    boxes, labels = [], []
    for n in range(3):
        x, y = 32 * n + 32, 64
        rgb = np.zeros((224, 224, 3), np.uint8)
        rgb[y : y + 96, x : x + 64, 0] = 255
        Image.fromarray(rgb).save(photos / f"{n}.png")
        boxes.append(f"val/{n}.png,{x},{y},{x + 64},{y + 96}\n")
        labels.append(f"val/{n}.png,{n}\n")
    (tmp_path / "localization.txt").write_text("".join(boxes))
    (tmp_path / "elsewhere.txt").write_text(
        "".join(f"val/{n}.png,0,190,30,220\n" for n in range(3))
    )
    (tmp_path / "class_labels.txt").write_text("".join(labels))
    monkeypatch.setattr(published, "WSOL", {False: f"{tmp_path / 'tiny.py'}:tiny"})
    return tmp_path


def test_boxes_are_compared(published, monkeypatch, wsol, capsys):
    given = [
        "--wsol", wsol / "tiny.safetensors", "--wsol-photos", wsol / "photos",
        "--wsol-labels", wsol / "class_labels.txt", "--wsol-boxes",
    ]  # fmt: skip
    assert run(published, monkeypatch, *given, wsol / "localization.txt") == 1
    assert "maxboxacc_v2: 1.0000, published 0.6370" in capsys.readouterr().out
    monkeypatch.setattr(published, "BOXES", all_of(published.BOXES, 1))
    assert run(published, monkeypatch, *given, wsol / "localization.txt") == 0
    assert run(published, monkeypatch, *given, wsol / "elsewhere.txt") == 1
    assert "maxboxacc_v2: 0.0000" in capsys.readouterr().out


def test_boxes_of_photographs_whose_class_nobody_knows_are_not_compared(
    published, monkeypatch, wsol, capsys
):
    """The published number is of the true class; that of another one says nothing about it."""
    with pytest.raises(CamcliError, match="no photograph has a label"):
        published.boxes(
            wsol / "tiny.safetensors", wsol / "photos", wsol / "localization.txt", None, large=False
        )
    given = ("--wsol", wsol / "tiny.safetensors", "--wsol-photos", wsol / "photos")
    assert run(published, monkeypatch, *given, "--wsol-boxes", wsol / "localization.txt") == 2
    told = capsys.readouterr().out
    assert "not checked: no photograph has a label" in told
    assert "MaxBoxAccV2 of CAM" in told.splitlines()[-1]


def test_the_networks_of_wsolevaluation_keep_the_size_of_their_maps(published):
    """28 pixels a cell become 14 without the last stride, and 7 without the last two."""
    for make, side in ((published.wsol_resnet50, 4), (published.wsol_resnet50_large, 8)):
        with torch.device("meta"):
            network = make()
            body = nn.Sequential(*list(network.children())[:-2])
            assert body(torch.empty(1, 3, 64, 64)).shape[-2:] == (side, side)


def test_birds_are_compared(published, monkeypatch, by_colour, tmp_path, capsys):
    """Pixel times gradient of a network that sums colours is what each part brings."""
    folder = write(tmp_path / "set")
    monkeypatch.setattr(published, "birds_network", lambda weights: by_colour)
    given = ("--funnybirds", folder, "--funnybirds-weights", tmp_path / "any.pth.tar")
    assert run(published, monkeypatch, *given) == 1
    told = capsys.readouterr().out
    assert "single_deletion: 1.0000, published 0.5459" in told
    assert told.count("DIFFERS") == 6
    monkeypatch.setattr(published, "BIRDS", all_of(published.BIRDS, 1))
    assert run(published, monkeypatch, *given) == 0
    assert capsys.readouterr().out.count("agrees") == 6
    one_off = (replace(published.BIRDS[0], published=0.9), *published.BIRDS[1:])
    monkeypatch.setattr(published, "BIRDS", one_off)
    assert run(published, monkeypatch, *given) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["--imagenet", "nowhere"],
        ["--wsol", "net.pth", "--wsol-photos", "photos", "--wsol-boxes", "nowhere"],
        ["--wsol", "net.pth"],
        ["--funnybirds", "nowhere", "--funnybirds-weights", "net.pth"],
    ],
    ids=lambda words: words[0] + str(len(words)),
)
def test_what_was_asked_for_and_not_checked_is_no_success(
    published, monkeypatch, capsys, tmp_path, words
):
    """A misspelt folder does not read like a number that was found again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAMCLI_OFFLINE", "1")
    (tmp_path / "photos").mkdir()
    assert run(published, monkeypatch, *words) == 2
    assert "agrees" not in capsys.readouterr().out


def test_help_says_what_each_file_is(published, monkeypatch, capsys):
    assert run(published, monkeypatch, "--help") == 0
    said = capsys.readouterr().out
    for word in (*published.FILES, *published.FILES.values()):
        assert word.split()[0] in said
    assert "Exit code 1" in said
