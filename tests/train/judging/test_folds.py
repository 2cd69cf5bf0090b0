"""Folds: whole groups, equal contents together, the same share of each class."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcli.data.datasets.dataset import Item
from camcli.data.datasets.load import load_dataset
from camcli.data.sources.refs import ImageRef
from camcli.train.feature_pass.examples import Examples
from camcli.train.judging.folds import ALWAYS, folds, folds_of, joined

PICTURES = st.lists(
    st.tuples(st.lists(st.integers(0, 3), min_size=1, max_size=3), st.integers(0, 12)), max_size=60
)


@given(PICTURES, st.integers(2, 6), st.integers(0, 5))
def test_what_holds_of_all_folds(pictures, count, seed):
    classes = [[*dict.fromkeys(own)] for own, _ in pictures]
    groups = [group for _, group in pictures]
    fold = folds(classes, groups, count, seed).tolist()
    assert len(fold) == len(pictures)
    for group in set(groups):
        assert len({k for k, g in zip(fold, groups, strict=True) if g == group}) == 1
    there = sorted({*fold} - {ALWAYS})
    assert there == list(range(len(there)))
    assert len(there) != 1
    assert len(there) <= count
    for k in there:
        outside = {c for own, other in zip(classes, fold, strict=True) if other != k for c in own}
        assert {c for own, o in zip(classes, fold, strict=True) if o == k for c in own} <= outside


def test_every_class_has_the_same_share_in_every_fold():
    classes = ["common"] * 503 + ["usual"] * 52 + ["rare"] * 7
    fold = folds([[c] for c in classes], list(range(len(classes))), 5)
    for name in ("common", "usual", "rare"):
        counts = Counter(k for k, c in zip(fold.tolist(), classes, strict=True) if c == name)
        assert set(counts) == set(range(5))
        assert max(counts.values()) - min(counts.values()) <= 1
    totals = Counter(fold.tolist())
    assert max(totals.values()) - min(totals.values()) <= 2


def test_rare_labels_are_dealt_out_evenly_beside_common_ones():
    labels = [["sky"]] * 80 + [["sky", "kite"]] * 10 + [["none"]] * 20
    fold = folds(labels, list(range(len(labels))), 5).tolist()
    kites = Counter(k for k, own in zip(fold, labels, strict=True) if "kite" in own)
    assert set(kites.values()) == {2}


def test_large_groups_leave_the_folds_of_like_size():
    sizes = [30, 20, 20, 10, 10, 5, 5, *[1] * 100]
    groups = [g for g, size in enumerate(sizes) for _ in range(size)]
    fold = folds([["a"], ["b"]] * (len(groups) // 2), groups, 4)
    assert all(45 <= n <= 55 for n in Counter(fold.tolist()).values())


def test_a_class_of_one_group_always_trains():
    fold = folds([["a"], ["a"], ["b"], ["b"], ["b"]], [0, 1, 2, 2, 2], 2).tolist()
    assert fold[2:] == [ALWAYS] * 3
    assert sorted(fold[:2]) == [0, 1]


def test_nothing_can_be_judged_where_each_class_has_one_image():
    assert folds([["a"], ["b"]], [0, 1]).tolist() == [ALWAYS, ALWAYS]
    assert folds([], []).tolist() == []


def test_another_seed_deals_otherwise_and_the_same_seed_alike():
    classes, groups = [["a"], ["b"]] * 20, list(range(40))
    one = folds(classes, groups, 5, 1).tolist()
    assert one == folds(classes, groups, 5, 1).tolist() != folds(classes, groups, 5, 2).tolist()


def test_sixty_thousand_pictures_take_no_time():
    classes = [[n % 131] for n in range(60_000)]
    start = time.process_time()
    folds(classes, list(range(60_000)))
    assert time.process_time() - start < 5


def test_equal_contents_and_groups_join_what_they_have_in_common():
    assert joined(["a", "", "b", "", "a"], ["1", "2", "2", "3", "4"]) == [0, 1, 1, 3, 0]
    assert joined(["a", "b", "", ""], ["1", "1", "2", "2"]) == [0, 0, 2, 2]
    assert joined(["a", "b", "a", "b"], ["1", "2", "2", "9"]) == [0, 0, 0, 0]


def item(name: str, target: int, group: str = "") -> Item:
    return Item(ImageRef(Path("/") / name, name, str(target)), target, "train", group=group)


def test_the_groups_of_a_set_and_copies_of_a_file_stay_together():
    items = [item(f"{n}.png", n % 2, f"g{n // 4}") for n in range(40)]
    contents = [str(n) for n in range(40)]
    contents[0] = contents[39] = "copy"
    fold = folds_of(Examples(items, contents), 5).tolist()
    for start in range(0, 40, 4):
        assert len(set(fold[start : start + 4])) == 1
    assert fold[0] == fold[39]


@pytest.fixture
def photographs(tmp_path):
    for name in ("cat", "dog"):
        for who in "abc":
            for n in range(2):
                path = tmp_path / name / f"{who}_{n}.jpg"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(f"{name} {who} {n}".encode())
    return tmp_path


def test_a_group_expression_names_the_groups(photographs):
    found = load_dataset(photographs, group=r"^(.+?)_\d", val=0)
    assert {x.group for x in found.items} == {f"/{c}/{w}" for c in ("cat", "dog") for w in "abc"}
    fold = folds_of(Examples.of(found.items), 3)
    assert all(fold[i] == fold[i + 1] for i in range(0, len(fold), 2))
    assert {x.group for x in load_dataset(photographs, val=0).items} == {""}


def test_frames_of_a_video_stay_together_and_the_only_one_is_cut_into_runs(tmp_path):
    for name, videos in {"Apple 1": ("", "r_"), "Plum": ("",)}.items():
        for split in ("Training", "Test"):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for video in videos:
                for n in range(20):
                    (folder / f"{video}{n}_100.jpg").write_bytes(f"{name}{video}{n}".encode())
    found = load_dataset(tmp_path, val=0)
    assert found.layout == "fruits360"
    trained = found.split("train")
    keys = Counter(x.group for x in trained)
    assert keys.pop("Apple 1/") == keys.pop("Apple 1/r") == 20
    assert len(keys) == 10
    assert set(keys.values()) == {2}
    runs = [x.group for x in sorted(trained, key=lambda x: int(x.ref.path.name.split("_")[-2]))
            if "Plum" in x.group]  # fmt: skip
    assert runs == sorted(runs)
