import numpy as np
import pytest
import torch
from PIL import Image

from camcli.cam.map_options import make_map_options
from camcli.data.sources.find import find_images
from camcli.data.sources.refs import ImageRef
from camcli.data.synthetic.scenes import write_scenes
from camcli.evaluate.comparison.measuring.random_labels import compare_labels, halves
from camcli.evaluate.comparison.measuring.randomised import copies_of_checkpoint
from camcli.models.load import load_classifier
from camcli.models.loading.checkpoint import Checkpoint, join_checkpoints, save_checkpoint
from camcli.models.loading.zoo import build_model


@pytest.fixture(scope="module")
def small():
    return load_classifier(input_size=64)


@pytest.fixture(scope="module")
def refs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes") / "s"
    write_scenes(folder, counts={"test": 8}, classes=("banana", "cherry"), size=128)
    return list(find_images(folder / "test", labels="folder"))


@pytest.mark.slow
@pytest.mark.parametrize("members", [1, 2])
def test_copies_of_a_checkpoint_lose_the_head_first(tmp_path, small, members):
    built = build_model()
    state = {n: t for n, t in built.module.state_dict().items() if not n.startswith("classifier")}
    path = tmp_path / "own.safetensors"
    weight, bias = torch.randn(2, 1280), torch.zeros(2)
    part = Checkpoint("efficientnet_lite0", ("a", "b"), small.preprocess, state, weight, bias)
    save_checkpoint(path, part if members == 1 else join_checkpoints([part] * members))
    before = path.read_bytes()
    opened = []

    def load(file):
        opened.append(file)
        return load_classifier(checkpoint=file)

    (head, one), (last, two) = copies_of_checkpoint(path, load, stops=2)
    assert head == "head"
    assert last == "conv_stem"
    x = torch.randint(0, 255, (1, 3, 64, 64), dtype=torch.uint8)
    trained, headless, empty = (c.look(x).parts[0].A for c in (small, one, two))
    trained = trained.repeat(1, members, 1, 1)
    torch.testing.assert_close(headless, trained, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(empty, trained, rtol=0.1, atol=0.1)
    assert not torch.allclose(one.head.weight[:, :1280] * members, weight)
    assert path.read_bytes() == before
    assert not any(file.exists() for file in opened)


def test_halves_of_each_class_by_hand(tmp_path):
    refs = [ImageRef(tmp_path, f"{c}{n}", c) for c, count in (("a", 5), ("b", 4), ("c", 3))
            for n in range(count)]  # fmt: skip
    train, held, names = halves([*refs, ImageRef(tmp_path, "x")])
    assert [r.rel for r in train] == ["a0", "a2", "a4", "b0", "b2"]
    assert [r.rel for r in held] == ["a1", "a3", "b1", "b3"]
    assert names == ["a", "b"]
    assert halves(refs[:6]) == ([], [], [])


def test_random_labels_change_cam_and_not_eigencam(refs):
    small = load_classifier(input_size=128)
    hows = {name: make_map_options(name) for name in ("cam", "eigencam")}
    rows, learned = compare_labels(small, "net", refs, hows)
    assert (learned.classes, learned.photographs) == (2, 8)
    assert learned.true == learned.shuffled == 1  # both know their labels by heart
    assert learned.true_held > learned.shuffled_held
    found = {row.method: row.metrics["rank@random-labels"] for row in rows}
    assert found["eigencam"] == pytest.approx(1)
    assert found["cam"] < 0.9
    assert np.isfinite(found["unrelated"])
    assert {row.count for row in rows} == {8}
    assert compare_labels(small, "net", [ImageRef(r.path, r.rel) for r in refs], hows) is None


def test_photographs_that_cannot_be_read_teach_no_head(tmp_path, by_colour):
    """Every second one of a class is learned from: here only those of one class can be opened."""
    for name, first in (("a", b""), ("b", None)):
        for n in range(4):
            path = tmp_path / name / f"{n}.png"
            path.parent.mkdir(exist_ok=True)
            if n % 2 or first is None:
                Image.fromarray(np.full((32, 32, 3), 60 * n, np.uint8)).save(path)
            else:
                path.write_bytes(first)
    refs = list(find_images(tmp_path, labels="folder"))
    hows = {"cam": make_map_options("cam")}
    assert compare_labels(by_colour, "x", refs, hows) is None
    for n in (0, 2):
        (tmp_path / "b" / f"{n}.png").write_bytes(b"")
    assert compare_labels(by_colour, "x", refs, hows) is None
