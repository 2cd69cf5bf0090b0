"""OpenVINO and NNCF tell their makers that they are used; through camcli they do not.

Each in a process of its own: in one with pytest in it NNCF tells nothing anyway, and another test
may have imported OpenVINO before. What would be told goes to a proxy that is not there.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import camcli
from camcli.models.runtime import openvino_core

ROOT = Path(camcli.__file__).resolve().parent.parent
SAMPLES = Path(__file__).resolve().parents[3] / "sample_images"
# As a user's: without `if __name__ == "__main__"`. Sending takes a moment, in a thread.
SCRIPT = """
print("begun", flush=True)
{do}
import time
time.sleep(1)
"""


def script(tmp_path: Path, do: str) -> tuple[str, list[str]]:
    """What a script prints, and what it leaves in an empty home."""
    file, home = tmp_path / "script.py", tmp_path / "home"
    file.write_text(SCRIPT.format(do=do), "utf-8")
    home.mkdir()
    ci = ("CI", "TF_BUILD", "JENKINS_URL", "NNCF_CI", "NNCF_DEV")
    env = {name: value for name, value in os.environ.items() if name not in ci}
    env |= {"HOME": str(home), "CAMCLI_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    env |= dict.fromkeys(("HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, str(file)], env=env, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, sorted(path.name for path in home.iterdir())


@pytest.fixture(scope="module")
def tells(tmp_path_factory):
    """Skips where OpenVINO would tell nothing by itself: there is nothing to be seen then."""
    pytest.importorskip("openvino")
    folder = tmp_path_factory.mktemp("alone")
    if not script(folder, "import openvino")[1]:
        pytest.skip("this OpenVINO tells nothing when it is imported")


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.usefixtures("tells")
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_nothing_is_told_and_a_script_runs_once(tmp_path, precision):
    if precision == "int8" and importlib.util.find_spec("nncf") is None:
        pytest.skip("nncf is not installed")
    for copy in "ab":  # int8 is calibrated on 16
        shutil.copytree(SAMPLES, tmp_path / "photos" / copy)
    used = "nncf" if precision == "int8" else "openvino"
    # Whether int8 is near enough on so few is not what this is about: it was tried.
    do = f"""
import camcli, sys
from camcli.errors import CamcliError
try:
    list(camcli.batch("photos", out="run", runtime="openvino", limit=16, precision={precision!r}))
except CamcliError as error:
    assert "int8" in str(error), error
assert {used!r} in sys.modules
"""
    assert script(tmp_path, do) == ("begun\n", [])


def test_no_other_file_imports_openvino():
    pattern = re.compile(r"^\s*(import openvino|from openvino\b)", re.M)
    files = Path(camcli.__file__).parent.rglob("*.py")
    assert [path.name for path in files if pattern.search(path.read_text("utf-8"))] == []


@pytest.mark.parametrize("before", [None, object()], ids=["not imported", "imported"])
def test_it_is_missing_only_meanwhile(monkeypatch, before):
    name = "openvino_telemetry"
    monkeypatch.delitem(sys.modules, name, raising=False)
    if before is not None:
        monkeypatch.setitem(sys.modules, name, before)
    with openvino_core.untold(), pytest.raises(ImportError):
        importlib.import_module(name)
    assert sys.modules.get(name) is before
