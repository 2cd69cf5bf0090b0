"""What is released: two files that hold what git has, with metadata that is true."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def script(name):
    """A script of ci/ as a module."""
    spec = importlib.util.spec_from_file_location(f"ci_{name}", ROOT / "ci" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check = script("release_check")


@pytest.fixture(scope="module")
def repository():
    """The files that git has; an unpacked sdist has no git."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git here to compare with")
    return check.in_git(ROOT, new=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the sdist of this tree."""
    pytest.importorskip("hatchling", reason="the backend is not installed")
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True,
        capture_output=True,
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    return wheel, sdist


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(built, repository):
    there = check.wheel_files(built[0])
    assert there == check.package_files(repository)
    for needed in ("py.typed", "/imagenet.tsv", "/DejaVuSans.ttf", "/page.html", "/view.js"):
        assert any(name.endswith(needed) for name in there), needed
    assert not [name for name in there if name.startswith(("tests", "benchmarks", "ci"))]


@pytest.mark.slow
def test_the_sdist_holds_the_repository(built, repository):
    assert check.sdist_files(built[1]) == repository


@pytest.mark.slow
def test_a_wheel_made_of_the_sdist_is_the_same(built, tmp_path):
    import tarfile

    with tarfile.open(built[1]) as file:
        file.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", tmp_path, "-t", "wheel"], cwd=unpacked,
        check=True, capture_output=True,
    )  # fmt: skip
    (again,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(again) as one, zipfile.ZipFile(built[0]) as other:
        assert one.namelist() == other.namelist()
        for name in one.namelist():
            assert one.read(name) == other.read(name), name


@pytest.mark.slow
def test_the_metadata_say_what_pyproject_says(built):
    from camcli import __version__

    with zipfile.ZipFile(built[0]) as file:
        (meta,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        read = HeaderParser().parsestr(file.read(meta).decode())
        scripts = file.read(meta.replace("METADATA", "entry_points.txt")).decode()
    assert (read["Name"], read["Version"]) == ("camcli", __version__)
    assert read["Requires-Python"] == PROJECT["requires-python"]
    assert read["License-Expression"] == "Apache-2.0"
    assert len(read.get_all("License-File")) == 4
    assert "camcli = camcli.__main__:main" in scripts
    assert set(read.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])


def test_the_version_is_told_in_one_place():
    from camcli import __version__

    assert "version" not in PROJECT
    assert PROJECT["dynamic"] == ["version"]
    assert check.version(ROOT) == __version__
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc|\.dev)\d+)?", __version__)


def test_every_python_that_is_allowed_is_named():
    named = [
        each.rpartition(" :: ")[2]
        for each in PROJECT["classifiers"]
        if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", each)
    ]
    assert named == ["3.11", "3.12", "3.13", "3.14"]
    assert PROJECT["requires-python"] == f">={named[0]}"
    target = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]
    assert target["target-version"] == "py" + named[0].replace(".", "")


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ({"camcli/a.py"}, []),
        (set(), ["lacks camcli/a.py"]),
        ({"camcli/a.py", "notes.txt"}, ["holds notes.txt"]),
        ({"notes.txt"}, ["lacks camcli/a.py", "holds notes.txt"]),
    ],
)
def test_a_wrong_list_is_told(there, words):
    told = check.different("x.whl", there, {"camcli/a.py"})
    assert len(told) == len(words)
    for sentence, part in zip(told, words, strict=True):
        assert part in sentence


@pytest.mark.parametrize(
    ("tag", "changes", "words"),
    [
        ("v1.2.3", "## 1.2.3\n", []),
        (None, "# Changelog\n\n## 1.2.3 (2026-11-26)\n", []),
        ("v1.2.4", "## [1.2.3]\n", ["the tag is v1.2.4"]),
        (None, "## 1.2.30\n", ["no section"]),
        ("1.2.3", "## Unreleased\n", ["the tag is 1.2.3", "no section"]),
    ],
)
def test_a_version_that_not_all_agree_on_is_told(tmp_path, tag, changes, words):
    (tmp_path / "camcli").mkdir()
    (tmp_path / "camcli" / "__init__.py").write_text('x = 1\n__version__ = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(changes)
    told = check.check_version(tag, tmp_path)
    assert len(told) == len(words)
    for sentence, part in zip(told, words, strict=True):
        assert part in sentence


def test_torch_for_cpus_is_the_torch_of_the_project():
    torch = script("install_torch")
    found = torch.wanted(ROOT / "pyproject.toml")
    assert [re.match(r"\w+", each)[0] for each in found] == ["torch", "torchvision"]
    assert set(found) <= set(PROJECT["dependencies"])
    line = torch.command(found, "https://there")
    assert line[:3] == [sys.executable, "-m", "pip"]
    assert line[line.index("--index-url") + 1] == "https://there"
