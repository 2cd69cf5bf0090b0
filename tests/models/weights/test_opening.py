"""A weight file is opened without running what it says; what it holds besides tensors is let be."""

from __future__ import annotations

import argparse
import builtins
import collections
import contextlib
import copyreg
import datetime
import decimal
import fractions
import os
import pathlib
import pickle
import random
import struct
import types
import uuid
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from camcli.errors import CamcliError, UsageError
from camcli.models.weights import opening
from camcli.models.weights.allowed import ListStandIn, MappingStandIn, StandIn, stand_in
from camcli.models.weights.opening import open_weights

STATE = {"fc.weight": torch.arange(6.0).view(2, 3), "fc.bias": torch.zeros(2)}


def defaulted():
    made = collections.defaultdict(list)
    made["a"] = [1]
    return made


HARMLESS = {
    "namespace": argparse.Namespace(lr=0.1, out=pathlib.Path("x"), when=datetime.datetime.now()),
    "float64": np.float64(0.91),
    "array": np.arange(4),
    "objects": np.array([1, "a"], dtype=object),
    "dtype": np.dtype("f4"),
    "numpy-type": np.float32,
    "rng": np.random.default_rng(0),
    "rng-state": np.random.get_state(),
    "random-state": random.getstate(),
    "datetime": datetime.datetime.now(datetime.UTC),
    "delta": datetime.timedelta(1),
    "path": pathlib.Path("a/b"),
    "windows": pathlib.PureWindowsPath("a/b"),
    "defaultdict": defaulted(),
    "ordered": collections.OrderedDict(a=1),
    "counter": collections.Counter("aab"),
    "deque": collections.deque([1, 2]),
    "decimal": decimal.Decimal("1.5"),
    "fraction": fractions.Fraction(1, 3),
    "uuid": uuid.uuid4(),
    "simple": types.SimpleNamespace(a=3),
    "set": {1, 2},
    "frozenset": frozenset([1]),
    "slice": slice(1, 2),
    "range": range(3),
    "complex": 1j,
    "bytes": b"abc",
    "loss": torch.nn.CrossEntropyLoss(),
    "schedule": torch.optim.lr_scheduler.StepLR,
    "optimizer": torch.optim.SGD([torch.zeros(1)], lr=0.1),
}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", HARMLESS)
def test_plain_objects_beside_the_tensors(tmp_path, name, legacy):
    if legacy and name == "loss":
        pytest.skip("torch wrote the source of modules into the files of that time")
    path = tmp_path / "w.pth"
    what = {"state_dict": STATE, "beside": HARMLESS[name], "after": STATE["fc.bias"]}
    torch.save(what, path, _use_new_zipfile_serialization=not legacy)
    before = set(torch.serialization.get_safe_globals())
    loaded = open_weights(path)
    assert torch.equal(loaded["state_dict"]["fc.weight"], STATE["fc.weight"])
    assert torch.equal(loaded["after"], STATE["fc.bias"])
    assert set(torch.serialization.get_safe_globals()) == before  # the process's own list


def test_stand_ins_take_everything_and_do_nothing():
    for made in (StandIn, MappingStandIn, ListStandIn):
        made()
        made(1, "os.system")
    one = StandIn(1, b=2)
    one.__setstate__({"__class__": int, "a": 1})
    assert vars(one) == {}
    assert MappingStandIn(list) == {}
    assert ListStandIn(3) == []


@pytest.mark.parametrize(
    "name",
    [
        "os.system", "posix.system", "nt.system", "subprocess.Popen", "builtins.eval",
        "builtins.exec", "builtins.getattr", "builtins.__import__", "builtins.open",
        "builtins.print", "torch.load", "torch.hub.load", "runpy.run_path", "shutil.rmtree",
        "pathlib", "numpyx.a", "my.numpy.float64", "torch.nn.modules.linear.Linear",
        "importlib.import_module", "ctypes.CDLL", "webbrowser.open", "functools.reduce",
    ],
)  # fmt: skip
def test_nothing_else_is_in_the_list(name):
    assert stand_in(name) is None


@pytest.mark.parametrize(
    "name", ["numpy.load", "pathlib.Path.unlink", "collections.namedtuple", "random.seed"]
)
def test_the_list_gives_stand_ins_and_never_the_thing_itself(name):
    """So that nothing within a family can do harm, whatever its name resolves to."""
    assert stand_in(name) is StandIn


