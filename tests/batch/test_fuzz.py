"""Anything that a folder may hold: no traceback, no hang, and one row for each picture.

Seeded, so that a failure can be repeated: the seed is in the name of the folder.
"""

import csv
import io
import os
import random
import time

import numpy as np
import pytest
from PIL import Image, features
from typer.testing import CliRunner

from camcli.batch.tables.journal import read_rows
from camcli.data.picture_formats import EXTENSIONS

IMAGES, TREES = 2000, 200
# What one picture may take; that of a whole run is bounded by it, for no picture is alone.
SECONDS = 10

NETWORK = """
import torch
def tiny():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(8, 3),
    )
"""


@pytest.fixture
def camcli(tmp_path, monkeypatch):
    """The command, with a network that takes no time."""
    from camcli.cli.app import app

    (tmp_path / "fuzznets.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def run(*words):
        words = ["batch", *words, "--model", "fuzznets:tiny", "--input-size", "32", "--quiet"]
        began = time.monotonic()
        done = CliRunner().invoke(app, [str(word) for word in words])
        told = done.stderr + done.stdout
        assert "mistake in camcli" not in told, told
        assert "Traceback" not in told, told
        return done, time.monotonic() - began

    return run


def picture(draw):
    """A small photograph-like picture, in any mode."""
    width, height = draw.choice([(64, 48), (33, 80), (1, 1), (5, 200), (300, 7)])
    values = np.random.default_rng(draw.randrange(2**32)).integers(0, 255, (6, 6, 3), np.uint8)
    image = Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC)
    return image.convert(draw.choice(["RGB", "RGB", "L", "P", "RGBA", "1"]))


FORMATS = {
    ".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".gif": "GIF", ".bmp": "BMP", ".tif": "TIFF",
    ".ppm": "PPM", ".tga": "TGA",
}  # fmt: skip
if features.check("jpg_2000"):
    FORMATS[".jp2"] = "JPEG2000"
if features.check("avif"):
    FORMATS[".avif"] = "AVIF"


def encoded(draw, suffix):
    """The bytes of a picture."""
    image, file = picture(draw), io.BytesIO()
    if suffix in (".jpg", ".ppm", ".jp2", ".avif") and image.mode in ("P", "RGBA", "1"):
        image = image.convert("RGB")
    how = {}
    if suffix == ".jpg":
        exif = Image.Exif()
        exif[0x0112] = draw.randrange(0, 10)
        how = {"exif": exif, "progressive": draw.random() < 0.3, "quality": draw.randrange(1, 95)}
    if suffix == ".tif":
        how = {"compression": draw.choice([None, "tiff_lzw", "tiff_deflate", "packbits"])}
    image.save(file, FORMATS[suffix], **how)
    return file.getvalue()


