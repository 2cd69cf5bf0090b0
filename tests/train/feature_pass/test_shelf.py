"""The folder of kept features: what goes when it is full, and what never goes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from camcli.errors import UsageError
from camcli.models.pooling.pooling import Pooling
from camcli.train.feature_pass.cache import FeatureCache, PoolingCache, record_key
from camcli.train.feature_pass.shelf import LIMIT, kept, make_room, read_limit, remove
from camcli.train.run import train

K = 50
RECORD = 32 + 2 * K + 4


def space(name):
    return {
        "backbone": name, "tensors": "0", "layer": "last", "precision": "float32",
        "preprocess": {"size": 224, "fit": "crop"},
    }  # fmt: skip


def fill(root, name, images=10, text="mean", used=None):
    """So many images' features of a backbone, last used `used` seconds ago."""
    statistics = [(each, K) for each in Pooling.read(text).statistics]
    with PoolingCache(root, space(name), statistics) as cache:
        keys = [record_key(str(i), "plain") for i in range(images)]
        cache.add(keys, np.ones((images, cache.channels), np.float16))
    if used is not None:
        for path in next(each for each in kept(root) if each.about["backbone"] == name).files:
            for each in (path, path.with_suffix(".json")):
                os.utime(each, (1e9 - used, 1e9 - used))


def names(root):
    return {each.about["backbone"] for each in kept(root)}


def test_what_is_there_is_told_the_last_used_first(tmp_path):
    fill(tmp_path, "old", images=3, used=500)
    fill(tmp_path, "new", images=7, text="mean+max+std@layer2", used=100)
    new, old = kept(tmp_path)
    assert (old.images, new.images) == (3, 7)
    assert set(new.statistics) == {"mean", "max", "std@layer2"}
    assert new.size == 3 * 7 * RECORD
    assert new.used == 1e9 - 100
    assert old.told == "old, 224 pixels, crop, mean"
    assert old.name != new.name


@pytest.mark.parametrize(("most", "stay"), [(30, "abc"), (25, "bc"), (10, "c"), (9, ""), (0, "")])
def test_the_least_recently_used_goes_first(tmp_path, most, stay):
    for age, name in enumerate("cba"):
        fill(tmp_path, name, used=100 * age)
    left = make_room(tmp_path, most * RECORD)
    assert names(tmp_path) == set(stay)
    assert left == 10 * RECORD * len(stay)
    assert {p.suffix for p in tmp_path.iterdir()} <= {".features", ".json"}
    assert len(list(tmp_path.iterdir())) == 2 * len(stay)


def test_without_a_limit_all_stays(tmp_path):
    fill(tmp_path, "a")
    assert make_room(tmp_path, None) == 10 * RECORD
    assert names(tmp_path) == {"a"}


def test_what_was_used_since_stays_whatever_it_takes(tmp_path):
    fill(tmp_path, "before", used=100)
    fill(tmp_path, "mine", used=0)
    assert make_room(tmp_path, 0, since=1e9) == 10 * RECORD
    assert names(tmp_path) == {"mine"}


def test_looking_something_up_is_using_it(tmp_path):
    fill(tmp_path, "a", used=100)
    fill(tmp_path, "b", used=50)
    fill(tmp_path, "a")
    make_room(tmp_path, 10 * RECORD)
    assert names(tmp_path) == {"a"}


def test_what_another_process_uses_stays(tmp_path):
    fill(tmp_path, "a", used=100)
    code = (
        "import sys, pathlib\n"
        "from camcli.train.feature_pass.shelf import in_use\n"
        "told = pathlib.Path(sys.argv[1])\n"
        "file = in_use(told, told.read_text())\n"
        "print('held', flush=True); sys.stdin.read()\n"
    )
    (path,) = tmp_path.glob("*.features")
    told = str(path.with_suffix(".json"))
    other = subprocess.Popen(
        [sys.executable, "-c", code, told], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "held\n"
    assert not remove(path)
    assert make_room(tmp_path, 0) == 10 * RECORD
    with FeatureCache(tmp_path, space("a"), K) as mine:  # users do not keep each other away
        assert mine.get(record_key("3", "plain")) is not None
    other.communicate("")
    assert remove(path)
    assert list(tmp_path.iterdir()) == []


def test_what_was_taken_away_is_made_anew(tmp_path):
    fill(tmp_path, "a")
    make_room(tmp_path, 0)
    with FeatureCache(tmp_path, space("a"), K) as cache:
        assert cache.get(record_key("3", "plain")) is None
    fill(tmp_path, "a")
    assert kept(tmp_path)[0].images == 10


def test_files_that_say_nothing_are_listed_and_can_go(tmp_path):
    fill(tmp_path, "a")
    for told, text in (("b", None), ("c", "{"), ("d", "[1]"), ("e", '{"channels": "x"}')):
        (tmp_path / f"{told}.features").write_bytes(b"x" * 100)
        if text is not None:
            (tmp_path / f"{told}.json").write_text(text)
    assert sorted(each.told for each in kept(tmp_path))[1:] == ["unknown"] * 4
    assert make_room(tmp_path, 0) == 0
    assert list(tmp_path.glob("*.features")) == []


@pytest.mark.parametrize(
    ("text", "count"),
    [("10GB", 10 << 30), ("1.5 gb", 3 << 29), ("500MB", 500 << 20), ("7", 7), ("2TiB", 2 << 40),
     ("none", None), ("0", 0)],
)  # fmt: skip
def test_sizes(text, count, monkeypatch):
    assert read_limit(text) == count
    monkeypatch.setenv("CAMCLI_CACHE_LIMIT", text)
    assert read_limit(None) == count
    monkeypatch.delenv("CAMCLI_CACHE_LIMIT")
    assert read_limit(None) == read_limit(LIMIT)


@pytest.mark.parametrize("text", ["", "much", "-1GB", "10 apples", "1e9", "nan", "GB"])
def test_what_is_no_size_is_refused(text, monkeypatch):
    with pytest.raises(UsageError, match="--cache-limit takes a size"):
        read_limit(text)


@pytest.mark.slow
def test_a_run_keeps_its_own_and_no_more(quick, tmp_path, ear):
    cache = tmp_path / "cache"
    fill(cache, "other", used=100)
    train(replace(quick, epochs=1), tmp_path / "a", cache_dir=cache, cache_limit=0, listener=ear)
    (mine,) = kept(cache)
    assert mine.about["backbone"] == quick.backbone
    assert mine.images == 36
    assert any("--cache-limit" in text for text in ear.warned)
