"""The feature cache: what survives a crash, a disk error, and two writers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from camcli.errors import CamcliError
from camcli.train.feature_pass.cache import FeatureCache, cache_root, record_key

K = 5
KEYS = [record_key(str(i), "plain") for i in range(4)]


def fill(root, keys=KEYS):
    rows = {key: np.full(K, i, np.float16) for i, key in enumerate(keys)}
    with FeatureCache(root, {"weights": "a"}, K) as cache:
        cache.add(list(rows), np.stack(list(rows.values())))
    return cache.path


def test_what_is_added_is_found_again_now_and_later(tmp_path):
    fill(tmp_path)
    with FeatureCache(tmp_path, {"weights": "a"}, K) as cache:
        assert cache.get(KEYS[2]).tolist() == [2] * K
        assert cache.get(record_key("2", "augmented")) is None
        cache.add([record_key("new", "plain")], np.arange(K, dtype=np.float16)[None])
        assert cache.get(record_key("new", "plain")).tolist() == list(range(K))
    with FeatureCache(tmp_path, {"weights": "b"}, K) as other:
        assert other.get(KEYS[0]) is None


@given(cut=st.integers(0, 4 * (32 + 2 * K + 4)))
@settings(max_examples=40, deadline=None)
def test_a_file_cut_anywhere_keeps_its_whole_records(tmp_path_factory, cut):
    root = tmp_path_factory.mktemp("cache")
    path = fill(root)
    path.write_bytes(path.read_bytes()[:cut])
    whole = cut // (32 + 2 * K + 4)
    with FeatureCache(root, {"weights": "a"}, K) as cache:
        found = [cache.get(key) is not None for key in KEYS]
        assert found == [i < whole for i in range(4)]
        cache.add([KEYS[3]], np.full((1, K), 7, np.float16))
    with FeatureCache(root, {"weights": "a"}, K) as cache:
        # What is here is not written once more: a key has the same features for ever.
        assert cache.get(KEYS[3]).tolist() == [3 if whole == 4 else 7] * K


def test_a_damaged_record_is_computed_again(tmp_path):
    path = fill(tmp_path)
    data = bytearray(path.read_bytes())
    data[40] ^= 1  # within the first record's features
    path.write_bytes(data)
    with FeatureCache(tmp_path, {"weights": "a"}, K) as cache:
        assert cache.get(KEYS[0]) is None
        assert cache.get(KEYS[1]) is not None


def test_two_writers_do_not_mix_their_records(tmp_path):
    with (
        FeatureCache(tmp_path, {"weights": "a"}, K) as one,
        FeatureCache(tmp_path, {"weights": "a"}, K) as two,
    ):
        for i in range(20):
            (one, two)[i % 2].add([record_key(str(i), "x")], np.full((1, K), i, np.float16))
    with FeatureCache(tmp_path, {"weights": "a"}, K) as cache:
        assert [cache.get(record_key(str(i), "x"))[0] for i in range(20)] == list(range(20))


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CamcliError, match="--cache-dir"):
        FeatureCache(tmp_path / "file" / "x", {}, K)


def test_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMCLI_CACHE", str(tmp_path))
    assert cache_root() == tmp_path / "features"
    assert cache_root(tmp_path / "here") == tmp_path / "here"


def test_a_backbone_that_fails_on_one_image_leaves_it_out(tmp_path, draw, monkeypatch):
    """And says why; the rows of the others are those that they have without it."""
    from camcli.models.load import load_classifier
    from camcli.train.feature_pass import features
    from camcli.train.feature_pass.features import ImageView, extract, hash_files
    from camcli.train.feature_pass.sight import Sight

    paths = sorted(draw(tmp_path / "set", {"train": 4}).rglob("*.png"))
    classifier = load_classifier("shufflenet_v2_x0_5", weights="random", input_size=64)
    contents, view, sight = hash_files(paths), ImageView(classifier), Sight(classifier)
    expected, none = extract(paths, contents, sight, view)
    assert none == {}
    guilty = view.pixels(features.load_image(paths[3]), contents[3])
    poisoned = view.pixels(features.load_image(paths[5]), contents[5])
    look = Sight.__call__

    def broken(sight, pixels):
        if any(torch.equal(image, guilty) for image in pixels):
            raise RuntimeError("this one only")
        rows = look(sight, pixels).clone()
        for row, image in zip(rows, pixels, strict=True):
            row[0] = np.nan if torch.equal(image, poisoned) else row[0]
        return rows

    monkeypatch.setattr(Sight, "__call__", broken)
    found, errors = extract(paths, contents, sight, view)
    assert set(errors) == {3, 5}
    assert errors[3] == f"network: {paths[3]}: RuntimeError: this one only."
    assert "not finite" in errors[5]
    kept = [n for n in range(8) if n not in errors]
    torch.testing.assert_close(found[kept], expected[kept], rtol=1e-2, atol=1e-3)
    monkeypatch.setattr(Sight, "__call__", lambda s, p: look(s, p) * np.nan)
    with pytest.raises(CamcliError, match="not finite"):
        extract(paths, contents, sight, view)
