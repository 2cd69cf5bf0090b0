"""Which network a run's record may name, and which only its owner."""

from pathlib import Path

import pytest

from camcli.errors import UsageError
from camcli.evaluate.audit.run_network import check_same, recorded_method, recorded_network

SEEN = {"preprocess": {"fit": "squash", "size": 320}}
HOW = {"fit": "squash", "input_size": 320}


def info(**provenance):
    return {"provenance": provenance, "config": SEEN}


@pytest.mark.parametrize(
    ("provenance", "settings"),
    [
        ({"name": "efficientnet_lite0", "source": "bundled", "weights": "bundled"},
         {"model": "efficientnet_lite0"}),
        ({"name": "resnet18", "source": "torchvision", "weights": "x.pth"}, {"model": "resnet18"}),
        ({"name": "timm:resnet10t", "source": "timm", "weights": "w"}, {"model": "timm:resnet10t"}),
        ({"name": "resnet50", "source": "checkpoint", "weights": "/a/best.safetensors"},
         {"checkpoint": Path("/a/best.safetensors")}),
        ({"name": "resnet18", "source": "user", "weights": "/a/mine.pth"},
         {"model": "resnet18", "weights": "/a/mine.pth"}),
        ({"name": "nets/mine.onnx", "source": "user", "weights": "nets/mine.onnx"},
         {"model": "nets/mine.onnx"}),
    ],
)  # fmt: skip
def test_what_is_read_as_tensors_is_loaded_as_the_run_had_it(provenance, settings):
    assert recorded_network(info(**provenance)) == settings | HOW | {"offline": True}
    assert recorded_network(info(**provenance), own=True) == HOW


@pytest.mark.parametrize(
    ("provenance", "said"),
    [
        ({"name": "os:system", "source": "bundled"}, "code of your own"),
        ({"name": "evil.py:build", "source": "user"}, "code of your own"),
        ({"name": "evil.py", "source": "torchvision"}, "code of your own"),
        ({"name": "resnet18", "source": "random"}, "random weights"),
        ({"source": "bundled"}, "does not say which network"),
    ],
)
def test_no_code_is_run_because_a_record_names_it(provenance, said):
    with pytest.raises(UsageError, match=said):
        recorded_network(info(**provenance))


@pytest.mark.parametrize("odd", [{}, {"provenance": None}, {"provenance": []}, {"config": 3}])
def test_an_odd_record_names_nothing(odd):
    with pytest.raises(UsageError, match="does not say"):
        recorded_network(odd)
    assert recorded_network(odd, own=True) == {}


def test_weights_that_have_changed_are_refused():
    check_same(info(sha256="ab"), "ab")
    check_same(info(sha256=None), "ab")
    check_same(info(sha256="ab"), None)
    with pytest.raises(UsageError, match="changed since"):
        check_same(info(sha256="ab"), "cd")


@pytest.mark.parametrize(
    ("config", "method"),
    [({"method": "layercam"}, "layercam"), ({"method": "of-old"}, "gradcam"), (None, "gradcam")],
)
def test_the_method_is_the_runs(config, method):
    assert recorded_method({"config": config}) == method
