"""A score is one entry: maps by closed form and by autograd, for any tail, follow from it."""

from typing import get_args

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from camcli.cam import scores
from camcli.cam.methods import METHODS, heatmaps
from camcli.cam.scores import SCORES, Score, ScoreKind, check_score
from camcli.cam.target import class_score, head_weights, is_bent
from camcli.cli.app import app
from camcli.models.cutting.types import LinearHead

SQUARE = ScoreKind("square", "square, of the logit", of=lambda logits, output: logits**2)


@pytest.fixture
def square(monkeypatch):
    monkeypatch.setitem(scores.SCORES, "square", SQUARE)


def test_of_a_new_entry_the_weights_are_its_gradient(square):
    draw = torch.Generator().manual_seed(0)
    linear = nn.Linear(5, 4)
    head = LinearHead(linear.weight.detach(), linear.bias.detach())
    A = torch.rand(3, 5, 2, 2, generator=draw)
    index = torch.tensor([0, 3, 1])

    def tail(A):
        return linear(A.mean((2, 3)))

    with torch.inference_mode():
        logits = tail(A)
        got = head_weights(head, logits, index, "square")
    own = logits.gather(1, index[:, None])
    assert torch.allclose(got, 2 * own * head.weight[index], atol=1e-6)
    assert torch.allclose(class_score(logits, index, "square"), own[:, 0] ** 2)
    assert is_bent("square", "softmax")
    maps = [
        heatmaps(METHODS["gradcam"], A, logits, index, head=one, tail=tail, score="square")
        for one in (head, None)
    ]
    assert torch.allclose(*maps, atol=1e-6)
    wanted = torch.einsum("bk,bkhw->bhw", 2 * own * head.weight[index], A) / 4
    assert torch.allclose(maps[0], wanted, atol=1e-6)


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("output", ["softmax", "sigmoid", "binary", "probabilities"])
def test_weights_by_hand_are_those_of_autograd(monkeypatch, name, output):
    draw = torch.Generator().manual_seed(1)
    head = LinearHead(torch.randn(2, 5, generator=draw), torch.zeros(2))
    logits = torch.randn(3, 2, generator=draw).sigmoid()
    index = torch.tensor([0, 1, 1])
    by_hand = head_weights(head, logits, index, name, output=output)
    kind = SCORES[name]
    monkeypatch.setitem(
        scores.SCORES, name, ScoreKind(kind.name, kind.told, kind.of, kind.straight)
    )
    assert torch.allclose(
        head_weights(head, logits, index, name, output=output), by_hand, atol=1e-6
    )


def test_the_command_takes_what_the_table_has(square):
    assert (*get_args(Score), "square") == tuple(SCORES)
    assert check_score("square") == "square"
    text = CliRunner().invoke(app, ["batch", "--help-all"]).output.replace("│", "")
    text = " ".join(text.split())
    for kind in SCORES.values():
        if kind is not SQUARE:  # which came after the command was made
            assert kind.told.split(",")[0] in text
