"""Programs that return more than scores, and programs that were exported for one picture."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from camcli.models.load import load_classifier
from camcli.models.programs.network import as_network

ANSWERS = {
    "dict": lambda z, A: {"features": A.flatten(1), "logits": z},
    "heads": lambda z, A: {"out": z, "aux": 2 * z},
    "tuple": lambda z, A: (z, A),
    "second": lambda z, A: (A, z),
    "list": lambda z, A: [z],
}


class Answers(nn.Module):
    def __init__(self, answer) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 4), nn.ReLU())
        self.head, self.answer = nn.Linear(8, 4), answer

    def scores(self, x: Tensor) -> tuple[Tensor, Tensor]:
        A = self.body(x)
        return self.head(A.mean((2, 3))), A

    def forward(self, x: Tensor):
        return self.answer(*self.scores(x))


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("form", ["torchscript", "export", "export of one"])
def test_the_scores_are_found_in_what_a_program_returns(tmp_path, answer, form):
    torch.manual_seed(0)
    network, x = Answers(answer).eval(), torch.rand(3, 3, 32, 32)
    path = str(tmp_path / "program.pt")
    if form == "torchscript":
        torch.jit.save(torch.jit.trace(network, x, strict=False), path)
    else:
        batch = ({0: torch.export.Dim("batch")},) if form == "export" else None
        example = x if batch else x[:1]
        torch.export.save(torch.export.export(network, (example,), dynamic_shapes=batch), path)
    classifier = load_classifier(path, input_size=32, trust_pickle=True)
    truth = network.scores(x)[0]
    torch.testing.assert_close(classifier.tail(classifier.features(x)), truth)
    assert any("Its scores are" in note for note in classifier.provenance.notes)


class Attention(nn.Module):
    """Windows, and torch's own attention over (places, pictures, channels)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.attend = nn.MultiheadAttention(8, 2)
        self.within = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        A = self.body(x).permute(0, 2, 3, 1)
        n, h, w, c = A.shape
        rooms = A.view(n, h // 4, 4, w // 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, c)
        rooms = self.within(rooms, rooms, rooms, need_weights=False)[0]
        rooms = rooms.view(n, h // 4, w // 4, 4, 4, c).permute(0, 1, 3, 2, 4, 5)
        places = torch.cat([self.token.expand(n, -1, -1), rooms.reshape(n, h * w, c)], 1)
        places = places.transpose(0, 1)
        return self.head((places + self.attend(places, places, places, need_weights=False)[0])[0])


def test_attention_that_was_exported_for_one_picture_takes_several():
    torch.manual_seed(0)
    network, x = Attention().eval(), torch.rand(3, 3, 32, 32)
    program = torch.export.export(network, (x[:1],)).module()
    made = as_network(program, (3, 32, 32))
    for count in (1, 2, 3):
        torch.testing.assert_close(made(x[:count]), network(x[:count]), rtol=1e-4, atol=1e-5)
