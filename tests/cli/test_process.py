from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from camcli.cli.terminal.process import importing, leave

ROOT = Path(__file__).resolve().parents[2]


def ended(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, *arguments, "-c", code]
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)


def test_the_collector_rests_while_modules_are_imported_and_no_longer():
    seen = []

    def missing():
        with importing():
            seen.append(gc.isenabled())
            raise ImportError

    with pytest.raises(ImportError):
        missing()
    assert seen == [False]
    assert gc.isenabled()
    gc.unfreeze()


def test_who_turned_the_collector_off_keeps_it_off():
    gc.disable()
    try:
        with importing():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


LEAVING = """
import atexit, sys, tempfile, threading, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from camcli.cli.terminal.process import leave
folder = tempfile.TemporaryDirectory()
atexit.register(lambda: print("at exit"))
pool = ThreadPoolExecutor(1)
pool.submit(lambda: (time.sleep(0.2), print("pool")))
threading.Thread(target=lambda: (time.sleep(0.1), print("thread"))).start()
print(folder.name)
leave({code})
print("Python ends it")
"""


@pytest.mark.parametrize(("code", "status"), [("3", 3), ("0", 0), ("None", 0)])
def test_threads_are_waited_for_and_what_is_due_at_the_end_is_done(code, status):
    done = ended(LEAVING.format(code=code))
    assert done.returncode == status, done.stderr
    folder, *said = done.stdout.split("\n")
    assert said == ["thread", "pool", "at exit", ""]
    assert not Path(folder).exists()


def test_python_ends_a_process_that_somebody_looks_at():
    watched = "import sys\nsys.settrace(lambda *_: None)\n"
    profiled = "import sys\nsys.setprofile(lambda *_: None)\n"
    for code in (watched, profiled):
        done = ended(code + LEAVING.format(code="0"))
        assert done.stdout.split("\n")[1:] == ["Python ends it", "thread", "pool", "at exit", ""]


MAIN = """
import sys
sys.argv = ["camcli", "--version"]
from camcli.__main__ import main
try:
    main()
except SystemExit as leaving:
    print("back with", leaving.code)
"""
TAKEN_FOR = """
import runpy, sys
sys.argv = ["camcli", "--version"]
try:
    runpy.run_module("camcli", run_name="__main__")
except SystemExit as leaving:
    print("back with", leaving.code)
"""


@pytest.mark.parametrize("code", [MAIN, TAKEN_FOR], ids=["main", "runpy"])
def test_a_program_that_calls_the_command_line_gets_its_exit_code_and_goes_on(code):
    done = ended(code)
    assert done.stdout.split("\n")[1:] == ["back with 0", ""]


# What a console script is called, on Linux and on Windows, and how it looks.
SCRIPT = """
import sys, threading
from camcli.cli.terminal import process
process.os._exit = lambda code: (print("left with", code), process.os.kill(process.os.getpid(), 9))
from camcli.__main__ import main
if __name__ == "__main__":
    sys.exit(main())
"""


@pytest.mark.parametrize(
    ("name", "left"),
    [("camcli", True), ("camcli.exe/__main__.py", True), ("mine.py", False)],
)
def test_the_console_script_is_left_and_another_is_not(tmp_path, name, left):
    script = tmp_path / name
    script.parent.mkdir(exist_ok=True)
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, "--version"],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert ("left with 0" in done.stdout) == left, done.stderr


def test_a_message_is_left_to_python():
    assert leave("what went wrong") is None


EXPLAIN = """
import sys
sys.argv = ["camcli", "explain", {photo!r}, "--out", {out!r}]
from camcli.__main__ import run
try:
    run()
except SystemExit as leaving:
    assert not leaving.code
print(*sys.modules)
"""


@pytest.mark.slow
def test_explaining_with_the_bundled_network_imports_no_more_than_it_needs(tmp_path):
    photo, out = ROOT / "sample_images" / "cat.jpg", tmp_path / "cat.jpg"
    done = ended(EXPLAIN.format(photo=str(photo), out=str(out)))
    assert done.returncode == 0, done.stderr
    assert out.is_file()
    imported = set(done.stdout.splitlines()[-1].split())
    assert "torch" in imported
    heavy = {
        "timm", "torchvision", "torch._dynamo", "torch._inductor", "torch.onnx", "sympy",
        "openvino", "huggingface_hub", "triton", "scipy", "sklearn", "matplotlib", "jinja2",
        "pandas", "nncf", "ray", "fsspec",
    }  # fmt: skip
    assert not heavy & imported


INTERRUPTED = """
import sys
sys.argv = ["camcli", "methods"]
from camcli.cli.terminal import process
def importing():
    raise KeyboardInterrupt
process.importing = importing
from camcli.__main__ import main
main()
"""


def test_ctrl_c_while_the_commands_are_imported_shows_no_traceback():
    done = ended(INTERRUPTED)
    assert (done.returncode, done.stderr) == (130, "error: Interrupted.\n")
