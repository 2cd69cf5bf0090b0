"""Which photograph of a data set a line of marks is about."""

import pytest

from camcli.data.marked.decide import decide
from camcli.data.marked.marks_file import read_marks
from camcli.errors import UsageError


@pytest.fixture
def table(tmp_path):
    """A table whose photographs all lie in one folder, which is then what they are relative to."""
    (tmp_path / "photos").mkdir()
    lines = ["path,label"]
    for name in ("a", "b", "c", "d"):
        (tmp_path / "photos" / f"{name}.jpg").write_bytes(name.encode())
        lines.append(f"photos/{name}.jpg,{'cat' if name < 'c' else 'dog'}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    return tmp_path / "table.csv"


@pytest.mark.parametrize(
    "name", ["photos/a.jpg", "./photos/a.jpg", "a.jpg", "{folder}/photos/a.jpg"]
)
def test_a_photograph_may_be_called_as_the_table_calls_it(table, tmp_path, monkeypatch, name):
    marks = tmp_path / "marks.csv"
    marks.write_text(f"path,mark\n{name.format(folder=tmp_path)},drop\n")
    monkeypatch.chdir(tmp_path.parent)  # what a table names lies beside it, wherever one stands
    found = decide(read_marks(marks), str(table))
    assert [photo.ref.path.name for photo in found.dropped] == ["a.jpg"]


def test_only_photographs_of_the_table_are_meant(table, tmp_path):
    (tmp_path / "photos" / "e.jpg").write_bytes(b"e")
    marks = tmp_path / "marks.csv"
    for name in ("photos/e.jpg", "../photos/a.jpg", "photos"):
        marks.write_text(f"path,mark\n{name},drop\n")
        with pytest.raises(UsageError, match="does not hold"):
            decide(read_marks(marks), str(table))
