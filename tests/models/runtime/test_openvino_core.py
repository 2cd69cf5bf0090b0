"""One core a process: signals after several networks were compiled and dropped."""

import gc
import os
import signal

import numpy as np
import pytest

from camcli.models.runtime.openvino_core import core

ov = pytest.importorskip("openvino")


@pytest.mark.posix
def test_a_signal_finds_its_stack_after_networks_have_come_and_gone():
    """With a core each, the second one would leave the stack of the first, which is gone."""
    from openvino import opset13 as ops

    def compiled():
        x = ops.parameter([1, 3, 8, 8], np.float32)
        return core().compile_model(ov.Model([ops.relu(x)], [x]), "CPU")

    first, second = compiled(), compiled()
    del first
    gc.collect()
    del second
    gc.collect()
    assert core() is core()
    asked = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: asked.append(number))
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert asked == [signal.SIGUSR1]


def test_no_other_file_makes_a_core():
    from pathlib import Path

    import camcli

    made = [p.name for p in Path(camcli.__file__).parent.rglob("*.py") if "Core()" in p.read_text()]
    assert made == ["openvino_core.py"]
