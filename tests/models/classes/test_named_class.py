"""A class is found by its name, or not at all: what is near is told, never taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcli.errors import UsageError
from camcli.models.classes.imagenet import imagenet_classes
from camcli.models.classes.named_class import match_class, namesakes, near_classes
from camcli.models.classes.names_file import read_class_names

CLASSES = imagenet_classes()


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("tabby", "tabby"),
        ("TABBY", "tabby"),
        ("golden retriever", "golden retriever"),
        ("Golden_Retriever", "golden retriever"),
        ("  golden-retriever ", "golden retriever"),
        ("207", "golden retriever"),
        ("n02099601", "golden retriever"),
        ("crane bird", "crane bird"),
        ("crane", "crane"),  # exact, though another's synonym
        ("134", "crane bird"),
        ("tabby cat", "tabby"),  # WordNet's synonyms
        ("polar bear", "ice bear"),
        ("puma", "cougar"),
        ("pembroke", "Pembroke Welsh corgi"),
    ],
)
def test_a_name_a_synonym_a_wordnet_id_and_an_index_are_found(query, name):
    assert CLASSES[match_class(query, CLASSES)] == name


@pytest.mark.parametrize(
    ("query", "near"),
    [
        ("cat", ["tabby", "tiger cat", "Persian cat", "Egyptian cat"]),  # and not catamaran
        ("cats", ["tabby", "tiger cat", "Egyptian cat"]),
        ("Dog", ["Maltese dog", "Bernese mountain dog"]),  # and not dogsled
        ("bird", ["indigo bunting", "crane bird", "cock"]),  # and not birdhouse
        ("retriever", ["golden retriever", "Labrador retriever"]),
        ("retriev", ["golden retriever"]),
        ("goldfis", ["goldfish"]),
        ("goldne retriever", ["golden retriever"]),
        ("espresso m", ["espresso maker"]),
        ("persian", ["Persian cat"]),
        ("wolves", ["timber wolf"]),
        ("grey cat", ["tabby"]),
        ("horn", ["cornet", "French horn"]),  # a synonym of two
    ],
)
def test_a_part_of_a_name_and_a_wider_word_are_refused_with_what_is_near(query, near):
    with pytest.raises(UsageError) as error:
        match_class(query, CLASSES)
    told = str(error.value)
    assert all(f"'{name}' ({CLASSES.index(name)})" in told for name in near), told
    for far in ("catamaran", "dogsled", "birdhouse"):
        assert far not in told


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("1000", ["0 to 999"]),
        ("-1", ["0 to 999"]),
        ("9" * 5000, ["0 to 999"]),
        ("", ["empty"]),
        ("zzzzqqq", ["tench"]),
        ("n00000001", ["n00000001"]),
    ],
)
def test_it_teaches(query, words):
    with pytest.raises(UsageError) as error:
        match_class(query, CLASSES)
    assert all(word in str(error.value) for word in words)


def test_namesakes_are_told_apart():
    assert "'crane bird' (134)" in namesakes("crane", match_class("crane", CLASSES), CLASSES)
    assert "(639)" in namesakes("Maillot", 638, CLASSES)
    assert namesakes("517", 517, CLASSES) is None
    assert namesakes("tabby", 281, CLASSES) is None
    # Those of one's own may differ in capitals only, or not at all.
    with pytest.raises(UsageError, match=r"'crane' \(0\) and 'crane' \(2\)"):
        match_class("crane", ["crane", "dove", "crane"])
    with pytest.raises(UsageError, match=r"'Crane' \(0\) and 'cRane' \(1\)"):
        match_class("crane", ["Crane", "cRane"])
    assert match_class("2", ["crane", "dove", "crane"]) == 2


def test_names_of_ones_own_are_not_guessed_either():
    own = ["bobcat", "Egyptian cat", "concatenation"]
    with pytest.raises(UsageError, match=r"the nearest are 'Egyptian cat' \(1\)\."):
        match_class("cat", own)
    assert near_classes("cats", own) == [1]
    assert near_classes("bobcats", own)[0] == 0
    with pytest.raises(UsageError):
        match_class("tabby cat", ["tabby", "dog"])  # ImageNet's synonyms are ImageNet's
    with pytest.raises(UsageError):
        match_class("n02099601", ["cat", "dog"])


def test_a_name_that_is_a_number_wins_over_an_index():
    assert match_class("1", ["0", "2", "1"]) == 2


def test_an_exact_name_wins_over_another_that_differs_in_case():
    assert match_class("cardigan", ["Cardigan", "cardigan"]) == 1


@given(st.text(max_size=20), st.lists(st.text(min_size=1, max_size=8), min_size=1, unique=True))
def test_it_answers_or_teaches_whatever_is_typed(query, classes):
    try:
        assert 0 <= match_class(query, classes) < len(classes)
    except UsageError:
        assert query not in classes or not query.strip(" _-")


@given(st.data())
def test_every_exact_name_is_found(data):
    name = st.text(min_size=1, max_size=8).filter(lambda text: text.strip(" _-").split())
    classes = data.draw(st.lists(name, min_size=1, unique=True))
    index = data.draw(st.integers(0, len(classes) - 1))
    assert match_class(classes[index], classes) == index


def test_a_number_that_neither_is_a_class_nor_an_index_shows_what_the_classes_are_called():
    with pytest.raises(UsageError, match=r"0 to 2, called '2019' \(0\)"):
        match_class("2022", ["2019", "2020", "2021"])
    with pytest.raises(UsageError, match="out of range"):
        match_class("-1", ["1", "2"])


def test_one_of_several_of_a_name_is_asked_for_by_its_index():
    classes = read_class_names(["crane", "cat", "crane"])
    with pytest.raises(UsageError, match=r"more than one class.*\(0\).*\(2\)"):
        match_class("crane", classes)
    assert match_class("crane (2)", classes) == 2
    assert match_class("cat", classes) == 1


def test_the_usual_list_of_imagenet_with_its_two_cranes():
    """Neither crane is taken in silence, though one has the name as a synonym only."""
    usual = list(imagenet_classes())
    usual[134], usual[517], usual[639] = "crane", "crane", "maillot"
    classes = read_class_names(usual)
    with pytest.raises(UsageError, match=r"134.*517"):
        match_class("crane", classes)
    assert match_class("n02012849", classes) == 134
    assert match_class("tabby cat", classes) == 281
