"""Networks that decide by sizes are cut on their graph; by values, they are not converted."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, fx, nn

from camcli.models.cutting.cut import cut
from camcli.models.cutting.graph.pieces import goes_by_values
from camcli.models.cutting.listing import list_layers


class Checks(nn.Module):
    """Decides by a size, as transformers' embeddings do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=4, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] != 3:
            raise ValueError("three channels")
        return self.conv(x).relu()


class Attends(nn.Module):
    """Unpacks a size, and returns a pair."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        B, *rest = x.shape
        return self.mix(x.reshape(B, *rest)).relu(), None


class Net(nn.Module):
    """Two pieces that cannot be followed, what can around them, and GAP + linear."""

    def __init__(self, start: nn.Module, middle: nn.Module | None = None) -> None:
        super().__init__()
        self.start, self.middle = start, middle or Attends()
        self.last = nn.Conv2d(8, 12, 1)
        self.fc = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.start(x)
        x = self.middle(x)[0] + x
        return self.fc(self.last(x).mean((2, 3)))


class ByValue(nn.Module):
    """Goes another way for another picture."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=4, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) if x.mean() > 0 else -self.conv(x)


class Whole(nn.Module):
    """All of it in one piece, with the last map inside."""

    def __init__(self) -> None:
        super().__init__()
        self.start = Checks()
        self.end = Hidden()
        self.fc = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.end(self.start(x)))


class Hidden(nn.Module):
    """A map and its pooling, which cannot be followed."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 12, 1)

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[2] > 1
        return self.conv(x).mean((2, 3))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(3)


def test_parts_that_decide_by_sizes_are_one_node_each_and_the_head_is_found() -> None:
    net = Net(Checks()).eval().requires_grad_(False)
    made = cut(net, 32)
    assert isinstance(made.first, fx.GraphModule)
    assert made.layer == "last"
    assert made.head is not None
    for side in (32, 48):  # nothing of the trial's size is left in the graph
        x = torch.randn(3, 3, side, side)
        A = made.features(x)
        assert torch.allclose(made.tail(A), net(x), atol=1e-5)


def test_a_map_from_a_pair_is_on_the_way_of_everything() -> None:
    net = Net(Checks()).eval().requires_grad_(False)
    made = cut(net, 32, ["start"])
    x = torch.randn(2, 3, 32, 32)
    ((A, tail),) = made.split(x)
    assert torch.allclose(tail(A), net(x), atol=1e-5)
    main = {layer.name for layer in list_layers(net, 32) if layer.main}
    assert {"start", "last"} <= main


def test_layers_inside_of_a_piece_are_listed_and_can_be_cut() -> None:
    net = Net(Checks()).eval().requires_grad_(False)
    names = [layer.name for layer in list_layers(net, 32)]
    assert "middle.mix" in names
    assert names.index("start.conv") < names.index("last")
    made = cut(net, 32, ["middle.mix"])
    x = torch.randn(2, 3, 32, 32)
    ((A, tail),) = made.split(x)
    assert torch.allclose(A, net.middle.mix(net.start(x)), atol=1e-5)
    assert torch.allclose(tail(A), net(x), atol=1e-5)


def test_a_map_within_the_last_piece_is_the_last() -> None:
    net = Whole().eval().requires_grad_(False)
    assert cut(net, 32).layer == "end.conv"


def test_what_decides_by_values_goes_its_way_and_is_not_converted() -> None:
    net = Net(ByValue(), Attends()).eval().requires_grad_(False)
    made = cut(net, 32)
    assert goes_by_values(made.first)
    for sign in (1.0, -1.0):
        x = torch.rand(2, 3, 32, 32) * sign
        assert torch.allclose(made.tail(made.features(x)), net(x), atol=1e-5)
