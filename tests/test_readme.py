"""The README is short and true; its commands and links are tried by tests/docs/test_pages.py."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def test_it_is_read_in_two_minutes():
    """At 250 words a minute, links and table rules aside."""
    text = re.sub(r"\]\([^)]*\)|```.*?```|[|*`#-]", " ", README, flags=re.S)
    assert len(text.split()) <= 600


def test_every_command_has_its_line():
    from typer.main import get_command

    from camcli.cli.app import app

    for name in get_command(app).commands:
        assert f"`camcli {name}" in README, name


def test_the_columns_of_the_pages_are_those_of_the_table():
    from camcli.batch.tables.rows import columns

    for page in ("docs/runs.md", "skills/camcli/SKILL.md"):
        text = (ROOT / page).read_text("utf-8")
        listed = re.search(r"`(path, label, .*?)`", text, re.S)[1]
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


def test_every_page_is_reached():
    """From the README, and from llms.txt; what is written by `make docs` aside."""
    agents = (ROOT / "llms.txt").read_text("utf-8")
    pages = [p.relative_to(ROOT).as_posix() for p in (ROOT / "docs").rglob("*.md")]
    for page in pages:
        linked = f"({page})" in README or page in {"docs/licences.md", "docs/agents.md"}
        assert linked, f"the README has no link to {page}"
        indexed = f"({page})" in agents or page in {
            "docs/index.md", "docs/licences.md", "docs/agents.md"
        }  # fmt: skip
        assert indexed, f"llms.txt has no link to {page}"
