"""Files whose reading alone would take all memory or never end; others are read at once."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from camcli.errors import CamcliError
from camcli.models.forms.graph import reading
from camcli.models.forms.graph.doubtful import is_doubtful
from camcli.models.load import load_classifier
from camcli.models.runtime.openvino_core import core

limited = pytest.mark.skipif("sys.platform == 'win32'", reason="no limits")


def written(path: Path, parts: Any, make: Any, weights: Any, case: str) -> Path:
    """A network whose shapes are made of more than shapes."""
    node, one = parts.node, np.ones(1, np.int64)
    held = {"one": one, "f": np.full((1, 1), 1e-3, np.float32)}
    if case == "memory":  # as many zeros as the sum of 4 * 10^9 ones says
        held["n"] = np.array([4 * 10**9])
        nodes = [node("Expand", ["one", "n"], "c"), node("ReduceSum", ["c"], "m", keepdims=1)]
    else:  # as the largest of a product of matrices says
        held["n"] = np.array([9000, 9000])
        nodes = [
            node("Expand", ["f", "n"], "c"), node("MatMul", ["c", "c"], "d"),
            node("ReduceMax", ["d"], "e", keepdims=0), node("Cast", ["e"], "g", to=7),
            node("Reshape", ["g", "one"], "m"),
        ]  # fmt: skip
    nodes += [node("ConstantOfShape", ["m"], "k"), node("ReduceMean", ["k"], "more", keepdims=0)]
    tensors = [parts.tensor(name, value) for name, value in held.items()]
    path.write_bytes(make(weights, more=nodes, held=tensors))
    return path


@limited
@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "said"), [("memory", r"more than 4\.0 GiB of memory"), ("time", "more than 2 seconds")]
)
def test_what_reading_may_take_has_an_end(
    case: str, said: str, onnx_parts: Any, onnx_bytes: Any, onnx_weights: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    path = written(tmp_path / "net.onnx", onnx_parts, onnx_bytes, onnx_weights[0], case)
    assert is_doubtful(path)
    monkeypatch.setattr(reading, "SECONDS", 2 if case == "time" else 60)
    # In this process it is never read.
    monkeypatch.setattr(reading, "read_at_once", lambda _: pytest.fail("it is let through"))
    with pytest.raises(CamcliError, match=rf"net\.onnx is not opened: .*{said}.*made to harm"):
        load_classifier(str(path))


def test_usual_networks_are_read_at_once(
    onnx_bytes: Any, onnx_weights: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "try_out", lambda _: pytest.fail("it is tried out"))
    path = tmp_path / "net.onnx"
    path.write_bytes(onnx_bytes(onnx_weights[0]))
    reading.read(path)
    value = ops.parameter([2, 16, 16, 3], np.float32)
    weights = ops.convert(ops.constant(np.ones((3, 5), np.float16)), "f32")
    pooled = ops.reduce_mean(value, ops.constant(np.array([1, 2])))
    ov.save_model(
        ov.Model([ops.matmul(pooled, weights, False, False)], [value]), path.with_suffix(".xml")
    )
    reading.read(path.with_suffix(".xml"))


@pytest.mark.parametrize("kind", ["onnx", "xml"])
def test_what_is_in_doubt_and_harmless_is_read(
    kind: str, onnx_parts: Any, onnx_bytes: Any, onnx_weights: Any, tmp_path: Path
) -> None:
    node = onnx_parts.node
    nodes = [node("Expand", ["one", "n"], "c"), node("ReduceMean", ["c"], "more", keepdims=0)]
    held = {"one": np.ones(1, np.float32), "n": np.array([5])}
    tensors = [onnx_parts.tensor(name, value) for name, value in held.items()]
    path = tmp_path / "net.onnx"
    path.write_bytes(onnx_bytes(onnx_weights[0], more=nodes, held=tensors))
    if kind == "xml":
        ov.serialize(core().read_model(path), path := tmp_path / "net.xml")
    assert is_doubtful(path)
    assert load_classifier(str(path)).layer


def test_a_tensor_of_which_only_the_size_is_there_does_not_vouch_for_others(
    onnx_parts: Any, onnx_bytes: Any, onnx_weights: Any, tmp_path: Path
) -> None:
    """What a file says of its weights is not believed beyond its own size."""
    node, field = onnx_parts.node, onnx_parts.field
    empty = field(1, 10**12) + field(2, 1) + field(8, "empty")
    names = ["one", *(f"d{i}" for i in range(30))]
    nodes = [node("Concat", [a, a], b, axis=0) for a, b in pairwise(names)]
    nodes.append(node("ReduceSum", ["d29"], "more", keepdims=0))
    path = tmp_path / "net.onnx"
    held = [empty, onnx_parts.tensor("one", np.ones(1, np.float32))]
    path.write_bytes(onnx_bytes(onnx_weights[0], more=nodes, held=held))
    assert is_doubtful(path)
