from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcli.errors import UsageError
from camcli.models.imagenet import imagenet_classes, match_class, wnid_index

CLASSES = imagenet_classes()


def test_a_thousand_names_that_nobody_confuses():
    assert len(CLASSES) == 1000
    assert len({"".join(filter(str.isalnum, name.casefold())) for name in CLASSES}) == 1000
    assert all(name.isascii() and name == name.strip() and "/" not in name for name in CLASSES)


def test_names_and_wnids_stand_where_torchvision_and_timm_have_them():
    from timm.data import ImageNetInfo
    from torchvision.models import ResNet18_Weights

    theirs = ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
    differ = {i: CLASSES[i] for i, name in enumerate(theirs) if CLASSES[i] != name}
    assert differ == {263: "Pembroke Welsh corgi", 264: "Cardigan Welsh corgi"}
    wnids = ImageNetInfo().label_names()
    assert [wnid_index(wnid) for wnid in wnids] == list(range(1000))


def test_wnid_index():
    assert wnid_index("n02123045") == 281  # tabby
    assert wnid_index(" N02123045 ") == 281
    assert wnid_index("n00000001") is None
    assert wnid_index("tabby") is None


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("tabby", "tabby"),
        ("golden retriever", "golden retriever"),
        ("Golden_Retriever", "golden retriever"),
        ("  golden-retriever ", "golden retriever"),
        ("207", "golden retriever"),
        ("n02099601", "golden retriever"),
        ("goldfis", "goldfish"),  # a prefix
        ("crane bird", "crane bird"),
        ("crane", "crane"),  # exact, though a prefix of another
        ("dalmatian", "dalmatian"),
        ("corkscrew", "corkscrew"),
        ("espresso m", "espresso maker"),
        ("meerkat", "meerkat"),
        ("pembroke", "Pembroke Welsh corgi"),
    ],
)
def test_match_class_finds_what_is_meant(query, name):
    assert CLASSES[match_class(query, CLASSES)] == name


def test_a_whole_word_wins_over_a_part_of_one():
    assert match_class("cat", ["bobcat", "Egyptian cat", "concatenation"]) == 1


def test_a_name_that_is_a_number_wins_over_an_index():
    assert match_class("1", ["0", "2", "1"]) == 2


def test_an_exact_name_wins_over_another_that_differs_in_case():
    assert match_class("cardigan", ["Cardigan", "cardigan"]) == 1


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("retriever", ["'golden retriever'", "could be"]),
        ("goldne retriever", ["'golden retriever'"]),
        ("1000", ["0 to 999"]),
        ("-1", ["0 to 999"]),
        ("9" * 5000, ["0 to 999"]),
        ("", ["empty"]),
        ("zzzzqqq", ["tench"]),
        ("n00000001", ["n00000001"]),
    ],
)
def test_match_class_teaches(query, words):
    with pytest.raises(UsageError) as error:
        match_class(query, CLASSES)
    assert all(word in str(error.value) for word in words)


def test_wnids_are_for_imagenet_only():
    with pytest.raises(UsageError):
        match_class("n02099601", ["cat", "dog"])


@given(st.text(max_size=20), st.lists(st.text(min_size=1, max_size=8), min_size=1, unique=True))
def test_match_class_answers_or_teaches_whatever_is_typed(query, classes):
    try:
        assert 0 <= match_class(query, classes) < len(classes)
    except UsageError:
        assert query not in classes


@given(st.data())
def test_every_exact_name_is_found(data):
    classes = data.draw(st.lists(st.text(min_size=1, max_size=8), min_size=1, unique=True))
    index = data.draw(st.integers(0, len(classes) - 1))
    assert match_class(classes[index], classes) == index
