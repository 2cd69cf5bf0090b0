"""Whether fine-tuning was worth it, by pictures that both judged."""

import math

import numpy as np
import pytest
import torch

from camcli.train.fitting.verdict import TuneVerdict, paired_interval

TARGETS = torch.zeros(40, dtype=torch.int64)


def logits(right, sure=1.0):
    """(40, 2): the first `right` images right, all as sure."""
    found = torch.zeros(40, 2)
    found[:right, 0], found[right:, 1] = sure, sure
    return found


def test_the_numbers_by_hand():
    verdict = TuneVerdict.of(logits(20), logits(36), TARGETS, kept=True)
    assert (verdict.count, verdict.before, verdict.after) == (40, 0.5, 0.9)
    assert (verdict.gained, verdict.lost) == (16, 0)
    # 16 images have a log-loss that is smaller by 1: log(1 + e) - log(1 + 1/e) = 1.
    assert verdict.loss == pytest.approx(-16 / 40, abs=1e-6)
    spread = 1.959964 * np.std([-1] * 16 + [0] * 24, ddof=1) / math.sqrt(40)
    assert (verdict.loss_low, verdict.loss_high) == pytest.approx((-0.4 - spread, -0.4 + spread))
    assert verdict.low > 0
    assert verdict.sentence() == (
        "Fine-tuning beats the head alone: 0.9000 on validation, the head alone 0.5000, +40.0 "
        f"points (95%: {100 * verdict.low:+.1f} to {100 * verdict.high:+.1f}; 16 won, 0 lost of "
        "40 images). The fine-tuned network is kept."
    )
    told = verdict.to_dict()
    assert told["difference"][0] == pytest.approx(0.4)
    assert told["kept"] == "fine-tuned"
    assert told["told"] == verdict.sentence()


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (logits(36), logits(20), "Fine-tuning is worse than the head alone: "),
        (logits(30), logits(31), "Fine-tuning does not clearly beat the head alone: "),
        (logits(40), logits(40, 3.0), "Fine-tuning is surer than the head alone, if no more"),
    ],
)
def test_what_it_says(before, after, words):
    found = TuneVerdict.of(before, after, TARGETS, kept=False).sentence()
    assert found.startswith(words)
    assert found.endswith("The head alone is kept.")


def test_of_labels_an_image_is_right_with_all_of_its_own():
    targets = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    verdict = TuneVerdict.of(
        torch.tensor([[1.0, 1.0], [1.0, 1.0]]), torch.tensor([[1.0, -1.0], [1.0, 1.0]]), targets,
        kept=True,
    )  # fmt: skip
    assert (verdict.before, verdict.after, verdict.gained, verdict.lost) == (0.5, 1.0, 1, 0)
    # One of four labels has a loss smaller by 1.
    assert verdict.loss == pytest.approx(-0.25, abs=1e-6)
    # What nobody knows counts for neither: of the first image the other label alone.
    targets = torch.tensor([[torch.nan, 0.0], [torch.nan, torch.nan]])
    verdict = TuneVerdict.of(
        torch.tensor([[1.0, 1.0], [1.0, 1.0]]), torch.tensor([[-9.0, -1.0], [9.0, 9.0]]), targets,
        kept=True,
    )  # fmt: skip
    assert (verdict.before, verdict.after) == (0.5, 1.0)
    assert verdict.loss == pytest.approx(-0.5, abs=1e-6)


def test_of_labels_it_says_what_their_epochs_are_compared_by():
    rng = np.random.default_rng(2)
    targets = torch.from_numpy(rng.integers(0, 2, (60, 3))).double()
    noise = torch.from_numpy(rng.normal(size=(60, 3)))
    better = noise + 4 * (2 * targets - 1)
    verdict = TuneVerdict.of(noise, better, targets, kept=True)
    low, high = verdict.precision
    assert low < 0.7 < 0.99 < high
    assert verdict.sentence().startswith(
        f"Fine-tuning beats the head alone: mAP {high:.4f} on validation, the head alone {low:.4f};"
    )
    assert verdict.to_dict()["mean_ap"] == [round(low, 6), round(high, 6)]
    worse = TuneVerdict.of(better, noise, targets, kept=False).sentence()
    assert worse.startswith("Fine-tuning is worse than the head alone: mAP")


def test_images_of_a_group_count_as_one():
    """Each image five times is as uncertain as once, but for the estimate by its group's sum."""
    rng = np.random.default_rng(1)
    first, second, truth = (torch.from_numpy(rng.normal(size=(30, 2))) for _ in range(3))
    targets = truth.argmax(1)
    once = TuneVerdict.of(first, second, targets, True)
    many = [each.repeat_interleave(5, 0) for each in (first, second, targets)]
    groups = [n // 5 for n in range(150)]
    grouped = TuneVerdict.of(*many, True, groups)
    apart = TuneVerdict.of(*many, True)
    assert grouped.loss_low == pytest.approx(once.loss_low)
    assert (grouped.gained, grouped.lost) == (5 * once.gained, 5 * once.lost)
    widths = [each.high - each.low for each in (once, grouped, apart)]
    assert widths[1] == pytest.approx(widths[0], rel=0.06)
    assert widths[2] < 0.5 * widths[1]
    single = TuneVerdict.of(*many, True, [0] * 150)
    assert (single.low, single.high) == (-1, 1)


def test_the_interval_covers_the_difference_as_often_as_it_says():
    """Drawn anew 4000 times: 95% of the intervals hold the true difference, for many and few."""
    rng = np.random.default_rng(0)
    for count, up, down in [(50, 0.15, 0.05), (500, 0.1, 0.08), (30, 0.0, 0.0)]:
        draws = rng.multinomial(count, [up, down, 1 - up - down], size=4000)
        held = [
            low <= up - down <= high
            for gained, lost, _ in draws.tolist()
            for low, high in [paired_interval(gained, lost, count)]
        ]
        assert np.mean(held) >= 0.93
    low, high = paired_interval(0, 0, 1)
    assert -1 <= low < 0 < high <= 1