def mutated(draw, data):
    """Bytes as disks, networks and people make them."""
    data = bytearray(data)
    for _ in range(draw.choice([0, 1, 1, 2, 8])):
        if not data:
            break
        at = draw.randrange(len(data))
        kind = draw.randrange(8)
        if kind == 0:
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            data[draw.randrange(min(64, len(data)))] = draw.randrange(256)
        elif kind == 2:
            del data[at:]
        elif kind == 3:
            data[at : at + 4] = draw.choice([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"])
        elif kind == 4:
            data[at:at] = bytes(draw.randrange(256) for _ in range(draw.randrange(1, 40)))
        elif kind == 5:
            del data[at : at + draw.randrange(1, 40)]
        elif kind == 6:
            data += data[at:]
        else:
            data[at:] = b"\0" * (len(data) - at)
    return bytes(data)


def checked(out):
    """The rows of a run: paths once each, a status, numbers that are numbers, pictures whole."""
    rows = list(read_rows(out / "predictions.csv"))
    paths = [row["path"] for row in rows]
    assert len(set(paths)) == len(paths)
    for row in rows:
        assert row["status"] in ("ok", "empty", "error")
        assert bool(row["error"]) == (row["status"] == "error")
        if row["status"] != "error":
            assert 0 <= float(row["prob"]) <= 1
        if row["overlay"]:
            with Image.open(out / row["overlay"]) as drawn:
                drawn.load()
    return rows


@pytest.mark.slow
def test_every_mutated_picture_has_a_row(camcli, tmp_path):
    draw = random.Random(2026)
    folder = tmp_path / "in"
    folder.mkdir()
    for n in range(IMAGES):
        suffix = draw.choice(list(FORMATS))
        data = mutated(draw, encoded(draw, suffix))
        (folder / f"{n:04}{draw.choice([suffix] * 9 + ['.jpg'])}").write_bytes(data)
    done, took = camcli(folder, "--out", "run", "--min-size", "0")
    assert done.exit_code == 3, done.stderr  # of two thousand some are certainly broken
    rows = checked(tmp_path / "run")
    assert sorted(row["path"] for row in rows) == sorted(path.name for path in folder.iterdir())
    good = sum(row["status"] != "error" for row in rows)
    assert IMAGES / 4 < good < IMAGES
    assert took < 30 * SECONDS
    # And nothing is different the second time.
    again, _ = camcli(folder, "--out", "run", "--min-size", "0", "--resume")
    assert again.exit_code == 3
    assert checked(tmp_path / "run") == rows


NAMES = ["a", "cat", "0", "10", "left", "2024", "train", "test", "images", "ä", "日本", "x y",
         "[b]", "{a,b}", "=1+1", "-x", "@list", "~", "%s", "a\nb", "*", "'q'", "very" * 40,
         "cat.1", "CON", "\udcff\udcfe", "s3:", "overlays", "run.json"]  # fmt: skip
LEFT = ["@eaDir", "__MACOSX", ".ipynb_checkpoints", ".git"]


def grow(draw, folder, depth=0):
    """Fill a folder.

    Returns:
        How many rows it should give, found out by making it and not by walking it.
    """
    expected = 0
    for name in draw.sample(NAMES, draw.randrange(0, 6)):
        path = folder / (name + draw.choice([".jpg", ".png", ".PNG", ".webp", ".txt", "", ".gif"]))
        counts = path.suffix.lower() in EXTENSIONS
        kind = draw.randrange(8)
        if kind < 3:
            suffix = path.suffix.lower()
            path.write_bytes(encoded(draw, suffix if suffix in FORMATS else ".png"))
        elif kind == 3:
            path.write_bytes(b"")
        elif kind == 4:
            path.symlink_to(folder / "is not there")
        elif kind == 5:
            os.mkfifo(path)
        elif kind == 6:
            path.symlink_to("/dev/zero")
        else:
            path.write_bytes(mutated(draw, encoded(draw, ".jpg")))
        expected += counts
    if draw.random() < 0.2:
        (folder / "loop").symlink_to(folder)
    if draw.random() < 0.2:
        (folder / ".hidden.jpg").write_bytes(b"x")
        (folder / "._a.jpg").write_bytes(b"x")
        (folder / "Thumbs.db").write_bytes(b"x")
    if draw.random() < 0.2:
        left = folder / draw.choice(LEFT)
        left.mkdir()
        (left / "thumb.jpg").write_bytes(encoded(draw, ".jpg"))
    if depth < 3:
        for name in draw.sample(NAMES, draw.randrange(0, 4 - depth)):
            below = folder / ("in " + name)
            below.mkdir()
            expected += grow(draw, below, depth + 1)
    return expected


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes pipes")
def test_every_picture_of_any_tree_has_a_row(camcli, tmp_path):
    for seed in range(TREES):
        draw = random.Random(seed)
        folder = tmp_path / f"tree {seed}"
        folder.mkdir()
        expected = grow(draw, folder)
        out = tmp_path / f"run {seed}"
        done, took = camcli(folder, "--out", out)
        assert took < SECONDS, seed
        if not expected:
            assert done.exit_code == 2, (seed, done.stderr)
            assert "No images" in done.stderr, seed
            continue
        assert done.exit_code in (0, 3), (seed, done.stderr)
        assert len(checked(out)) == expected, seed
        with (out / "predictions.csv").open(encoding="utf-8", errors="surrogateescape") as table:
            assert next(csv.reader(table))[0] == "path"
