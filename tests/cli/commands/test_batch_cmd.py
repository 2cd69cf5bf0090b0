"""`camcli batch` on everything that a folder may hold."""

import csv
import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camcli.batch.tables.reading import undecodable


@pytest.fixture
def rgb(photos):
    return photos[0]


def table(path):
    with Path(path).open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def bomb() -> bytes:
    """A PNG of 60000 x 60000 pixels in a few bytes."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000))


@pytest.mark.posix
def test_a_folder_of_everything(camcli, tmp_path, rgb):
    folder = tmp_path / "in"
    folder.mkdir()
    image = Image.fromarray(rgb)
    small = image.resize((90, 60))
    good = {
        "plain.jpg": lambda p: small.save(p),
        "gray.png": lambda p: small.convert("L").save(p),
        "palette.png": lambda p: small.convert("P").save(p),
        "alpha.png": lambda p: small.convert("RGBA").save(p),
        "deep.png": lambda p: Image.fromarray(np.asarray(small.convert("L"), np.uint16) * 257).save(
            p
        ),
        "print.jpg": lambda p: small.convert("CMYK").save(p),
        "moving.gif": lambda p: small.save(p, save_all=True, append_images=[small.rotate(90)]),
        "one.png": lambda p: Image.new("RGB", (1, 1)).save(p),
        "a name, with spaces.jpg": lambda p: small.save(p),
        "line\nbreak.jpg": lambda p: small.save(p),
        "naïve 漢字 🍎.jpg": lambda p: small.save(p),
    }
    for name, save in good.items():
        save(folder / name)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    small.save(folder / "turned.jpg", exif=exif)
    whole = (folder / "plain.jpg").read_bytes()
    bad = {
        "empty.jpg": b"",
        "text.jpg": b"hello, I am not a picture",
        "half.jpg": whole[: len(whole) // 2],
        "bomb.png": bomb(),
    }
    for name, data in bad.items():
        (folder / name).write_bytes(data)
    (folder / "dir.jpg").mkdir()
    (folder / "dangling.jpg").symlink_to("nowhere.jpg")
    bad |= {"dir.jpg": b"", "dangling.jpg": b""}
    if os.geteuid() != 0:
        small.save(folder / "secret.jpg")
        (folder / "secret.jpg").chmod(0)
        bad["secret.jpg"] = b""

    done = camcli("batch", folder, "--out", "run")

    assert done.exit_code == 3, done.output
    rows = table("run/predictions.csv")
    assert set(rows) == set(good) | set(bad) | {"turned.jpg"}
    for name, row in rows.items():
        if name in bad:
            assert row["status"] == "error", name
            assert row["error"], name
            assert "Traceback" not in row["error"]
            assert row["pred"] == row["overlay"] == "", name
        else:
            assert row["status"] in {"ok", "empty"}, (name, row["error"])
            assert (Path("run") / row["overlay"]).is_file(), name
    assert (rows["turned.jpg"]["width"], rows["turned.jpg"]["height"]) == ("60", "90")
    assert rows["gray.png"]["width"] == "90"
    # Never another image's prediction: equal pixels give equal answers, others their own.
    assert rows["plain.jpg"]["pred"] == rows["a name, with spaces.jpg"]["pred"]


def test_truth_from_folders_gives_accuracy(camcli, tmp_path, photos):
    for name, rgb in zip(("Egyptian_cat", "espresso"), photos, strict=False):
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.fromarray(rgb).save(tmp_path / "set" / name / "0001.png")
    done = camcli("batch", "set", "--out", "run")
    assert done.exit_code == 0, done.output
    rows = table("run/predictions.csv")
    right = sum(row["correct"] == "1" for row in rows.values())
    assert [row["label"] for row in rows.values()] == ["Egyptian_cat", "espresso"]
    assert right >= 1  # a cat and a cup that ImageNet knows
    assert f"accuracy {right / 2:.4f} ({right} of 2)" in done.stderr


@pytest.mark.slow
def test_only_says_when_it_drew_nothing(camcli, tmp_path, photos):
    (tmp_path / "set" / "gizmo").mkdir(parents=True)
    Image.fromarray(photos[0]).save(tmp_path / "set" / "gizmo" / "1.png")
    done = camcli("batch", "set", "--labels", "folder", "--only", "wrong", "--quiet")
    assert done.exit_code == 0, done.output
    assert "no image has a label that names a class" in done.stderr
    done = camcli("batch", "set", "--only", "class espresso", "--out", "r2")
    assert "'class espresso' drew nothing" in done.stderr
    assert "Overlays:" not in done.stderr
    done = camcli("batch", "set", "--only", "below 1", "--out", "r3")
    assert "drew nothing" not in done.stderr
    assert "(1 drawn)" in done.stderr


@pytest.mark.slow
def test_shards_end_in_one_parquet(camcli, tmp_path, photos):
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra")
    (tmp_path / "in").mkdir()
    for n, rgb in enumerate(photos[:3]):
        Image.fromarray(rgb).save(tmp_path / "in" / f"{n}.png")
    for shard in ("1/2", "2/2"):
        done = camcli("batch", "in", "--out", "run", "--no-overlays", "--shard", shard)
        assert done.exit_code == 0, done.output
    done = camcli("merge", "run", "--format", "parquet")
    assert done.stdout.strip() == str(Path("run/predictions.parquet"))
    assert "Least certain:" in done.stderr
    assert done.stderr.endswith("To look at it: camcli report run --open\n")
    rows = parquet.read_table("run/predictions.parquet").to_pylist()
    assert [row["path"] for row in rows] == ["0.png", "1.png", "2.png"]
    assert [row["path"] for row in rows] == list(table("run/predictions.csv"))
    assert camcli("merge", "run", "--format", "xlsx").exit_code == 2


@pytest.mark.slow
def test_stdout_is_the_table_and_nothing_else(camcli, tmp_path, rgb):
    Image.fromarray(rgb).save(tmp_path / "x.png")
    done = camcli("batch", "x.png", "--out", "run")
    assert done.stdout.strip() == str(Path("run/predictions.csv"))
    done = camcli("batch", "x.png", "--out", "run2", "--quiet")
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["in", "--method", "gradcm"], 2, "Did you mean 'gradcam'"),
        (["in", "--target", "no such class"], 2, "no such class"),
        (["in", "--model", "resnet5000"], 2, "resnet5000"),
        (["in", "--device", "tpu"], 2, "tpu"),
        (["in", "--colormap", "rainbow"], 2, "rainbow"),
        (["in", "--alpha", "2"], 2, "between 0 and 1"),
        (["in", "--fail-on", "some"], 2, "--fail-on"),
        (["in", "--contact-sheet", "many"], 2, "ROWSxCOLS"),
        (["in", "--name-template", "x"], 2, "--name-template"),
        (["in", "--layer", "layer9"], 2, "layer9"),
        (["in", "--resume", "--overwrite"], 2, "give one"),
        (["in", "--only", "below 0.5", "--no-overlays"], 2, "give one of them"),
        (["in", "--only", "wrong"], 2, "--labels"),
        (["in", "--checkpoint", "none.safetensors"], 2, "none.safetensors"),
        (["in", "--model", "resnet50", "--offline"], 4, "resnet50"),
        (["nowhere"], 2, "nowhere"),
        (["@nolist.txt"], 2, "nolist.txt"),
        (["empty"], 2, "empty"),
        (["in", "--out", "afile"], 2, "afile"),
    ],
)
def test_mistakes_are_one_message_with_its_exit_code(
    camcli, tmp_path, rgb, monkeypatch, args, code, words
):
    monkeypatch.setenv("CAMCLI_WEIGHTS_DIR", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    (tmp_path / "in").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "afile").touch()
    Image.fromarray(rgb[:50, :50]).save(tmp_path / "in" / "x.png")
    done = camcli("batch", *args)
    assert done.exit_code == code, done.output
    assert words in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.output
    assert done.stdout == ""


@pytest.mark.slow
def test_fail_on_decides_the_exit_code(camcli, tmp_path, rgb):
    (tmp_path / "in").mkdir()
    for n in range(3):
        Image.fromarray(rgb[:60, : 60 + n]).save(tmp_path / "in" / f"{n}.png")
    (tmp_path / "in" / "3.png").write_bytes(b"")
    codes = {
        share: camcli("batch", "in", "--out", f"run-{share}", "--fail-on", share).exit_code
        for share in ("any", "none", "25%", "24.9%")
    }
    assert codes == {"any": 3, "none": 0, "25%": 0, "24.9%": 3}


@pytest.mark.slow
def test_lists_from_a_file_and_from_stdin(camcli, tmp_path, rgb):
    for name in ("a b.png", "c.png"):
        Image.fromarray(rgb[:60, :60]).save(tmp_path / name)
    (tmp_path / "list.txt").write_text("a b.png\nc.png\n")
    assert camcli("batch", "@list.txt", "--out", "r1").exit_code == 0
    assert camcli("batch", "-", "--out", "r2", stdin="a b.png\0c.png\0").exit_code == 0
    assert set(table("r1/predictions.csv")) == set(table("r2/predictions.csv"))


@pytest.mark.slow
@pytest.mark.parametrize("order", ["first", "worst", "random"])
def test_contact_sheet(camcli, tmp_path, photos, order):
    (tmp_path / "in").mkdir()
    for n, rgb in enumerate(photos):
        Image.fromarray(rgb).save(tmp_path / "in" / f"{n}.png")
    (tmp_path / "in" / "9.png").write_bytes(b"")
    done = camcli(
        "batch", "in", "--out", "run", "--contact-sheet", "2x2", "--contact-order", order,
    )  # fmt: skip
    assert done.exit_code == 3, done.output
    sheet = Image.open("run/contact_sheet.jpg")
    assert sheet.width > 300


def test_random_weights_are_announced_loudly(camcli, tmp_path, rgb):
    Image.fromarray(rgb[:80, :80]).save(tmp_path / "x.png")
    done = camcli("batch", "x.png", "--model", "resnet18", "--weights", "random")
    assert done.exit_code == 0, done.output
    assert "RANDOM" in done.stderr
    info = json.loads(Path("camcli-run/run.json").read_text())
    assert info["provenance"]["source"] == "random"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_runs_say_how_to_go_on(tmp_path, rgb, number, code):
    (tmp_path / "in").mkdir()
    for n in range(400):
        Image.fromarray(rgb[: 40 + n % 9, :50]).save(tmp_path / "in" / f"{n:03}.png")
    command = [
        sys.executable,
        "-m",
        "camcli",
        "batch",
        "in",
        "--out",
        "my run",
        "--batch-size",
        "2",
    ]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    out = tmp_path / "my run"
    journal = out / "predictions.csv"
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and not (
        journal.exists() and journal.read_bytes().count(b"\n") > 5
    ):
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=600)
    assert process.returncode == code, err
    assert "To go on: camcli batch --resume in --out 'my run' --batch-size 2\n" in err
    # A log file gets whole lines: nothing is drawn over.
    assert "\r" not in err
    assert all(line == line.rstrip() for line in err.splitlines())
    assert "Traceback" not in err
    info = json.loads((out / "run.json").read_text())
    assert info["state"] == "interrupted"
    done = table(journal)
    assert len(done) == info["counts"]["done"] < 400
    # What had begun was finished: no picture without its row.
    assert "Finishing what has begun" in err
    pictures = {f"overlays/{path.name}" for path in (out / "overlays").iterdir()}
    assert pictures == {row["overlay"] for row in done.values()}


def test_engines(camcli, tmp_path, monkeypatch):
    (tmp_path / "x.jpg").write_bytes(b"")
    assert "local or ray" in camcli("batch", ".", "--engine", "spark").stderr
    result = camcli("batch", ".", "--address", "10.0.0.1:6379")
    assert result.exit_code == 2
    assert "--engine ray" in result.stderr
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    result = camcli("batch", ".", "--engine", "ray")
    assert result.exit_code == 4
    assert "pip install 'camcli[ray]'" in " ".join(result.stderr.split())
    assert not (tmp_path / "camcli-run").exists()


@pytest.mark.slow
def test_failed_images_are_named_at_a_resume_and_tried_again_on_request(camcli, tmp_path, photos):
    (tmp_path / "in").mkdir()
    Image.fromarray(photos[0][:90, :90]).save(tmp_path / "in" / "good.png")
    (tmp_path / "in" / "bad.png").write_bytes(b"no picture")
    done = camcli("batch", "in", "--retry-failed")
    assert done.exit_code == 2
    assert "add --resume" in done.stderr
    assert camcli("batch", "in", "--out", "r").exit_code == 3
    done = camcli("batch", "in", "--out", "r", "--resume")
    assert done.exit_code == 3
    assert "1 image failed before and is not tried again: --retry-failed does that." in done.stderr
    Image.fromarray(photos[1][:90, :90]).save(tmp_path / "in" / "bad.png")
    done = camcli("batch", "in", "--out", "r", "--resume", "--retry-failed")
    assert done.exit_code == 0, done.output
    assert "1 image that failed is tried again." in done.stderr
    assert "2 images, 1 of them from before." in done.stderr
    done = camcli("batch", "in", "--out", "r", "--resume", "--labels", "folder")
    assert done.exit_code == 2
    assert "labels 'auto' and 'folder'" in done.stderr


@pytest.mark.posix
def test_a_table_with_names_that_are_no_utf8_says_how_it_is_read(camcli, tmp_path, rgb):
    """As docs/runs.md says, by pandas and csv: the names then open the files."""
    folder = tmp_path / "in"
    folder.mkdir()
    names = [b"a.png", b"caf\xe9.png", b"\xff\xfe.png"]
    for name in names:
        data = io.BytesIO()
        Image.fromarray(rgb).resize((90, 60)).save(data, "PNG")
        (folder / os.fsdecode(name)).write_bytes(data.getvalue())
    done = camcli("batch", "in", "--out", "run")
    assert done.exit_code == 0, done.stderr
    told = " ".join(done.stderr.split())
    assert "2 lines of predictions.csv have names that are no UTF-8" in told
    words = "encoding_errors='surrogateescape', dtype={'path': object, 'overlay': object}"
    assert words in told
    made = tmp_path / "run" / "predictions.csv"
    with pytest.raises(UnicodeDecodeError):
        made.read_text("utf-8")
    assert sorted(map(os.fsencode, table(made))) == sorted(names)
    (folder / os.fsdecode(names[1])).unlink()
    (folder / os.fsdecode(names[2])).unlink()
    again = camcli("batch", "in", "--out", "run2", "--no-overlays")
    assert "UTF-8" not in again.stderr
    pandas = pytest.importorskip("pandas")
    frame = eval(f"pandas.read_csv(made, {words})", {"pandas": pandas, "made": made})
    assert sorted(map(os.fsencode, frame["path"])) == sorted(names)
    assert all((tmp_path / "run" / overlay).is_file() for overlay in frame["overlay"])
    assert frame["prob"].between(0, 1).all()
    page = (Path(__file__).resolve().parents[3] / "docs" / "runs.md").read_text("utf-8")
    assert words.replace("'", '"') in page


def test_lines_that_are_no_utf8_are_counted(tmp_path):
    file = tmp_path / "t.csv"
    for data, lines in [
        (b"path\r\n\xc3\xa9\r\n", 0), (b"path\r\n\xff\xfe\r\na\r\n\xe9", 2), (b"", 0),
        ("path\r\n\xe9".encode("utf-16"), 0),
    ]:  # fmt: skip
        file.write_bytes(data)
        assert undecodable(file) == lines
    assert undecodable(tmp_path / "none") == 0
