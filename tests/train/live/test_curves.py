"""Curves that grow during a run, and what drawing them may cost."""

from __future__ import annotations

import pytest
from PIL import Image

from camcli.train.live import curves
from camcli.train.live.curves import FIRST, SHARE, LiveCurves
from camcli.train.run_folder.rundir import TrainDirectory


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def rows(count):
    return [
        {"stage": 1, "epoch": e, "train_loss": 1 / e, "train_acc": 1 - 0.5 / e}
        for e in range(1, count + 1)
    ]


def test_the_chart_is_there_before_the_end_and_whole(tmp_path):
    clock = Clock()
    live = LiveCurves(TrainDirectory(tmp_path), "a run", clock)
    assert not live.show(rows(1))
    clock.now = FIRST / SHARE + 1
    assert live.show(rows(2))
    with Image.open(tmp_path / "curves.png") as chart:
        chart.load()
        before = chart.tobytes()
    assert not live.show([])
    clock.now += 1
    assert live.show(rows(3))  # the clock stood still, so that it cost nothing
    with Image.open(tmp_path / "curves.png") as chart:
        assert chart.tobytes() != before


@pytest.mark.parametrize("cost", [0.2, 3.0])
def test_drawing_takes_its_share_of_the_time_and_no_more(tmp_path, monkeypatch, cost):
    clock, drawn = Clock(), []

    def draw(rows, title):
        clock.now += cost
        drawn.append(len(rows))
        return b"chart"

    monkeypatch.setattr(curves, "learning_curves", draw)
    live = LiveCurves(TrainDirectory(tmp_path), "a run", clock)
    for epoch in range(1, 2001):
        clock.now += 1
        live.show(rows(epoch)[-3:])
    assert len(drawn) >= 3
    assert len(drawn) * cost <= 1.1 * max(SHARE * clock.now, cost)


def test_one_of_several_processes_writes(tmp_path):
    clock = Clock()
    live = LiveCurves(TrainDirectory(tmp_path, writes=False), "a run", clock)
    clock.now = 1e6
    live.show(rows(1))
    assert not list(tmp_path.iterdir())
