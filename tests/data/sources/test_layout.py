import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcli.data.sources import layout
from camcli.data.sources.find import find_images
from camcli.data.sources.labels import Parent, Prefix, make_labeller
from camcli.data.sources.layout import Layout, detect
from camcli.errors import UsageError


def tree(root: Path, *names: str) -> str:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return str(root)


def labels(root: str, **options) -> dict[str, str | None]:
    return {ref.rel: ref.label for ref in find_images(root, **options)}


def test_a_folder_for_each_class(tmp_path):
    root = tree(tmp_path, "apple red 1/31_100.jpg", "pear/r_1.jpg", "pear/notes.txt", "README.md")
    (tmp_path / "empty").mkdir()
    found = detect(root)
    assert isinstance(found, Layout)
    assert found.kind == "classes"
    assert found.trees[0][1].classes == ("apple red 1", "pear")
    assert labels(root) == {"apple red 1/31_100.jpg": "apple red 1", "pear/r_1.jpg": "pear"}
    assert find_images(root).labelled
    assert not find_images(root, labels="none").labelled


@pytest.mark.parametrize(
    ("train", "test"), [("train", "test"), ("Training", "Test"), ("TRAIN", "valid")]
)
def test_splits(tmp_path, train, test):
    root = tree(
        tmp_path, f"{train}/a/1.jpg", f"{train}/b/1.jpg", f"{test}/a/1.jpg", f"{test}/b/1.jpg"
    )
    tree(tmp_path, "papers/figure.png")
    assert labels(root) == {
        f"{train}/a/1.jpg": "a",
        f"{train}/b/1.jpg": "b",
        f"{test}/a/1.jpg": "a",
        f"{test}/b/1.jpg": "b",
        "papers/figure.png": None,
    }


def test_an_unlabelled_test_split(tmp_path):
    root = tree(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "test/1.jpg")
    assert labels(root) == {"test/1.jpg": None, "train/cat/1.jpg": "cat", "train/dog/1.jpg": "dog"}


DOMAINS = [f"{d}/images/{c}/frame_0001.jpg" for d in ("amazon", "dslr") for c in ("bike", "mug")]


@pytest.mark.parametrize("level", ["", "domain_adaptation_images/"])
def test_office31(tmp_path, level):
    root = tree(tmp_path, *(level + name for name in DOMAINS))
    found = detect(root)
    assert isinstance(found, Layout)
    assert found.kind == "domains"
    assert [name for name, _ in found.trees] == ["amazon", "dslr"]
    assert set(labels(root).values()) == {"bike", "mug"}
    # Not one class called "images":
    assert set(labels(f"{root}/{level}amazon").values()) == {"bike", "mug"}
    without = tree(tmp_path / "flat", *(name.replace("images/", "") for name in DOMAINS))
    assert set(labels(without).values()) == {"bike", "mug"}


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["1.jpg", "2.jpg"], None),
        (["a/1.jpg"], "one folder, a"),
        (["a/b/1.jpg"], "one folder, b"),
        (["a/1.jpg", "b/1.jpg", "stray.jpg"], "images beside the folders"),
        (["x/a/y/1.jpg", "x/b/y/1.jpg", "x/stray.jpg", "x/c/1.txt"], "images beside"),
        (
            ["trip/day one/1.jpg", "trip/day two/1.jpg", "party/guests/1.jpg", "party/food/1.jpg"],
            "two or more folders deep",
        ),
        (["2023/05/12/1.jpg", "2023/05/13/1.jpg", "2024/01/02/1.jpg", "2024/02/3/1.jpg"], "deep"),
        (["images/1.jpg", "masks/1.png"], "masks beside images are taken for its masks"),
        (["JPEGImages/1.jpg", "SegmentationClass/1.png", "SegmentationObject/1.png"], "masks"),
        (["images/1.jpg", "annotations/trimaps/1.png"], "masks"),
        (["train/1.jpg", "test/1.jpg"], "test, train hold no folders of two or more classes"),
        (["train/images/1.jpg", "train/labels/1.txt", "val/images/1.jpg"], "train, val hold"),
        (["images/train/1.jpg", "images/val/1.jpg", "labels/train/1.txt"], "train, val hold"),
        (["train2017/1.jpg", "val2017/1.jpg", "annotations/all.json"], "train2017, val2017 hold"),
    ],
)
def test_when_in_doubt_there_are_no_labels_and_it_says_why(tmp_path, names, why):
    root = tree(tmp_path, *names)
    assert set(labels(root).values()) == {None}
    source = find_images(root)
    assert not source.labelled
    if why is None:
        assert source.notes == ()
    else:
        assert why in source.notes[0]
        assert "--labels folder" in source.notes[0]
        assert not find_images(root, labels="none").notes


