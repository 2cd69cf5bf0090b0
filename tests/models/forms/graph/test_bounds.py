"""Graphs that would take all memory, or never end, are refused before any of them is run."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops
from typer.testing import CliRunner

from camcli.cli.app import app
from camcli.errors import CamcliError
from camcli.models.forms.graph import bounds
from camcli.models.load import load_classifier
from camcli.models.runtime.openvino_core import core

MANY = 10**11


def hostile(parts: Any) -> dict[str, tuple[list[bytes], dict[str, Any], str]]:
    """Nodes that make a value "more", the tensors that they take, and what is said of them."""

    def node(*args: Any, **options: Any) -> bytes:
        return parts.node(*args, **options)

    def summed(name: str) -> bytes:
        return node("ReduceSum", [name], "more", keepdims=0)

    def averaged(name: str) -> bytes:
        return node("ReduceMean", [name], "more", keepdims=0)

    def doubled(name: str, axis: int, times: int) -> list[bytes]:
        names = [name, *(f"d{i}" for i in range(times))]
        return [node("Concat", [a, a], b, axis=axis) for a, b in pairwise(names)]

    one, count = np.ones(1, np.float32), np.array([MANY])
    wide = np.array([1, 1, 10**5, 10**4])

    def graph(*nodes: bytes, takes: tuple[bytes, ...] = (), gives: tuple[str, ...]) -> bytes:
        f = parts.field
        out = b"".join(f(1, each) for each in nodes) + f(2, "body")
        out += b"".join(f(11, value) for value in takes)
        return out + b"".join(f(12, f(1, name)) for name in gives)

    def loop(start: str, shape: list[Any]) -> list[bytes]:
        takes = (("turn", [], 7), ("go", [], 9), ("state", shape, 1))
        body = graph(
            node("Identity", ["go"], "on"), node("Add", ["state", "one"], "next"),
            takes=tuple(parts.value(*each) for each in takes), gives=("on", "next"),
        )  # fmt: skip
        return [node("Loop", ["trips", "yes", start], "more", body=body)]

    def nested(depth: int) -> list[bytes]:
        inner = graph(node("Identity", ["scores"], "leaf"), gives=("leaf",))
        for i in range(depth):
            branches = {"then_branch": inner, "else_branch": inner if i < 2 else graph(
                node("Identity", ["scores"], f"e{i}"), gives=(f"e{i}",))}  # fmt: skip
            last = i == depth - 1
            made = node("If", ["yes"], "more" if last else f"q{i}", **branches)
            inner = graph(made, gives=(f"q{i}",))
        return [made]

    yes, trips = np.array(True), np.array(2**62)
    loops = {"trips": trips, "yes": yes, "one": one}
    return {
        "ConstantOfShape": ([node("ConstantOfShape", ["n"], "c"), summed("c")], {"n": count},
                            "1e11 numbers that are in no picture"),
        "Range": ([node("Range", ["a", "z", "d"], "c"), summed("c")],
                  {"a": np.float32(0).reshape(()), "z": np.float32(2e9).reshape(()),
                   "d": np.float32(1).reshape(())}, "2e9 numbers"),
        "Expand": ([node("Expand", ["one", "n"], "c"), summed("c")], {"one": one, "n": count},
                   "1e11 numbers"),
        "Tile": ([node("Tile", ["one", "n"], "c"), summed("c")], {"one": one, "n": count},
                 "1e11 numbers"),
        "Tile of pixels": ([node("Tile", ["x", "n"], "c"), averaged("c")], {"n": wide},
                           "3e12 bytes of a picture"),
        "Concat": ([*doubled("one", 0, 36), summed("d35")], {"one": one},
                   "numbers that are in no picture"),
        "Concat of pixels": ([*doubled("x", 3, 34), averaged("d33")], {}, "bytes of a picture"),
        "MatMul": ([node("Expand", ["one", "n"], "c"), node("MatMul", ["c", "c"], "mm"),
                    summed("mm")], {"one": one, "n": np.array([8000, 8000])},
                   "5e11 steps for what is in no picture"),
        "MatMul of pixels": (
            [node("Expand", ["gap", "n"], "c"),
             *[node("MatMul", ["c" if i == 0 else f"m{i - 1}", "c"], f"m{i}") for i in range(99)],
             averaged("m98")],
            {"n": np.array([1, 8, 3000, 3000])},
            "beyond what can be computed for each picture"),
        "size said by pixels": ([node("ReduceMax", ["x"], "b", keepdims=0),
                                 node("Cast", ["b"], "i", to=7), node("Reshape", ["i", "o"], "j"),
                                 node("Expand", ["one", "j"], "c"), averaged("c")],
                                {"one": one, "o": np.array([1])}, "as another value says"),
        "Loop": (loop("scores", ["N", 5]), loops, "a loop that turns 5e18 times"),
        "Loop of constants": (loop("one", [1]), loops, "a loop that turns 5e18 times"),
        "If": (nested(10), {"yes": yes}, "lies within more than 8 others"),
    }  # fmt: skip


CASES = ("ConstantOfShape", "Range", "Expand", "Tile", "Tile of pixels", "Concat",
         "Concat of pixels", "MatMul", "MatMul of pixels", "size said by pixels", "Loop",
         "Loop of constants", "If")  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_before_it_is_run(
    case: str, onnx_parts: Any, onnx_bytes: Any, onnx_weights: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    nodes, held, said = hostile(onnx_parts)[case]
    tensors = [onnx_parts.tensor(name, np.asarray(value)) for name, value in held.items()]
    path = tmp_path / "net.onnx"
    path.write_bytes(onnx_bytes(onnx_weights[0], more=nodes, held=tensors))
    # If it were let through, it would take the machine: then this test fails by its name.
    real = bounds.check_bounded

    def checked(*args: Any) -> None:
        real(*args)
        raise AssertionError(f"{case} is let through")

    monkeypatch.setattr("camcli.models.forms.graph.opening.check_bounded", checked)
    with pytest.raises(CamcliError, match=rf"net\.onnx is not run: its .*{said}.*made to harm"):
        load_classifier(str(path))


def test_the_command_ends_at_once(
    onnx_parts: Any, onnx_bytes: Any, onnx_weights: Any, tmp_path: Path
) -> None:
    nodes, held, _ = hostile(onnx_parts)["Loop of constants"]
    tensors = [onnx_parts.tensor(name, np.asarray(value)) for name, value in held.items()]
    path = tmp_path / "net.onnx"
    path.write_bytes(onnx_bytes(onnx_weights[0], more=nodes, held=tensors))
    done = CliRunner().invoke(app, ["inspect", str(path)])
    assert done.exit_code == 1
    assert "turns 5e18 times" in " ".join(done.output.split())


def test_an_openvino_file_is_held_to_the_same(
    onnx_bytes: Any, onnx_weights: Any, tmp_path: Path
) -> None:
    (tmp_path / "net.onnx").write_bytes(onnx_bytes(onnx_weights[0]))
    model = core().read_model(tmp_path / "net.onnx")
    scores = model.get_results()[0].input_value(0)
    many = ops.tile(ops.constant(np.ones(1, np.float32)), ops.constant(np.array([MANY])))
    total = ops.reduce_sum(many, ops.constant(np.array([0])))
    changed = ov.Model([ops.add(scores, total)], model.get_parameters())
    ov.serialize(changed, tmp_path / "net.xml")
    with pytest.raises(CamcliError, match=r"net\.xml is not run: its Tile .* 1e11 numbers"):
        load_classifier(str(tmp_path / "net.xml"))


def test_a_loop_of_some_turns_is_run(
    onnx_parts: Any, onnx_bytes: Any, onnx_weights: Any, tmp_path: Path
) -> None:
    nodes, held, _ = hostile(onnx_parts)["Loop"]
    held["trips"] = np.array(7)
    tensors = [onnx_parts.tensor(name, np.asarray(value)) for name, value in held.items()]
    plain, looped = tmp_path / "plain.onnx", tmp_path / "looped.onnx"
    plain.write_bytes(onnx_bytes(onnx_weights[0]))
    looped.write_bytes(onnx_bytes(onnx_weights[0], more=nodes, held=tensors))
    one, two = (load_classifier(str(path)) for path in (plain, looped))
    pixels = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    one, two = (each(each.preprocess.pixels(pixels)[None])[1] for each in (one, two))
    np.testing.assert_allclose(two, 2 * one + 7, rtol=1e-4, atol=1e-4)


def test_looking_costs_next_to_nothing(onnx_bytes: Any, onnx_weights: Any, tmp_path: Path) -> None:
    """Of a chain of a thousand operations: far below what compiling them takes."""
    value = ops.parameter([2, 16, 16, 3], np.float32)
    chain = value
    for _ in range(1000):
        chain = ops.relu(chain)
    model = ov.Model([chain], [value])
    start = time.perf_counter()
    bounds.check_bounded(model, "net", 2)
    looked = time.perf_counter() - start
    start = time.perf_counter()
    core().compile_model(model, "CPU")
    assert looked < 0.5 * (time.perf_counter() - start) + 0.2
