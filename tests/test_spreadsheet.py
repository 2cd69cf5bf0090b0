"""Texts that a spreadsheet would run: written so that it does not, and read as they were."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcli.spreadsheet import cell, plain, safe

STARTS = ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"]


@pytest.mark.parametrize("start", STARTS)
def test_a_formula_is_a_text(start):
    text = f"{start}HYPERLINK(1)"
    assert safe(text) == f"'{text}"
    assert plain(safe(text)) == text


@pytest.mark.parametrize("text", ["", "cat.jpg", "'quoted'", "a=b", "1-2", " =1"])
def test_any_other_text_is_itself(text):
    assert safe(text) == plain(text) == text


@given(st.text(st.sampled_from([*STARTS, "'", "a", "1", " "]), max_size=6))
def test_every_text_comes_back(text):
    assert plain(safe(text)) == text
    assert not safe(text).startswith(tuple(STARTS))


def test_numbers_stay_numbers():
    assert cell(-1.5) == -1.5
    assert cell(None) is None
    assert cell("-1.5") == "'-1.5"
