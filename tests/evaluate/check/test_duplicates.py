"""Groups of copies, which one is kept, and what is said of splits and labels."""

import numpy as np
import pytest

from camcli.evaluate.check.duplicates import duplicate_issues, exact, near
from camcli.evaluate.check.looking import look
from camcli.evaluate.findings.clock import Clock
from camcli.train.progress import Listener


def points_of(seen):
    """Features of a kind: mean-free small pictures, for which copies of the same size are near."""
    small = np.stack([p.small.reshape(-1) for p in seen.prints]).astype(np.float32)
    return small - small.mean(1, keepdims=True)


def issues_of(photos, clock=None):
    clock = clock or Clock()
    seen = look(photos, Clock(), Listener())
    same = exact(seen)
    return duplicate_issues(seen, same, near(seen, points_of(seen), same, clock, Listener()))


def rows(issues):
    return sorted((i.kind, i.rel, i.other) for i in issues)


def test_bytes_pixels_and_copies(tmp_path, picture, write, photo):
    for n in range(6):
        write(tmp_path / f"{n}.jpg", picture(n))
    (tmp_path / "same.jpg").write_bytes((tmp_path / "0.jpg").read_bytes())
    from PIL import Image

    Image.open(tmp_path / "1.jpg").save(tmp_path / "pixels.png")
    write(tmp_path / "near.jpg", picture(2)[9:, 12:], 40)
    photos = [photo(p.name, root=tmp_path) for p in sorted(tmp_path.iterdir())]
    issues = issues_of(photos)
    assert rows(issues) == [
        ("exact duplicate", "pixels.png", "1.jpg"),
        ("exact duplicate", "same.jpg", "0.jpg"),
        ("near duplicate", "near.jpg", "2.jpg"),
    ]
    notes = {i.rel: i.note for i in issues}
    assert notes["same.jpg"] == "the same file"
    assert "pixels" in notes["pixels.png"]


def test_the_larger_one_is_kept(tmp_path, picture, write, photo):
    write(tmp_path / "a.jpg", picture(0)[:150, :200])
    write(tmp_path / "b.jpg", picture(0))
    assert rows(issues_of([photo(n, root=tmp_path) for n in ("a.jpg", "b.jpg")])) == [
        ("near duplicate", "a.jpg", "b.jpg")
    ]


def test_across_splits_and_with_other_labels(tmp_path, picture, write, photo):
    for name in ("train/cat/1.jpg", "test/cat/1.jpg", "val/dog/9.jpg"):
        write(tmp_path / name, picture(3), 95 if "train" in name else 60)
    for name in ("train/dog/2.jpg", "test/dog/2.jpg"):
        write(tmp_path / name, picture(4 if "train" in name else 5))
    photos = [
        photo(name, name.split("/")[1], name.split("/")[0], tmp_path)
        for name in (
            "test/cat/1.jpg", "test/dog/2.jpg", "train/cat/1.jpg", "train/dog/2.jpg",
            "val/dog/9.jpg",
        )
    ]  # fmt: skip
    issues = issues_of(photos)
    other = ("train/cat/1.jpg",)
    found = rows(issues)
    assert ("duplicate across splits", "test/cat/1.jpg", *other) in found
    assert ("duplicate across splits", "val/dog/9.jpg", *other) in found
    assert ("duplicate of another label", "val/dog/9.jpg", *other) in found
    assert len([row for row in found if row[0].startswith("duplicate")]) == 3
    assert all("dog/2.jpg" not in row[1] for row in found)
    label = next(i for i in issues if i.kind == "duplicate of another label")
    assert label.suggestion == "cat"


def test_a_hundred_frames_are_a_group_and_not_five_thousand_pairs(tmp_path, picture, write, photo):
    rgb = picture(7, 200, 300)
    for n in range(100):  # a camera that moves slowly
        write(tmp_path / f"frame_{n:03d}.jpg", rgb[n // 5 : n // 5 + 160, n : n + 200])
    for n in range(3):
        write(tmp_path / f"other_{n}.jpg", picture(20 + n))
    photos = [photo(p.name, root=tmp_path) for p in sorted(tmp_path.iterdir())]
    issues = issues_of(photos)
    assert len(issues) == 99
    assert len({i.rel for i in issues}) == 99
    assert len({i.other for i in issues}) == 1
    assert "one of 100 alike" in issues[0].note


def test_no_time_is_said_and_exact_ones_stay(tmp_path, picture, write, photo):
    for name in ("a.jpg", "b.jpg"):
        write(tmp_path / name, picture(0))
    write(tmp_path / "c.jpg", picture(0), 50)
    clock = Clock(0)
    found = rows(issues_of([photo(n, root=tmp_path) for n in ("a.jpg", "b.jpg", "c.jpg")], clock))
    assert found == [("exact duplicate", "b.jpg", "a.jpg")]
    assert "no time" in clock.skipped[0]


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_to_compare(tmp_path, count, picture, write, photo):
    photos = [photo(write(tmp_path / f"{n}.jpg", picture(n)).name, root=tmp_path)
              for n in range(count)]  # fmt: skip
    seen = look(photos, Clock(), Listener())
    same = exact(seen)
    points = np.zeros((count, 2), np.float32)
    assert duplicate_issues(seen, same, near(seen, points, same, Clock(), Listener())) == []
