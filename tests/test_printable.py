import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

from camcli.printable import counted, percent, shortened

CAMCLI = Path(__file__).resolve().parent.parent / "camcli"


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (counted(0, "image"), "0 images"),
        (counted(1, "image"), "1 image"),
        (counted(12, "image"), "12 images"),
        (counted(1, "class", "classes"), "1 class"),
        (counted(3, "class", "classes"), "3 classes"),
    ],
)
def test_counted(said, text):
    assert said == text


NOUNS = (
    "image", "photograph", "picture", "network", "file", "row", "layer", "concept", "shard", "mask",
    "column", "overlay", "run", "folder", "archive", "table", "member", "model", "name",
)  # fmt: skip
SEVERAL = {f"{noun}s" for noun in NOUNS} | {"classes", "boxes"}


def test_a_number_that_may_be_one_is_counted():
    """``f"{len(files)} files"`` says "1 files" one day."""
    found = []
    for path in CAMCLI.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            parts = node.values if isinstance(node, ast.JoinedStr) else []
            for number, text in pairwise(parts):
                if isinstance(number, ast.FormattedValue) and isinstance(text, ast.Constant):
                    word = text.value.lstrip().split(" ")[0].strip(".,:;()\n")
                    if text.value[:1] == " " and word in SEVERAL and "len(" in ast.unparse(number):
                        found.append(f"{path.name}: {ast.unparse(node)}")
    assert [each for each in found if not any(many in each for many in ALWAYS_SEVERAL)] == []


# Their sentences are only said of several.
ALWAYS_SEVERAL = ("do not fit into the one file", "is given", "would unpack", "too many", "were ")


@pytest.mark.parametrize(
    ("share", "whole", "tenths"),
    [(0.0, "0%", "0.0%"), (1e-9, "<1%", "<0.1%"), (0.004, "<1%", "0.4%"), (0.006, "1%", "0.6%"),
     (0.5, "50%", "50.0%"), (0.994, "99%", "99.4%"), (0.996, ">99%", "99.6%"),
     (0.9996, ">99%", ">99.9%"), (1.0, "100%", "100.0%")],
)  # fmt: skip
def test_a_share_is_none_or_all_only_where_it_is(share, whole, tenths):
    assert (percent(share), percent(share, 1)) == (whole, tenths)


def test_no_share_is_written_past_that():
    """In whole percents one of two hundred photographs would be none of them."""
    for path in CAMCLI.rglob("*.py"):
        told = re.findall(r"\{([^{}]+):\.[01]%\}", path.read_text("utf-8"))
        # Constants of the code's own, and published numbers, are what they are.
        assert all(name in {"STRENGTH", "TOP1", "entry.top1"} for name in told), (path, told)


def test_a_long_text_ends_with_a_word_and_says_that_it_goes_on():
    assert shortened("as it is", 8) == "as it is"
    assert shortened("Expected a value of int but aten::floordiv", 33) == (
        "Expected a value of int but ..."
    )
    assert shortened("a/path/that/has/no/words", 6) == "a/path ..."


def test_no_foreign_message_is_cut_within_a_word():
    """`text[:200]` in a sentence of ours ends as "aten::fl"; `shortened` does not."""
    cut = re.compile(r"\b(?:lines|error|told|shown|reason)\b[^=\n]*\[:[12]\d\d\]")
    found = [path.name for path in CAMCLI.rglob("*.py") if cut.search(path.read_text("utf-8"))]
    assert not found
