"""What a notebook and a script show of a check."""

from pathlib import Path

from camcli.evaluate.check.issue import CheckedPhoto, CheckIssue
from camcli.evaluate.check.result import CheckResult
from camcli.evaluate.check.told import findings_of

ISSUES = (
    CheckIssue("duplicate across splits", "val/a_1.jpg", 1.0, "in val, and a copy in train", "a",
               "train/a_1.jpg"),
    CheckIssue("exact duplicate", "val/a_1.jpg", 1.0, "the same file", "a", "train/a_1.jpg"),
    CheckIssue("exact duplicate", "train/b.jpg", 1.0, "the same file", "a", "train/c.jpg"),
)  # fmt: skip


def result(photo, looked):
    photos: tuple[CheckedPhoto, ...] = tuple(photo(f"{n}.jpg", "a") for n in range(9))
    return CheckResult(
        "own", photos, ("a",), ISSUES, findings_of(ISSUES, looked), looked,
        not_looked=("outliers, for want of time",), out=Path("checked"),
    )  # fmt: skip


def test_a_script_is_told_in_a_line_and_a_notebook_in_markdown(photo):
    found = result(photo, 9)
    assert repr(found) == (
        "CheckResult('own', 9 photographs, 1 class, counts={'duplicate across splits': 1, "
        "'exact duplicate': 2}, out='checked')"
    )
    text = found._repr_markdown_()
    assert text.startswith("3 issues in 9 photographs.\n")
    assert "    - val/a\\_1.jpg = train/a\\_1.jpg: in val, and a copy in train\n" in text
    assert text.endswith("**Not looked at**\n\n- outliers, for want of time\n")


def test_a_copy_that_was_told_is_not_told_again_as_news(photo):
    copies = result(photo, 9).findings[1]
    assert "Told above already: 1." in copies.words
    assert [s.rel for s in copies.sightings] == ["train/b.jpg", "val/a_1.jpg"]


def test_of_how_many_is_what_was_looked_at(photo):
    assert result(photo, 4).summary == "3 issues in 4 of 9 photographs"
