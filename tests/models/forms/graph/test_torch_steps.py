"""Each operation that gradients go through, against OpenVINO's own on the same numbers."""

import numpy as np
import openvino as ov
import pytest
import torch
from openvino import opset13 as ops

from camcli.models.forms.graph.running import GraphPart
from camcli.models.forms.graph.torch_tail import TorchRest

SHAPE = [2, 4, 6, 6]
NO = [0] * 4


def ints(*values):
    return ops.constant(list(values), dtype="int64")


def floats(*shape):
    return ops.constant(np.random.default_rng(1).normal(size=shape).astype(np.float32))


OPERATIONS = {
    "arithmetic": lambda x: ops.divide(ops.subtract(ops.multiply(x, floats(1, 4, 1, 1)), x),
                                       floats(1)),
    "power": lambda x: ops.power(ops.absolute(x), floats(1)),
    "convolution": lambda x: ops.convolution(x, floats(3, 4, 3, 3), [2, 1], [1, 0], [1, 1], [1, 1]),
    "grouped": lambda x: ops.group_convolution(x, floats(2, 3, 2, 3, 3), [1, 1], [1, 1], [1, 1],
                                               [1, 1]),
    "max pool": lambda x: ops.max_pool(x, [2, 2], [1, 1], [1, 1], [1, 1], [3, 3]).output(0),
    "mean pool": lambda x: ops.avg_pool(x, [2, 2], [1, 1], [1, 1], [3, 3], True, "ceil"),
    "mean pool with its border": lambda x: ops.avg_pool(x, [1, 1], [1, 0], [0, 1], [2, 2], False),
    "norm": lambda x: ops.batch_norm_inference(
        x, floats(4), floats(4), floats(4), ops.absolute(floats(4)), 1e-3),
    "mvn": lambda x: ops.mvn(x, ints(1), True, 1e-5, "inside_sqrt"),
    "mvn outside": lambda x: ops.mvn(x, ints(2, 3), True, 1e-2, "outside_sqrt"),
    "clamp": lambda x: ops.clamp(x, -0.5, 1.0),
    "gelu": lambda x: ops.gelu(x, "tanh"),
    "gelu of erf": lambda x: ops.gelu(x, "erf"),
    "swish": lambda x: ops.swish(x, ops.constant(np.float32(1.7))),
    "elu": lambda x: ops.elu(x, 0.7),
    "prelu": lambda x: ops.prelu(x, floats(4)),
    "hard": lambda x: ops.add(ops.hswish(x), ops.hsigmoid(x)),
    "soft": lambda x: ops.add(ops.softplus(x), ops.mish(x)),
    "softmax": lambda x: ops.softmax(x, 1),
    "log softmax": lambda x: ops.log_softmax(x, 3),
    "transpose": lambda x: ops.transpose(x, ints(0, 2, 3, 1)),
    "matmul": lambda x: ops.matmul(x, floats(5, 6), False, True),
    "matmul of both": lambda x: ops.matmul(x, x, True, False),
    "concat": lambda x: ops.concat([x, ops.relu(x)], 1),
    "split": lambda x: ops.split(x, ops.constant(1, dtype="int64"), 2).output(1),
    "parts": lambda x: ops.variadic_split(x, ops.constant(1, dtype="int64"), ints(1, 3)).output(1),
    "gather": lambda x: ops.gather(x, ints(2, -1), ops.constant(1, dtype="int64")),
    "one of": lambda x: ops.gather(x, ops.constant(2, dtype="int64"),
                                   ops.constant(3, dtype="int64")),
    "slice": lambda x: ops.slice(x, ints(1, 0), ints(9, -1), ints(2, 1), ints(1, 3)),
    "strided": lambda x: ops.strided_slice(x, ints(0, 1, 0, 2), ints(0, 2, 5, 6), ints(1, 1, 2, 1),
                                           [1, 0, 0, 0], [1, 0, 0, 1], NO, [0, 1, 0, 0], NO),
    "reduce": lambda x: ops.reduce_sum(x, ints(-1, -2), False),
    "largest": lambda x: ops.reduce_max(x, ints(2, 3), True),
    "length": lambda x: ops.reduce_l2(x, ints(1), True),
    "reshape": lambda x: ops.reshape(x, ints(0, -1), True),
    "broadcast": lambda x: ops.broadcast(ops.reduce_mean(x, ints(2, 3), True), ints(2, 4, 3, 3)),
    "attention": lambda x: ops.scaled_dot_product_attention(x, ops.relu(x), x),
    "quantised": lambda x: ops.fake_quantize(
        x, *(ops.constant(np.float32(n)) for n in (-1, 2, -1, 2)), levels=256),
    "half": lambda x: ops.convert(x, "f32"),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_torch_says_what_openvino_says(name):
    x = ops.parameter(SHAPE, np.float32, name="x")
    made = OPERATIONS[name](x)
    end = made if isinstance(made, ov.Output) else made.output(0)
    values = torch.randn(5, *SHAPE[1:], generator=torch.Generator().manual_seed(0))
    (theirs,) = GraphPart(ov.Model([end], [x]), 2, trial=True)(values)
    given = values.clone().requires_grad_()
    ours = TorchRest(ov.Model([end], [x]), 2)(given)
    torch.testing.assert_close(ours.detach(), theirs, rtol=1e-4, atol=1e-4)
    ours.sum().backward()
    assert torch.isfinite(given.grad).all()
