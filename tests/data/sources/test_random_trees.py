"""Random folder trees with odd names: each image once, no surprise, labels as ImageFolder's."""

import os
import random
from pathlib import Path

import pytest

from camcli.data.sources.find import find_images
from camcli.data.sources.layout import Layout, recognise
from camcli.errors import UsageError

NAMES = [
    "cat", "Ä é", "0", "281", "2023", "left", "train", "test", "images", "masks", "[x]", "{a,b}",
    "a*b", "-rf", "=1+1", "  ", "a\nb", "tab\t", "'q\"", "100CANON", "日本", "😀", "x" * 200,
    "a\\b", "%2e", "~", "con", "cat.jpg.d", os.fsdecode(b"caf\xe9"), os.fsdecode(b"\xff\xfe"),
]  # fmt: skip
LEFT_OUT = ["@eaDir", "__MACOSX", ".hidden", ".ipynb_checkpoints", "lost+found", "$RECYCLE.BIN"]
FILES = ["1.jpg", "2.PNG", "é.jpeg", "[1].webp", "{a,b}.jpg", "x\ny.jpg", os.fsdecode(b"\xe9.jpg")]
OTHERS = ["notes.txt", "Thumbs.db", "._1.jpg", ".DS_Store", "run.json", "predictions.csv", "noext"]


def grow(folder: str, rng: random.Random, depth: int, seen: bool, rel: str = "") -> set[str]:
    """Make a tree; the relative paths of the images that must be found."""
    expected = set()
    for name in rng.sample(FILES, rng.choice([0, 0, 1, 2, 4])):
        Path(folder, name).write_bytes(b"x")
        if seen:
            expected.add(rel + name)
    for name in rng.sample(OTHERS, rng.choice([0, 0, 1, 3])):
        Path(folder, name).write_bytes(b"{}")
    if depth == 0:
        return expected
    wide = rng.choice([0, 1, 2, 3, 5])
    for name in [*rng.sample(NAMES, wide), *rng.sample(LEFT_OUT, rng.choice([0, 0, 1]))]:
        path = os.path.join(folder, name)  # noqa: PTH118
        os.mkdir(path)  # noqa: PTH102
        expected |= grow(path, rng, depth - 1, seen and name not in LEFT_OUT, f"{rel}{name}/")
    return expected


@pytest.mark.parametrize("start", range(0, 200, 25))
def test_each_image_once_and_labels_by_structure(tmp_path, start):
    recognised = 0
    for seed in range(start, start + 25):
        rng = random.Random(seed)
        root = tmp_path / str(seed)
        root.mkdir()
        expected = grow(str(root), rng, rng.choice([1, 2, 2, 3]), True)
        if rng.random() < 0.2:
            (root / "loop").symlink_to(root)
        layout = recognise(str(root))
        if not expected:
            with pytest.raises(UsageError):
                find_images(root)
            continue
        source = find_images(root)
        refs = list(source)
        assert len(refs) == len(expected) == source.count()
        assert {ref.rel for ref in refs} == expected
        assert all(os.path.exists(ref.path) for ref in refs)  # noqa: PTH110
        assert {ref.rel for ref in find_images(f"{root}/**")} == expected
        if not isinstance(layout, Layout):
            assert {ref.label for ref in refs} == {None}
            # Where there are folders with images, it is said why.
            assert bool(source.notes) == any("/" in rel for rel in expected)
            continue
        recognised += 1
        named = {ref.label for ref in refs} - {None}
        assert named == set(layout.classes)
        assert len(named) >= 2
        for ref in refs:
            trees = [tree for _, tree in layout.trees if ref.rel.startswith(tree.folder)]
            below = [ref.rel[len(tree.folder) :].split("/")[0] for tree in trees]
            assert ref.label in [None, *below]
            assert "/" in ref.rel or ref.label is None
        if layout.kind == "classes":
            ((_, tree),) = layout.trees
            unlabelled = {ref.rel for ref in refs if ref.label is None}
            beside = tuple(f"{tree.folder}{name}/" for name in tree.beside)
            assert all(r.startswith(beside) or not r.startswith(tree.folder) for r in unlabelled)
    assert recognised >= 3
