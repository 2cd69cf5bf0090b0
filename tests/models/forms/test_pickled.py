"""A pickled network runs its code: only where it is trusted, and then in every form that it has."""

import pickle
import sys
import types

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from camcli.cli.app import app
from camcli.errors import CamcliError, UsageError
from camcli.models.forms.registry import form_of
from camcli.models.load import load_classifier
from camcli.models.loading.own import file
from camcli.models.loading.zoo import build_model

CODE = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU())
        self.fc = nn.Linear(width, 2)
    def forward(self, x):
        return self.fc(self.body(x).mean((2, 3)))
"""


@pytest.fixture(autouse=True)
def _imports(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(file, "_beside", {})


def module_of(name):
    made = types.ModuleType(name)
    exec(CODE, made.__dict__)
    return made


def written(name, path, wrap=lambda net: net, save=torch.save):
    """A file with a network of the module `name`, whose code is not here any more."""
    made = module_of(name)
    for value in vars(made).values():
        if isinstance(value, type) and value.__module__ == "builtins":
            value.__module__ = name
    before = sys.modules.get(name)
    sys.modules[name] = made
    try:
        net = made.Net().eval()
        save(wrap(net), path)
    finally:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
    return net


def pickled(what, path):
    path.write_bytes(pickle.dumps(what))


def legacy(what, path):
    torch.save(what, path, _use_new_zipfile_serialization=False)


SAVES = {"zip": torch.save, "legacy": legacy, "pickle": pickled,
         "protocol 5": lambda what, path: torch.save(what, path, pickle_protocol=5)}  # fmt: skip


@pytest.mark.parametrize("save", SAVES.values(), ids=SAVES)
def test_whole_networks_open_when_they_are_trusted(tmp_path, save):
    path = tmp_path / "whole.pt"
    net = written("zebra_net", path, save=save)
    assert form_of(path).name == "pickled"
    with pytest.raises(UsageError, match=r"runs the code of zebra_net\.Net.*\n.*--trust-pickle"):
        build_model(str(path))
    with pytest.raises(UsageError, match="needs the Python module 'zebra_net'"):
        build_model(str(path), trust_pickle=True)
    (tmp_path / "zebra_net.py").write_text(CODE)  # beside the file
    try:
        built = build_model(str(path), trust_pickle=True)
    finally:
        sys.modules.pop("zebra_net", None)
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(built.module(x), net(x))
    assert built.provenance.notes[0] == "whole.pt: a pickled network, zebra_net.Net."
    assert len(built.provenance.sha256) == 64
    assert not any(p.requires_grad for p in built.module.parameters())


def test_its_code_may_lie_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "zebra_two.py").write_text(CODE)
    monkeypatch.chdir(tmp_path / "code")
    written("zebra_two", tmp_path / "weights" / "w.pt")
    try:
        assert build_model("../weights/w.pt", trust_pickle=True).classes == ("0", "1")
    finally:
        sys.modules.pop("zebra_two", None)


def test_a_network_among_other_things_and_one_of_several(tmp_path):
    path = tmp_path / "last.pt"
    made = {}

    def wrap(net):
        average = type(net)()
        made.update(net=net, average=average)
        return {"epoch": 3, "ema": average, "model": net, "loss": nn.CrossEntropyLoss()}

    (tmp_path / "zebra_three.py").write_text(CODE)
    written("zebra_three", path, wrap)
    try:
        built = build_model(str(path), trust_pickle=True)
        other = build_model(str(path), trust_pickle=True, weights_key="ema")
        with pytest.raises(UsageError, match="'ema', 'model'"):
            build_model(str(path), trust_pickle=True, weights_key="nothing")
    finally:
        sys.modules.pop("zebra_three", None)
    assert torch.equal(built.module.fc.weight, made["net"].fc.weight)
    assert torch.equal(other.module.fc.weight, made["average"].fc.weight)
    assert "2 networks: 'model' is taken, and --weights-key ema takes the other" in "".join(
        built.provenance.notes
    )


def test_what_a_script_defined_needs_the_script(tmp_path):
    path, script = tmp_path / "whole.pt", tmp_path / "train.py"
    net = written("__main__", path)
    with pytest.raises(UsageError, match=r"--model FILE.py:Net --weights .* --trust-pickle"):
        build_model(str(path), trust_pickle=True)
    script.write_text(
        CODE + "if __name__ == '__main__':\n    raise SystemExit('trains for days')\n"
    )
    built = build_model(f"{script}:Net", weights=path, trust_pickle=True)
    assert torch.equal(built.module.fc.weight, net.fc.weight)
    with pytest.raises(CamcliError, match="whole network"):
        build_model(f"{script}:Net", weights=path)


def test_weights_of_a_pickled_network_go_into_another(tmp_path):
    import timm

    path = tmp_path / "whole.pt"
    net = timm.create_model("resnet10t", num_classes=3)
    torch.save({"model": net, "epoch": 1}, path)
    with pytest.raises(CamcliError, match=r"timm\.models\.resnet\.ResNet"):
        build_model("timm:resnet10t", weights=path)
    built = build_model("timm:resnet10t", weights=path, trust_pickle=True)
    assert torch.equal(built.module.fc.weight, net.fc.weight)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.DataParallel(nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1),
                                               nn.Flatten())), None),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(2, 2)), "fails on a picture"),
        (lambda: {"a": [1, 2]}, "no tensors"),
    ],
    ids=["wrapped", "no classifier", "nothing"],
)  # fmt: skip
def test_networks_of_torch_itself(tmp_path, make, words):
    path = tmp_path / "whole.pt"
    pickled(make(), path)
    if words is None:
        assert build_model(str(path), trust_pickle=True).classes == ("0", "1")
        return
    with pytest.raises(CamcliError, match=words):
        build_model(str(path), trust_pickle=True)


class Trap(nn.Module):
    """A network that writes a file when it is made from a pickle."""

    def __init__(self, mark):
        super().__init__()
        self.fc, self.mark = nn.Linear(1, 1), mark

    def __setstate__(self, state):
        state["mark"].touch()
        super().__setstate__(state)


class Call:
    """Pickled, it is a call."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return type(self.mark).touch, (self.mark,)


