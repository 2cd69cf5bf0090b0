"""What a linear layer says is never a probability, wherever the numbers of a few images lie."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from camcli.batch import first_images
from camcli.models.cutting.cut import cut
from camcli.models.load import load_classifier
from camcli.models.outputs import Output

BETWEEN = torch.tensor([0.05, 0.35, 0.6, 0.95])


class Network(nn.Module):
    """A small body, and an end whose numbers are all near `BETWEEN`."""

    def __init__(self, end) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU())
        self.linear, self.last = nn.Linear(8, 4), nn.Conv2d(8, 4, 1)
        self.w, self.b = nn.Parameter(torch.full((8, 4), 1e-4)), nn.Parameter(BETWEEN.clone())
        for layer in (self.linear, self.last):
            nn.init.normal_(layer.weight, std=1e-4)
            layer.bias.data.copy_(BETWEEN)
        self.end = end

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self, self.body(x))


def pooled(A: Tensor) -> Tensor:
    return A.mean((2, 3))


def branching(m: Network, A: Tensor) -> Tensor:
    """As no tracer follows it."""
    if float(A.sum()) > 1e30:
        return pooled(A)
    return m.linear(pooled(A))


ENDS = {
    "linear": lambda m, A: m.linear(pooled(A)),
    "flattened": lambda m, A: m.linear(pooled(A)).view(len(A), -1).float(),
    "convolution": lambda m, A: pooled(m.last(A)),
    "product": lambda m, A: pooled(A) @ m.w + m.b,
    "scaled": lambda m, A: m.linear(pooled(A)) * 0.99,
    "branching": branching,
}
BOUNDED = {
    "clamped": lambda m, A: m.linear(pooled(A)).clamp(0, 1),
    "weighed": lambda m, A: m.linear(pooled(A)) * torch.tanh(m.linear(pooled(A)).exp()),
    "clamped, branching": lambda m, A: branching(m, A).clamp(0, 1),
}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_numbers_between_0_and_1_are_logits_of_a_linear_layer(end):
    output = cut(Network(end).eval(), 32).output
    assert output == Output("softmax", assumed=True, unbounded=True)
    found, told = first_images._found(BETWEEN.repeat(8, 1), output)
    assert found is output
    assert "probabilities" not in told


@pytest.mark.parametrize("end", BOUNDED.values(), ids=BOUNDED)
def test_what_else_is_between_0_and_1_may_be_probabilities(end):
    output = cut(Network(end).eval(), 32).output
    assert not output.unbounded
    assert "--output probabilities" in output.told
    found, _ = first_images._found(BETWEEN.repeat(8, 1), output)
    assert found.kind == "probabilities"


@pytest.mark.parametrize(("end", "unbounded"), [("linear", True), ("convolution", True),
                                                ("clamped", False)])  # fmt: skip
def test_a_graph_in_a_file(tmp_path, end, unbounded):
    ov = pytest.importorskip("openvino")
    network = Network({**ENDS, **BOUNDED}[end]).eval()
    made = ov.convert_model(network, example_input=torch.rand(2, 3, 32, 32))
    ov.save_model(made, tmp_path / "net.xml", compress_to_fp16=False)
    classifier = load_classifier(str(tmp_path / "net.xml"), input_size=32)
    assert classifier.output.unbounded is unbounded
