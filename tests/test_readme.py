"""What the README says is true: its options exist, its columns are the table's, its Python runs."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def shell_lines():
    for block in re.findall(r"```sh\n(.*?)```", README, re.S):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if "camcli" in words:
                rest = words[words.index("camcli") + 1 :]
                stop = next((i for i, w in enumerate(rest) if w in {"|", ";", "&", "&&"}), None)
                yield rest[:stop]


@pytest.mark.parametrize("words", list(shell_lines()), ids=" ".join)
def test_every_command_line_parses(words):
    from camcli.cli.app import app

    command, context = get_command(app), None
    while hasattr(command, "commands"):
        assert words[0] in command.commands, words
        command = command.commands[words.pop(0)]
    context = command.make_context("camcli", list(words))
    assert context is not None


def test_the_columns_are_those_of_the_table():
    from camcli.batch.tables.rows import columns

    listed = re.search(r"has one row an image: `(.*?)`", README, re.S)[1]
    named = re.sub(r"\s+", " ", listed)
    expected = columns(5)
    for name in named.replace(" ... ", ", ").split(", "):
        assert name in expected, name
    assert named.split(", ")[:8] == expected[:8]
    assert named.split(", ")[-6:] == expected[-6:]


def test_its_python_runs(tmp_path, monkeypatch, capsys):
    (tmp_path / "sample_images").symlink_to(ROOT / "sample_images")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    exec(compile(code, "README.md", "exec"), {})
    out = capsys.readouterr().out
    for picture in (ROOT / "sample_images").glob("*.jpg"):
        assert picture.name in out
        assert (tmp_path / "run" / "overlays" / picture.name).is_file()


def test_its_pictures_and_links_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