@pytest.mark.parametrize(
    "classes",
    [
        ("left", "right"),
        ("0000045", "0000056"),
        ("2021", "2022"),
        ("2021-05-01 Rome", "2021-06"),
        ("20210501", "20210502"),
        ("100CANON", "101CANON"),
        ("raw", "crops"),
        ("rgb", "depth"),
        ("with_mask", "without_mask"),
        ("masks", "no masks"),
        ("bus", "train"),
        ("test", "control"),
        ("{a,b}", "[c]"),
        ("a\nb", "é"),
    ],
)
def test_classes_are_recognised_by_structure_whatever_they_are_called(tmp_path, classes):
    root = tree(tmp_path, *(f"{c}/{i}.jpg" for c in classes for i in "12"))
    assert labels(root) == {f"{c}/{i}.jpg": c for c in classes for i in "12"}
    assert find_images(root).notes == ()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        # One deeper folder inside a class, or in its place.
        (["cat/1.jpg", "cat/more/2.jpg", "dog/1.jpg"], {"cat": 2, "dog": 1}),
        (["a/1.jpg", "b/sub/1.jpg"], {"a": 1, "b": 1}),
        (["n01/images/1.jpg", "n02/images/1.jpg"], {"n01": 1, "n02": 1}),
        (["cat/x/1.jpg", "dog/y/1.jpg"], {"cat": 1, "dog": 1}),
        (["cat/x/1.jpg", "cat/y/1.jpg", "dog/1.jpg"], {"cat": 2, "dog": 1}),
        (["cat/train/1.jpg", "cat/test/1.jpg", "dog/train/1.jpg", "dog/test/1.jpg"],
         {"cat": 2, "dog": 2}),
        # What lies beside.
        (["cat/1.jpg", "dog/1.jpg", "notes/a.txt", "log.csv"], {"cat": 1, "dog": 1}),
        (["cat/1.jpg", "dog/1.jpg", "old/cat/1.jpg", "old/dog/1.jpg"],
         {"cat": 1, "dog": 1, None: 2}),
        (["images/cat/1.jpg", "images/dog/1.jpg", "masks/cat/1.png", "masks/dog/1.png"],
         {"cat": 1, "dog": 1, None: 2}),
        # Nothing beside a folder: it is looked through.
        (["data/v1/cat/1.jpg", "data/v1/dog/1.jpg"], {"cat": 1, "dog": 1}),
        (["DCIM/100CANON/1.jpg", "DCIM/101_PANA/1.jpg"], {"100CANON": 1, "101_PANA": 1}),
        (["train2017/a/1.jpg", "train2017/b/1.jpg", "val2017/a/1.jpg", "val2017/b/1.jpg"],
         {"a": 2, "b": 2}),
        (["seg_train/seg_train/a/1.jpg", "seg_train/seg_train/b/1.jpg",
          "seg_test/seg_test/a/1.jpg", "seg_test/seg_test/b/1.jpg", "seg_pred/seg_pred/1.jpg"],
         {"a": 2, "b": 2, None: 1}),
        (["f/Training/A 1/1.jpg", "f/Training/B/1.jpg", "f/Test/A 1/1.jpg", "f/Test/B/1.jpg",
          "f/papers/1.png", "f/test-multiple_fruits/1.jpg"], {"A 1": 2, "B": 2, None: 2}),
    ],
)  # fmt: skip
def test_labels_of_trees(tmp_path, names, expected):
    assert Counter(labels(tree(tmp_path, *names)).values()) == expected


def test_empty_classes_and_leftovers_are_no_classes(tmp_path):
    root = tree(
        tmp_path, "cat/1.jpg", "dog/1.jpg", "cat/@eaDir/1.jpg/THUMB.jpg", "__MACOSX/x/1.jpg"
    )
    tree(tmp_path, ".cache/1.jpg", "bird/Thumbs.db")
    found = detect(root)
    assert found is not None
    assert found.trees[0][1].classes == ("cat", "dog")
    assert found.trees[0][1].empty == ("bird",)
    assert labels(root) == {"cat/1.jpg": "cat", "dog/1.jpg": "dog"}


