"""Install torch and torchvision for CPUs: a tenth of what PyPI's build for Linux brings.

    python ci/install_torch.py [--index URL]

Into the Python that runs this. On Linux they come from PyTorch's own index where that answers, else
(and on other systems, whose builds on PyPI are for CPUs) nothing is done: the plain installation
brings them from PyPI. The versions are those that pyproject.toml asks for.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tomllib
from pathlib import Path

INDEX = "https://download.pytorch.org/whl/cpu"


def wanted(pyproject: Path) -> list[str]:
    """What the project asks for of torch and torchvision, as pip takes it."""
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    return [each for each in project["dependencies"] if each.startswith("torch")]


def command(packages: list[str], index: str) -> list[str]:
    """The installation; an index that does not answer costs seconds, not minutes."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "20"]
    return [*pip, "--index-url", index, *packages]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--index", default=INDEX)
    index = parser.parse_args().index
    if not sys.platform.startswith("linux"):
        print("torch for CPUs is what PyPI has for this system")
        return
    packages = wanted(Path(__file__).resolve().parent.parent / "pyproject.toml")
    if subprocess.run(command(packages, index), check=False).returncode:
        print(f"{index} gave no torch; PyPI's will be installed, which is larger")


if __name__ == "__main__":
    main()
