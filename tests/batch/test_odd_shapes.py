"""Pictures of shapes that nobody planned for: each has its row, and none ends the run."""

import csv
import os
import sys

import pytest
from PIL import Image

from camcli.batch.contact_grid import parse_grid
from camcli.batch.contact_sheet import _side, draw_sheet
from camcli.batch.explain import make_explanation
from camcli.batch.run import Run
from camcli.batch.run_files.rundir import RunDirectory
from camcli.data.sources.find import find_images
from camcli.models.classifier import Classifier
from camcli.models.load import load_classifier
from camcli.render.report.page.thumbs import thumbnail
from camcli.render.sizes import JPEG_SIDE
from camcli.render.style import Style

SHAPES = {
    "dot": (1, 1), "thin": (4000, 1), "column": (1, 65_535), "line": (65_500, 1),
    "wide": (66_000, 200), "panorama": (14_000, 300), "small": (32, 32), "usual": (120, 90),
}  # fmt: skip


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    for name, size in SHAPES.items():
        Image.new("RGB", size, (200, 120, 60)).save(folder / f"{name}.png")
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(64))
    return folder


def rows_of(run: Run) -> dict[str, dict[str, str]]:
    with run.directory.csv.open(newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def whole_run(classifier: Classifier, folder, out, *, topk: int = 1, **options) -> Run:
    what = make_explanation(classifier, topk=topk)
    run = Run(find_images(folder), classifier, what, RunDirectory(out), **options)
    run.prepare()
    list(run)
    return run


@pytest.mark.parametrize(
    "fit",
    ["crop", pytest.param("whole", marks=pytest.mark.slow),
     pytest.param("squash", marks=pytest.mark.slow)],
)  # fmt: skip
def test_every_shape_has_its_row_and_its_picture(bundled, odd, tmp_path, fit):
    classifier = bundled if fit == "crop" else load_classifier(fit=fit)
    style = Style(panel=True) if fit == "whole" else Style()
    run = whole_run(classifier, odd, tmp_path / "run", topk=5 if fit == "crop" else 1, style=style)
    rows = rows_of(run)
    assert len(rows) == len(SHAPES) + 1
    assert [path for path, row in rows.items() if row["status"] == "error"] == ["phone.heic"]
    assert "HEIC" in rows["phone.heic"]["error"]
    for name, (width, height) in SHAPES.items():
        row = rows[f"{name}.png"]
        assert (int(row["width"]), int(row["height"])) == (width, height)
        # In pixels of the photograph, however it is drawn.
        if row["status"] == "ok":
            assert 0 <= int(row["box_x0"]) < int(row["box_x1"]) <= width
            assert 0 <= int(row["box_y0"]) < int(row["box_y1"]) <= height
        with Image.open(run.directory.path / row["overlay"]) as picture:
            assert max(picture.size) <= JPEG_SIDE
            assert picture.size[0] >= 150
    run.directory.finish()
    again = Run(find_images(odd), classifier, run.what, RunDirectory(tmp_path / "run"), style=style)
    again.prepare(resume=True)
    assert list(again) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits that Windows does not have")
def test_a_line_takes_no_more_in_a_process_of_its_own(bundled, odd, tmp_path):
    run = whole_run(bundled, odd, tmp_path / "run", isolate=True, overlays=False)
    assert sum(row["status"] == "error" for row in rows_of(run).values()) == 1


def test_contact_sheets_and_thumbnails_of_every_shape(bundled, odd, tmp_path):
    run = whole_run(bundled, odd, tmp_path / "run")
    draw_sheet(run, parse_grid("3x3", "first"))
    with Image.open(tmp_path / "run" / "contact_sheet.jpg") as sheet:
        assert sheet.size[0] > 3 * 240
    for name in SHAPES:
        assert thumbnail(odd / f"{name}.png")
    assert thumbnail(odd / "phone.heic") is None


def test_a_sheet_of_many_tiles_has_smaller_ones():
    assert _side(24) == 240
    assert 48 <= _side(2500) <= 140


def test_memory_of_a_run_over_lines(bundled, odd, tmp_path):
    """Measured where the kernel tells it: above what the network took before."""
    status = "/proc/self/status"
    if not os.path.exists(status):  # noqa: PTH110
        pytest.skip("no /proc")

    def peak() -> int:
        with open(status) as file:  # noqa: PTH123
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) << 10

    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("usual", "line", "column", "thin"):
        os.link(odd / f"{name}.png", folder / f"{name}.png")
    before = peak()
    whole_run(bundled, folder, tmp_path / "run")
    assert peak() - before < 600 << 20  # 13 GB for the line alone
