import tarfile
from pathlib import Path

import pytest

from camcli.batch.explain import make_explanation
from camcli.batch.run import Run
from camcli.batch.rundir import RunDirectory
from camcli.batch.sinks import Style, check_only, parse_only
from camcli.data.sources import ImageRef, find_images
from camcli.errors import UsageError
from camcli.models.imagenet import imagenet_classes
from camcli.result import Result


def result(pred="tabby", prob=0.7, label=None, correct=None):
    return Result(ImageRef(Path("/x.jpg"), "x.jpg", label), pred=pred, prob=prob, correct=correct)


def test_only():
    assert parse_only("wrong")(result(correct=False))
    assert not parse_only("wrong")(result(correct=None))
    assert parse_only("below 0.8")(result())
    assert not parse_only("below 0.7")(result())
    assert parse_only("class Tabby")(result())
    assert parse_only("class egyptian cat")(result(label="Egyptian_cat"))
    assert not parse_only("class dog")(result())
    assert parse_only("class tabby cat", imagenet_classes())(result())  # a synonym
    assert parse_only("class 281", imagenet_classes())(result())
    assert not parse_only("class cat", imagenet_classes())(result(pred="catamaran"))


def test_only_a_class_that_is_the_networks_or_a_label(tmp_path):
    (tmp_path / "cat_1.jpg").write_bytes(b"")
    plain, named = find_images(tmp_path), find_images(tmp_path, labels=r"(.*)_")
    check_only("class cat", plain, overlays=True)  # the classes are not known yet
    for source in (plain, named):
        check_only("class tabby cat", source, overlays=True, classes=imagenet_classes())
        with pytest.raises(UsageError, match="'Maltese dog'"):
            check_only("class dog", source, overlays=True, classes=imagenet_classes())
    check_only("class Cat", named, overlays=True, classes=imagenet_classes())


@pytest.mark.parametrize("text", ["", "right", "below", "below x", "below 2", "class", "wrong 3"])
def test_malformed_only(text):
    with pytest.raises(UsageError, match="--only"):
        parse_only(text)


def test_a_choice_that_can_only_choose_nothing_is_refused(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"")
    plain, named = find_images(tmp_path), find_images(tmp_path, labels=r"(.)\.jpg")
    check_only("wrong", named, overlays=True)
    check_only("below 0.5", plain, overlays=True)
    with pytest.raises(UsageError, match=r"true labels.*--labels"):
        check_only("wrong", plain, overlays=True)
    with pytest.raises(UsageError, match="--no-overlays draws none"):
        check_only("below 0.5", named, overlays=False)


def test_labels_may_be_in_a_later_tar_shard(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"")
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        tar.add(tmp_path / "x.jpg", "x.jpg")
    both = [tmp_path / "x.jpg", tmp_path / "s.tar"]
    check_only("wrong", find_images(both), overlays=True)
    with pytest.raises(UsageError, match="true labels"):
        check_only("wrong", find_images(both, labels="none"), overlays=True)


@pytest.mark.parametrize(
    "style",
    [{"alpha": -0.1}, {"alpha": 1.5}, {"max_size": 2}, {"quality": 0}, {"colormap": "rainbow"}],
)
def test_bad_styles(style):
    with pytest.raises(UsageError):
        Style(**style)


@pytest.mark.parametrize(("options", "pictures"), [({"overlays": False}, 0), ({"only": "wrong"}, 0),
                                                   ({"only": "below 1"}, 7)])  # fmt: skip
def test_rows_of_all_and_pictures_of_some(bundled, folder, tmp_path, options, pictures):
    run = Run(
        find_images(folder), bundled, make_explanation(bundled), RunDirectory(tmp_path / "run"),
        **options,
    )  # fmt: skip
    run.prepare()
    results = list(run)
    assert len(results) == 9
    assert len(list((tmp_path / "run" / "overlays").rglob("*.jpg"))) == pictures
    assert sum(r.overlay is not None for r in results) == pictures
