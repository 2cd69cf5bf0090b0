"""The feature pass: each image's own features, whatever batch, shape or failure is beside it."""

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from camcli.data.datasets.dataset import Item
from camcli.data.decode.preprocess import Preprocess
from camcli.data.sources.refs import ImageRef
from camcli.models.classifier import cut_classifier
from camcli.models.loading.zoo import Provenance
from camcli.train.config import TrainConfig
from camcli.train.feature_pass.cache import PoolingCache
from camcli.train.feature_pass.examples import TOLD, Examples, Looker
from camcli.train.feature_pass.features import (
    ImageView,
    backbone_tensors,
    digest_of,
    extract,
    hash_files,
)
from camcli.train.feature_pass.sight import Sight
from camcli.train.progress import Listener

# Colours by name of file; features are the mean red, green and blue in [0, 1].
COLOURS = {"a": (255, 0, 0), "b": (0, 204, 0), "c": (0, 0, 102), "d": (51, 102, 153)}


def network():
    module = nn.Sequential(
        nn.Conv2d(3, 3, 4, stride=4, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(3, 2),
    )  # fmt: skip
    with torch.no_grad():
        module[0].weight.zero_()
        for c in range(3):
            module[0].weight[c, c] = 1 / 16
    return module.eval()


def classifier_of(module, fit="squash"):
    return cut_classifier(
        module, classes=("x", "y"), device=torch.device("cpu"),
        preprocess=Preprocess(size=32, fit=fit, mean=(0, 0, 0), std=(1, 1, 1)),
        provenance=Provenance("by hand", None, None, "user", {}),
    )  # fmt: skip


@pytest.fixture(scope="module")
def classifier():
    return classifier_of(network())


@pytest.fixture
def files(tmp_path):
    """Pictures of one colour and of several shapes; the second cannot be read."""
    paths = []
    for n, (name, colour) in enumerate(COLOURS.items()):
        size = (40, 40) if n % 2 else (160, 40)
        Image.new("RGB", size, colour).save(tmp_path / f"{name}.png")
        paths.append(tmp_path / f"{name}.png")
        if n == 0:
            paths.append(tmp_path / "broken.png")
            paths[-1].write_bytes(b"no picture")
    return paths


WANTED = [COLOURS["a"], (0, 0, 0), COLOURS["b"], COLOURS["c"], COLOURS["d"]]


@pytest.mark.parametrize("fit", ["squash", "crop", "whole"])
@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_every_image_has_its_own_row_also_beside_one_that_cannot_be_read(files, fit, batch_size):
    own = classifier_of(network(), fit)
    rows, errors = extract(
        files, hash_files(files), Sight(own), ImageView(own), batch_size=batch_size
    )  # fmt: skip
    assert rows.dtype == torch.float16
    assert rows.numpy() == pytest.approx(np.array(WANTED) / 255, abs=2e-3)
    assert list(errors) == [1]
    assert "broken.png" in errors[1]


def test_features_are_means_over_the_map(classifier):
    """Half of it red, half blue."""
    pixels = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    pixels[0, 0, :, :16] = 255
    pixels[0, 2, :, 16:] = 255
    assert Sight(classifier)(pixels).tolist() == [pytest.approx([0.5, 0, 0.5])]


def test_what_is_in_the_cache_is_not_looked_at_again(files, classifier, tmp_path):
    contents, view = hash_files(files), ImageView(classifier)
    done, sight = [], Sight(classifier)
    with PoolingCache(tmp_path / "cache", {"network": "one"}, sight.statistics) as cache:
        first, _ = extract(files, contents, sight, view, cache=cache, advance=done.append)
        assert sum(done) == len(files)
    for path in files:
        path.unlink()
    with PoolingCache(tmp_path / "cache", {"network": "one"}, sight.statistics) as cache:
        looked, skipped = [], []
        again, errors = extract(
            files, contents, sight, view, cache=cache, advance=looked.append, skip=skipped.append
        )
        assert sum(skipped) == len(files) - 1, "known, and so no measure of how fast it goes"
        assert sum(looked) == 1
        other, failed = extract(
            files, contents, sight, ImageView(classifier, 0, 1), cache=cache
        )  # fmt: skip
    assert torch.equal(first, again)
    assert list(errors) == [1], "what failed is not kept"
    assert len(failed) == len(files), "another view is not the same features"
    assert not other.any()


def test_views_are_told_apart_by_seed_and_number(classifier):
    views = [None, 0, 1]
    names = {ImageView(classifier, seed, number).name for seed in (0, 1) for number in views}
    assert len(names) == 5, "the image as it is has no seed"


def test_a_mirrored_view_has_left_and_right_change_places(classifier):
    rgb = np.zeros((32, 64, 3), np.uint8)
    rgb[:, :32] = (255, 0, 0)
    plain, mirrored = ImageView(classifier), ImageView(classifier, mirrored=True)
    seen = mirrored.pixels(rgb, "aa")
    assert seen.flip(2).equal(plain.pixels(rgb, "aa"))
    assert seen[0, :, 0].sum() == 0
    part = ImageView(classifier, 3, 1, mirrored=True)
    assert part.pixels(rgb, "aa").flip(2).equal(ImageView(classifier, 3, 1).pixels(rgb, "aa"))
    views = (plain, mirrored, part, ImageView(classifier, 3, 1))
    assert len({view.name for view in views}) == 4


@pytest.mark.parametrize(
    ("augment", "mirror", "count", "names"),
    [
        (0, False, 1, ["plain"] * 4),
        (0, True, 2, ["plain", "plain/mirrored"] * 2),
        (2, False, 2, [f"augmented-1/7/{n}" for n in range(4)]),
        (2, True, 4, ["plain", "plain/mirrored", "augmented-1/7/0", "augmented-1/7/1"]),
    ],
)
def test_views_that_are_learnt_from_in_their_order(classifier, augment, mirror, count, names):
    given = {"augment": augment, "mirror": mirror}
    assert [ImageView.learnt(classifier, 7, n, **given).name for n in range(4)] == names
    assert TrainConfig(**given).views == count


def test_files_are_known_by_their_content(tmp_path):
    for name, data in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / name).write_bytes(data)
    one, same, two = hash_files([tmp_path / name for name in "abc"])
    assert one == same == hashlib.sha256(b"one").hexdigest()
    assert two == hashlib.sha256(b"two").hexdigest()
    gone = hash_files([tmp_path / "x", tmp_path / "y"])
    assert len({one, two, *gone}) == 4


