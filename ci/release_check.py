"""Build the wheel and the sdist, and try both as strangers would, outside the checkout.

    python ci/release_check.py                       # before a release: installs anew, minutes
    python ci/release_check.py --site SITE-PACKAGES  # dependencies from there; nothing is fetched
    python ci/release_check.py --tag v0.2.0 --tests none

1. The version is told by one file, the changelog has a section of it, and a tag agrees.
2. ``python -m build`` makes both files; ``twine check`` likes them.
3. The wheel holds the package as git has it and nothing else; the sdist the whole repository.
4. In a fresh environment the wheel installs, ``pip check`` finds nothing, the command starts, and
   it explains the sample pictures.
5. The tests of the unpacked sdist pass in an empty folder, on the package of the wheel.

Needs ``pip install build twine``. The files stay in ``dist/``.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def version(root: Path = ROOT) -> str:
    """What ``camcli/__init__.py`` says, without importing it."""
    text = (root / "camcli" / "__init__.py").read_text("utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.M)
    if found is None:
        raise SystemExit("camcli/__init__.py does not say its version in a line of its own")
    return found[1]


def in_git(root: Path = ROOT, *, new: bool = False) -> set[str]:
    """The files of the repository as git has them, with forward slashes.

    Args:
        root: of the repository.
        new: also those that nobody has added yet, and that git would not ignore.
    """
    which = ["--cached", "--others", "--exclude-standard"] if new else ["--cached"]
    listed = subprocess.run(
        ["git", "ls-files", "-z", *which], cwd=root, capture_output=True, check=True
    ).stdout
    names = {name for name in os.fsdecode(listed).split("\0") if name}
    return {name for name in names if (root / name).exists()}  # removed, not yet committed


def wheel_files(wheel: Path) -> set[str]:
    """What a wheel installs, without its metadata."""
    with zipfile.ZipFile(wheel) as file:
        return {name for name in file.namelist() if ".dist-info/" not in name}


def sdist_files(sdist: Path) -> set[str]:
    """What an sdist holds, without its top folder and its metadata."""
    with tarfile.open(sdist) as file:
        names = {member.name.partition("/")[2] for member in file if not member.isdir()}
    return names - {"PKG-INFO"}


def package_files(names: set[str]) -> set[str]:
    """What the wheel has of the repository: code, types, its data, and the samples."""
    shipped = {name for name in names if name.startswith(("sample_images/", "configs/"))}
    return {name for name in names if name.startswith("camcli/")} | {
        f"camcli/data/shipped/{name}" for name in shipped
    }


def different(what: str, there: set[str], wanted: set[str]) -> list[str]:
    """Sentences about a file list that is not as it should be."""
    missing, strange = sorted(wanted - there), sorted(there - wanted)
    told = [f"{what} lacks {', '.join(missing)}"] if missing else []
    return told + (
        [f"{what} holds {', '.join(strange)}, which git does not know"] if strange else []
    )


def check_version(tag: str | None, root: Path = ROOT) -> list[str]:
    """Sentences about a version that not everything agrees on."""
    said, told = version(root), []
    if tag is not None and tag != f"v{said}":
        told.append(f"the tag is {tag} and the version {said}")
    changes = (root / "CHANGELOG.md").read_text("utf-8")
    if not re.search(rf"^## \[?{re.escape(said)}\]?(\s|$)", changes, re.M):
        told.append(f"CHANGELOG.md has no section '## {said}'")
    return told


def run(*command: str | Path, cwd: Path | None = None) -> None:
    """Run it, visibly, without what would put the checkout on Python's path."""
    print("$", *command, flush=True)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([os.fspath(each) for each in command], cwd=cwd, env=kept, check=False)
    if done.returncode:
        raise SystemExit(f"exit code {done.returncode}: {' '.join(map(str, command))}")


def environment(place: Path, wheel: Path, site: Path | None, extras: str) -> Path:
    """A fresh environment with the wheel in it; its Python."""
    venv.create(place, with_pip=True)
    bin_ = place / ("Scripts" if sys.platform == "win32" else "bin")
    python = bin_ / ("python.exe" if sys.platform == "win32" else "python")
    if site is None:
        run(python, ROOT / "ci" / "install_torch.py")
        run(python, "-m", "pip", "install", "--quiet", f"{wheel}{extras}")
        run(python, "-m", "pip", "check")
        return python
    own = next(place.rglob("site-packages"))
    # A path, not the folder's own .pth files: an editable camcli there stays out.
    (own / "dependencies.pth").write_text(f"{site}\n", "utf-8")
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel)
    return python


def main() -> None:
    """Run the checks; the first that fails ends it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tag", help="what git calls the release")
    parser.add_argument("--site", type=Path, help="site-packages that have all dependencies")
    parser.add_argument("--tests", choices=["none", "quick", "all"], default="quick")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    parser.add_argument("--built", action="store_true", help="check what --dist has already")
    options = parser.parse_args()
    dist = options.dist.resolve()

    if told := check_version(options.tag):
        raise SystemExit("; ".join(told))
    name = f"camcli-{version()}"
    if not options.built:
        for old in dist.glob("camcli-*"):
            old.unlink()
        run(sys.executable, "-m", "build", "--outdir", dist, ROOT)
    wheel, sdist = dist / f"{name}-py3-none-any.whl", dist / f"{name}.tar.gz"
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    files = in_git()
    told = different(wheel.name, wheel_files(wheel), package_files(files))
    told += different(sdist.name, sdist_files(sdist), files)
    if told:
        raise SystemExit("; ".join(told))

    with tempfile.TemporaryDirectory(prefix="camcli-release-") as temporary:
        place, empty = Path(temporary), Path(temporary) / "empty"
        empty.mkdir()
        extras = "" if options.tests == "none" else "[dev]"
        python = environment(place / "venv", wheel, options.site, extras)
        # -P: the current folder is not on Python's path.
        where = f"import camcli; assert camcli.__file__.startswith({str(place)!r}), camcli.__file__"
        run(python, "-P", "-c", where, cwd=empty)
        run(python.parent / "camcli", "--version", cwd=empty)
        with tarfile.open(sdist) as file:
            file.extractall(place, filter="data")
        unpacked = place / name
        run(python.parent / "camcli", "data", "samples", cwd=empty)
        run(
            python.parent / "camcli", "batch", "sample_images", "--out", "run", "--report",
            "--quiet", cwd=empty,
        )  # fmt: skip
        if options.tests != "none":
            if options.site is None:
                references = ROOT / "tests" / "references.txt"
                run(python, "-m", "pip", "install", "--quiet", "--no-deps", "-r", references)
            which = [] if options.tests == "all" else ["-m", "not slow"]
            run(
                python, "-P", "-m", "pytest", "-n", "auto", "--dist", "loadfile", *which,
                "--rootdir", unpacked, "-c", unpacked / "pyproject.toml", unpacked / "tests",
                cwd=empty,
            )  # fmt: skip
    print(f"{name} is ready in {dist}")


if __name__ == "__main__":
    main()
