from pathlib import Path

import pytest

from camcli.batch.summary.highlights import Highlight, Highlights, WeakClass, highlights
from camcli.cli.terminal.closing import (
    hanging,
    rows,
    tell_flags,
    tell_highlights,
    tell_page,
    width,
)
from camcli.jobs.flags import Flagged
from camcli.models.outputs import Output

SOFTMAX = Output("softmax")
FOUND = Highlights(
    mistakes=[
        Highlight("cats/a very long name of a photograph 0001.jpg", "dog", 0.998, "cat"),
        Highlight("dogs/2.jpg", "cat", 0.61, "dog"),
    ],
    unsure=[Highlight("cats/3.jpg", "cat", 0.3, "cat"), Highlight("cats/4.jpg", "cat", 0.4, "cat")],
    weakest=[WeakClass("cat", 4, 10, "dog", 6), WeakClass("dog", 5, 10, "cat", 3)],
    predicted=[("cat", 9), ("dog", 1)],
)


@pytest.fixture
def told(capsys, monkeypatch):
    """What a function says at so many columns, as lines of stderr; nothing goes to stdout."""

    def tell(columns, function, *args, **more):
        monkeypatch.setenv("COLUMNS", str(columns))
        function(*args, **more)
        out = capsys.readouterr()
        assert out.out == ""
        return out.err.splitlines()

    return tell


def test_at_80_columns_each_is_a_line(told):
    assert told(90, tell_highlights, FOUND, SOFTMAX, labelled=True) == [
        "Most confident mistakes:",
        "  cats/a very long name of a photograph 0001.jpg  taken for dog, 99.8%; labelled cat",
        "  dogs/2.jpg                                      taken for cat, 61.0%; labelled dog",
        "Weakest classes:",
        "  cat  40% recognised (4 of 10), the others taken for dog",
        "  dog  50% recognised (5 of 10), mostly taken for cat (3 of 5)",
    ]


@pytest.mark.parametrize(
    ("right", "images", "times", "words"),
    [
        (148, 149, 1, "99% recognised (148 of 149), the other taken for dog"),
        (4999, 5000, 1, ">99% recognised (4999 of 5000), the other taken for dog"),
        (1, 5000, 4999, "<1% recognised (1 of 5000), the others taken for dog"),
        (0, 1, 1, "0% recognised (0 of 1), taken for dog"),
        (0, 7, 7, "0% recognised (0 of 7), all taken for dog"),
        (5, 10, 2, "50% recognised (5 of 10), taken for dog 2 times, else for others"),
        (7, 9, 1, "78% recognised (7 of 9), taken for dog once, else for others"),
    ],
)
def test_of_a_class_nothing_is_said_that_is_not_so(told, right, images, times, words):
    found = Highlights(weakest=[WeakClass("cat", right, images, "dog", times)])
    assert told(90, tell_highlights, found, SOFTMAX, labelled=True) == [
        "Weakest class:", f"  cat  {words}",
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", [1, 5, 6])
def test_classes_are_called_weak_only_where_not_each_mistake_is_named_above(told, wrong):
    rows = [{"path": f"{n}", "status": "ok", "pred": "cat", "prob": "0.9", "label": "cat",
             "correct": "1"} for n in range(300)]  # fmt: skip
    for row in rows[:wrong]:
        row |= {"pred": "dog", "correct": "0"}
    lines = told(
        80, tell_highlights, highlights(rows, ("cat", "dog"), SOFTMAX), SOFTMAX, labelled=True
    )
    assert len(lines) == 1 + min(wrong, 5) + (2 if wrong > 5 else 0)
    assert ("Weakest class:" in lines) == (wrong > 5)


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_names_are_whole_and_words_are_wrapped(told, columns):
    lines = told(columns, tell_highlights, FOUND, SOFTMAX, labelled=True)
    path = "  cats/a very long name of a photograph 0001.jpg"
    assert path in lines
    assert max(len(line) for line in lines if line != path) <= max(24, columns)
    assert "taken for dog, 99.8%; labelled cat" in " ".join(" ".join(lines).split())


def test_wide_letters_take_two_columns(told):
    lines = told(80, rows, [("猫/1.jpg", "x"), ("dog/1.jpg", "y")])
    assert lines == ["  猫/1.jpg   x", "  dog/1.jpg  y"]


def test_a_name_cannot_control_the_terminal(told):
    (line,) = told(80, rows, [("a\x1b[2Jb\n.jpg", "taken for \x1b]0;x\x07")])
    assert "\x1b" not in line


def test_without_mistakes_what_is_unsure(told):
    found = Highlights(unsure=FOUND.unsure, predicted=FOUND.predicted)
    lines = told(80, tell_highlights, found, SOFTMAX, labelled=False)
    assert lines[:2] == ["Predicted most often: cat 9.", "Least certain:"]
    assert lines[2].split() == ["cats/3.jpg", "cat,", "30.0%"]
    lines = told(80, tell_highlights, found, SOFTMAX, labelled=True)
    assert lines[0] == "Least certain:"
    assert told(80, tell_highlights, Highlights(), SOFTMAX, labelled=False) == []


def test_labels_and_values_in_their_own_words(told):
    found = Highlights(
        mistakes=[Highlight("x", "cat", 0.9, "dog|fox"), Highlight("y", "cat", 0.8, "")],
        weakest=[WeakClass("dog", 0, 7, f1=0.5)],
    )
    assert told(80, tell_highlights, found, Output("sigmoid"), labelled=True) == [
        "Most confident mistakes:",
        "  x  likeliest cat, 90.0%; labelled dog, fox",
        "  y  likeliest cat, 80.0%; labelled no label",
        "Weakest labels:",
        "  dog  F1 0.50 (of 7 images that have it)",
    ]
    found = Highlights(mistakes=[Highlight("x", "age", 31.5, "3")])
    assert told(80, tell_highlights, found, Output("none"), labelled=False) == [
        "Farthest off:", "  x  31.50 for 3",
    ]  # fmt: skip


def test_the_page_is_a_link_or_a_command_to_copy(told, tmp_path):
    page = tmp_path / "a b" / "index.html"
    assert told(40, tell_page, tmp_path, page) == [f"Page: {page.as_uri()}"]
    assert "%20" in page.as_uri()
    assert told(40, tell_page, Path("my run"), None) == [
        "To look at it: camcli report 'my run' --open"
    ]


def test_the_width_is_that_of_the_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "57")
    assert width() == 57
    for odd in ("", "-3", "wide", "0"):
        monkeypatch.setenv("COLUMNS", odd)
        assert width() == 80  # of a pipe


def test_words_hang_behind_what_they_are_about(told):
    words = "accuracy 0.9000  top-5 1.0000  (6 images)"
    assert told(80, hanging, "test  ", words) == [f"test  {words}"]
    assert told(34, hanging, "test  ", words) == [
        "test  accuracy 0.9000  top-5", "      1.0000  (6 images)",
    ]  # fmt: skip
    assert told(24, hanging, "a rather long name: ", "x y") == ["a rather long name:", "  x y"]


def test_what_was_found_before_is_told_in_brief(told):
    assert told(80, tell_flags, []) == []
    found = [Flagged("audit", ["a rests on a tag", "b", "c"]), Flagged("check", ["3 copies"])]
    assert told(80, tell_flags, found) == [
        "Found before:",
        "  audit  a rests on a tag; b; and 1 more",
        "  check  3 copies",
    ]