def test_an_archive_by_year_and_month_has_the_months(tmp_path):
    """It cannot be told from domains; the line says so, and how to take the years."""
    root = tree(tmp_path, *(f"{y}/{m:02}/1.jpg" for y in (2023, 2024) for m in (1, 2, 3)))
    assert set(labels(root).values()) == {"01", "02", "03"}
    (note,) = find_images(root).notes
    assert "2023, 2024" in note
    assert set(labels(root, labels="^([^/]+)/").values()) == {"2023", "2024"}


def test_a_tree_that_loops_or_is_deep_ends(tmp_path):
    root = tree(tmp_path, "a/1.jpg", "b/1.jpg", "/".join(["d"] * 40) + "/1.jpg")
    (tmp_path / "again").symlink_to(tmp_path)
    assert set(labels(root).values()) == {"a", "b", "d"}


def test_more_folders_than_can_be_judged(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "_MAX_FOLDERS", 10)
    root = tree(tmp_path, *(f"{i}/1.jpg" for i in range(20)))
    assert "more than 10 folders" in find_images(root).notes[0]


# -- class folders that are indices --------------------------------------------------------------

TENCH = ("tench", "goldfish", "great white shark", *(f"c{i}" for i in range(3, 300)))


def test_folders_that_are_indices_are_the_networks_classes(tmp_path):
    root = tree(tmp_path, *(f"{i}/x.jpg" for i in (0, 1, 10, 281)))
    source = find_images(root).numbered(TENCH)
    assert [ref.label for ref in source] == ["tench", "goldfish", "c10", "c281"]
    assert "0 is tench, 1 is goldfish, 10 is c10" in source.notes[-1]
    refs = list(find_images(root))
    assert [ref.label for ref in find_images(root).renamed(refs, TENCH)] == [
        ref.label for ref in source
    ]
    # As they are, where it is asked for.
    asked = find_images(root, labels="folder").numbered(TENCH)
    assert [ref.label for ref in asked] == ["0", "1", "10", "281"]


@pytest.mark.parametrize(
    ("folders", "classes"),
    [
        (("0", "1", "300"), TENCH),  # there is no 300
        (("0", "1", "10", "2"), ("0", "1", "10", "2")),  # names, in ImageFolder's order
        (("0", "1", "cat"), TENCH),
        (("0000045", "0000056"), TENCH),
        (("2021", "2022"), TENCH),
        (("٣", "٤"), TENCH),
    ],
)
def test_folders_that_are_names_stay_names(tmp_path, folders, classes):
    root = tree(tmp_path, *(f"{name}/x.jpg" for name in folders))
    source = find_images(root).numbered(classes)
    assert {ref.label for ref in source} == set(folders)
    assert not source.notes


def test_folders_that_count_from_one(tmp_path):
    root = tree(tmp_path, *(f"{i}/x.jpg" for i in (1, 2, 3)))
    source = find_images(root).numbered(("cat", "dog", "horse"))
    assert {ref.rel[0]: ref.label for ref in source} == {"1": "cat", "2": "dog", "3": "horse"}
    assert "counted from 1: 1 is cat, 2 is dog" in source.notes[-1]
    # The same where the outputs have no names: there is no output 3.
    source = find_images(root).numbered(("0", "1", "2"))
    assert {ref.rel[0]: ref.label for ref in source} == {"1": "0", "2": "1", "3": "2"}


def test_the_order_of_folders_can_be_asked_for(tmp_path):
    root = tree(tmp_path, *(f"{i}/x.jpg" for i in range(12)))
    classes = tuple(map(str, range(12)))
    source = find_images(root, labels="imagefolder").numbered(classes)
    assert {ref.rel: ref.label for ref in source}["10/x.jpg"] == "2"
    source = find_images(root, labels="index").numbered(classes)
    assert {ref.rel: ref.label for ref in source}["10/x.jpg"] == "10"
    words = tree(tmp_path / "words", "cat/1.jpg", "dog/1.jpg")
    source = find_images(words, labels="imagefolder").numbered(("no", "yes"))
    assert [ref.label for ref in source] == ["no", "yes"]
    flat = tree(tmp_path / "flat", "1.jpg")
    with pytest.raises(UsageError, match="class folders"):
        find_images(flat, labels="index")


def test_numbers_are_classes(tmp_path):
    """MNIST's digits; only dates are taken for albums."""
    root = tree(tmp_path, *(f"{digit}/1.png" for digit in range(10)))
    assert set(labels(root).values()) == set("0123456789")


