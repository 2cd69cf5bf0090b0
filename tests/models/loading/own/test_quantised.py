"""Dynamically quantised layers answer as they do, and their maps are those of their weights."""

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from camcli.cli.app import app
from camcli.models.load import load_classifier
from camcli.models.loading.own.quantised import with_gradients

pytestmark = pytest.mark.filterwarnings("ignore")


def network(deep):
    torch.manual_seed(0)
    head = [nn.Linear(8, 16), nn.ReLU()] if deep else []
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), *head,
        nn.Linear(16 if deep else 8, 3),
    ).eval()  # fmt: skip


def quantised(net, kind=torch.qint8):
    return torch.ao.quantization.quantize_dynamic(net, {nn.Linear}, dtype=kind)


@pytest.mark.parametrize("kind", [torch.qint8, torch.float16], ids=str)
@pytest.mark.parametrize("deep", [False, True])
def test_answers_are_its_own_and_maps_those_of_its_weights(deep, kind):
    net = quantised(network(deep), kind)
    x = torch.randn(4, 3, 32, 32)
    classifier = load_classifier(net, input_size=32, preprocess="none")
    seen = classifier.see(x)
    assert torch.allclose(seen.logits, net(x), atol=1e-6)
    (part,) = seen.parts
    A = part.A.detach().clone().requires_grad_()
    (got,) = torch.autograd.grad(part.tail(A)[:, 1].sum(), A)
    # The same network with its rounded weights as plain ones.
    plain = network(deep)
    for own, rounded in zip(plain, net, strict=True):
        if isinstance(own, nn.Linear):
            weight = rounded.weight()
            own.weight.data = weight.dequantize() if weight.is_quantized else weight
    B = part.A.detach().clone().requires_grad_()
    (wanted,) = torch.autograd.grad(plain[2:](B)[:, 1].sum(), B)
    assert float(nn.functional.cosine_similarity(got.flatten(), wanted.flatten(), dim=0)) > 0.999


def test_others_are_left_alone():
    net = network(deep=True)
    assert with_gradients(net) is net
    rounded = quantised(net)
    before = type(rounded[-1])
    assert with_gradients(rounded) is not rounded
    assert type(rounded[-1]) is before


def test_the_command_explains_one(tmp_path):
    from PIL import Image

    (tmp_path / "rounded_net.py").write_text(
        "import torch\nfrom torch import nn\n\n"
        "def build():\n"
        "    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1),\n"
        "                        nn.Flatten(), nn.Linear(4, 2)).eval()\n"
        "    return torch.ao.quantization.quantize_dynamic(net, {nn.Linear})\n"
    )
    Image.new("RGB", (40, 40), (9, 90, 200)).save(tmp_path / "a.png")
    arguments = ["explain", str(tmp_path / "a.png"), "--model", f"{tmp_path}/rounded_net.py",
                 "--input-size", "32", "--out", str(tmp_path / "out")]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