class Trap:
    """Pickled, it is a call."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


def calls(mark: pathlib.Path) -> dict[str, Trap]:
    return {
        "touch": Trap(pathlib.Path.touch, (mark,)),
        "unlink": Trap(pathlib.Path.unlink, (mark.with_name("kept"),)),
        "system": Trap(os.system, (f"touch {mark}",)),
        "eval": Trap(builtins.eval, (f"open({str(mark)!r}, 'w')",)),
        "savetxt": Trap(np.savetxt, (str(mark), [1])),
        "tofile": Trap(np.ndarray.tofile, (np.ones(2), str(mark))),
        "memmap": Trap(np.memmap, (str(mark), "u1", "w+", 0, (4,))),
        "reconstruct": Trap(copyreg._reconstructor, (argparse.Namespace, object, None)),
        "getattr": Trap(getattr, ("text", "upper")),
        "torch": Trap(torch.save, (1, str(mark))),
    }


@pytest.mark.parametrize("name", calls(pathlib.Path("x")))
def test_a_pickle_that_would_write_or_delete_a_file_does_not(tmp_path, name):
    """Also where the function is of a family whose objects are harmless."""
    mark, kept = tmp_path / "ran", tmp_path / "kept"
    kept.touch()
    path = tmp_path / "evil.pth"
    for legacy in (False, True):
        what = {"model": STATE, "x": calls(mark)[name]}
        torch.save(what, path, _use_new_zipfile_serialization=not legacy)
        with contextlib.suppress(CamcliError):
            assert type(open_weights(path)["x"]) is StandIn
    path.write_bytes(pickle.dumps(calls(mark)[name]))
    with pytest.raises(CamcliError):
        open_weights(path)
    assert not mark.exists()
    assert kept.exists()


class Settings:
    """A type of a user's own."""


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_other_types_are_named(tmp_path, legacy):
    path = tmp_path / "w.pth"
    what = {"model": STATE, "args": Settings(), "path": pathlib.Path("a")}
    torch.save(what, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CamcliError) as caught:
        open_weights(path)
    assert f"({Settings.__module__}.Settings)" in str(caught.value)
    assert "state_dict()" in str(caught.value)
    assert "pathlib" not in str(caught.value)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("under", ["", "model"])
def test_whole_networks_are_called_what_they_are(tmp_path, under, legacy):
    path = tmp_path / "whole.pt"
    network = torch.nn.Sequential(torch.nn.Linear(2, 2))
    torch.save(
        {under: network} if under else network, path, _use_new_zipfile_serialization=not legacy
    )
    with pytest.raises(CamcliError) as caught:
        open_weights(path)
    what, way = str(caught.value).split("\n")
    assert "whole network" in what
    assert "torch.nn.modules.container.Sequential" in what
    assert "state_dict()" in way
    assert "cut short" not in what + way


def test_newer_pickles(tmp_path):
    path = tmp_path / "w.pth"
    torch.save(STATE, path, pickle_protocol=4)
    with pytest.raises(CamcliError, match="newer protocol"):
        open_weights(path)


def test_numbers_that_a_file_does_not_have(tmp_path):
    """A storage larger than its member, and a shape larger than its storage."""
    path = tmp_path / "w.pth"
    torch.save({"w": torch.arange(6.0).view(2, 3)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    huge = b"J" + struct.pack("<i", 300_000_000)
    for old, new in ((b"K\x06", huge), (b"K\x02K\x03", b"K\x02" + huge)):
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                changed = data.replace(old, new, 1) if name.endswith("data.pkl") else data
                archive.writestr(name, changed)
        with pytest.raises(CamcliError, match="damaged"):
            open_weights(path)


def test_offsets_that_overlap_or_point_outside(tmp_path):
    path = tmp_path / "w.safetensors"
    for entry in (
        '{"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}}',
        '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}',
        '{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}',
        '{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
        '{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}',
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}',
        '{"a":5}',
        '{"__metadata__":{"a":5}}',
        "{" + '"a":[' * 10_000,
        "{not json}",
    ):
        path.write_bytes(struct.pack("<Q", len(entry)) + entry.encode() + bytes(4))
        with pytest.raises(CamcliError, match="not a whole safetensors file"):
            open_weights(path)


def test_safetensors_under_any_name(tmp_path):
    path = tmp_path / "pytorch_model.bin"
    save_file(STATE, path)
    assert torch.equal(open_weights(path)["fc.weight"], STATE["fc.weight"])


def test_a_folder_says_what_is_in_it(tmp_path):
    save_file(STATE, tmp_path / "model.safetensors")
    with pytest.raises(UsageError, match=r"folder with model\.safetensors: give one"):
        open_weights(tmp_path)
    with pytest.raises(UsageError, match="no weight file"):
        open_weights(tmp_path / "none")


def test_two_at_once(tmp_path):
    """What is allowed belongs to the process: a file must not lose its own to another."""
    from concurrent.futures import ThreadPoolExecutor

    paths = []
    for number, beside in enumerate(HARMLESS.values()):
        paths.append(tmp_path / f"{number}.pth")
        torch.save({"model": STATE, "x": beside}, paths[-1])
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(open_weights, paths * 2))
    assert all("fc.bias" in each["model"] for each in loaded)
    assert opening.stand_in("argparse.Namespace") is StandIn


def test_what_torch_saved_under_the_name_of_safetensors_opens(tmp_path):
    path = tmp_path / "net.safetensors"
    torch.save({"weight": torch.ones(2)}, path)
    assert torch.equal(open_weights(path)["weight"], torch.ones(2))
