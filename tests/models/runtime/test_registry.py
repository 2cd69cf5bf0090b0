"""A runtime is a file and an entry: everything that lists or picks one reads the table."""

import sys
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

from camcli.cli.app import app
from camcli.errors import UnavailableError, UsageError
from camcli.models.runtime import registry
from camcli.models.runtime.policy import runtime_of, with_runtime
from camcli.models.runtime.protocol import Made
from camcli.models.runtime.registry import ENTRIES, PRECISIONS, RUNTIMES, RuntimeEntry


class StandIn:
    """Torch under another name, which counts what goes through it."""

    name, worth = "standin", 3
    here = True
    seen = 0

    def version(self):
        return "1.2"

    def refuses(self, device, precision):
        return None if precision == "float32" else UsageError(f"no {precision} in standin")

    def why_not(self, wanted):
        return None if self.here else UnavailableError("pip install standin")

    def make(self, wanted):
        def run(images):
            self.seen += len(images)
            return wanted.backbone(images)

        return Made(run)


@pytest.fixture
def standin(monkeypatch):
    module = SimpleNamespace(STANDIN=StandIn())
    monkeypatch.setitem(sys.modules, "standin_runtime", module)
    entry = RuntimeEntry("standin_runtime:STANDIN", "a stand-in", "CPU", "float32", "", True)
    fastest = {"standin": entry, **registry._FASTEST}
    monkeypatch.setattr(registry, "_FASTEST", fastest)
    monkeypatch.setattr(registry, "RUNTIMES", (*RUNTIMES, "standin"))
    monkeypatch.setitem(registry.ENTRIES, "standin", entry)
    return module.STANDIN


def test_a_new_entry_is_chosen_checked_and_recorded(standin, tiny, convnet):
    plain = tiny(convnet())
    assert with_runtime(plain, images=range(2)) is plain
    for fast in (with_runtime(plain, "standin"), with_runtime(plain, images=range(3))):
        images = torch.zeros(2, 3, *plain.preprocess.shape[1:], dtype=torch.uint8)
        before = standin.seen
        assert torch.equal(fast.look(images).logits, plain.look(images).logits)
        assert standin.seen == before + 2
        assert runtime_of(fast) == {"name": "standin", "version": "1.2", "difference": 0.0}
    with pytest.raises(UsageError, match="no int8 in standin"):
        with_runtime(plain, "standin", precision="int8")


def test_what_is_not_here_is_said_or_passed_over(standin, tiny, convnet):
    standin.here = False
    plain = tiny(convnet())
    with pytest.raises(UnavailableError, match="pip install standin"):
        with_runtime(plain, "standin")
    assert runtime_of(with_runtime(plain, images=()))["name"] in ("openvino", "torch")


def test_every_entry_is_a_runtime_of_its_name():
    assert ("auto", *ENTRIES) == RUNTIMES
    for name, entry in ENTRIES.items():
        runtime = entry.load()
        assert runtime.name == name
        assert all(
            problem is None or str(problem)
            for device in ("cpu", "cuda", "mps")
            for problem in (runtime.refuses(device, precision) for precision in PRECISIONS)
        )
        assert runtime.refuses("cpu", "float32") is None
    help_text = " ".join(CliRunner().invoke(app, ["batch", "--help-all"]).output.split())
    assert all(name in help_text for name in RUNTIMES)
