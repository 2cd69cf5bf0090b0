"""`benchmarks/gpu.py` on the CPU: whoever has a GPU for minutes finds that all of it runs."""

import importlib
import json
import sys
import time
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from camcli.models.runtime.compiled import has_compiler

ROOT = Path(__file__).parents[1]
# What takes a second or two; the others compile, start processes, or try every method.
QUICK = {"machine", "memory", "train"}
NEEDS = {"peers": ("pytorch_grad_cam", "torchcam"), "ray": ("ray", "pyarrow")}
NAMES = (
    "machine", "correct", "streams", "train", "transformers", "compiled", "processes", "batch",
    "ray", "memory", "forward", "stages", "limits", "peers",
)  # fmt: skip


@pytest.fixture(scope="module")
def gpu():
    """The script, as a module."""
    before = list(sys.path)
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield importlib.import_module("gpu")
    sys.path[:] = before


def test_each_section_is_tried_here(gpu):
    assert tuple(gpu.SECTIONS) == NAMES


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in NAMES]
)
def test_a_section_fills_its_tables(gpu, name, tmp_path, monkeypatch):
    for module in NEEDS.get(name, ()):
        pytest.importorskip(module)
    if name == "compiled" and not has_compiler():
        pytest.skip("torch.compile needs a C++ compiler")
    monkeypatch.setenv("CAMCLI_CACHE", str(tmp_path / "cache"))
    run, _ = gpu.SECTIONS[name]
    setting = gpu.Setting(ROOT / "sample_images", "cpu", True, None, tmp_path)
    tables = list(run(setting))
    assert tables[0].rows
    for table in tables:
        assert table.problems() == []
        assert {len(row) for row in table.rows} <= {len(table.head)}
        assert len(set(table.head)) == len(table.head)
        assert len(table.markdown().splitlines()) >= len(table.rows) + 4
        json.dumps(table.plain())
    if name == "correct":
        maps = tables[0]
        column = maps.head.index("empty maps, there and here")
        assert {row[column] for row in maps.rows if row[1] == "gradcam"} == {"0, 0"}
        assert all(row[3] > 0.9999 for row in maps.rows)  # one CPU is as the other


@pytest.mark.posix
def test_what_fails_is_told_at_the_end(gpu, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "LEAST", 0.2)
    report = gpu.Report(tmp_path / "out")

    def broken(_):
        yield gpu.Table("Half", ("what", "img/s", "errors"), [("a", 3.0, 0), ("b", 2.0, 1)])
        raise ImportError("there is no such module")

    def slow(_):
        try:
            time.sleep(20)
        except Exception:
            pytest.fail("a handler on the way swallowed it")
        finally:
            yield gpu.Table("Late", ("what", "img/s"), [("c", gpu_tables.told(OSError("full")))])

    gpu_tables = importlib.import_module("gpu_tables")
    report.section("broken", broken, None, 60)
    report.section("slow", slow, None, gpu.LEAST)
    report.section("none", slow, None, gpu.LEAST / 2)
    report.close()
    text = (tmp_path / "out" / "gpu.md").read_text()
    assert report.failed == ["broken", "slow"]
    assert report.not_run == ["none"]
    assert report.problems == ["Half: b / 2 / 1", "Late: c / OSError: full"]
    assert "there is no such module" in text
    assert "CutOffError: after 0 s" in text
    for told in (*report.problems, "Not run, no time was left"):
        assert told in text
    assert json.loads((tmp_path / "out" / "gpu.json").read_text())["not_run"] == ["none"]


def test_no_script_hides_a_package():
    """The folder of a script that is started comes first: what another imports is looked for there.

    So a script that is called like a package is imported in its place, by others beside it, too.
    """
    scripts = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    packages = {"transformers", "ray", "captum", "pytorch_grad_cam", "torchcam", "keras", "onnx"}
    taken = {*sys.stdlib_module_names, *packages_distributions(), *packages}
    assert scripts & taken == set()


def test_what_has_not_run_on_a_gpu_comes_first(gpu):
    """A machine may be lent for minutes: the sections whose limits fit into it are named here."""
    first = NAMES[: NAMES.index("batch")]
    assert sum(gpu.SECTIONS[name][1] for name in first) <= 570
