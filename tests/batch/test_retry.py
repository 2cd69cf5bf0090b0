"""--retry-failed, and what a resume refuses."""

import csv
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from camcli.batch.explain import make_explanation
from camcli.batch.run import Run
from camcli.batch.run_files.merge import merge
from camcli.batch.run_files.rundir import RunDirectory
from camcli.batch.run_files.shard import Shard
from camcli.batch.tables import journal
from camcli.batch.tables.journal import Journal, copy_in_order, copy_without, read_rows
from camcli.data.sources.find import find_images
from camcli.errors import UsageError
from camcli.render.style import Style

BROKEN = (1, 4, 5, 8)


@pytest.fixture
def images(tmp_path):
    """Ten small pictures; four of them cannot be read."""
    (tmp_path / "in").mkdir()
    for n in range(10):
        Image.new("RGB", (60, 40), (20 * n, 99, 9)).save(tmp_path / "in" / f"{n}.png")
    for n in BROKEN:
        (tmp_path / "in" / f"{n}.png").write_bytes(b"no picture")
    return tmp_path / "in"


def mend(images, *numbers):
    for n in numbers:
        Image.new("RGB", (60, 40), (20 * n, 99, 9)).save(images / f"{n}.png")


def make(bundled, images, out, shard=None, limit=None, **kw):
    return Run(
        find_images(images, limit=limit), bundled, make_explanation(bundled),
        RunDirectory(out, shard), batch_size=3, workers=2, **kw,
    )  # fmt: skip


def go(run, take=None, **prepare):
    run.prepare(**prepare)
    results = iter(run)
    done = list(results) if take is None else [next(results) for _ in range(take)]
    results.close()
    return [r.ref.rel for r in done]


def table(out):
    return [(row["path"], row["status"] == "error") for row in read_rows(out / "predictions.csv")]


def info(out):
    return json.loads((out / "run.json").read_text())


def expected(*failed):
    return [(f"{n}.png", n in failed) for n in range(10)]


def test_only_failed_images_are_tried_again_and_get_their_places(bundled, images, tmp_path):
    out = tmp_path / "run"
    go(make(bundled, images, out))
    assert table(out) == expected(*BROKEN)
    before = (out / "predictions.csv").read_bytes()
    mend(images, 1, 5)
    run = make(bundled, images, out)
    assert go(run, resume=True) == []  # as ever
    assert (out / "predictions.csv").read_bytes() == before
    run = make(bundled, images, out)
    assert go(run, resume=True, retry_failed=True) == [f"{n}.png" for n in BROKEN]
    assert run.again == 4
    assert (run.counts.before, run.counts.done, run.counts.failed, run.counts.drawn) == (
        6,
        10,
        2,
        8,
    )
    assert table(out) == expected(4, 8)
    assert info(out)["counts"]["failed"] == 2
    assert (info(out)["state"], "unsorted" in info(out)) == ("finished", False)
    assert {p.name for p in (out / "overlays").iterdir()} == {
        f"{n}.png.jpg" for n in range(10) if n not in (4, 8)
    }
    mend(images, 4, 8)
    assert go(make(bundled, images, out), resume=True, retry_failed=True) == ["4.png", "8.png"]
    assert table(out) == expected()
    whole = tmp_path / "whole"
    go(make(bundled, images, whole))
    with (out / "predictions.csv").open() as a, (whole / "predictions.csv").open() as b:
        assert [row[:3] for row in csv.reader(a)] == [row[:3] for row in csv.reader(b)]
    run = make(bundled, images, out)
    assert go(run, resume=True, retry_failed=True) == []  # nothing is left to be tried
    assert run.again == 0


def test_a_retry_that_was_stopped_is_put_in_order_by_a_resume(bundled, images, tmp_path):
    out = tmp_path / "run"
    go(make(bundled, images, out))
    mend(images, *BROKEN)
    assert go(make(bundled, images, out), take=2, resume=True, retry_failed=True) == [
        "1.png", "4.png",
    ]  # fmt: skip
    assert info(out)["unsorted"]
    assert [name for name, _ in table(out)][-2:] == ["1.png", "4.png"]
    assert go(make(bundled, images, out), resume=True) == ["5.png", "8.png"]
    assert table(out) == expected()
    assert "unsorted" not in info(out)


