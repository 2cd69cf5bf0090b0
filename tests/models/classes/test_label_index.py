from camcli.models.classes.imagenet import imagenet_classes
from camcli.models.classes.label_index import label_index, label_indices, unknown_indices


def test_spelling_does_not_matter_but_nothing_is_guessed():
    classes = ("Golden Retriever", "cat", "3")
    assert label_index("golden_retriever", classes) == 0
    assert label_index("CAT", classes) == 1
    assert label_index("3", classes) == 2
    assert label_index("0", classes) is None  # an index is not a label
    assert label_index("retriever", classes) is None
    assert label_index("", classes) is None


def test_names_that_differ_in_case_only_must_be_exact():
    assert label_index("Crane", ("crane", "Crane")) == 1
    assert label_index("CRANE", ("crane", "Crane")) is None


def test_wordnet_ids_are_for_imagenet_only():
    assert label_index("n02123045", imagenet_classes()) == imagenet_classes().index("tabby")
    assert label_index("n02123045", ("a", "b")) is None


def test_a_negative_number_is_not_its_positive():
    assert label_index("-1", ("0", "1", "2")) is None
    assert label_index("-1", ("0", "-1")) == 1
    assert label_index("b-1", ("b 1",)) == 0


def test_labels_of_which_some_are_unknown():
    classes = ("edema", "mass", "nodule")
    for text, known, unknown in (
        ("edema|?Mass", {0}, {1}), ("?mass", set(), {1}), ("", set(), set()),
        ("edema|?cyst", {0}, set()), ("?edema|?mass|?nodule", None, {0, 1, 2}), ("cyst", None, ()),
        ("cyst|?mass", None, {1}),
    ):  # fmt: skip
        assert label_indices(text, classes) == known
        assert unknown_indices(text, classes) == set(unknown)
    assert unknown_indices(None, classes) == set()
    # Who calls a class so means that class.
    assert unknown_indices("?mass", ("?mass", "mass")) == set()
