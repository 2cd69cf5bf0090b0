"""A page finds by itself how its network was trained and measured, and where the objects are."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow  # a network is trained


def part(page, name):
    """The values of one of a page's data files."""
    text = (page.parent / "data" / f"{name}.js").read_text()
    return json.loads(text[text.index(",") + 1 : -len(");\n")])


@pytest.fixture
def trained(camcli, tmp_path):
    """A network trained on drawn photographs, and the boxes around what was drawn in them."""
    rng = np.random.default_rng(0)
    boxes = ["path,x0,y0,x1,y1"]
    for name, colour in (("red", (200, 40, 40)), ("green", (40, 180, 60))):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for n in range(10):
            rgb = rng.integers(0, 256, (60, 60, 3), dtype=np.uint8)
            x, y = (int(v) for v in rng.integers(0, 25, 2))
            rgb[y : y + 30, x : x + 30] = colour
            Image.fromarray(rgb).save(tmp_path / "photos" / name / f"{n}.png")
            boxes.append(f"{name}/{n}.png,{x},{y},{x + 30},{y + 30}")
    (tmp_path / "boxes.csv").write_text("\n".join(boxes))
    done = camcli(
        "train", "--data", "photos", "--backbone", "shufflenet_v2_x0_5", "--weights", "random",
        "--input-size", "64", "--epochs", "2", "--quiet", "--out", "T",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    done = camcli(
        "batch",
        "photos",
        "--checkpoint",
        "T/best.safetensors",
        "--out",
        "run",
        "-q",
    )
    assert done.exit_code == 0, done.stderr
    return tmp_path


def test_all_tabs_are_filled_without_saying_where_things_are(camcli, trained):
    # Without labels, evaluate explains what the run explains: the predicted class.
    done = camcli(
        "evaluate", "photos", "--models", "T/best.safetensors", "--methods", "gradcam", "--boxes",
        "boxes.csv", "--labels", "none", "--bootstrap", "0", "--out", "measured",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    page = Path(camcli("report", "run").stdout.strip())
    training, evaluation = part(page, "training"), part(page, "evaluation")
    assert training["same"] is True
    assert len(training["epochs"]) == 2
    assert evaluation["same"] is True
    # The numbers of the page are those of evaluate, by another way: maps that lay on the disk.
    shares = part(page, "index-0")["sides"][0]["on_object"]
    rows = json.loads(Path("measured/results.json").read_text())["rows"]
    energy = next(row["metrics"]["energy"] for row in rows if row["method"] == "gradcam")
    assert len(shares) == 20
    assert sum(shares) / len(shares) / 1e5 == pytest.approx(energy, abs=2e-4)
    assert part(page, "detail-0")["objects"][0][0]
    # A page elsewhere, of a run that is no neighbour any more, is told where they are.
    (trained / "far").mkdir()
    Path("measured").rename("far/measured")
    page = Path(camcli("report", "run", "--evaluation", "far/measured").stdout.strip())
    assert part(page, "evaluation")["folder"] == "far/measured"
    page = Path(camcli("report", "run").stdout.strip())
    assert not (page.parent / "data" / "evaluation.js").exists()
    assert "objects" not in part(page, "detail-0")


def test_boxes_by_the_users_word_and_mistakes_about_them(camcli, trained):
    page = Path(camcli("report", "run", "--boxes", "boxes.csv").stdout.strip())
    assert min(part(page, "index-0")["sides"][0]["on_object"]) >= 0
    assert "of the heat on the object" in page.read_text()
    for words, expected in [
        (["run", "--boxes", "gone.csv"], "no such file"),
        (["run", "--trimap"], "--masks"),
        (["run", "--training", "photos"], "camcli train"),
        (["run", "--evaluation", "T"], "camcli evaluate"),
        (["run", "run", "--evaluation", "T"], "page of one run"),
    ]:
        done = camcli("report", *words)
        assert done.exit_code == 2, done.stderr
        assert expected in " ".join(done.stderr.split())
