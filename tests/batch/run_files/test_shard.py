import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcli.batch.explain import make_explanation
from camcli.batch.run import Run
from camcli.batch.run_files.merge import merge
from camcli.batch.run_files.rundir import RunDirectory
from camcli.batch.run_files.shard import Shard, parse_shard
from camcli.batch.tables.heatmaps import read_heatmaps
from camcli.data.sources.find import find_images
from camcli.errors import CamcliError, UsageError


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def assert_same_rows(got, expected):
    """Equal texts; numbers equal but for the rounding of other batch sizes."""
    assert [row["path"] for row in got] == [row["path"] for row in expected]
    for a, b in zip(got, expected, strict=True):
        for key, value in b.items():
            try:
                assert float(a[key]) == pytest.approx(float(value), rel=1e-3, abs=1e-3), key
            except ValueError:
                assert a[key] == value


@pytest.fixture
def part(bundled, folder, tmp_path):
    def run(shard, *, method="gradcam", take=None, out="sharded", **prepare):
        one = Run(
            find_images(folder), bundled, make_explanation(bundled, method),
            RunDirectory(tmp_path / out, shard),
        )  # fmt: skip
        one.prepare(**prepare)
        stream = iter(one)
        if take is None:
            list(stream)
        else:
            for _ in range(take):
                next(stream)
            stream.close()
        return tmp_path / out

    return run


@given(st.integers(1, 20), st.integers(0, 200))
def test_every_item_is_in_exactly_one_shard(of, total):
    shards = [Shard(n, of) for n in range(1, of + 1)]
    taken = [list(shard.take(range(total))) for shard in shards]
    assert sorted(item for items in taken for item in items) == list(range(total))
    assert [shard.count(total) for shard in shards] == [len(items) for items in taken]


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", "1/3/5", ""])
def test_malformed_shards(text):
    with pytest.raises(UsageError, match="i/n"):
        parse_shard(text)


@pytest.mark.parametrize("of", [1, 2, 4, 12])
def test_merged_shards_are_the_whole_run(part, of):
    whole = part(None, out="whole")
    for n in range(1, of + 1):  # 12 shards of 9 images: some are empty
        out = part(Shard(n, of))
    info = merge(out)
    assert_same_rows(rows_of(out / "predictions.csv"), rows_of(whole / "predictions.csv"))
    assert info["counts"]["done"] == 9
    assert info["counts"]["failed"] == 2
    maps = [{m["path"] for m in read_heatmaps(d / "heatmaps.jsonl")} for d in (out, whole)]
    assert maps[0] == maps[1]
    assert len(maps[0]) == 7
    pictures = [
        sorted(p.relative_to(d).as_posix() for p in (d / "overlays").rglob("*.jpg"))
        for d in (out, whole)
    ]
    assert pictures[0] == pictures[1]
    assert merge(out)["counts"] == info["counts"]  # again gives the same


def test_a_missing_an_unfinished_and_a_foreign_shard_are_refused(part):
    out = part(Shard(1, 2))
    with pytest.raises(CamcliError, match="Missing: --shard 2/2"):
        merge(out)
    part(Shard(2, 2), take=1)
    with pytest.raises(CamcliError, match="2-of-2 is interrupted"):
        merge(out)
    part(Shard(2, 2), resume=True)
    assert merge(out)["counts"]["done"] == 9
    part(Shard(2, 2), overwrite=True, method="layercam")
    with pytest.raises(CamcliError, match=r"different settings .method .gradcam. and .layercam."):
        merge(out)
    assert not list(out.glob(".*.part"))


def test_a_shard_is_not_redone_by_accident(part):
    part(Shard(1, 2))
    with pytest.raises(UsageError, match=r"Shard 1-of-2 .* not empty"):
        part(Shard(1, 2))


def test_other_splits_and_whole_runs_do_not_go_into_a_folder_of_shards(part):
    out = part(Shard(1, 2))
    with pytest.raises(UsageError, match=r"holds shards of 2, .* --shard 1/3"):
        part(Shard(1, 3))
    with pytest.raises(UsageError, match="camcli merge"):
        part(None, resume=True)
    part(Shard(2, 2))
    merge(out)
    for option in ("resume", "overwrite"):
        with pytest.raises(UsageError, match="camcli merge"):
            part(None, **{option: True})


def test_a_table_cut_after_the_run_is_noticed(part):
    out = part(Shard(1, 1))
    table = out / "predictions.1-of-1.csv"
    table.write_bytes(b"\r\n".join(table.read_bytes().split(b"\r\n")[:4]) + b"\r\n")
    with pytest.raises(CamcliError, match="changed or cut"):
        merge(out)
    assert not (out / "predictions.csv").exists()


def test_nothing_to_merge(tmp_path):
    with pytest.raises(UsageError, match="no shards"):
        merge(tmp_path)


def test_a_source_that_changed_between_the_shards_is_refused_and_named(part, folder):
    out = part(Shard(1, 2))
    (folder / "a" / "0000_new.jpg").write_bytes((folder / "b" / "frame_0000.jpg").read_bytes())
    part(Shard(2, 2))
    with pytest.raises(CamcliError, match=r"1-of-2 and 2-of-2: they found other .*\(9 and 10\)"):
        merge(out)
    assert not (out / "predictions.csv").exists()
    part(Shard(1, 2), overwrite=True)
    assert merge(out)["counts"]["done"] == 10
    # As many, but another one.
    (folder / "a" / "0000_new.jpg").rename(folder / "a" / "0001_new.jpg")
    part(Shard(2, 2), overwrite=True)
    with pytest.raises(CamcliError, match=r"\(10 each, but not the same\)"):
        merge(out)


def test_a_source_that_changed_while_a_shard_was_interrupted(part, folder):
    out = part(Shard(1, 2), take=2)
    (folder / "a" / "0000_new.jpg").write_bytes((folder / "b" / "frame_0000.jpg").read_bytes())
    part(Shard(1, 2), resume=True)
    part(Shard(2, 2))
    with pytest.raises(CamcliError, match=r"has [67] rows, and of the 10 .* again|two rows"):
        merge(out)
    part(Shard(1, 2), overwrite=True)
    assert merge(out)["counts"]["done"] == 10


def test_shards_of_before_there_were_listings(part, folder):
    out = part(Shard(1, 2))
    (folder / "a" / "0000_new.jpg").write_bytes((folder / "b" / "frame_0000.jpg").read_bytes())
    part(Shard(2, 2))

    def forget(out):
        for file in out.glob("run.*-of-2.json"):
            info = json.loads(file.read_text())
            info.pop("listing", None)
            file.write_text(json.dumps(info))

    forget(out)
    with pytest.raises(CamcliError, match=r"'a/frame_0000\.jpg' has two rows"):
        merge(out)
    part(Shard(1, 2), overwrite=True)
    forget(out)
    info = merge(out)
    assert info.get("listing") is None
    assert info["counts"]["done"] == 10


def test_merging_into_a_folder_with_somebodys_files(part):
    out = part(Shard(1, 1))
    for name in ("predictions.csv", "run.json", "heatmaps.jsonl", "predictions.jsonl"):
        (out / name).write_text("mine\n")
        with pytest.raises(UsageError, match=name):
            merge(out, ["predictions.jsonl"])
        assert (out / name).read_text() == "mine\n"
        (out / name).unlink()
    assert merge(out, ["predictions.jsonl"])["files"] == ["predictions.jsonl"]
    (out / "predictions.jsonl").write_text("the run's")
    merge(out, ["predictions.jsonl"])