@pytest.mark.parametrize("save", SAVES.values(), ids=SAVES)
@pytest.mark.parametrize(
    "make",
    [Trap, Call, lambda mark: {"state_dict": {"w": torch.ones(2)}, "x": Trap(mark)},
     lambda mark: [nn.Linear(1, 1), Call(mark)]],
    ids=["network", "call", "beside tensors", "beside a network"],
)  # fmt: skip
def test_nothing_runs_unless_it_is_asked_for(tmp_path, make, save):
    path, mark = tmp_path / "evil.pt", tmp_path / "ran"
    save(make(mark), path)
    for way in (
        {"name": str(path)}, {"name": "resnet18", "weights": path},
        {"name": f"{tmp_path}/net.py:Net", "weights": path},
    ):  # fmt: skip
        (tmp_path / "net.py").write_text(CODE)
        with pytest.raises(CamcliError):
            build_model(**way)
    for arguments in (["--model", str(path)], ["--model", "resnet18", "--weights", str(path)],
                      ["--checkpoint", str(path)]):  # fmt: skip
        result = CliRunner().invoke(app, ["explain", str(path), *arguments])
        assert result.exit_code in (1, 2)
    with pytest.raises(CamcliError):
        load_classifier(checkpoint=path)
    assert not mark.exists()


def test_without_the_option_the_command_says_which_code_would_run(tmp_path, capsys):
    path = tmp_path / "whole.pt"
    written("zebra_four", path)
    result = CliRunner().invoke(app, ["explain", "cat.jpg", "--model", str(path)])
    assert result.exit_code == 2
    assert "zebra_four.Net" in result.stderr
    assert "--trust-pickle" in result.stderr