def test_a_digest_tells_any_bit_apart():
    tensors = {"w": torch.arange(6.0).view(2, 3), "b": torch.zeros(2)}
    same = {"b": torch.zeros(2), "w": torch.arange(6.0).view(3, 2).T.contiguous().view(2, 3)}
    digests = [
        digest_of(tensors), digest_of(tensors | {"b": torch.tensor([0.0, 1e-45])}),
        digest_of(tensors | {"b": torch.zeros(2, dtype=torch.float16)}),
        digest_of({"w": tensors["w"].view(3, 2), "b": tensors["b"]}),
        digest_of({"v": tensors["w"], "b": tensors["b"]}), digest_of(same),
    ]  # fmt: skip
    assert len(set(digests)) == len(digests)
    assert digest_of(dict(reversed(tensors.items()))) == digests[0]


def test_what_lies_before_the_cut_is_the_backbone():
    module = network()
    assert set(backbone_tensors(module, classifier_of(module))) == {"0.weight"}


def test_of_many_images_that_cannot_be_read_some_are_told_and_all_are_known(classifier, tmp_path):
    class Ear(Listener):
        def __init__(self):
            self.warned = []

        def warn(self, text):
            self.warned.append(text)

    items = []
    for n in range(9):
        path = tmp_path / f"{n}.png"
        path.write_bytes(b"no picture")
        items.append(Item(ImageRef(path, path.name), 0, "train"))
    Image.new("RGB", (40, 40)).save(tmp_path / "good.png")
    items.append(Item(ImageRef(tmp_path / "good.png", "good.png"), 0, "train"))
    ear, examples = Ear(), Examples.of(items)
    looker = Looker(Sight(classifier), None, ear)
    assert len(looker.look(examples, ImageView(classifier), "features")) == 1
    assert [item.ref.rel for item in examples.items] == ["good.png"]
    assert len(looker.skipped) == 9
    assert len(ear.warned) == TOLD + 1
    assert "4 more images" in ear.warned[-1]
