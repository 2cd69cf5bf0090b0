"""A folder of scenes with four coloured squares for parts, whose answers can be worked out."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from camcli.data.synthetic.bird_scenes import part_sets
from camcli.data.synthetic.part_files import pixels_name, without_name

PARTS = ("a", "b", "c", "d")
# `red` shares a and b with `green`, and c and d with `blue`.
CLASSES = {
    "red": dict(zip(PARTS, (0, 0, 0, 0), strict=True)),
    "green": dict(zip(PARTS, (0, 0, 1, 1), strict=True)),
    "blue": dict(zip(PARTS, (1, 1, 0, 0), strict=True)),
}
COLOURS = {
    "a": (255, 90, 0), "b": (200, 90, 0), "c": (150, 0, 90), "d": (100, 0, 90),
    "thing-0": (0, 60, 0),
}  # fmt: skip
PLACES = {"a": (8, 8), "b": (8, 40), "c": (40, 8), "d": (40, 40), "thing-0": (24, 24)}
SCENE = "test/red/0.png"


def picture(gone=()):
    rgb = np.zeros((64, 64, 3), np.uint8)
    for name, (y, x) in PLACES.items():
        if name not in gone:
            rgb[y : y + 16, x : x + 16] = COLOURS[name]
    return rgb


def owners():
    values = np.zeros((64, 64), np.uint8)
    for n, (y, x) in enumerate(PLACES.values()):
        values[y : y + 16, x : x + 16] = n + 1
    return values


def write(folder: Path) -> Path:
    def save(name, values):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(path, format="PNG")  # known by its content

    save(SCENE, picture())
    save(pixels_name(SCENE), owners())
    for gone in [*part_sets(PARTS), ("thing-0",)]:
        save(without_name(SCENE, gone), picture(gone))
    numbers = {name: n + 1 for n, name in enumerate(PLACES)}
    known = {"label": "red", "pixels": numbers, "things": ["thing-0"]}
    record = {"parts": PARTS, "classes": CLASSES, "scenes": {SCENE: known}}
    (folder / "parts.json").write_text(json.dumps(record))
    return folder
