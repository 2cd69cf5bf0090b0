"""The how-tos on named data sets, tried on small sets of the same layout."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[2]
_RED, _DARK, _YELLOW = (200, 30, 30), (150, 20, 60), (230, 220, 60)


def picture(path, colour, rng):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((100, 100, 3), 255, np.uint8)
    noise = rng.integers(-20, 20, (60, 60, 3))
    pixels[20:80, 20:80] = np.clip(np.array(colour) + noise, 0, 255)
    Image.fromarray(pixels).save(path)


def fruits360(data, rng):
    for kind, colour in {"Apple Red 1": _RED, "Apple Red 2": _DARK, "Banana 1": _YELLOW}.items():
        for i in range(12):
            split = "Training" if i % 4 else "Test"
            for start in ("", "r_"):  # two videos
                picture(data / "fruits360" / split / kind / f"{start}{i}_100.jpg", colour, rng)


def office31(data, rng):
    for domain in ("amazon", "dslr", "webcam"):
        for kind, colour in {"mug": _RED, "bottle": _DARK, "back_pack": _YELLOW}.items():
            for i in range(1, 7):
                folder = data / "office31" / domain / "images" / kind
                picture(folder / f"frame_{i:04d}.jpg", colour, rng)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "draw"),
    [("fruits-360", fruits360), ("office-31", office31)],
    ids=["fruits-360", "office-31"],
)
def test_a_how_to_works_on_a_set_of_its_layout(page, draw, tmp_path, monkeypatch):
    from camcli.cli.app import app

    monkeypatch.setenv("CAMCLI_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    draw(tmp_path / "data", np.random.default_rng(0))
    text = (ROOT / "docs" / "how-to" / f"{page}.md").read_text("utf-8").replace("\\\n", " ")
    tried = 0
    for line in "\n".join(re.findall(r"```sh\n(.*?)```", text, re.S)).splitlines():
        line = re.sub(r"~/|\$HOME/", f"{tmp_path}/", line)
        words = shlex.split(line, comments=True)
        # What is fetched, shown in a browser, or of the reader's own.
        if words[:1] != ["camcli"] or {"fetch", "--open", "day", "night"} & set(words):
            continue
        if words[1] == "train":  # the page's ResNet-50 has to be downloaded
            words += ["--backbone", "efficientnet_lite0", "--epochs", "1"]
        done = CliRunner().invoke(app, words[1:])
        assert done.exit_code == 0, f"{line}\n{done.output}"
        tried += 1
    assert tried >= 3
