"""What a resumed run does again: what is not in the table, letter by letter, and nothing else."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from camcli.batch.explain import make_explanation
from camcli.batch.run import Run
from camcli.batch.run_files.rundir import RunDirectory
from camcli.data.decode.preprocess import Preprocess
from camcli.data.sources.find import find_images
from camcli.errors import UsageError
from camcli.models.classifier import cut_classifier
from camcli.models.loading.zoo import Provenance


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 4, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 3),
    )  # fmt: skip
    return cut_classifier(
        module.eval(), classes=("a", "b", "c"), preprocess=Preprocess(size=32),
        provenance=Provenance("tiny", None, None, "user", {}), device=torch.device("cpu"),
    )  # fmt: skip


@pytest.fixture
def photographs(tmp_path):
    """Saves drawn pictures under the names that are given."""

    def save(*names):
        for n, name in enumerate(names):
            path = tmp_path / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            rgb = np.random.default_rng(n).integers(0, 255, (40, 50, 3), np.uint8)
            Image.fromarray(rgb).save(path, "JPEG")
        return tmp_path / "in"

    return save


@pytest.fixture
def interrupted(classifier, tmp_path):
    """Starts a run, ends it after some images, and goes on with it; its rows, old and new."""

    def run(folder, after):
        def one():
            return Run(
                find_images(folder), classifier, make_explanation(classifier),
                RunDirectory(tmp_path / "run"), overlays=False, batch_size=1, workers=1,
            )  # fmt: skip

        first = one()
        first.prepare()
        stream = iter(first)
        for _ in range(after):
            next(stream)
        stream.close()
        before = rows_of(tmp_path / "run")
        rest = one()
        rest.prepare(resume=True)
        list(rest)
        return before, rows_of(tmp_path / "run"), rest.counts

    return run


def rows_of(out):
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def folds_case(folder) -> bool:
    (folder / "case").touch()
    return (folder / "CASE").exists()


@pytest.mark.parametrize("after", [1, 2, 3])
def test_names_that_differ_in_case_are_different_images(interrupted, photographs, tmp_path, after):
    """IMG_1.JPG is finished; that says nothing of img_1.jpg beside it."""
    if folds_case(tmp_path):
        pytest.skip("here IMG_1.JPG and img_1.jpg are one file")
    names = ["IMG_1.JPG", "Img_1.jpg", "img_1.JPG", "img_1.jpg"]
    before, rows, counts = interrupted(photographs(*names), after)
    assert [row["path"] for row in before] == names[:after]
    assert [row["path"] for row in rows] == names
    assert rows[:after] == before
    assert (counts.before, counts.done) == (after, 4)


@pytest.mark.parametrize("after", [1, 3])
def test_equal_names_in_other_folders_are_different_images(interrupted, photographs, after):
    """Office-31 is all frame_0001.jpg."""
    names = [f"{folder}/frame_{n}.jpg" for folder in ("desk", "mug") for n in (1, 2)]
    before, rows, counts = interrupted(photographs(*names), after)
    assert [row["path"] for row in rows] == names
    assert rows[:after] == before
    assert counts.done == 4


def test_names_that_look_alike_are_different_images(interrupted, photographs):
    """One letter or two code points, spaces, an extension more."""
    names = ["caf\u00e9.jpg", "cafe\u0301.jpg", "a.jpg", "a .jpg", "a.jpg.jpg"]
    folder = photographs(*names)
    found = sorted(ref.rel for ref in find_images(folder))
    if len(found) < len(names):
        pytest.skip("this file system makes one file of some of these names")
    _, rows, _ = interrupted(folder, 2)
    assert sorted(row["path"] for row in rows) == found


def test_a_failed_image_is_finished_too(interrupted, photographs):
    folder = photographs("a.jpg", "b.jpg", "c.jpg", "d.jpg")
    (folder / "b.jpg").write_bytes(b"no picture")
    before, rows, counts = interrupted(folder, 3)
    assert [row["status"] for row in before].count("error") == 1
    assert [row["path"] for row in rows] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert rows[:3] == before
    assert (counts.done, counts.failed) == (4, 1)


def test_what_is_whole_is_not_done_again(interrupted, photographs):
    before, rows, counts = interrupted(photographs("a.jpg", "b.jpg"), 2)
    assert rows == before
    assert (counts.before, counts.done) == (2, 2)


def test_a_list_that_names_the_runs_own_pictures_is_no_circle(classifier, photographs, tmp_path):
    """They are not there when the run begins, and are when their turn comes."""
    folder = photographs(*(f"{n}.jpg" for n in range(12)))
    out = tmp_path / "run"
    names = [str(folder / f"{n}.jpg") for n in range(12)] + [str(out / "overlays" / "0.jpg")]
    (tmp_path / "list.txt").write_text("\n".join(names) + "\n")
    run = Run(
        find_images(f"@{tmp_path / 'list.txt'}"), classifier, make_explanation(classifier),
        RunDirectory(out), batch_size=1, workers=1,
    )  # fmt: skip
    run.prepare()
    list(run)
    assert len(list((out / "overlays").rglob("*.jpg"))) == 12
    assert [row["status"] for row in rows_of(out)].count("error") == 0
    assert len(rows_of(out)) == 12


@pytest.mark.parametrize("begun_with", ["logit", None])
def test_a_run_of_two_classes_goes_on_with_the_score_that_it_was_begun_with(
    tmp_path, begun_with, photographs
):
    """Before there was --score auto, two classes had the logit, and run.json says so."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 4, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 2),
    )  # fmt: skip
    two = cut_classifier(
        module.eval(), classes=("a", "b"), preprocess=Preprocess(size=32),
        provenance=Provenance("tiny", None, None, "user", {}), device=torch.device("cpu"),
    )  # fmt: skip
    folder = photographs("1.jpg", "2.jpg", "3.jpg")

    def run(score):
        return Run(
            find_images(folder), two, make_explanation(two, score=score),
            RunDirectory(tmp_path / "run"), batch_size=1, workers=1,
        )  # fmt: skip

    first = run(begun_with)
    first.prepare()
    stream = iter(first)
    next(stream)
    stream.close()
    score = begun_with or "contrast"
    assert first.directory.read_info()["config"]["score"] == score
    rest = run("auto")
    rest.prepare(resume=True)
    list(rest)
    assert rest.directory.read_info()["config"]["score"] == score
    assert [row["score"] for row in rows_of(tmp_path / "run")] == [score] * 3
    other = run("probability")
    with pytest.raises(UsageError, match=f"score {score!r} and 'probability'"):
        other.prepare(resume=True)
