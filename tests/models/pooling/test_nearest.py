"""A head that asks the nearest images."""

import pytest
import torch

from camcli.models.pooling.nearest import DOUBT, NearestHead

S = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 2.0], [-1.0, 0.0]])


def test_votes_by_hand():
    head = NearestHead(S, torch.tensor([0, 1, 1, 2]), 3, k=2, sharpness=2.0)
    votes = head.votes(torch.tensor([[3.0, 0.0]])).softmax(1)
    first, second = torch.tensor([2 * 1.0, 2 * 0.8]).softmax(0)
    wanted = torch.stack([first, second, torch.tensor(0.0)]) * (1 - DOUBT) + DOUBT / 3
    torch.testing.assert_close(votes[0], wanted, rtol=1e-3, atol=1e-4)


def test_labels_are_voted_for_each_by_itself():
    targets = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    head = NearestHead(S, targets, 2, k=2, sharpness=2.0)
    first, second = torch.tensor([2 * 1.0, 2 * 0.8]).softmax(0)
    wanted = torch.stack([first + second, second]) * (1 - DOUBT) + DOUBT / 2
    votes = head.votes(torch.tensor([[3.0, 0.0]])).sigmoid()[0]
    torch.testing.assert_close(votes, wanted, rtol=1e-3, atol=1e-4)


def test_near_is_by_what_is_scaled():
    plain = NearestHead(S, torch.tensor([0, 1, 1, 2]), 3, k=1)
    moved = NearestHead(
        S, torch.tensor([0, 1, 1, 2]), 3, k=1, scale=torch.tensor([0.1, 1.0])
    )  # fmt: skip
    s = torch.tensor([[0.9, 0.2]])
    unit = torch.nn.functional.normalize(S * moved.scale, dim=1)
    own = torch.nn.functional.normalize(s * moved.scale, dim=1)
    nearest = int((own @ unit.T).argmax())
    assert moved.votes(s).argmax() == [0, 1, 1, 2][nearest]
    assert plain.votes(s).argmax() == 0


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_a_temperature_divides_the_logits(temperature):
    targets = torch.tensor([0, 1, 1, 2])
    warm = NearestHead(S, targets, 3, temperature=temperature)
    torch.testing.assert_close(warm.votes(S), NearestHead(S, targets, 3).votes(S) / temperature)


def test_an_empty_picture_has_finite_logits_and_gradients():
    head = NearestHead(S, torch.tensor([0, 1, 1, 2]), 3)
    A = torch.zeros(1, 2, 3, 3, requires_grad=True)
    logits = head(A)
    logits.sum().backward()
    assert logits.isfinite().all()
    assert A.grad.isfinite().all()