def test_a_glob_below_a_labelled_folder(tmp_path):
    root = tree(tmp_path, "cat/1.jpg", "dog/1.jpg", "dog/2.jpg")
    assert labels(f"{root}/*/1.jpg") == {"cat/1.jpg": "cat", "dog/1.jpg": "dog"}


def test_a_million_pictures_are_not_looked_at(tmp_path, monkeypatch):
    root = tree(tmp_path, *(f"{c}/{i}.jpg" for c in "ab" for i in range(1000)))
    seen = 0
    scandir = os.scandir

    class Counting:
        def __init__(self, path):
            self.entries = scandir(path)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.entries.close()

        def __iter__(self):
            nonlocal seen
            for entry in self.entries:
                seen += 1
                yield entry

    monkeypatch.setattr(os, "scandir", Counting)
    assert detect(root)
    assert seen < 1000


def test_the_folder_that_holds_the_image():
    assert Parent()("x/y/1.jpg") == "y"
    assert Parent()("1.jpg") is None


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("cat.0.jpg", "cat"),
        ("a/b/dog.1234.jpg", "dog"),
        ("american_bulldog_100.jpg", "american_bulldog"),
        ("Abyssinian_1 (2).jpg", "Abyssinian"),
        ("great-dane-0007.png", "great-dane"),
        ("cat12.jpg", "cat"),
        ("Äpfel_3.jpg", "Äpfel"),
        ("cat.jpg", None),
        ("0001.jpg", None),
        ("_1.jpg", None),
    ],
)
def test_prefix(name, label):
    assert Prefix()(name) == label


@given(st.text(max_size=60))
def test_prefix_ends_on_any_name(name):
    label = Prefix()(name)
    assert label is None or (label and label in name)


def test_regular_expressions():
    label = make_labeller(r"n\d+_(.*)\.JPEG")
    assert label is not None
    assert label("n01440764_tench.JPEG") == "tench"
    assert label("other.JPEG") is None
    label = make_labeller(r"_(.*)$")
    assert label is not None
    assert label("n01440764_tench.JPEG") == "tench"
    assert label("a_b/x_great white.shark.jpeg") == "b/x_great white.shark"
    assert label("x_.jpg") is None
    assert make_labeller(r"\.(\w+)$")("cat.jpg") is None  # the extension alone is no label
    label = make_labeller(r"(\d+)/(?P<label>\w+)-")
    assert label is not None
    assert label("12/cat-1.jpg") == "cat"


@pytest.mark.parametrize("text", ["folders", "(", "[a-", r"n\d+"])
def test_labels_that_mean_nothing(text):
    with pytest.raises(UsageError, match="auto, folder, prefix, none"):
        make_labeller(text)


@pytest.mark.parametrize(
    ("names", "labels", "told"),
    [
        (  # a split of which only one class is there
            ["train/cat/1.jpg", "train/dog/1.jpg", "test/cat/2.jpg"],
            ["cat", "cat", "dog"],
            "",
        ),
        (  # its folders may be classes, but nobody can know
            [
                "train/cat/1.jpg",
                "train/dog/1.jpg",
                "train/map.jpg",
                "val/cat/2.jpg",
                "val/dog/2.jpg",
            ],
            [None, None, None, "cat", "dog"],
            "train (there are images beside its folders) get no label",
        ),
        (
            ["a/train/cat/1.jpg", "a/train/dog/1.jpg", "a/test1/test1/1.jpg"],
            [None, "cat", "dog"],
            "a/test1 get no label: they do not lie in the class folders of a/train",
        ),
        (
            ["cat/1.jpg", "dog/1.jpg", "all/cat/1.jpg", "all/dog/1.jpg"],
            [None, None, "cat", "dog"],
            "Images in all get no label",
        ),
        (
            ["images/a/1.jpg", "images/b/1.jpg", "masks/a/1.png", "masks/b/1.png"],
            ["a", "b", None, None],
            "Images in masks get no label",
        ),
    ],
)
def test_labels_of_a_part_are_never_missing_in_silence(tmp_path, names, labels, told):
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    source = find_images(tmp_path)
    assert [ref.label for ref in source] == labels
    assert (told in " ".join(source.notes)) if told else not source.notes


@pytest.mark.parametrize("archive", ["train.rar", "photos.tar.gz", "a.7z"])
def test_a_folder_of_archives_says_that_they_must_be_unpacked(tmp_path, archive):
    (tmp_path / archive).touch()
    with pytest.raises(UsageError, match=f"{archive}: unpack it"):
        find_images(tmp_path)
