"""The pages are true: their commands parse, those that can run here do, and say what is printed.

A block of commands with ``<!-- run -->`` in the line before is run, in order with the others of its
page, in a folder that holds the photographs and settings of the repository. ``<!-- output -->``
before a block says that these lines were printed by the commands before it; numbers may differ.
``# exit code 3`` at the end of a command says what it ends with. A block after ``<!-- file -->`` is
a file that the reader writes; its first line has the name.
"""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[2]
# README, CONTRIBUTING and what agents read hold commands, too.
PAGES = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        *(path for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md") if path.is_file()),
        *(ROOT / "skills").rglob("*.md"),
        *(path for path in [ROOT / "llms.txt"] if path.is_file()),
    ]
)
HELP = {"--help", "--help-all"}
_BLOCK = re.compile(
    r"^(?:<!-- (?P<note>[a-z]+(?: [a-z]+)*) -->\n)?(?P<indent> *)```(?P<kind>\w+)\n"
    r"(?P<text>.*?)^(?P=indent)```$",
    re.S | re.M,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        kind: its language.
        note: what a comment in the line before says: ``run`` or ``output``; or nothing.
        text: what it holds.
    """

    kind: str
    note: str
    text: str

    def lines(self) -> Iterator[str]:
        """Its shell commands: continued lines in one, here-documents whole, no comments."""
        text = re.sub(r"\\\n\s*", " ", self.text)
        rest = iter(text.splitlines())
        for line in rest:
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            if end := re.search(r"<<'(\w+)'", line):
                whole = [line]
                for more in rest:
                    whole.append(more)
                    if more == end[1]:
                        break
                line = "\n".join(whole)
            yield line


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page in order."""
    return [
        Block(m["kind"], m["note"] or "", re.sub(f"^{m['indent']}", "", m["text"], flags=re.M))
        for m in _BLOCK.finditer(page.read_text("utf-8"))
    ]


def calls(line: str) -> Iterator[list[str]]:
    """The words of each call of camcli in a line, wherever it stands: in a pipe, in quotes."""
    words = shlex.split(line.splitlines()[0], comments=True)
    for i, word in enumerate(words):
        if re.match(r"camcli [a-z]", word):
            yield from calls(word)
        # `pip install camcli` and `-t camcli .` are no calls: nothing follows that could be one.
        if word.split("/")[-1] == "camcli" and re.match(
            r"-?-?[a-z]", "".join(words[i + 1 : i + 2])
        ):
            rest = words[i + 1 :]
            ends = {"|", "&&", "||", "&", ">", ">>", "2>", ";", "done", "<"}
            stop = next((j for j, each in enumerate(rest) if each in ends), None)
            yield [each.rstrip(";") for each in rest[:stop]]


@cache
def root() -> Any:
    """All commands; made once, which takes a tenth of a second."""
    from camcli.cli.app import app

    return get_command(app)


def find(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words begin with, and the words that are left."""
    command, rest = root(), list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands, words
        command = command.commands[rest.pop(0)]
    return command, rest


def name(page):
    return page.relative_to(ROOT).as_posix()


def every_call():
    for page in PAGES:
        for block in blocks(page):
            if block.kind in {"sh", "console", "bash"}:
                for line in block.lines():
                    for words in calls(line):
                        yield pytest.param(words, id=f"{name(page)}: {' '.join(words)}"[:100])


@pytest.mark.parametrize("words", list(every_call()))
def test_a_command_parses(words, monkeypatch):
    monkeypatch.chdir(ROOT)  # configurations are named as they lie in the repository
    command, words = find(words)
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        try:
            assert command.make_context("camcli", list(words)) is not None
        except Exception as e:
            if type(e).__name__ not in {"Exit", "NoArgsIsHelpError"}:
                raise


def test_a_call_is_found_wherever_it_stands():
    assert list(calls("camcli merge run")) == [["merge", "run"]]
    assert list(calls("find . | camcli batch - --out x > y  # z")) == [["batch", "-", "--out", "x"]]
    assert list(calls("sbatch --wrap 'camcli merge run'")) == [["merge", "run"]]
    assert list(calls("docker run --rm camcli batch /photos")) == [["batch", "/photos"]]
    assert list(calls("for i in 1 2; do camcli batch p --shard $i/2; done")) == [
        ["batch", "p", "--shard", "$i/2"]
    ]
    assert list(calls("pip install camcli")) == []
    assert list(calls("docker build -t camcli .")) == []


def test_a_command_in_the_prose_is_one():
    """``camcli frobnicate`` between backticks is found, and ``camcli explain --frobnicate``."""
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
        for span in re.findall(r"`(camcli [a-z][^`]*)`", text):
            if "|" in span:  # several in one, as in a table
                continue
            command, rest = find(shlex.split(span)[1:])
            known = {opt for param in command.params for opt in param.opts} | HELP
            for word in rest:
                assert not word.startswith("--") or word in known, f"{name(page)}: {span}"


def test_an_option_in_the_prose_is_one():
    def options(command):
        yield from (opt for param in command.params for opt in (*param.opts, *param.secondary_opts))
        for child in getattr(command, "commands", {}).values():
            yield from options(child)

    known = {*options(root())} | HELP
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
        for option in re.findall(r"`(--[a-z][\w-]*)", text):
            assert option in known, f"{name(page)}: {option}"


class Folder:
    """A folder in which a page is tried."""

    def __init__(self, path):
        self.path = path
        for each in ("sample_images", "configs"):
            (path / each).symlink_to(ROOT / each)
        self.printed = ""

    def shell(self, line):
        """Run one line as a newcomer would; camcli itself in this process, since torch is here."""
        code = int(m[1]) if (m := re.search(r"# exit code (\d+)$", line)) else 0
        redirected = re.fullmatch(r"(camcli [^'|<>;&$`]*) > (\S+)", line)
        line, into = redirected.groups() if redirected else (line, "")
        plain = "\n" not in line and not re.search(r"[|<>;&$`]", re.sub(r"'[^']*'", "", line))
        words = shlex.split(line, comments=True) if plain else []
        if words and words[0] == "camcli":
            from camcli.cli.app import app

            done = CliRunner().invoke(app, words[1:])
            self.printed += done.output
            if into:
                Path(into).write_text(done.stdout, "utf-8")
            if done.exception and not isinstance(done.exception, SystemExit):
                raise done.exception
            found = done.exit_code
        else:
            start = f'camcli() {{ "{sys.executable}" -m camcli "$@"; }}\n{line}'
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", start],
                capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "100"},
            )  # fmt: skip
            self.printed += done.stdout + done.stderr
            found = done.returncode
        assert found == code, f"{line}\nexit code {found}\n{self.printed[-3000:]}"

    def python(self, text):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(text, "page", "exec"), {"__name__": "page"})
        self.printed += out.getvalue()


def alike(text):
    """A line without what may differ from machine to machine: numbers, and the width of a table."""
    text = re.sub(r"\d+(?:\.\d+)?", "0", text)
    text = re.sub(r"[│┃|]", " ", text)
    return re.sub(r"\s+", " ", re.sub(r"[─━╭╮╰╯┏┓┗┛┡┩└┘┌┐├┤┬┴┼]+", "", text)).strip()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("CAMCLI_OFFLINE", "1")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield Folder(tmp_path)
    for module in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[module], "__file__", "")):
            del sys.modules[module]


# Some three seconds and more. The others together take about as long as one of these.
SLOW = {
    "README.md", "docs/gallery.md", "docs/how-to/localization.md", "docs/how-to/shortcuts.md",
    "docs/how-to/slurm.md", "docs/how-to/train.md", "docs/index.md", "docs/runs.md",
    "docs/tutorial.md",
}  # fmt: skip


def runnable():
    for page in PAGES:
        if any(block.note.startswith("run") for block in blocks(page)):
            marks = pytest.mark.slow if name(page) in SLOW else ()
            yield pytest.param(page, id=name(page), marks=marks)


@pytest.mark.parametrize("page", list(runnable()))
def test_a_page_runs(page, folder):
    for block in blocks(page):
        if block.note == "run":
            folder.printed = ""
            if block.kind == "python":
                folder.python(block.text)
            else:
                for line in block.lines():
                    folder.shell(line)
        elif block.note == "output":
            printed = alike(folder.printed)
            for line in block.text.splitlines():
                if line.strip() not in {"", "..."}:
                    assert alike(line) in printed, f"not printed: {line}\n{folder.printed}"
        elif block.note == "file":
            # A file that the reader is told to write: its first line says where.
            first = block.text.splitlines()[0]
            Path(first.lstrip("#/ ").split()[0]).write_text(block.text, "utf-8")
    check_pictures(page, folder.path)


def check_pictures(page, folder):
    """A picture in a page that the page's own commands draw is the one that they draw."""
    for target in re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", page.read_text("utf-8")):
        shown, drawn = page.parent / target, folder / Path(target).name
        if shown.parent.name == "gallery" and drawn.is_file():
            a, b = (np.asarray(Image.open(each).convert("RGB"), float) for each in (shown, drawn))
            assert a.shape == b.shape, f"{target} is out of date: {a.shape} and {b.shape}"
            assert np.abs(a - b).mean() < 4, f"{target} is out of date"


def test_every_page_with_pictures_of_its_own_shows_all_of_them():
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)\s#]+\.(?:jpg|png))\)", page.read_text("utf-8"))
    }
    lying = set((ROOT / "docs").rglob("*.jpg")) | set((ROOT / "docs").rglob("*.png"))
    assert lying <= shown, f"shown nowhere: {lying - shown}"
    assert all(path.stat().st_size < 400_000 for path in lying)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_within_the_repository_lead_somewhere(page, generate):
    written = set(generate.PAGES) | set(generate.ELSEWHERE)
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", text):
        where = (page.parent / target).resolve()
        in_site = where.is_relative_to(ROOT / "docs") and (
            where.relative_to(ROOT / "docs").as_posix() in written
        )
        assert where.exists() or in_site, f"{name(page)}: {target}"


def test_nothing_in_the_site_comes_from_elsewhere():
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert "font: false" in text
    assert "http" not in text
    for page in PAGES:
        assert not re.search(
            r"!\[[^\]]*\]\(http|<(script|link|img)[^>]*http", page.read_text("utf-8")
        )
