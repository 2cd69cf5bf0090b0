"""Frames of videos: whose neighbours train must not be what tests."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcli.data.datasets.fruits360 import (
    contiguous_runs,
    frame,
    looks_like,
    merged,
    video,
    whole_videos,
)
from camcli.data.sources.refs import ImageRef


def ref(rel):
    return ImageRef(Path("/d") / rel, rel, rel.split("/")[-2])


def frames(label, numbers, prefix="", split="Training"):
    return [ref(f"{split}/{label}/{prefix}{n}_100.jpg") for n in numbers]


def test_names_are_video_and_frame():
    one = ref("Training/Apple Red 1/r2_31_100.jpg")
    assert (video(one), frame(one)) == ("Apple Red 1/r2", 31)
    assert video(ref("Test/Apple Red 1/r2_32_100.jpg")) == video(one), "also in the other split"
    assert video(ref("Training/Apple Red 1/31_100.jpg")) != video(one)
    assert video(ref("Training/Apple Red 2/r2_31_100.jpg")) != video(one)


@pytest.mark.parametrize(
    ("label", "fruit"),
    [("Apple Red 1", "Apple Red"), ("Apple_10", "Apple"), ("Kiwi", "Kiwi"), ("7", "7"),
     ("Apple 1 Red", "Apple 1 Red")],
)  # fmt: skip
def test_a_variety_is_its_fruit(label, fruit):
    assert merged(label) == fruit


def test_it_is_known_by_its_names():
    assert looks_like(frames("Kiwi", range(3)))
    assert not looks_like(frames("Kiwi", range(3), split="train"))
    assert not looks_like([*frames("Kiwi", range(3)), ref("Training/Kiwi/photo.jpg")])
    assert not looks_like([])


def test_what_is_held_out_is_one_run_of_neighbours_by_number():
    """2 comes before 10, and 25% of 20 are five that follow each other."""
    refs = frames("Kiwi", range(20))
    held = contiguous_runs(refs[::-1], 0.25, 0)
    numbers = sorted(int(rel.rsplit("/", 1)[1].split("_")[0]) for rel in held)
    assert len(numbers) == 5
    assert numbers == list(range(numbers[0], numbers[0] + 5))
    assert contiguous_runs(refs, 0.25, 0) == held
    starts = {min(contiguous_runs(refs, 0.25, seed)) for seed in range(8)}
    assert len(starts) > 2, "the seed moves it"
    assert contiguous_runs(refs, 0, 0) == set()


@given(st.integers(1, 30), st.floats(0.01, 0.99), st.integers(0, 5))
def test_every_video_keeps_a_frame_for_training(count, share, seed):
    refs = frames("Kiwi", range(count)) + frames("Fig", range(count), "r_")
    held = contiguous_runs(refs, share, seed)
    for label in ("Kiwi", "Fig"):
        own = [rel for rel in held if f"/{label}/" in rel]
        assert len(own) == (0 if count == 1 else min(count - 1, max(1, round(share * count))))


def test_whole_videos_are_in_one_split_and_one_of_each_class_trains():
    refs = [
        one for prefix in ("", "r_", "r2_", "r3_")
        for one in frames("Kiwi", range(4), prefix) + frames("Kiwi", (9,), prefix, "Test")
    ] + frames("Fig", range(5))  # fmt: skip
    held, single = whole_videos(refs, {"val": 0.25, "test": 0.25}, 0)
    assert single == ["Fig"]
    splits = {}
    for one in refs:
        splits.setdefault(video(one), set()).add(held.get(one.rel, "train"))
    assert all(len(found) == 1 for found in splits.values())
    kiwi = sorted(found.pop() for name, found in splits.items() if name.startswith("Kiwi"))
    assert kiwi == ["test", "train", "train", "val"]
