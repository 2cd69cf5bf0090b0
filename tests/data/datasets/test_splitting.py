"""Which images are held out: counts worked out by hand, whole groups, and the seed."""

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcli.data.datasets.load import load_dataset
from camcli.data.datasets.splitting import hold_out
from camcli.data.sources.refs import ImageRef
from camcli.errors import UsageError


def refs(names) -> list[ImageRef]:
    return [ImageRef(Path("/d") / n, n, n.split("/")[0]) for n in names]


def of_class(held, label):
    return Counter(split for name, split in held.items() if name.startswith(f"{label}/"))


FRAMES = [f"{c}/v{v}_{n:02}.jpg" for c in ("cat", "dog") for v in range(4) for n in range(5)]
GROUP = r"^(.+?)_\d+"


def test_the_share_is_of_each_class():
    names = [f"cat/{n}.jpg" for n in range(100)] + [f"dog/{n}.jpg" for n in range(10)]
    held = hold_out(refs(names), {"val": 0.2, "test": 0.1}, 0)
    assert of_class(held, "cat") == {"val": 20, "test": 10}
    assert of_class(held, "dog") == {"val": 2, "test": 1}


def test_a_group_is_in_one_split():
    held = hold_out(refs(FRAMES), {"val": 0.25, "test": 0.25}, 0, GROUP)
    videos = {}
    for name in FRAMES:
        videos.setdefault(name.partition("_")[0], set()).add(held.get(name, "train"))
    assert all(len(splits) == 1 for splits in videos.values()), videos
    for label in ("cat", "dog"):
        assert of_class(held, label) == {"val": 5, "test": 5}


def test_groups_are_taken_while_that_brings_the_count_nearer():
    """Of 20 frames in videos of 5, 30% are 6: one video is nearer than two. 40% are 8: two."""
    for share, wanted in ((0.3, 5), (0.4, 10), (0.01, 5)):
        held = hold_out(refs(FRAMES), {"val": share}, 0, GROUP)
        assert of_class(held, "cat")["val"] == of_class(held, "dog")["val"] == wanted


def test_every_class_keeps_a_group_for_training():
    held = hold_out(refs(FRAMES), {"val": 0.9, "test": 0.9}, 0, GROUP)
    for label in ("cat", "dog"):
        assert sum(of_class(held, label).values()) < 20
    two = ["cat/a_1.jpg", "cat/b_1.jpg", "dog/a_1.jpg"]
    held = hold_out(refs(two), {"val": 0.5}, 0, GROUP)
    assert len([name for name in held if name.startswith("cat")]) == 1
    assert not [name for name in held if name.startswith("dog")], "of one group, none"


def test_the_draw_depends_on_names_and_seed_alone():
    names = [f"cat/{n}.jpg" for n in range(50)]
    first = hold_out(refs(names), {"val": 0.2}, 0)
    assert hold_out(refs(names[::-1]), {"val": 0.2}, 0) == first
    assert hold_out(refs(names), {"val": 0.2}, 1) != first
    more = hold_out(refs([*names, *(f"dog/{n}.jpg" for n in range(9))]), {"val": 0.2}, 0)
    assert {name: split for name, split in more.items() if name in first} == first, (
        "another class beside it changes nothing"
    )


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 6), st.integers(0, 9)), unique=True,
             min_size=2, max_size=60),
    st.floats(0.05, 0.9), st.integers(0, 3),
)  # fmt: skip
def test_groups_stay_whole_and_every_class_trains(frames, share, seed):
    names = [f"{c}/v{v}_{n}.jpg" for c, v, n in frames]
    held = hold_out(refs(names), {"val": share, "test": share}, seed, GROUP)
    splits = {}
    for name in names:
        splits.setdefault(name.partition("_")[0], set()).add(held.get(name, "train"))
    assert all(len(found) == 1 for found in splits.values())
    for c in {c for c, _, _ in frames}:
        assert any(name.startswith(c) and name not in held for name in names)


@pytest.mark.parametrize(
    ("group", "message"), [("(", "regular expression"), (r"\d+", "parentheses"), ("(zzz)", "fits")]
)
def test_what_is_no_group_is_refused(group, message):
    with pytest.raises(UsageError, match=message):
        hold_out(refs(FRAMES), {"val": 0.5}, 0, group)


def test_classes_are_sorted_whatever_comes_first(tmp_path):
    """So that an index means the same in every run over the same classes."""
    names = ["zebra", "ant", "Mule", "ant", "zebra", "Mule"]
    for n in range(len(names)):
        (tmp_path / f"{n}.jpg").write_bytes(b"%d" % n)
    table = tmp_path / "labels.csv"
    rows = [f"{n}.jpg,{name}" for n, name in enumerate(names)]
    for order in (rows, rows[::-1]):
        table.write_text("\n".join(["path,label", *order]) + "\n")
        data = load_dataset(table, val=0.5)
        assert data.classes == ("Mule", "ant", "zebra")
        assert all(data.classes[item.target] == item.ref.label for item in data.items)
        targets = {item.ref.path.name: item.target for item in data.items}
        assert targets == {f"{n}.jpg": data.classes.index(name) for n, name in enumerate(names)}


@pytest.mark.parametrize("seed", range(5))
def test_no_label_is_left_without_a_training_image(seed):
    """Each of many rare labels comes with others, whose last image must not go with it."""
    draw = Random(seed)
    found = [
        ImageRef(Path(f"/d/{n}"), str(n), "|".join(f"l{draw.randrange(150)}" for _ in range(5)))
        for n in range(120)
    ]
    held = hold_out(found, {"test": 0.2, "val": 0.2}, seed, several=True)
    trained = {x for ref in found if ref.rel not in held for x in (ref.label or "").split("|")}
    assert trained == {x for ref in found for x in (ref.label or "").split("|")}
    assert {"test", "val"} == set(held.values())
