"""What ``--labels`` takes from a name, letter by letter."""

import pytest

from camcli.data.sources.labels import (
    Indexed,
    Parent,
    Prefix,
    Regex,
    are_indices,
    make_labeller,
)
from camcli.errors import UsageError


@pytest.mark.parametrize(
    ("rel", "label"),
    [("cat/1.jpg", "cat"), ("train/cat/1.jpg", "cat"), ("1.jpg", None), ("a b/ü.png", "a b")],
)
def test_the_folder_that_holds_it(rel, label):
    assert make_labeller("folder")(rel) == Parent()(rel) == label


@pytest.mark.parametrize(
    ("rel", "label"),
    [
        ("cat.0.jpg", "cat"), ("x/great_dane_12 (1).jpg", "great_dane"), ("IMG-0042.jpg", "IMG"),
        ("cat2dog 3.png", "cat2dog"), ("12.jpg", None), ("cat.jpg", None), ("cat_.jpg", None),
    ],
)  # fmt: skip
def test_the_name_without_its_number(rel, label):
    assert make_labeller("prefix")(rel) == Prefix()(rel) == label


@pytest.mark.parametrize(
    ("pattern", "rel", "label"),
    [
        (r"^(\w+?)_\d", "tench_01.jpg", "tench"),
        (r"_(.*)$", "n01_tench.JPEG", "tench"),
        (r"(\d+)-(?P<label>\w+)", "7-fox.png", "fox"),
        (r"^(bird)", "fox.png", None),
        (r"_(.*)$", "n01_.jpg", None),
        (r"_(.*)$", "n01_v1.2", "v1.2"),  # no extension of a picture
        (r"x(y)?", "x.jpg", None),
    ],
)  # fmt: skip
def test_the_group_of_an_expression_without_the_extension(pattern, rel, label):
    assert make_labeller(pattern)(rel) == label


def test_none_and_nonsense():
    assert make_labeller("none") is None
    assert isinstance(make_labeller("(a)"), Regex)
    for wrong in ("(", "abc"):
        with pytest.raises(UsageError, match="labels"):
            make_labeller(wrong)


CLASSES = ("ant", "bee", "cat", "3")


@pytest.mark.parametrize(
    ("labels", "indices"),
    [
        (("0", "1", "2"), True), (("2",), True), (("0", "4"), False), (("007",), False),
        (("0", "ant"), False), (("-1",), False), (("²",), False), ((), False), (("3",), False),
    ],
)  # fmt: skip
def test_numbers_are_classes_only_where_they_can_be_nothing_else(labels, indices):
    assert are_indices(labels, CLASSES) is indices


def test_an_index_is_the_name_of_its_class():
    labeller = Indexed(Parent(), CLASSES)
    assert labeller("2/x.jpg") == "cat"
    assert labeller("x.jpg") is None
