"""A Python file of one's own is what `--model` takes: ``./mynet.py:build``."""

import sys

import pytest
import torch
from safetensors.torch import save_file

from camcli.errors import UsageError
from camcli.jobs.model import ModelJob
from camcli.models import spec
from camcli.models.load import load_classifier
from camcli.models.loading.checkpoint import Checkpoint, save_checkpoint
from camcli.models.loading.own import file as own_file
from camcli.models.loading.sources import check_model, source_of
from camcli.models.loading.zoo import build_model

FILE = """
from torch import nn
import {sibling}

class Block(nn.Sequential):
    def __init__(self, width):
        super().__init__(nn.Conv2d(3, width, 3, padding=1), nn.ReLU())

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = Block({sibling}.WIDTH)
        self.fc = nn.Linear({sibling}.WIDTH, 2)

    def forward(self, x):
        return self.fc(self.body(x).mean((2, 3)))

def build():
    return Net()
"""


@pytest.fixture(autouse=True)
def _imports(monkeypatch):
    """What a test imports is forgotten after it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(own_file, "_beside", {})
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if not name.startswith(("torch", "camcli", "timm", "numpy")):
            del sys.modules[name]


@pytest.fixture
def nets(tmp_path):
    """Two folders, each with a model.py that imports a widths.py beside it."""
    for folder, width in (("one", 4), ("two", 8)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.py").write_text(FILE.format(sibling="widths"))
        (tmp_path / folder / "widths.py").write_text(f"WIDTH = {width}\n")
    return tmp_path


@pytest.mark.parametrize("end", [":build", ":Net", ""], ids=["function", "class", "alone"])
@pytest.mark.parametrize("how", ["absolute", "relative", "bare", "no suffix"])
def test_a_path_before_the_colon(nets, monkeypatch, how, end):
    if how == "no suffix" and not end:
        pytest.skip("a path without a suffix and a factory is no Python file's")
    monkeypatch.chdir(nets / "one" if how == "bare" else nets)
    where = {
        "absolute": str(nets / "one" / "model.py"), "relative": "./one/model.py",
        "bare": "model.py", "no suffix": "./one/model",
    }[how]  # fmt: skip
    assert source_of(where + end).name == "own code"
    check_model(where + end)
    built = build_model(where + end)
    assert built.module.fc.weight.shape == (2, 4)
    assert (built.provenance.name, built.provenance.source) == (where + end, "user")
    said = built.provenance.notes  # what was taken for the factory, where nobody said it
    assert (f"{where}: build builds the network." in said) == (not end)


def test_weights_go_into_it(nets):
    name = f"{nets}/one/model.py:build"
    state = {
        f"module.{k}": torch.randn_like(v) for k, v in build_model(name).module.state_dict().items()
    }
    save_file(state, nets / "w.safetensors")
    module = build_model(name, weights=nets / "w.safetensors").module
    assert torch.equal(module.fc.bias, state["module.fc.bias"])


def test_files_of_one_name_and_what_lies_beside_them_stay_apart(nets):
    one, two = (f"{nets}/{folder}/model.py:build" for folder in ("one", "two"))
    widths = [build_model(name).module.fc.in_features for name in (one, two, one, two)]
    assert widths == [4, 8, 4, 8]


def test_the_code_runs_once_and_in_the_end_names_are_not_taken_from_others(nets):
    (nets / "one" / "json.py").write_text("raise RuntimeError\n")  # never asked for
    file = nets / "one" / "model.py"
    file.write_text(file.read_text() + "print('ran')\n")
    first, second = own_file.import_file(file), own_file.import_file(file)
    assert first is second
    assert "model" not in sys.modules or sys.modules["model"].__file__ != str(file)


def test_a_file_of_a_package_may_import_from_it(tmp_path):
    package = tmp_path / "zebra_nets"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "blocks.py").write_text("WIDTH = 6\n")
    code = FILE.format(sibling="blocks").replace("import blocks", "from . import blocks")
    (package / "model.py").write_text(code)
    assert build_model(f"{package}/model.py:build").module.fc.in_features == 6
    (package / "__init__.py").write_text("from .model import build\n")
    del sys.modules["zebra_nets"]
    assert build_model(f"{package}:build").module.fc.in_features == 6


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def small(): ...\ndef large(): ...\n", r"net\.py:small or .*net\.py:large"),
        ("import torch\nwidth = 3\n", "no function or torch.nn.Module class of its own"),
        (
            "from torch import nn\nclass A(nn.Module): ...\nclass B(nn.Module): ...\n",
            r"several things: .*net\.py:A or .*net\.py:B",
        ),
        ("from torch import nn\nclass A(nn.Module):\n  def __init__(self, n): ...\n", "net.py:A"),
        ("from .x import y\n", "importing .*net.py fails"),
        ("import not_there_at_all\n", "not_there_at_all"),
        ("1/0\n", "ZeroDivisionError"),
        ("def (:\n", "SyntaxError"),
    ],
)
def test_a_file_alone_that_leaves_doubt_says_what_there_is(tmp_path, code, words):
    (tmp_path / "net.py").write_text(code)
    with pytest.raises(UsageError, match=words):
        build_model(f"{tmp_path}/net.py")


def test_what_is_not_there_is_told_without_torch(tmp_path, monkeypatch):
    (tmp_path / "mynet.py").write_text("")
    (tmp_path / "data.txt").write_text("")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    for name, words in (
        ("./mynets.py:build", r"no file mynets\.py. Did you mean mynet\.py"),
        ("nonsense.py", "no file"),
        ("./data.txt:build", "no Python file"),
        ("./folder:build", "__init__"),
    ):
        with pytest.raises(UsageError, match=words):
            check_model(name)
    with pytest.raises(UsageError, match="no 'bild'"):
        build_model("./mynet.py:bild")


def test_names_are_taken_apart_and_compared():
    parts = spec.own_code_parts
    assert parts(r"C:\nets\mynet.py:build") == (r"C:\nets\mynet.py", "build")
    assert parts(r"C:\nets\mynet.py") == (r"C:\nets\mynet.py", "")
    assert parts("package.nets:Small.make") == ("package.nets", "Small.make")
    assert spec.is_file_of_code(r"C:\nets\mynet.py")
    assert not spec.is_file_of_code("package.nets")
    assert spec.same_code("./mynet.py:build", "/far/mynet.py:build")
    assert spec.same_code(r"C:\nets\mynet.py:build", "mynet.py:build")
    assert not spec.same_code("./mynet.py:build", "./mynet.py:other")
    assert not spec.same_code("mynet:build", "./mynet.py:build")
    assert not spec.same_code("a:build", "b:build")


def test_another_process_finds_the_file_from_any_folder(nets, monkeypatch, tmp_path):
    monkeypatch.chdir(nets / "one")
    job = ModelJob(model="./model.py:build").elsewhere()
    monkeypatch.chdir(tmp_path)
    assert job.model == f"{nets / 'one' / 'model.py'}:build"
    check_model(job.model)
    assert ModelJob(model="package.nets:build").elsewhere().model == "package.nets:build"


def test_a_checkpoint_of_a_file_is_opened_with_the_file_that_the_user_names(nets, monkeypatch):
    monkeypatch.chdir(nets)
    name = "./one/model.py:build"
    own = build_model(name, input_size=32)
    tensors = {k: v for k, v in own.module.state_dict().items() if k.startswith("body.")}
    saved = Checkpoint(
        name, ("a", "b"), own.preprocess.with_(size=32), tensors, torch.randn(2, 4), torch.zeros(2)
    )
    save_checkpoint(nets / "c.safetensors", saved)
    with pytest.raises(UsageError, match=r"--model \./one/model\.py:build"):
        load_classifier(checkpoint=nets / "c.safetensors")
    monkeypatch.chdir(nets / "one")  # the same file, from elsewhere
    found = load_classifier("model.py:build", checkpoint=nets / "c.safetensors")
    assert torch.equal(found.head.weight, saved.weight)
    with pytest.raises(UsageError, match="was trained on"):
        load_classifier("other.py:build", checkpoint=nets / "c.safetensors")
