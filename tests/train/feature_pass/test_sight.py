"""One pass for all statistics: the numbers themselves, the files that they share, the runtimes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from camcli.data.decode.preprocess import Preprocess
from camcli.models.classifier import cut_classifier
from camcli.models.cutting.cut import cut_before_head
from camcli.models.loading.zoo import Provenance
from camcli.models.pooling.pooling import Pooling
from camcli.train.feature_pass.cache import PoolingCache
from camcli.train.feature_pass.features import ImageView, extract, hash_files
from camcli.train.feature_pass.sight import Sight

RICH = "mean+max+std+gem@0+mean@0"
SPACE = {"network": "by hand"}


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 4, stride=4), nn.ReLU(), nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2),
    ).eval()  # fmt: skip


@pytest.fixture(scope="module")
def sight_of(module):
    def made(text="mean", fit="squash"):
        plain = cut_classifier(
            module, classes=("x", "y"), device=torch.device("cpu"),
            preprocess=Preprocess(size=32, fit=fit),
            provenance=Provenance("by hand", None, None, "user"),
        )  # fmt: skip
        pooling = Pooling.read(text)
        if pooling.plain:
            return Sight(plain)
        halves = cut_before_head(module, (3, 32, 32), pooling)
        return Sight(replace(plain, features=halves.first, cut=None))

    return made


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{n}.png" for n in range(9)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (40, 48, 3), np.uint8)).save(path)
    return paths


def looked(sight, files, root, *, there=True):
    """What the cache and the network give; where pictures are not `there`, the cache alone."""
    with PoolingCache(root, SPACE, sight.statistics) as cache:
        contents, view = hash_files(files), ImageView(sight.classifier)
        if not there:
            keep = [path.rename(path.with_suffix(".gone")) for path in files]
        rows, errors = extract(files, contents, sight, view, cache=cache)
        if not there:
            for path, kept in zip(files, keep, strict=True):
                kept.rename(path)
    return rows, errors


def test_all_statistics_of_all_layers_come_from_one_pass(sight_of, module):
    sight = sight_of(RICH)
    pixels = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    images = sight.classifier.preprocess.normalise(pixels)
    with torch.no_grad():
        early = module[0](images)
        last = module[:4](images)
    expected = torch.cat(
        [
            last.mean((2, 3)), last.amax((2, 3)), last.std((2, 3), correction=0),
            early.clamp(min=0).pow(3).mean((2, 3)).pow(1 / 3), early.mean((2, 3)),
        ], 1,
    )  # fmt: skip
    torch.testing.assert_close(sight(pixels), expected, rtol=1e-3, atol=2e-3)
    assert [(str(s), k) for s, k in sight.statistics] == [
        ("mean", 6), ("max", 6), ("std", 6), ("gem@0", 4), ("mean@0", 4)
    ]  # fmt: skip
    chosen = sight(pixels)[:, sight.columns(Pooling.read("mean@0+max"))]
    torch.testing.assert_close(chosen, expected[:, [*range(22, 26), *range(6, 12)]])


def test_a_smaller_pooling_is_in_what_a_richer_one_left(sight_of, files, tmp_path):
    rich = sight_of(RICH)
    rows, _ = looked(rich, files, tmp_path / "cache")
    for text in ("mean", "std+mean", "gem@0", "|mean+mean@0|"):
        small = sight_of(text)
        found, errors = looked(small, files, tmp_path / "cache", there=False)
        assert errors == {}
        expected = rows[:, rich.columns(small.pooling)].float()
        if small.pooling.unit:
            expected /= expected.norm(dim=1, keepdim=True)
        torch.testing.assert_close(found.float(), expected, rtol=1e-3, atol=1e-4)


def test_a_richer_pooling_adds_what_a_smaller_one_left_out_and_no_more(sight_of, files, tmp_path):
    looked(sight_of("mean"), files, tmp_path / "cache")
    ((path, before),) = ((p, p.read_bytes()) for p in (tmp_path / "cache").glob("*.features"))
    first, _ = looked(sight_of("mean+max"), files, tmp_path / "cache")
    assert path.read_bytes() == before
    sizes = [p.stat().st_size for p in (tmp_path / "cache").glob("*.features")]
    assert sizes == [len(before)] * 2
    again, errors = looked(sight_of("max+mean"), files, tmp_path / "cache", there=False)
    assert errors == {}
    assert torch.equal(again, first[:, [*range(6, 12), *range(6)]])


def test_an_image_of_which_one_statistic_is_damaged_is_looked_at_again(sight_of, files, tmp_path):
    sight = sight_of("mean+max")
    rows, _ = looked(sight, files, tmp_path / "cache")
    path = sorted((tmp_path / "cache").glob("*.features"))[0]
    data = bytearray(path.read_bytes())
    data[34] ^= 1  # in the first record
    path.write_bytes(data)
    _, errors = looked(sight, files, tmp_path / "cache", there=False)
    assert len(errors) == 1
    again, errors = looked(sight, files, tmp_path / "cache")
    assert errors == {}
    assert torch.equal(again, rows)
    _, errors = looked(sight, files, tmp_path / "cache", there=False)
    assert errors == {}, "the new record counts, not the damaged one before it"


@pytest.mark.parametrize("fit", ["squash", "whole"])
@pytest.mark.parametrize("text", ["mean", RICH])
def test_openvino_gives_the_same_features(sight_of, files, tmp_path, text, fit):
    pytest.importorskip("openvino")
    plain, fast = sight_of(text, fit), sight_of(text, fit)
    fast.expect(10**6)
    rows, _ = looked(plain, files, tmp_path / "torch")
    same, errors = looked(fast, files, tmp_path / "openvino")
    assert errors == {}
    assert plain.runtime["name"] == "torch"
    assert fast.runtime["name"] == "openvino"
    assert fast.runtime["difference"] < 1e-5
    # At most the last bit of what is kept, and hardly ever that.
    torch.testing.assert_close(same.float(), rows.float(), rtol=2**-10, atol=2**-13)
    assert (same == rows).float().mean() > 0.95


def test_for_a_few_images_nothing_is_converted(sight_of):
    sight = sight_of()
    sight.expect(20)
    assert sight.runtime["name"] == "torch"
