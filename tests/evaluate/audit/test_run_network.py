"""Which network a run's record may name, and which only its owner."""

import hashlib
import json
from pathlib import Path

import pytest

from camcli.errors import UsageError
from camcli.evaluate.audit.run_network import (
    check_same,
    recorded_classes,
    recorded_method,
    recorded_network,
)

SEEN = {"preprocess": {"fit": "squash", "size": 320}}
RUN = Path("/no/such/run")
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
    ],
)  # fmt: skip
def test_what_is_read_as_tensors_is_loaded_as_the_run_had_it(provenance, settings):
    assert recorded_network(info(**provenance), RUN) == settings | HOW | {"offline": True}
    assert recorded_network(info(**provenance), RUN, own=True) == HOW


@pytest.mark.parametrize(
    ("provenance", "settings"),
    [
        ({"name": "resnet50", "source": "checkpoint", "weights": "nets/best.safetensors"},
         {"checkpoint": "nets/best.safetensors"}),
        ({"name": "resnet18", "source": "user", "weights": "nets/mine.pth"},
         {"model": "resnet18", "weights": "nets/mine.pth"}),
        ({"name": "resnet18", "source": "user", "weights": "nets/mine.pth", "key": "ema"},
         {"model": "resnet18", "weights": "nets/mine.pth", "weights_key": "ema"}),
        ({"name": "nets/mine.onnx", "source": "user", "weights": "nets/mine.onnx"},
         {"model": "nets/mine.onnx"}),
        ({"name": "folder", "source": "user", "weights": "folder"}, {"model": "folder"}),
        ({"name": "folder", "source": "user", "weights": "folder/model.safetensors"},
         {"model": "folder"}),
    ],
)  # fmt: skip
def test_a_network_of_ones_own_is_found_from_any_folder(
    tmp_path, monkeypatch, provenance, settings
):
    there = tmp_path / "there"
    for name in ("nets/best.safetensors", "nets/mine.pth", "nets/mine.onnx",
                 "folder/model.safetensors"):  # fmt: skip
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).touch()
    monkeypatch.chdir(tmp_path)
    where = {key: there / value if key in ("checkpoint",) else str(there / value)
             for key, value in settings.items() if (there / value).exists()}  # fmt: skip
    recorded = info(**provenance) | {"folder": str(there)}
    assert recorded_network(recorded, RUN) == settings | where | HOW | {"offline": True}
    # Without the folder, which runs of before did not record, the run's own neighbours are tried.
    assert recorded_network(info(**provenance), there / "run") == (
        settings | where | HOW | {"offline": True}
    )
    with pytest.raises(UsageError, match=r"is not where it was .*--model"):
        recorded_network(info(**provenance), RUN)


def test_a_network_that_was_in_memory_has_no_file():
    with pytest.raises(UsageError, match=r"in a program's memory: .*camcli\.audit"):
        recorded_network(info(name="Net", source="user", weights="in memory"), RUN)


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
        recorded_network(info(**provenance), RUN)


@pytest.mark.parametrize("odd", [{}, {"provenance": None}, {"provenance": []}, {"config": 3}])
def test_an_odd_record_names_nothing(odd):
    with pytest.raises(UsageError, match="does not say"):
        recorded_network(odd, RUN)
    assert recorded_network(odd, RUN, own=True) == {}


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


NAMES = ["b", "a"]
# As runs have recorded names: their number, the first and last, and the beginning of a SHA-256.
DIGEST = hashlib.sha256(json.dumps(NAMES).encode()).hexdigest()[:12]
RECORDED = f"2 from 'b' to 'a' ({DIGEST})"


def test_a_network_whose_classes_are_called_otherwise_is_refused():
    of_run = {"config": {"classes": RECORDED}}
    check_same(of_run, None, NAMES)
    check_same({"config": {}}, None, ["0", "1"])  # older runs do not say
    check_same({"config": {"classes": ["odd"]}}, None, ["0", "1"])
    for other in (["0", "1"], ["a", "b"], ["b", "c", "a"]):
        with pytest.raises(
            UsageError,
            match=r"network.s classes have other names .* --classes FILE, as for the run",
        ):
            check_same(of_run, None, other)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--classes", "names.txt"], True),
        (["--classes=names.txt", "--out", "x"], True),
        (["--classes", "other.txt", "--classes", "names.txt"], True),
        (["--classes", "names.txt", "--classes", "other.txt"], False),
        (["--classes"], False),
        (["--classes="], False),
        (["--classes", "a\0b"], False),
        (["--classes", "."], False),
        (["--out", "names.txt"], False),
        (["--classes", 3], False),
    ],
)
def test_the_names_of_a_runs_classes_are_where_its_command_had_them(tmp_path, words, found):
    (tmp_path / "names.txt").write_text("b\na\n")
    told = {"command": ["camcli", "batch", "photos", *words], "folder": str(tmp_path)}
    assert recorded_classes(told, RUN) == (tmp_path / "names.txt" if found else None)
    assert recorded_classes({"command": "camcli --classes names.txt"}, RUN) is None
