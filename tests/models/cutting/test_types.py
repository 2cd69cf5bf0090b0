"""What a cut gives: a linear head, and a tail that knows which image each row is of."""

import pytest
import torch

from camcli.models.cutting.graph.piecewise import is_piecewise_linear
from camcli.models.cutting.types import LinearHead, Tail


def test_a_head_is_the_mean_of_a_map_and_a_product():
    """w (2, 2), b = (10, 20), means 2 and 5: 1*2 + 0*5 + 10 and 3*2 - 1*5 + 20."""
    head = LinearHead(torch.tensor([[1.0, 0], [3, -1]]), torch.tensor([10.0, 20]))
    A = torch.tensor([[[[1.0, 3]], [[4, 6]]]])
    assert head(A).tolist() == [[12, 21]]


def test_context_follows_its_image():
    """Rows that are copies of image 1, of image 0 and of image 1 again."""
    tail = Tail(
        lambda A, token, table: A.mean((2, 3)) + token + table,
        [(torch.tensor([[100.0], [200]]), True), (torch.tensor([[0.5]]), False)],
    )
    A = torch.arange(3.0).view(3, 1, 1, 1)
    assert tail(A[:2]).tolist() == [[100.5], [201.5]]
    assert tail(A, torch.tensor([1, 0, 1])).tolist() == [[200.5], [101.5], [202.5]]


class Product(torch.nn.Module):
    def forward(self, x):
        return x * x


class Halved(torch.nn.Module):
    def forward(self, x):
        return x * 0.5


class Twice(torch.nn.Module):
    """The product of a map and a constant of its own."""

    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x * self.gain


LINEAR = [
    torch.nn.ReLU(), torch.nn.Conv2d(2, 2, 1), torch.nn.BatchNorm2d(2).eval(), Halved(),
    torch.nn.AdaptiveAvgPool2d(1), torch.nn.MaxPool2d(2), torch.nn.Sequential(torch.nn.ReLU6()),
]  # fmt: skip
BENT = [
    torch.nn.GELU(), torch.nn.Sigmoid(), torch.nn.SiLU(), Product(), torch.nn.Softmax(1),
    torch.nn.BatchNorm2d(2).train(), torch.nn.BatchNorm2d(2, track_running_stats=False).eval(),
    torch.nn.LayerNorm(4), torch.nn.Hardswish(),
]  # fmt: skip


def name(value):
    return type(value).__name__ if isinstance(value, torch.nn.Module) else str(value)


@pytest.mark.parametrize(
    ("module", "linear"),
    [*((m, True) for m in LINEAR), *((m, False) for m in BENT)],
    ids=name,
)  # fmt: skip
def test_piecewise_linear_is_what_has_no_second_derivative(module, linear):
    """And the claim is checked: along a ray a piecewise linear function has no curvature."""
    graph = torch.fx.symbolic_trace(torch.nn.Sequential(module))
    assert is_piecewise_linear(graph) is linear
    if linear:
        x = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0)).double()
        graph = graph.double()
        with torch.no_grad():
            ends = graph(x * (1 - 1e-4)) + graph(x * (1 + 1e-4)) - 2 * graph(x)
        assert float(ends.abs().max()) < 1e-9


def test_what_is_not_known_is_taken_to_bend():
    assert not is_piecewise_linear(torch.nn.ReLU())
    assert not is_piecewise_linear(None)
    assert not is_piecewise_linear(torch.fx.symbolic_trace(Twice()))
