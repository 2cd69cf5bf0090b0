"""Copies among references, and of references, in all the ways in which files are saved again."""

import cv2
import numpy as np
import pytest
from PIL import Image

from camcli.data.sources.find import find_images
from camcli.jobs import reference_copies
from camcli.jobs.against import compared_with
from camcli.jobs.model import ModelJob
from camcli.jobs.reference_copies import tell_members

WAYS = {
    "q95": lambda image: (image, 95),
    "q80": lambda image: (image, 80),
    "q60": lambda image: (image, 60),
    "half": lambda image: (image.resize((image.width // 2, image.height // 2)), 90),
    "larger": lambda image: (image.resize((image.width * 2, image.height * 2)), 90),
    "mirrored": lambda image: (image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 85),
}


def scene(seed):
    """Shapes over clouds, with the noise of a sensor."""
    rng = np.random.default_rng(seed)
    out = cv2.resize(rng.normal(120, 40, (12, 16, 3)), (320, 240), interpolation=cv2.INTER_CUBIC)
    for _ in range(30):
        corners = rng.integers(0, [320, 240]) + rng.normal(0, 30, (5, 2))
        cv2.fillPoly(out, [corners.astype(np.int32)], rng.integers(0, 255, 3).tolist())
    return np.clip(out + rng.normal(0, 3, out.shape), 0, 255).astype(np.uint8)


def piece(seed):
    """One kind of part before one camera: the same rim and holes, a surface of its own."""
    rng = np.random.default_rng(seed)
    out = np.full((240, 320, 3), 60.0)
    cv2.circle(out, (160, 120), 95, (170, 170, 175), -1, cv2.LINE_AA)
    for turn in range(6):
        x, y = 160 + 60 * np.cos(turn * np.pi / 3), 120 + 60 * np.sin(turn * np.pi / 3)
        cv2.circle(out, (round(x), round(y)), 14, (40, 40, 40), -1, cv2.LINE_AA)
    brushed = cv2.GaussianBlur(rng.normal(0, 60, (240, 320)), (0, 0), sigmaX=6, sigmaY=0.6)
    return np.clip(out + brushed[..., None] + rng.normal(0, 2, out.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def classifier():
    return ModelJob(input_size=96).load()


def write(folder, draw, count):
    folder.mkdir(parents=True)
    for n in range(count):
        Image.fromarray(draw(n)).save(folder / f"{n:02}.png")
    return folder


def again(path, way, to):
    image, quality = WAYS[way](Image.open(path).convert("RGB"))
    to.parent.mkdir(exist_ok=True)
    image.save(to, quality=quality)


def compared(classifier, folder):
    told = []
    return compared_with(classifier, str(folder), say=told.append, warn=told.append), told


def copies(told):
    return [line for line in told if "saved again" in line]


@pytest.mark.parametrize("draw", [scene, piece])
def test_of_several_copies_all_are_told_together(draw, classifier, tmp_path, monkeypatch):
    """Every way of saving a photograph again; what is looked up the second time says the same."""
    monkeypatch.setattr(reference_copies, "_NAMED", 20)
    good = write(tmp_path / "good", draw, 12)
    assert copies(compared(classifier, good)[1]) == []
    for way in WAYS:
        again(good / "03.png", way, good / f"03_{way}.jpg")
    again(good / "07.png", "q60", good / "07_again.jpg")
    first = copies(compared(classifier, good)[1])
    named = first[0].partition("(")[2].partition(")")[0].split(", ")
    assert sorted(named) == sorted(
        [*(f"03_{way}.jpg of 03.png" for way in WAYS), "07_again.jpg of 07.png"]
    )
    assert "7 photographs that look like another one" in first[0]
    _, told = compared(classifier, good)
    assert not any("Looking at" in line for line in told)
    assert copies(told) == first


@pytest.mark.parametrize("draw", [scene, piece])
def test_an_explained_copy_of_a_reference_is_told(draw, classifier, tmp_path, monkeypatch):
    monkeypatch.setattr(reference_copies, "_NAMED", 20)
    good = write(tmp_path / "good", draw, 12)
    new = write(tmp_path / "new", lambda n: draw(100 + n), 5)
    network, _ = compared(classifier, good)
    told = []
    tell_members(network, find_images(new), told.append, told.append)
    assert told == []
    for n, way in enumerate(WAYS):
        again(good / f"{n:02}.png", way, new / f"x_{way}.jpg")
    again(good / "00.png", "q60", new / "x_second.jpg")
    (new / "same.png").write_bytes((good / "09.png").read_bytes())
    tell_members(network, find_images(new), told.append, told.append)
    exact, seen = told
    assert exact.startswith("1 of 13 photographs is among those of --against (same.png)")
    assert seen.startswith("7 of 13 photographs are by their pixels copies of one of --against (")
    named = seen.partition("(")[2].partition(")")[0].split(", ")
    wanted = [f"x_{way}.jpg of {n:02}.png" for n, way in enumerate(WAYS)]
    assert sorted(named) == sorted([*wanted, "x_second.jpg of 00.png"])
    told.clear()
    tell_members(network, find_images(new / "x_q80.jpg"), told.append, told.append)
    (line,) = told
    assert line.startswith("The photograph is by its pixels a copy of one of --against")
    assert line.endswith("held against itself it looks more usual than it is.")


def test_what_was_not_looked_at_is_said(classifier, tmp_path, monkeypatch):
    """Of very many that are explained some are looked at; references not for ever."""
    good = write(tmp_path / "good", scene, 5)
    new = write(tmp_path / "new", lambda n: scene(100 + n), 9)
    again(good / "00.png", "q60", new / "00_copy.jpg")
    monkeypatch.setattr(reference_copies, "LONGEST", 0.0)
    for _ in range(2):
        network, told = compared(classifier, good)
        assert sum("not in all of them" in line for line in told) == 1
    monkeypatch.setattr(reference_copies, "MOST", 2)
    told = []
    tell_members(network, find_images(new), told.append, told.append)
    assert "looked for in 3 photographs of 10, evenly spaced" in told[-1]
