"""A file's kind is told by its bytes, and its sizes are bounded before anything is opened."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import sys
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from camcli.errors import CamcliError, UsageError
from camcli.models.forms.registry import form_of
from camcli.models.spec import check_weights
from camcli.models.weights import formats
from camcli.models.weights.formats import ForeignFileError, UnreasonableFileError, recognise

STATE = {"fc.weight": torch.arange(6.0).view(2, 3), "fc.bias": torch.zeros(2)}


def header(text: str | bytes, length: int | None = None) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(data) if length is None else length) + data


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.bin", "weights"])
def test_what_is_read_is_known_by_its_bytes(tmp_path, name):
    path = tmp_path / name
    save_file(STATE, path)
    assert recognise(path) == "safetensors"
    torch.save(STATE, path)
    assert recognise(path) == "torch"
    torch.save(STATE, path, _use_new_zipfile_serialization=False)
    assert recognise(path) == "torch-legacy"


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "{}")
    return buffer.getvalue()


def tarred(*names: str, form: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO(b""))
    return buffer.getvalue()


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.ones(3))
    return buffer.getvalue()


INDEX = json.dumps({"metadata": {"total_size": 9}, "weight_map": {"a": "model-1.safetensors"}})

FOREIGN = {
    "script.pt": (zipped("s/data.pkl", "s/code/x.py", "s/constants.pkl"), "TorchScript"),
    "new.pt2": (zipped("p/archive_format", "p/models/model.json"), "torch.export.load"),
    "old.pt2": (zipped("serialized_exported_program.json", "version"), "torch.export.load"),
    "package.pt": (zipped("p/.data/extern_modules", "p/m/m.pkl"), "torch.package"),
    "served.mar": (zipped("MAR-INF/MANIFEST.json", "model.pth"), "TorchServe"),
    "net.keras": (zipped("metadata.json", "config.json", "model.weights.h5"), "Keras"),
    "net.h5": (b"\x89HDF\r\n\x1a\n" + bytes(500), "Keras"),
    "arrays.npz": (npz(), "NumPy"),
    "other.zip": (zipped("readme.txt"), "archive"),
    "net.onnx": (b"\x08\x07\x12\x07pytorch\x1a\x052.1.0" + bytes(300), "ONNX"),
    "unnamed": (b"\x08\x07\x12\x07pytorch\x1a\x052.1.0" + bytes(300), "ONNX"),
    "net.tflite": (b"\x1c\0\0\0TFL3" + bytes(300), "TensorFlow"),
    "frozen.pb": (b"\x08\x01\x12\x07" + bytes(300), "ovc"),
    "model.ckpt.index": (b"\0\0\1\2" * 90, "TensorFlow"),
    "old.pth": (tarred("sys_info", "pickle", "storages", "tensors"), "torch 0.1"),
    "older.pth": (tarred("pickle", form=tarfile.USTAR_FORMAT), "torch 0.1"),
    "files.tar": (tarred("photo.jpg"), "archive"),
    "w.pth.gz": (gzip.compress(b"weights" * 99), "archive"),
    "model.safetensors.index.json": (INDEX.encode(), "save_file(state, 'weights.safetensors')"),
    "config.json": (b'{"hidden_size": 3}', "JSON"),
    "page.pth": (b"<!DOCTYPE html><html><body>Sign in</body></html>", "web page"),
    "pointer.safetensors": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "git lfs pull",
    ),
    "forest.joblib": (pickle.dumps({"a": 1}), "pickle"),
    "model.gguf": (b"GGUF" + bytes(100), "GGUF"),
    "net.xml": (b'<?xml version="1.0"?><net name="x" version="11"></net>', "OpenVINO"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_other_kinds_are_called_by_their_names(tmp_path, name):
    """Two lines: what it is, and how to open or export it; never that it is cut short."""
    content, said = FOREIGN[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ForeignFileError) as caught:
        recognise(path)
    what, way = str(caught.value).split("\n")
    assert said in what or said in way
    assert str(path) in what
    assert "cut short" not in what + way
    assert way.endswith(".")


@pytest.mark.parametrize(
    "name", [n for n in FOREIGN if n.endswith((".pt", ".pt2", ".onnx", ".h5", ".keras", ".xml"))]
)
def test_what_is_a_network_by_itself_is_given_as_the_model(tmp_path, name):
    """Whichever option it was given to."""
    path = tmp_path / name
    path.write_bytes(FOREIGN[name][0])
    by_itself = name not in ("package.pt",)
    for ask in (recognise, formats.check_checkpoint, lambda path: check_weights(str(path), "x")):
        with pytest.raises(CamcliError) as caught:
            ask(path)
        assert (f"--model {path}" in str(caught.value)) == by_itself


def test_a_saved_model_of_tensorflow_is_told_how_it_becomes_a_network_that_is_read(tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"\x08\x01\x12\x07" + bytes(300))
    with pytest.raises(
        UsageError, match=r"a network of TensorFlow\. .*ovc .*export writes an .xml"
    ):
        form_of(folder)


def test_what_torch_saved_is_no_checkpoint_and_where_it_goes(tmp_path):
    path = tmp_path / "my.pth"
    torch.save(STATE, path)
    with pytest.raises(CamcliError) as caught:
        formats.check_checkpoint(path)
    assert f"--model {path}" in str(caught.value)
    assert f"--weights {path}" in str(caught.value)
    assert "too large" not in str(caught.value)
    path.write_bytes(b"\x01\x02" * 999)
    with pytest.raises(CamcliError, match="no checkpoint of camcli, whose name ends in"):
        formats.check_checkpoint(path)


def test_a_trusted_pickle_may_be_weights(tmp_path):
    path = tmp_path / "state.pkl"
    path.write_bytes(pickle.dumps({"a": 1}))
    check_weights(str(path), "x", trust=True)
    with pytest.raises(ForeignFileError, match="--trust-pickle"):
        check_weights(str(path), "x")


def test_programs_that_torch_exports(tmp_path):
    """The kinds above as torch itself writes them."""
    network = torch.nn.Linear(2, 2)
    torch.jit.trace(network, torch.ones(1, 2)).save(tmp_path / "traced.pt")
    torch.export.save(torch.export.export(network, (torch.ones(1, 2),)), tmp_path / "x.pt2")
    for name, said in (("traced.pt", "TorchScript"), ("x.pt2", "torch.export")):
        with pytest.raises(ForeignFileError, match=said):
            recognise(tmp_path / name)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_cut_short(tmp_path, suffix, share):
    path = tmp_path / f"w{suffix}"
    state = {"w": torch.zeros(10_000)}
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    if suffix == ".safetensors" and share > 0.01:
        pytest.skip("its header is whole: what lacks is found when it is opened")
    with pytest.raises(CamcliError, match="cut short"):
        recognise(path)


# --- sizes ---------------------------------------------------------------------------------------


def test_a_header_longer_than_its_file(tmp_path):
    path = tmp_path / "w.safetensors"
    for length in (2**63, 2**40, 10**9, 100):
        path.write_bytes(header('{"a":1}', length))
        with pytest.raises(CamcliError, match="cut short"):
            recognise(path)


def sparse(path, head: bytes, size: int) -> None:
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)


def test_a_header_beyond_all_bounds(tmp_path):
    path = tmp_path / "w.safetensors"
    sparse(path, header('{"a":1}', 90 << 20), 100 << 20)
    with pytest.raises(UnreasonableFileError, match="header"):
        recognise(path)


def test_too_many_tensors(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "MAX_TENSORS", 50)
    path = tmp_path / "w.safetensors"
    save_file({str(n): torch.zeros(1) for n in range(50)}, path)
    assert recognise(path) == "safetensors"
    save_file({str(n): torch.zeros(1) for n in range(51)}, path)
    with pytest.raises(UnreasonableFileError, match="51 tensors"):
        recognise(path)


def rewritten(path, change, compression=zipfile.ZIP_STORED) -> None:
    """A torch file with its members changed by `change`, which maps a name and bytes to bytes."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, change(name, data))


