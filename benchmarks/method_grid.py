"""Draw docs/methods.jpg: one photograph, every method of `camcli methods`, and its concepts.

    python benchmarks/method_grid.py [PHOTOGRAPH] [--out docs/methods.jpg]

Score-CAM's family is shown with --converge 0.98; its scorecam-softmax takes 1280 passes.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np

import camcli
from camcli.batch.concepts import find_concepts
from camcli.cam.map_options import MASKED
from camcli.data.decode.images import load_image
from camcli.data.sources.find import find_images
from camcli.render.concepts import draw_concepts
from camcli.render.picture import annotate, encode_jpeg
from camcli.render.text import Ink, line_height, printable, text_tile
from camcli.render.theme import PAPER, QUIET, TEXT

ROOT = Path(__file__).resolve().parent.parent
SIDE, COLUMNS, GAP, SIZE = 224, 6, 10, 15


def main() -> None:
    """Draw and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photograph", nargs="?", default=ROOT / "sample_images" / "cat.jpg")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "methods.jpg")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # The network sees all of the square that is drawn.
        path = Path(folder) / "photograph.png"
        (ref,) = find_images(options.photograph)
        cv2.imwrite(str(path), cv2.cvtColor(_square(load_image(ref)), cv2.COLOR_RGB2BGR))
        options.out.write_bytes(encode_jpeg(_grid(path), 88))


def _grid(path: Path) -> np.ndarray:
    (ref,) = find_images(path)
    rgb = load_image(ref)
    classifier = camcli.load_classifier(fit="squash")
    cells = []
    for name, method in camcli.METHODS.items():
        converge = 0.98 if name in MASKED else None
        result = camcli.explain(path, classifier, method=name, converge=converge)
        note = "" if method.class_specific else "no class"
        cells.append(_cell(annotate(rgb, result, strip=False), name, note))
        print(name, result.pred, result.heats[0].box, flush=True)
    photograph = _cell(rgb, f"{result.pred}", f"{result.prob:.0%}")
    found = find_concepts([ref], classifier, 4)
    (image,) = found.images
    assert image.maps is not None
    concepts = draw_concepts(rgb, image.result, image.maps, ())[:SIDE]
    cells = [photograph, *cells, _cell(concepts, "camcli concepts", "no class")]
    blank = np.full_like(cells[0], PAPER)
    rows = [cells[i : i + COLUMNS] for i in range(0, len(cells), COLUMNS)]
    return np.concatenate(
        [np.concatenate(row + [blank] * (COLUMNS - len(row)), axis=1) for row in rows]
    )


def _square(rgb: np.ndarray) -> np.ndarray:
    height, width = rgb.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = rgb[top : top + side, left : left + side]
    return cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def _cell(picture: np.ndarray, name: str, note: str) -> np.ndarray:
    foot = line_height(SIZE) + GAP
    cell = np.empty((SIDE + foot + GAP, SIDE + GAP, 3), np.uint8)
    cell[:] = PAPER
    cell[GAP // 2 : GAP // 2 + SIDE, GAP // 2 : GAP // 2 + SIDE] = picture
    y = SIDE + GAP
    left = text_tile(printable(name), Ink(SIZE, TEXT, PAPER))
    cell[y : y + left.shape[0], GAP // 2 : GAP // 2 + left.shape[1]] = left
    if note:
        right = text_tile(note, Ink(SIZE - 2, QUIET, PAPER))
        x = SIDE + GAP // 2 - right.shape[1]
        cell[y + 2 : y + 2 + right.shape[0], x : x + right.shape[1]] = right
    return cell


if __name__ == "__main__":
    main()
