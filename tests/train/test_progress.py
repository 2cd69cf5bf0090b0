import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcli.train.progress import Bar, epoch_line

ROW = {"epoch": 3, "lr": 0.1, "train_loss": 0.12345, "train_acc": 1.0}
VAL = {"val_loss": 0.25, "val_acc": 0.875}
LABELS = {**VAL, "val_map": 0.5}


@pytest.mark.parametrize(
    ("row", "more", "line"),
    [
        ({}, {}, "epoch 3/5: loss 0.1235, accuracy 1.0000"),
        # Without validation images the last one is the best, which says nothing.
        ({}, {"best": True}, "epoch 3/5: loss 0.1235, accuracy 1.0000"),
        (VAL, {}, "epoch 3/5: loss 0.1235, accuracy 1.0000; validation 0.2500, 0.8750"),
        (
            VAL,
            {"best": True},
            "epoch 3/5: loss 0.1235, accuracy 1.0000; validation 0.2500, 0.8750, best",
        ),
        (
            LABELS,
            {"title": "head 2"},
            "head 2, epoch 3/5: loss 0.1235; validation 0.2500, 0.8750, mAP 0.5000",
        ),
        (
            {**VAL, "l2": 0.0031622776601683794},
            {"best": True},
            "L2 0.0032 (3/5): loss 0.1235, accuracy 1.0000; validation 0.2500, 0.8750, best",
        ),
        ({"l2": 0.001}, {}, "L2 0.001 (3/5): loss 0.1235, accuracy 1.0000"),
    ],
)
def test_an_epoch_is_a_line(row, more, line):
    assert epoch_line({**ROW, **row}, 5, **more) == line


@given(
    count=st.integers(1, 10_000),
    loss=st.floats(0, 99),
    more=st.sampled_from([{}, VAL, LABELS]),
    l2=st.none() | st.floats(0, 1e30),
    title=st.sampled_from(["", "head 12", "fine-tuning"]),
)
def test_all_lines_of_a_stage_fit_80_columns_and_tell_the_same(count, loss, more, l2, title):
    def line(epoch, best):
        row = {**ROW, **more, "epoch": epoch, "train_loss": loss}
        row |= {} if l2 is None else {"l2": l2}
        return epoch_line(row, count, best=best, title=title)

    lines = [line(epoch, best) for epoch in (1, count) for best in (False, True)]
    assert max(map(len, lines)) <= 80
    assert len({line.count(".") for line in lines}) == 1
    assert all(str(count) in line for line in lines) or count == 1


def test_of_one_strength_nothing_is_best():
    row = {**ROW, **VAL, "epoch": 1, "l2": 0.01}
    line = epoch_line(row, 1, best=True)
    assert line == "L2 0.01: loss 0.1235, accuracy 1.0000; validation 0.2500, 0.8750"


def test_what_was_done_before_is_done_also_for_those_who_only_count():
    class Counts(Bar):
        done = 0

        def advance(self, count):
            self.done += count

    bar = Counts()
    bar.skip(3)
    assert bar.done == 3
