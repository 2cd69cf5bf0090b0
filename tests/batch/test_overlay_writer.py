import tarfile
from pathlib import Path

import numpy as np
import pytest

from camcli.batch.explain import make_explanation
from camcli.batch.overlay_writer import check_only, parse_only
from camcli.batch.run import Run
from camcli.batch.run_files.rundir import RunDirectory
from camcli.data.decode.preprocess import Preprocess
from camcli.data.sources.find import find_images
from camcli.data.sources.refs import ImageRef
from camcli.errors import ImageError, UsageError
from camcli.models.classes.imagenet import imagenet_classes
from camcli.render.picture import encode_jpeg
from camcli.render.sizes import JPEG_SIDE, MOST_PIXELS
from camcli.render.style import Style
from camcli.result import Heat, Result


def result(pred="tabby", prob=0.7, label=None, correct=None):
    return Result(ImageRef(Path("/x.jpg"), "x.jpg", label), pred=pred, prob=prob, correct=correct)


def explained(width: int, height: int, maps: int = 1) -> Result:
    """Of a photograph of this size, with a hot corner in each of its maps."""
    corner = np.zeros((7, 7), np.float32)
    corner[:2, :2] = 1
    heats = tuple(Heat(f"class {n}", n, 0.5, corner, empty=False) for n in range(maps))
    view = Preprocess(fit="squash").view(width, height)
    return Result(
        ImageRef(Path("/x.jpg"), "x.jpg"), pred="class 0", prob=0.5, method="gradcam", heats=heats,
        view=view, width=width, height=height,
    )  # fmt: skip


@pytest.mark.parametrize("size", [(32, 32), (100, 100), (100, 60), (60, 100)])
@pytest.mark.parametrize("maps", [1, 3])
def test_small_photographs_are_drawn_large_enough_to_read(size, maps):
    rgb = np.full((size[1], size[0], 3), 90, np.uint8)
    for style in (Style(), Style(panel=True), Style(signed=True)):
        drawn = style.draw(rgb, explained(*size, maps))
        assert drawn.shape[1] >= 150
        assert drawn.shape[0] > 300 * size[1] / max(size)
    drawn = Style().draw(rgb, explained(*size))
    assert max(drawn.shape[:2]) >= 300
    # The heat is drawn on the enlarged picture: no blocks of the photograph's pixels.
    ramp = drawn[: 150 * size[1] // max(size), drawn.shape[1] // 4].astype(int)
    assert np.abs(np.diff(ramp, axis=0)).max() < 30
    assert (drawn[0, 0] != drawn[150, -1]).any()


def test_the_least_size_can_be_turned_off_and_never_exceeds_the_most():
    rgb = np.zeros((32, 32, 3), np.uint8)
    assert Style(min_size=0).draw(rgb, explained(32, 32)).shape[1] == 32
    assert Style(max_size=80).draw(rgb, explained(32, 32)).shape[1] == 80
    assert Style(min_size=500).draw(rgb, explained(32, 32)).shape[1] == 500
    large = np.zeros((300, 451, 3), np.uint8)
    assert Style().draw(large, explained(451, 300)).shape[1] == 451
    assert Style(max_size=200).draw(large, explained(451, 300)).shape[1] == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "style", "maps"),
    [
        ((66_000, 200), Style(), 1),
        ((14_000, 300), Style(), 5),
        ((14_000, 300), Style(panel=True), 3),
        ((1, 65_535), Style(), 1),
        ((65_535, 1), Style(panel=True), 2),
        ((300, 14_000), Style(panel=True), 5),
        ((451, 300), Style(), 200),
    ],
)
def test_no_picture_is_too_large_for_its_file(size, style, maps):
    rgb = np.full((size[1], size[0], 3), 90, np.uint8)
    drawn = style.draw(style.keep(rgb), explained(*size, maps))
    assert max(drawn.shape[:2]) <= JPEG_SIDE
    assert drawn.size <= 3 * MOST_PIXELS
    assert len(encode_jpeg(drawn)) > 100


def test_more_classes_than_any_picture_can_hold_are_refused():
    rgb = np.full((3, 4, 3), 90, np.uint8)
    with pytest.raises(ImageError, match=r"cannot be written as JPEG.*--topk"):
        Style(panel=True, min_size=0).draw(rgb, explained(4, 3, 1500))


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
    [
        {"alpha": -0.1}, {"alpha": 1.5}, {"max_size": 2}, {"quality": 0}, {"colormap": "rainbow"},
        {"min_size": -1}, {"min_size": 5000},
    ],
)  # fmt: skip
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
