"""What ``--labels`` takes from a name, letter by letter."""

import pytest

from camcli.data.sources.labels import (
    Indexed,
    Parent,
    Prefix,
    Regex,
    make_labeller,
)
from camcli.data.sources.numbered_folders import asked_order, folder_orders
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
    assert (folder_orders(labels, CLASSES) is not None) is indices


def test_an_index_is_the_name_of_its_class():
    labeller = Indexed(Parent(), CLASSES, {"2": 2})
    assert labeller("2/x.jpg") == "cat"
    assert labeller("x.jpg") is None


TWELVE = tuple(map(str, range(12)))


def test_numbers_are_in_another_order_as_text():
    """As torchvision's ImageFolder sorts them: 0, 1, 10, 11, 2 ..."""
    found = folder_orders(TWELVE, TWELVE)
    assert found.differ
    assert found.index == {name: int(name) for name in TWELVE}
    assert [k for k, _ in sorted(found.imagefolder.items(), key=lambda pair: pair[1])] == [
        "0", "1", "10", "11", "2", "3", "4", "5", "6", "7", "8", "9",
    ]  # fmt: skip
    # A part of them is where it was among all.
    assert folder_orders(("0", "2", "10"), TWELVE).imagefolder == {"0": 0, "2": 4, "10": 2}


@pytest.mark.parametrize(
    ("names", "differ", "first"),
    [
        (tuple(map(str, range(10))), False, 0),
        (tuple(f"{n:02}" for n in range(12)), False, 0),  # zeros in front sort as they count
        (tuple(map(str, range(1, 13))), True, 1),
        (tuple(f"{n:02}" for n in range(1, 13)), False, 1),
    ],
)
def test_the_ways_to_number_folders(names, differ, first):
    classes = tuple(map(str, range(len(names))))
    found = folder_orders(names, classes)
    assert found.differ is differ
    assert found.first == first
    assert sorted(found.index.values()) == list(range(len(names)))
    # Names of one's own for as many outputs change nothing.
    assert folder_orders(names, tuple(f"c{n}" for n in classes)).index == found.index


def test_folders_that_are_names_have_no_order():
    assert folder_orders(("10", "2"), ("10", "2")) is None  # a checkpoint has them in its order
    assert folder_orders(("00", "07"), TWELVE) is None
    assert folder_orders(("0", "00"), TWELVE) is None
    assert folder_orders(("9" * 5000,), TWELVE) is None


def test_the_order_that_is_asked_for():
    assert asked_order("imagefolder", ("dog", "cat"), ("0", "1")) == {"cat": 0, "dog": 1}
    assert asked_order("imagefolder", ("0", "2", "10"), TWELVE) == {"0": 0, "2": 4, "10": 2}
    assert asked_order("index", ("0", "10"), TWELVE) == {"0": 0, "10": 10}
    assert asked_order("index", ("1", "0"), ("1", "0")) == {"0": 0, "1": 1}
    with pytest.raises(UsageError, match="2 folders for 12 outputs"):
        asked_order("imagefolder", ("dog", "cat"), TWELVE)
    with pytest.raises(UsageError, match="'dog'"):
        asked_order("index", ("dog", "cat"), ("0", "1"))
