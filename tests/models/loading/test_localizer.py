"""A checkpoint's localizer comes back as it was, or is refused; other checkpoints have none."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from camcli.data.decode.preprocess import Preprocess
from camcli.errors import CamcliError
from camcli.models.loading.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from camcli.models.localizer import LOCALIZER, Localizer


def made(side: int = 3) -> Localizer:
    g = torch.Generator().manual_seed(0)
    return Localizer(
        torch.randn(5, generator=g), torch.randn(1, 5, side, side, generator=g),
        torch.randn(1, generator=g), "layer4", 0.4, ("ab" * 32,), {"boxes": 7, "box_iou": 0.8},
    )  # fmt: skip


@pytest.fixture
def saved(tmp_path):
    """A checkpoint with a localizer, as a file."""
    path = tmp_path / "best.safetensors"
    plain = Checkpoint(
        "resnet18", ("cat", "dog"), Preprocess(size=96), {"conv1.weight": torch.ones(1)},
        torch.ones(2, 5), torch.ones(2),
    )  # fmt: skip
    save_checkpoint(path, replace(plain, localizer=made()))
    return path


def header(path) -> dict:
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["camcli"])


def test_it_comes_back(saved):
    found, own = load_checkpoint(saved).localizer, made()
    assert found is not None
    for name, tensor in own.tensors().items():
        assert torch.equal(found.tensors()[name], tensor)
    assert (found.layer, found.offset, found.learnt) == ("layer4", 0.4, own.learnt)
    assert found.facts == own.facts
    assert header(saved)["format"] == 5


def test_without_one_a_checkpoint_is_what_older_ones_read(saved):
    plain = replace(load_checkpoint(saved), localizer=None)
    save_checkpoint(saved, plain)
    assert header(saved)["format"] == 1
    assert "localizer" not in header(saved)
    assert not set(LOCALIZER) & set(load_file(saved))
    assert load_checkpoint(saved).localizer is None


@pytest.mark.parametrize("side", [1, 3])
def test_it_says_the_log_odds_of_each_cell(side):
    """By hand: the weights of the cells around, beyond the edge those of a mean cell: none."""
    own = made(side)
    A = torch.randn(2, 5, 4, 3, generator=torch.Generator().manual_seed(1))
    odds = own.logits(A)
    assert odds.shape == (2, 4, 3)
    around = side // 2
    total = float(own.bias)
    for dy in range(-around, around + 1):
        for dx in range(-around, around + 1):
            y, x = 0 + dy, 2 + dx
            if 0 <= y < 4 and 0 <= x < 3:
                cell = A[1, :, y, x] - own.mean
                total += float(own.weight[0, :, dy + around, dx + around] @ cell)
    assert float(odds[1, 0, 2]) == pytest.approx(total, abs=1e-4)
    torch.testing.assert_close(own(A), odds.sigmoid() - 0.4)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"localizer.weight": torch.ones(1, 4, 3, 3)}, "should be"),
        ({"localizer.weight": torch.ones(2, 5, 3, 3)}, "should be"),
        ({"localizer.weight": torch.ones(1, 5, 5, 5)}, "should be"),
        ({"localizer.weight": torch.ones(1, 5)}, "should be"),
        ({"localizer.weight": torch.ones(1, 5, 3, 3, dtype=torch.int32)}, "should be"),
        ({"localizer.bias": torch.ones(2)}, "should be"),
        ({"localizer.bias": torch.tensor([torch.nan])}, "localizer.bias"),
        ({"localizer.mean": None}, "lacks"),
        ({"localizer": "yes"}, "description"),
        ({"localizer": {"layer": "layer4", "offset": 2}}, "offset"),
        ({"localizer": {"layer": "layer4", "offset": "x"}}, "offset"),
        ({"localizer": {"layer": "layer4"}}, "offset"),
        ({"localizer": {"offset": 0.5}}, "layer"),
        ({"localizer": {"layer": "a", "offset": 0.5, "learnt": [1]}}, "learnt"),
    ],
)
def test_a_damaged_one_is_refused(saved, wrong, words):
    tensors, told = load_file(saved), header(saved)
    for name, value in wrong.items():
        if name == "localizer":
            told[name] = value
        elif value is None:
            del tensors[name]
        else:
            tensors[name] = value
    save_file(tensors, saved, {"camcli": json.dumps(told)})
    with pytest.raises(CamcliError, match=words):
        load_checkpoint(saved)
