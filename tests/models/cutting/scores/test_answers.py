"""Scores are found in whatever a network returns, and the cut is that of the network."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from camcli.errors import CamcliError
from camcli.models.cutting.cut import cut
from camcli.models.cutting.listing import list_layers
from camcli.models.cutting.scores.answers import Answering, scores_in

Outputs = namedtuple("Outputs", ("logits", "aux_logits"))
Unnamed = namedtuple("Unnamed", ("first", "second"))


@dataclass
class ModelOutput:
    loss: Tensor | None = None
    logits: Tensor | None = None
    hidden_states: tuple = ()


SCORES, OTHER, MAPS = torch.randn(2, 5), torch.randn(2, 5), torch.randn(2, 8, 4, 4)


@pytest.mark.parametrize(
    ("out", "name"),
    [
        (Outputs(SCORES, OTHER), "logits"),
        (Unnamed(MAPS, SCORES), "second"),
        (ModelOutput(torch.tensor(1.0), SCORES, (MAPS,)), "logits"),
        ({"aux": OTHER, "out": SCORES}, "out"),
        (OrderedDict(features=MAPS, logits=SCORES), "logits"),
        ((SCORES, MAPS), "0"),
        ([torch.tensor(1.0), SCORES], "1"),
        ((SCORES, OTHER), "0"),
        ((SCORES, None), "0"),
    ],
)
def test_where_the_scores_are(out, name):
    found, told = scores_in(out, 2)
    assert told == name
    assert found is SCORES


@pytest.mark.parametrize(
    "out", [(SCORES, SCORES[:, :3]), {"maps": MAPS}, None, "text", (), [MAPS, MAPS]]
)
def test_what_leaves_doubt_is_left_as_it_is(out):
    assert scores_in(out, 2) == (out, "")


def test_a_tensor_is_all_of_it():
    assert scores_in(MAPS, 2) == (MAPS, "")


class Net(nn.Module):
    """Returns whatever a function makes of logits and maps."""

    def __init__(self, wrap) -> None:
        super().__init__()
        self.conv, self.fc, self.wrap = nn.Conv2d(3, 8, 3, 4, 1), nn.Linear(8, 5), wrap

    def forward(self, x, labels=None):
        A = self.conv(x).relu()
        return self.wrap(self.fc(A.mean((2, 3))), A)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda logits, A: {"features": A, "logits": logits},
        lambda logits, A: (A, logits),
        lambda logits, A: Outputs(logits, None),
        lambda logits, A: ModelOutput(logits=logits),
    ],
)
def test_a_network_that_returns_more_is_cut_on_its_graph_under_its_own_names(wrap):
    torch.manual_seed(0)
    network = Net(wrap).eval().requires_grad_(False)
    images = torch.randn(3, 3, 32, 32)
    halves = cut(network, 32)
    assert halves.layer == "conv+relu"
    assert halves.head is not None
    true, _ = scores_in(network(images), 3)
    torch.testing.assert_close(halves.tail(halves.features(images)), true)
    assert "conv" in [layer.name for layer in list_layers(network, 32)]


def test_answering_shares_all_with_the_network():
    network = Net(lambda logits, A: (logits, A))
    answering = Answering(network, "0")
    assert list(answering.state_dict()) == list(network.state_dict())
    assert answering.fc is network.fc
    answering.eval()
    assert not network.training
    assert answering(torch.zeros(2, 3, 32, 32)).shape == (2, 5)


# --- answers that are no numbers -----------------------------------------------------------------


class Root(nn.Module):
    """Has no answer for negative pixels."""

    def __init__(self, shift: float = 0.0) -> None:
        super().__init__()
        self.conv, self.fc, self.shift = nn.Conv2d(3, 8, 3, 4, 1), nn.Linear(8, 5), shift

    def forward(self, x):
        return self.fc(self.conv((x - self.shift).sqrt()).relu().mean((2, 3)))


def test_a_network_for_pixels_from_0_to_1_is_tried_with_such():
    torch.manual_seed(0)
    network = Root().eval().requires_grad_(False)
    halves = cut(network, 32)
    x = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(halves.tail(halves.features(x)), network(x))
    assert halves.head is not None


def test_a_network_that_never_has_an_answer_is_said_with_the_place():
    with pytest.raises(CamcliError, match=r"answers NaN or infinity .*, from 'conv' on: "):
        cut(Root(9.0).eval(), 32)
    broken = Net(lambda logits, A: logits).eval().requires_grad_(False)
    broken.fc.bias[2] = float("nan")
    with pytest.raises(CamcliError, match=r"no answer, since fc\.bias holds NaN: its training"):
        cut(broken, 32)