@pytest.mark.parametrize("when", ["copy_without", "copy_in_order"])
def test_killed_while_the_table_is_rewritten(bundled, images, tmp_path, monkeypatch, when):
    """The old table or the new one, never half of one."""
    out = tmp_path / "run"
    go(make(bundled, images, out))
    mend(images, *BROKEN)
    copy = journal._copy

    def torn(path, to, places):
        copy(path, to, places[:2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("camcli.batch.run." + when, lambda path, to, _: torn(path, to, [(0, 9)] * 3))
        with pytest.raises(KeyboardInterrupt):
            go(make(bundled, images, out), resume=True, retry_failed=True)
    assert len(table(out)) == 10
    go(make(bundled, images, out), resume=True, retry_failed=True)
    assert table(out) == expected()


def test_rows_beyond_the_limit_or_of_images_that_are_gone_stay(bundled, images, tmp_path):
    out = tmp_path / "run"
    go(make(bundled, images, out))
    mend(images, 1, 4, 5)
    (images / "8.png").unlink()
    run = make(bundled, images, out, limit=5)
    assert go(run, resume=True, retry_failed=True) == ["1.png", "4.png"]
    assert table(out) == expected(5, 8)
    assert go(make(bundled, images, out), resume=True, retry_failed=True) == ["5.png"]
    assert table(out) == expected(8)


def test_shards_are_retried_and_merged_in_order(bundled, images, tmp_path):
    out = tmp_path / "run"
    shards = Shard(1, 2), Shard(2, 2)
    for shard in shards:
        go(make(bundled, images, out, shard))
    mend(images, 1, 4, 5)
    again = [
        go(make(bundled, images, out, shard), resume=True, retry_failed=True) for shard in shards
    ]
    assert again == [["4.png", "8.png"], ["1.png", "5.png"]]
    merge(out)
    assert table(out) == expected(8)
    assert info(out)["counts"]["failed"] == 1


def test_nobody_else_writes_while_and_after_the_table_is_replaced(bundled, images, tmp_path):
    out = tmp_path / "run"
    go(make(bundled, images, out))
    run = make(bundled, images, out)
    run.prepare(resume=True, retry_failed=True)
    with pytest.raises(UsageError, match="Another camcli"):
        make(bundled, images, out).prepare(resume=True)
    list(run)
    go(make(bundled, images, out), resume=True)


def test_it_goes_on_with_a_run(bundled, images, tmp_path):
    with pytest.raises(UsageError, match="add --resume"):
        make(bundled, images, tmp_path / "run").prepare(retry_failed=True)
    assert not (tmp_path / "run").exists()


def test_a_resume_with_other_labels_or_class_names_is_refused(bundled, images, tmp_path):
    out = tmp_path / "run"
    go(make(bundled, images, out), take=2)
    with pytest.raises(UsageError, match=r"labels 'auto' and 'folder'"):
        make(bundled, images, out, labels="folder").prepare(resume=True)
    renamed = replace(bundled, classes=("other", *bundled.classes[1:]))
    with pytest.raises(UsageError, match=r"classes .*'tench'.* and .*'other'"):
        make(renamed, images, out).prepare(resume=True)
    swapped = replace(bundled, classes=(*bundled.classes[:5], "x", *bundled.classes[6:]))
    with pytest.raises(UsageError, match="classes"):
        make(swapped, images, out).prepare(resume=True)
    go(make(bundled, images, out), resume=True)


def test_what_an_earlier_version_did_not_record_is_no_difference(bundled, images, tmp_path):
    out = tmp_path / "run"
    go(make(bundled, images, out), take=2)
    told = info(out)
    del told["config"]["labels"], told["config"]["classes"]
    del told["config"]["preprocess"]["interpolation"]  # as if it were new, and as ever
    assert bundled.preprocess.interpolation == "bicubic"
    bilinear = replace(bundled, preprocess=bundled.preprocess.with_(interpolation="bilinear"))
    (out / "run.json").write_text(json.dumps(told))
    with pytest.raises(UsageError, match="preprocess"):
        make(bundled, images, out).prepare(resume=True)
    go(make(bilinear, images, out, labels="folder"), resume=True)
    assert table(out) == expected(*BROKEN)


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(st.lists(names, unique=True, max_size=8), st.randoms())
def test_rows_are_copied_byte_by_byte(tmp_path_factory, paths, random):
    """Quotes, commas and line feeds in names included."""
    folder = tmp_path_factory.mktemp("table")
    with Journal(folder / "a.csv", ["path", "error"]) as table:
        for path in paths:
            table.append({"path": path, "error": f'"{path}",\n'})
    some = set(paths[::2])
    copy_without(folder / "a.csv", folder / "b.csv", some)
    assert [r["path"] for r in read_rows(folder / "b.csv")] == paths[1::2]
    order = list(paths)
    random.shuffle(order)
    copy_in_order(folder / "a.csv", folder / "c.csv", order)
    assert [r["path"] for r in read_rows(folder / "c.csv")] == order
    copy_in_order(folder / "c.csv", folder / "d.csv", iter(paths))
    assert (folder / "d.csv").read_bytes() == (folder / "a.csv").read_bytes()


def test_only_the_setting_that_differs_is_named(bundled, images, tmp_path):
    out = tmp_path / "out"
    make(bundled, images, out).prepare()
    with pytest.raises(UsageError, match=r"differ: style alpha 0.5 and alpha 0.2\."):
        make(bundled, images, out, style=Style(alpha=0.2)).prepare(resume=True)


def test_a_shard_of_a_whole_run_is_refused_as_what_it_is(bundled, images, tmp_path):
    out = tmp_path / "out"
    make(bundled, images, out).prepare()
    with pytest.raises(UsageError, match="holds a whole run"):
        make(bundled, images, out, shard=Shard(1, 2)).prepare(resume=True)


def test_a_resume_after_the_folders_have_changed_does_not_mix_labels(bundled, tmp_path):
    """A picture beside the class folders, and nobody knows any more what they are."""
    for name in ("a/1.png", "a/2.png", "b/1.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (60, 40), (9, 99, 9)).save(tmp_path / "in" / name)
    images, out = tmp_path / "in", tmp_path / "out"
    go(make(bundled, images, out, limit=2))
    Image.new("RGB", (60, 40)).save(images / "cover.png")
    before = (out / "predictions.csv").read_bytes()
    with pytest.raises(UsageError, match=r"The label of a/1.png was 'a' .* and is none now"):
        make(bundled, images, out).prepare(resume=True)
    assert (out / "predictions.csv").read_bytes() == before
    (images / "cover.png").unlink()
    (images / "c").mkdir()
    Image.new("RGB", (60, 40)).save(images / "c" / "1.png")  # one class more changes no label
    assert go(make(bundled, images, out), resume=True) == ["b/1.png", "c/1.png"]


def test_what_cannot_be_tried_again_is_told_as_that(bundled, images, tmp_path, capsys):
    from camcli.cli.terminal.batch_progress import above_resumed

    out = tmp_path / "out"
    go(make(bundled, images, out))
    run = make(bundled, images, out, limit=2)
    run.prepare(resume=True, retry_failed=True)
    above_resumed(run, retried=True)
    said = capsys.readouterr().err
    assert "1 image that failed is tried again." in said
    assert "3 images failed before and are not among the images now" in said


def test_a_name_too_long_for_any_disk_does_not_end_the_resume(bundled, images, tmp_path):
    """A cell of a table holds 131,072 letters, and a line of a list as many as it likes."""
    listed = tmp_path / "list.txt"
    listed.write_text(f"{images / '0.png'}\n{'z' * 150_000}\n{images / '2.png'}\n")
    out = tmp_path / "out"
    go(make(bundled, f"@{listed}", out))
    assert [failed for _, failed in table(out)] == [False, True, False]
    assert go(make(bundled, f"@{listed}", out), resume=True) == []
    assert max(len(row["error"]) for row in read_rows(out / "predictions.csv")) < 25_000
