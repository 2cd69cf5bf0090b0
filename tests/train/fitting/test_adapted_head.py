"""A head that gets used to pictures whose features are shifted."""

import pytest
import torch

from camcli.models.cutting.types import LinearHead
from camcli.train.fitting.adapted_head import FEWEST, adapt
from camcli.train.fitting.head import linear


@pytest.fixture
def head():
    torch.manual_seed(0)
    return LinearHead(torch.randn(3, 6), torch.randn(3))


def pictures(count, shift, noise=0.0):
    torch.manual_seed(1)
    found = []
    for _ in range(count):
        whole = torch.randn(1, 6)
        rows = whole + shift + noise * torch.randn(5, 6)
        found.append(torch.cat([whole, rows]).half())
    return found


@pytest.mark.parametrize("labels", [False, True])
def test_it_answers_to_changed_pictures_as_to_whole_ones(head, labels):
    """One channel is set to 2 whenever a picture is changed: it can be told, and undone."""
    pooled = pictures(40, torch.zeros(6))
    for rows in pooled:
        rows[:, 5] = 0
        rows[1:, 5] = 2
    found = adapt(head, pooled, labels=labels)
    assert found.after < found.before - 0.05
    assert found.strength is not None
    assert found.floor <= found.after
    assert found.learned > 0.5
    assert found.kept_after > found.kept_before
    for n in (0, 1):
        rows = pooled[n].float()
        gap = linear(found.of(n), rows[1:]) - linear(found.of(n), rows[:1])
        assert gap.abs().max() < 0.3 * (linear(head, rows[1:]) - linear(head, rows[:1])).abs().max()


def test_each_half_is_judged_by_the_head_that_did_not_see_it(head):
    pooled = pictures(40, torch.zeros(6))
    for rows in pooled:
        rows[:, 5] = 0
        rows[1::2, 5] = 2
    found = adapt(head, pooled)
    # Other odd photographs change the even ones' head, and only theirs.
    others = [rows if n % 2 == 0 else rows[:4] for n, rows in enumerate(pooled)]
    again = adapt(head, others)
    assert found.strength is not None
    assert found.strength == again.strength
    torch.testing.assert_close(found.of(1).weight, again.of(1).weight)
    assert not torch.allclose(found.of(0).weight, again.of(0).weight)


def test_a_head_that_nothing_improves_stays_as_it_was(head):
    """Changed pictures that are like whole ones: the answers are the network's own already."""
    found = adapt(head, pictures(6, torch.zeros(6)))
    assert found.strength is None
    assert found.before == found.after
    for n in (0, 1):
        torch.testing.assert_close(found.of(n).weight, head.weight)


def test_too_few_photographs_are_refused(head):
    with pytest.raises(ValueError, match="3 photographs"):
        adapt(head, pictures(FEWEST - 1, torch.zeros(6)))


@pytest.mark.parametrize("labels", [False, True])
def test_what_there_was_to_learn_is_the_divergence_from_what_was_wanted(head, labels):
    """And the answers that are kept are counted, of changed pictures alone, half by half."""
    torch.manual_seed(2)
    pooled = [torch.randn(4, 6).half() for _ in range(6)]
    found = adapt(head, pooled, labels=labels)
    losses, floors, kept = [], [], []
    for first in (0, 1):
        for rows in pooled[first::2]:
            logits = linear(head, rows.float())
            say = torch.distributions.Bernoulli if labels else torch.distributions.Categorical
            whole = say(logits=logits[:1])
            for n, row in enumerate(logits):
                weight = 0.5 if n == 0 else 0.5 / 3
                gap = torch.distributions.kl_divergence(whole, say(logits=row[None]))
                losses.append(weight * float(gap.sum()))
                floors.append(weight * float(whole.entropy().sum()))
            same = (
                (logits[1:] > 0) == (logits[:1] > 0)
                if labels
                else logits[1:].argmax(1) == logits[0].argmax()
            )
            kept.append(float(same.float().mean()))
    assert found.before - found.floor == pytest.approx(sum(losses) / 6, abs=1e-4)
    assert found.floor == pytest.approx(sum(floors) / 6, abs=1e-4)
    assert found.kept_before == pytest.approx(sum(kept) / 6, abs=1e-6)
    if found.strength is None:
        assert (found.learned, found.kept_after) == (0, found.kept_before)
    else:
        assert 0 < found.learned < 1
