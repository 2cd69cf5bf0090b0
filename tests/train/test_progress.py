import pytest

from camcli.train.progress import epoch_line

ROW = {"epoch": 3, "lr": 0.1, "train_loss": 0.12345, "train_acc": 1.0}
VAL = {"val_loss": 0.25, "val_acc": 0.875}


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
            "epoch 3/5: loss 0.1235, accuracy 1.0000; validation 0.2500, 0.8750, best so far",
        ),
        (
            {**VAL, "val_map": 0.5},
            {"title": "head 2, "},
            "head 2, epoch 3/5: loss 0.1235, accuracy 1.0000; validation 0.2500, 0.8750, "
            "mAP 0.5000",
        ),
        ({"l2": 0.001}, {}, "strength 3/5, L2 0.001: loss 0.1235, accuracy 1.0000"),
    ],
)
def test_an_epoch_is_a_line(row, more, line):
    assert epoch_line({**ROW, **row}, 5, **more) == line
