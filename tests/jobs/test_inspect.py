"""What a network is, as it lies on the disk."""

import json

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import camcli
from camcli.cam.method_facts import FACTS
from camcli.cam.methods import METHODS, heatmaps
from camcli.cli.app import app
from camcli.errors import UsageError
from camcli.models.cutting.types import LinearHead


@pytest.fixture(scope="module")
def bundled():
    return camcli.inspect("efficientnet_lite0")


def test_the_bundled_network_is_described(bundled):
    assert (bundled.error, bundled.holds) == (None, ())
    assert (len(bundled.classes), bundled.output) == (1000, "softmax")
    assert bundled.map_shape == (1280, 7, 7)
    assert bundled.linear
    attention = {name for name, facts in FACTS.items() if facts.attention}
    assert set(bundled.methods) == set(FACTS) - attention
    assert "attention" in dict(bundled.refused)["legrad"]
    assert bundled.command == "camcli batch photos --model efficientnet_lite0"


def test_a_file_that_cannot_be_loaded_is_described_all_the_same(tmp_path):
    path = tmp_path / "odd.pth"
    torch.save({"epoch": 3, "net": {"a.weight": torch.zeros(2, 3), "a.bias": torch.zeros(2)}}, path)
    found = camcli.inspect(str(path))
    assert found.form == "a file of tensors by name (a state dict)"
    assert found.holds == (("net", 2),)
    assert "odd.pth" in found.error
    assert found.command == ""
    done = CliRunner().invoke(app, ["inspect", str(path), "--json"])
    assert (done.exit_code, json.loads(done.stdout)["holds"]) == (1, [["net", 2]])


def test_what_is_not_there_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="no file or folder"):
        camcli.inspect(str(tmp_path / "gone.pth"))
    assert CliRunner().invoke(app, ["inspect", "resnet19"]).exit_code == 2


def test_it_prints_a_command_that_can_be_copied(bundled):
    done = CliRunner().invoke(app, ["inspect", "efficientnet_lite0"])
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == bundled.command


def test_code_of_ones_own_is_described_with_its_weights(tmp_path):
    code, weights = tmp_path / "pets.py", tmp_path / "my pets.pth"
    code.write_text(
        "from torch import nn\n\ndef build():\n    return nn.Sequential(nn.Conv2d(3, 4, 3, 8), "
        "nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))\n"
    )
    tensors = {"0.weight": torch.randn(4, 3, 3, 3), "0.bias": torch.zeros(4),
               "4.weight": torch.randn(2, 4), "4.bias": torch.zeros(2)}  # fmt: skip
    torch.save({"model": tensors, "classes": ["cat", "dog"]}, weights)
    done = CliRunner().invoke(app, ["inspect", f"{code}:build", "--weights", str(weights)])
    assert done.exit_code == 0, done.stderr
    assert "2: cat, dog" in done.stdout
    assert f"--weights '{weights}'" in done.stdout.splitlines()[-1]
    torch.save(tensors, weights)
    done = CliRunner().invoke(app, ["inspect", f"{code}:build", "--weights", str(weights)])
    assert "2: 0, 1; --classes FILE names them" in done.stdout


def test_an_optimizers_many_sets_of_tensors_are_told_in_one(tmp_path):
    net = nn.Sequential(*[nn.Linear(3, 3) for _ in range(10)])
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.randn(2, 3)).sum().backward()
    optimizer.step()
    path = tmp_path / "last.pth"
    torch.save({"model": net.state_dict(), "optimizer": optimizer.state_dict()}, path)
    assert camcli.inspect(str(path)).holds == (("model", 20), ("optimizer", 60))


class _NoGradient(torch.autograd.Function):
    """A program without a way back."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        raise ZeroDivisionError


@pytest.mark.parametrize("name", FACTS)
@pytest.mark.parametrize("linear", [True, False])
def test_methods_that_are_said_to_need_no_gradients_never_go_back(name, linear):
    weight, bias = torch.randn(3, 4), torch.randn(3)
    head = LinearHead(weight, bias)
    bent = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5), nn.ReLU(),
                         nn.Linear(5, 3))  # fmt: skip

    def tail(A, of=None):
        A = _NoGradient.apply(A)
        return head(A) if linear else bent(A)

    def forward(images):
        return tail(images.repeat(1, 2, 1, 1)[:, :4])

    images = torch.rand(2, 3, 6, 6)
    A = images.repeat(1, 2, 1, 1)[:, :4]
    with torch.no_grad():
        logits = tail(A)

    why = FACTS[name].why_not(linear=linear, gradients=False)
    if why is None and not FACTS[name].images:
        made = heatmaps(
            METHODS[name], A, logits, torch.tensor([0, 1]), head=head if linear else None,
            tail=tail, images=images, forward=forward,
        )  # fmt: skip
        assert made.shape == (2, 6, 6)
    elif why is not None:
        with pytest.raises((ZeroDivisionError, UsageError, RuntimeError)):
            heatmaps(
                METHODS[name], A, logits, torch.tensor([0, 1]), head=head if linear else None,
                tail=tail, images=images, forward=forward,
            )  # fmt: skip


def test_the_home_of_somebody_unknown_is_a_path_that_is_not_there():
    for name in ("~nobody-here/a.pth", "~nobody-here/a.keras", "~nobody-here/a.py:build"):
        done = CliRunner().invoke(app, ["inspect", name])
        assert "mistake in camcli" not in done.output
        assert done.exit_code in (1, 2)
    done = CliRunner().invoke(app, ["batch", "photos", "--model", "~nobody-here/a.pth"])
    assert "There is no file or folder ~nobody-here/a.pth" in done.output
