"""Converted networks on disk: found again where they are the same, and only there."""

import os
import subprocess
import sys

import pytest
import torch
from torch import fx, nn

from camcli.models.runtime import conversion_cache, openvino
from camcli.models.runtime.conversion_cache import name_of
from camcli.models.runtime.policy import runtime_of, with_runtime


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    pytest.importorskip("openvino", reason="openvino is not installed")
    monkeypatch.setenv("CAMCLI_CACHE", str(tmp_path))
    return tmp_path / "openvino"


def network(seed=0, stride=2):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=stride, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip


def traced(function):
    calls = fx.Graph()
    calls.output(calls.call_function(function, (calls.placeholder("x"),)))
    return fx.GraphModule(nn.Module(), calls)


def fast(plain):
    def no_warning(text):
        raise AssertionError(text)

    return with_runtime(plain, "openvino", warn=no_warning)


@pytest.mark.parametrize("kind", ["convnet", "vit"])
def test_a_network_is_converted_once(kind, request, cache, monkeypatch, tiny):
    make = request.getfixturevalue(kind)
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    plain = tiny(make())
    first = fast(plain).look(images)
    fast(plain)  # converting changed nothing that its name goes by
    assert len(list(cache.iterdir())) == 1

    def again(*_):
        raise AssertionError("converted again")

    monkeypatch.setattr(openvino, "convert", again)
    found = fast(tiny(make()))
    second = found.look(images)
    assert runtime_of(found)["name"] == "openvino"
    assert torch.equal(first.logits, second.logits)
    assert torch.equal(first.parts[0].A, second.parts[0].A)
    with pytest.raises(Exception, match="converted again"):
        fast(tiny(network(seed=1)))


@pytest.mark.parametrize("damaged", ["model.xml", "model.bin", "outputs.json"])
@pytest.mark.parametrize("how", ["gone", "empty", "other"])
def test_what_is_damaged_is_made_again(damaged, how, cache, tiny):
    plain = tiny(network())
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    fast(plain)
    (folder,) = cache.iterdir()
    if how == "gone":
        (folder / damaged).unlink()
    else:
        (folder / damaged).write_bytes(b"" if how == "empty" else b"[1, 2]")
    assert torch.allclose(fast(plain)(images)[0], plain(images)[0], atol=1e-5)
    again, expected = (folder / damaged).read_bytes(), len(list(folder.iterdir()))
    assert len(again) > 10
    assert expected == 3


def test_without_a_place_on_the_disk_it_is_converted(monkeypatch, tmp_path, tiny):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CAMCLI_CACHE", str(tmp_path / "file"))
    assert runtime_of(fast(tiny(network())))["name"] == "openvino"


def test_the_newest_stay(cache, monkeypatch, tiny):
    monkeypatch.setattr(conversion_cache, "_KEPT", 2)
    for seed in range(3):
        fast(tiny(network(seed)))
        for path in cache.iterdir():  # all a minute older
            os.utime(path, (path.stat().st_mtime - 60,) * 2)
        if seed == 1:
            fast(tiny(network(0)))  # used again
    names = {name_of(tiny(network(seed)).features, (3, 32, 32)) for seed in (0, 2)}
    assert {path.name for path in cache.iterdir()} == names


def test_all_that_decides_a_network_is_in_its_name():
    base = network()
    scaled = network()
    with torch.no_grad():
        scaled[0].weight[0, 0, 0, 0] += 1e-6
    buffered = network()
    buffered.register_buffer("unsaved", torch.ones(2), persistent=False)
    names = [
        name_of(base), name_of(scaled), name_of(buffered), name_of(network(stride=1)),
        name_of(base, 64), name_of(base, pixels=[torch.zeros(3, 2, 2)]),
        name_of(base, pixels=[torch.ones(3, 2, 2)]),
        name_of(traced(torch.relu)), name_of(traced(torch.tanh)),
    ]  # fmt: skip
    assert None not in names
    assert len(set(names)) == len(names)
    assert name_of(network()) == name_of(base)


@pytest.mark.slow
def test_the_name_is_the_same_in_another_process():
    code = (
        "import torch; from torch import nn\n"
        "from camcli.models.runtime.conversion_cache import name_of\n"
        "torch.manual_seed(0); print(name_of(nn.Conv2d(3, 8, 3), 32))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    torch.manual_seed(0)
    assert out.stdout.strip() == name_of(nn.Conv2d(3, 8, 3), 32)


class Own(nn.Module):
    """Computes what only this file's code says."""

    def forward(self, x):
        return x * 2


def twice(x):
    return x * 2


def test_what_only_code_decides_is_not_kept():
    assert name_of(nn.Sequential(Own())) is None
    assert name_of(traced(twice)) is None
    assert name_of(traced(torch.relu))