@pytest.mark.parametrize("bomb", ["data.pkl", "data/0"])
@pytest.mark.posix
def test_a_member_that_unpacks_to_a_thousand_times_its_size(tmp_path, bomb):
    path = tmp_path / "w.pth"
    torch.save(STATE, path)

    def change(name, data):
        return data + bytes(200_000_000) if name.endswith(bomb) else data

    rewritten(path, change, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1_000_000
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UnreasonableFileError, match="unpacks to 200,"):
        recognise(path)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scale = 1 if sys.platform != "darwin" else 1024
    assert (after - before) / scale < 50_000  # kilobytes


def test_sizes_that_a_directory_makes_up(tmp_path):
    """Stored members cannot be larger than the file that holds them."""
    path = tmp_path / "w.pth"
    torch.save(STATE, path)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 20 : at + 28] = struct.pack("<LL", 2**31, 2**31)
    path.write_bytes(data)
    with pytest.raises(CamcliError):
        recognise(path)


def test_a_directory_of_a_million_entries(tmp_path):
    """Python alone would make a million objects of it."""
    path = tmp_path / "w.pth"
    entry = b"PK\x01\x02" + bytes(24) + struct.pack("<HHH", 1, 0, 0) + bytes(12) + b"x"
    count = 250_000
    end = b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, 65535, 65535, len(entry) * count, 4, 0)
    path.write_bytes(b"PK\x03\x04" + entry * count + end)
    with pytest.raises(UnreasonableFileError, match="directory"):
        recognise(path)


def test_a_deflated_file_of_an_ordinary_size_is_read(tmp_path):
    path = tmp_path / "w.pth"
    torch.save(STATE, path)
    rewritten(path, lambda name, data: data, zipfile.ZIP_DEFLATED)
    assert recognise(path) == "torch"


def test_a_pickle_larger_than_any_networks(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "MAX_PICKLE", 100)
    path = tmp_path / "w.pth"
    torch.save(STATE, path)
    with pytest.raises(UnreasonableFileError, match="describes its tensors"):
        recognise(path)
