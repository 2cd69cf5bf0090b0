import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner


@pytest.fixture
def camcli(tmp_path, monkeypatch):
    """Run the command line in this process, in an empty folder, as an 80-column terminal."""
    from camcli.cli.app import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("FORCE_COLOR", raising=False)

    def run(*args, stdin=None):
        return CliRunner().invoke(app, [str(a) for a in args], input=stdin)

    return run


@pytest.fixture
def shell(tmp_path):
    """Run the command line as a process of its own."""

    def run(*args, **kw):
        return subprocess.run(
            [sys.executable, "-m", "camcli", *map(os.fspath, args)],
            cwd=tmp_path, capture_output=True, check=False, **kw,
        )  # fmt: skip

    return run
