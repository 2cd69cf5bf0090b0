"""Graphs of OpenVINO made of torch's networks, and ONNX files written byte by byte."""

import warnings
from types import SimpleNamespace

import numpy as np
import openvino as ov
import pytest
import torch
from openvino import opset13 as ops
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder


@pytest.fixture(scope="session")
def graph_of():
    """Converts a module, as OpenVINO's own converter does: (B, 3, side, side) -> outputs."""

    def make(module, side=32, channels=3):
        module.eval()
        frontend = FrontEndManager().load_by_framework("pytorch")
        example = torch.zeros(2, channels, side, side)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            decoder = TorchScriptPythonDecoder(
                module, example_input=(example,), trace_kwargs={"check_trace": False}
            )
            return frontend.convert(frontend.load(decoder))

    return make


@pytest.fixture(scope="session")
def channels_last_of():
    """The same graph with pixels as (B, H, W, C), as TensorFlow writes them."""

    def make(model):
        old = model.get_parameters()[0]
        B, C, H, W = old.get_partial_shape()
        new = ops.parameter(ov.PartialShape([B, H, W, C]), np.float32, name="pixels")
        old.output(0).replace(ops.transpose(new, [0, 3, 1, 2]).output(0))
        model.add_parameters([new])
        model.remove_parameter(old)
        return model

    return make


def _varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def _field(number, value):
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, str):
        value = value.encode()
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _tensor(name, array, beside=None):
    """TensorProto; with `beside` (file, offset) its numbers are in another file."""
    dims = b"".join(_field(1, d) for d in array.shape)
    kind = {np.dtype("float32"): 1, np.dtype("int64"): 7, np.dtype("bool"): 9}[array.dtype]
    head = dims + _field(2, kind) + _field(8, name)
    if beside is None:
        return head + _field(9, array.tobytes())
    said = {"location": beside[0], "offset": str(beside[1]), "length": str(array.nbytes)}
    entries = b"".join(_field(13, _field(1, k) + _field(2, v)) for k, v in said.items())
    return head + entries + _field(14, 1)


def _node(op, inputs, output, **ints):
    out = b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(3, f"/{output}")
    out += _field(4, op)
    for name, value in ints.items():
        if isinstance(value, bytes):  # a graph
            out += _field(5, _field(1, name) + _field(6, value) + _field(20, 5))
            continue
        many = isinstance(value, list)
        told = b"".join(_field(8, v) for v in value) if many else _field(3, value)
        out += _field(5, _field(1, name) + told + _field(20, 7 if many else 2))
    return out


def _value(name, shape, kind=1):
    dims = b"".join(_field(1, _field(1, d) if isinstance(d, int) else _field(2, d)) for d in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, dims)))


@pytest.fixture(scope="session")
def onnx_parts():
    """What ONNX files are made of: messages as bytes."""
    return SimpleNamespace(node=_node, tensor=_tensor, field=_field, value=_value)


@pytest.fixture(scope="session")
def onnx_bytes():
    """A convolution, ReLU, global average pooling and Gemm as an ONNX file, by hand."""

    def make(weights, metadata=None, batch="N", beside=None, side=16, more=(), held=()):
        tensors, at = [], 0
        for name, array in weights.items():
            tensors.append(_tensor(name, array, beside and (beside, at)))
            at += array.nbytes
        nodes = [
            _node("Conv", ["x", "w", "b"], "conv", kernel_shape=[3, 3], pads=[1] * 4,
                  strides=[2, 2]),
            _node("Relu", ["conv"], "relu"),
            _node("GlobalAveragePool", ["relu"], "gap"),
            _node("Flatten", ["gap"], "flat"),
            _node("Gemm", ["flat", "fc", "fcb"], "scores" if more else "y", transB=1),
        ]  # fmt: skip
        if more:  # what ends in a value "more", added to the scores
            nodes += [*more, _node("Add", ["scores", "more"], "y")]
        tensors += held
        graph = b"".join(_field(1, n) for n in nodes) + _field(2, "g")
        graph += b"".join(_field(5, t) for t in tensors)
        graph += _field(11, _value("x", [batch, 3, side, side]))
        graph += _field(12, _value("y", [batch, len(weights["fcb"])]))
        texts = b"".join(
            _field(14, _field(1, k) + _field(2, v)) for k, v in (metadata or {}).items()
        )
        return (
            _field(1, 8)
            + _field(2, "by hand")
            + _field(8, _field(2, 17))
            + _field(7, graph)
            + texts
        )

    return make


@pytest.fixture(scope="session")
def onnx_weights():
    """Of that network, five classes, and the same as a torch module."""
    generator = np.random.default_rng(0)

    def floats(*shape):
        return generator.normal(size=shape).astype(np.float32) / 3

    weights = {"w": floats(8, 3, 3, 3), "b": floats(8), "fc": floats(5, 8), "fcb": floats(5)}
    torch_is = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2, padding=1), torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 5),
    )  # fmt: skip
    state = dict(zip(("0.weight", "0.bias", "4.weight", "4.bias"), weights.values(), strict=True))
    torch_is.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
    return weights, torch_is.eval()
