"""Files that would leave a mark, each opened as any file is: nothing of theirs may run."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from camcli.cli.terminal.console import say
from camcli.errors import CamcliError, UsageError
from camcli.models.forms.hub.folder import shard_names
from camcli.models.forms.keras.allowed import strangers
from camcli.models.forms.reasonable import check_numbers
from camcli.models.weights.formats import UnreasonableFileError, recognise
from camcli.models.weights.programs import check_program


class Tiny(nn.Module):
    """A classifier of a convolution and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(x).mean((2, 3)))


def script(tmp_path: Path, mark: Path | None, *, rename: bool = False) -> bytes:
    """A TorchScript program whose forward writes a file, if there is a `mark`."""
    torch.jit.script(Tiny()).save(str(tmp_path / "plain.pt"))
    out = io.BytesIO()
    with (
        zipfile.ZipFile(tmp_path / "plain.pt") as given,
        zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive,
    ):
        for name in given.namelist():
            data = given.read(name)
            if name.endswith(".py") and b"class Tiny" in data:
                line = (
                    f'    _9 = ops.aten.save(x, "{mark}")\n    return (' if mark else "    return ("
                )
                data = data.replace(b"    return (", line.encode())
            if rename and name.endswith(".py"):
                name = name.replace("/code/", "/CODE/").removesuffix(".py") + ".PY"
            archive.writestr(name, data)
    return out.getvalue()


def test_torch_finds_code_by_names_of_any_case_and_so_does_the_check(tmp_path: Path) -> None:
    mark, path = tmp_path / "mark", tmp_path / "case.pt"
    path.write_bytes(script(tmp_path, mark, rename=True))
    torch.jit.load(path)(torch.zeros(1, 3, 8, 8))
    assert mark.exists(), "torch no longer opens such a file: the test shows nothing"
    with pytest.raises(UsageError, match=r"torch\.save"):
        check_program(path, "torchscript", False)


def test_two_parts_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.pt"
    path.write_bytes(script(tmp_path, None))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(archive.namelist()[0].upper(), b"")
    with pytest.raises(CamcliError, match="two of its parts have one name"):
        check_program(path, "torchscript", False)


def _with_two_directories(shown: bytes, taken: bytes) -> bytes:
    """A zip whose directory by its offset is of `taken`, and before whose end lies `shown`'s."""
    end = taken.rfind(b"PK\x05\x06")
    offset = struct.unpack("<L", taken[end + 16 : end + 20])[0]
    last = shown.rfind(b"PK\x05\x06")
    length, start = struct.unpack("<LL", shown[last + 12 : last + 20])
    moved = end + last - length - offset
    directory, at = bytearray(shown[start : start + length]), 0
    while at < length:
        lengths = struct.unpack("<HHH", directory[at + 28 : at + 34])
        own = struct.unpack("<L", directory[at + 42 : at + 46])[0]
        struct.pack_into("<l", directory, at + 42, own + end - moved)
        at += 46 + sum(lengths)
    record = bytearray(shown[last:])
    struct.pack_into("<L", record, 16, offset)
    return taken[:end] + shown[:start] + bytes(directory) + bytes(record)


def test_a_zip_that_shows_python_something_else_than_torch_is_refused(tmp_path: Path) -> None:
    mark, path = tmp_path / "mark", tmp_path / "two.pt"
    path.write_bytes(_with_two_directories(script(tmp_path, None), script(tmp_path, mark)))
    with zipfile.ZipFile(path) as archive:  # what Python sees
        assert not any(b"ops.aten.save" in archive.read(name) for name in archive.namelist())
    torch.jit.load(path)(torch.zeros(1, 3, 8, 8))
    assert mark.exists(), "torch no longer opens such a file: the test shows nothing"
    with pytest.raises(UnreasonableFileError, match="made to deceive"):
        recognise(path)


@pytest.mark.parametrize(
    ("module", "kind", "config"),
    [  # CVE-2025-1550, -8747, -9906, -12058 and their like
        ("keras.utils", "function", "get_file"),
        ("keras.config", "function", "enable_unsafe_deserialization"),
        ("keras.models", "function", "load_model"),
        ("os", "function", "system"),
        ("builtins", "function", "exec"),
        ("builtins", "eval", {}),
        ("subprocess", "Popen", {"args": ["true"]}),
        ("numpy.f2py", "compile", {}),
        ("kerasx.layers", "Dense", {}),
        ("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}),
        ("keras.layers", "TorchModuleWrapper", {}),
        ("keras.layers", "TFSMLayer", {"filepath": "/"}),
        (None, "Lambda", {}),
    ],
)
def test_what_keras_would_build_or_call_is_on_a_list(
    module: str | None, kind: str, config: object
) -> None:
    named = {"module": module, "class_name": kind, "config": config, "registered_name": None}
    deep: object = named
    for _ in range(40):
        deep = [deep]
    layer = {"class_name": "Dense", "module": "keras.layers", "config": {"activation": deep}}
    nested = {"class_name": "Dense", "module": "keras.layers", "build_config": {"x": named}}
    trained = {"class_name": "Functional", "module": "keras", "compile_config": {"loss": named}}
    for each in (layer, nested, trained):
        assert list(strangers({"class_name": "Functional", "config": {"layers": [each]}}))


def test_what_networks_of_keras_are_made_of_is_on_the_list() -> None:
    parts = [
        ("keras", "DTypePolicy"), ("keras.initializers", "GlorotUniform"), ("keras", "Functional"),
        ("keras.src.ops.numpy", "GetItem"), ("builtins", "slice"), ("keras.layers", "Resizing"),
    ]  # fmt: skip
    layers = [
        {"module": m, "class_name": k, "config": {}, "registered_name": None} for m, k in parts
    ]
    relu = {"module": "keras.activations", "class_name": "function", "config": "relu6"}
    old = {"module": "builtins", "class_name": "function", "config": "relu"}
    tensor = {"class_name": "__keras_tensor__", "config": {"shape": [None, 3]}}
    assert list(strangers({"config": [*layers, relu, old, tensor]})) == []


@pytest.mark.parametrize(
    "config",
    [{"depths": [10**9, 1]}, {"num_hidden_layers": 20_000}, {"num_labels": 10**9},
     {"hidden_sizes": [8, 10**8]}, {"model_args": {"stem_width": 10**7}},
     {"num_classes": -(10**7)}],
)  # fmt: skip
def test_a_network_far_larger_than_its_weights_is_not_built(config: dict[str, object]) -> None:
    tensors = {f"{n}.weight": torch.zeros(16, 8) for n in range(40)}
    check_numbers({"depths": [3, 4], "hidden_sizes": [8, 16], "image_size": 10**6}, tensors, Path())
    with pytest.raises(UsageError, match="far smaller network"):
        check_numbers(config, tensors, Path())


def test_an_index_that_names_no_files_is_refused() -> None:
    for value in (["x"], {"a": 1}, "../x", "/etc/passwd", "a/b"):
        with pytest.raises(CamcliError, match="no file's name"):
            shard_names({"weight_map": json.loads(json.dumps({"w": value}))}, Path("index"))


def test_a_message_does_not_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("evil\x1b[2J\x07\u202e.pth is\n  damaged")
    assert capsys.readouterr().err == "evil\\x1b[2J\\x07\\u202e.pth is\n  damaged\n"
