"""Drawn scenes with exact masks: one fruit on clutter, deterministic by seed.

They train and test in seconds, offline, and they answer what photographs cannot: which pixels the
object has, and, with a planted mark that co-occurs with one class, whether a classifier looked at
the object or at the mark.

Every scene is drawn from (seed, split, class, number) alone: asking for more scenes, other classes
or a mark leaves the others as they were.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from camcli.data.synthetic.drawing import Canvas, Placement, box, clutter, surface, thing
from camcli.data.synthetic.fruits import FRUITS, draw_fruit
from camcli.data.synthetic.mark import MarkRule
from camcli.errors import CamcliError, UsageError
from camcli.files import whole_folder


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One drawn picture.

    Attributes:
        rgb: (S, S, 3) uint8.
        mask: (S, S) bool, the visible pixels of the object.
        label: its class.
        mark: (S, S) bool, the pixels of the planted mark; None without one.
    """

    rgb: np.ndarray
    mask: np.ndarray
    label: str
    mark: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A mark, always the same sticker, that gives one class away.

    Attributes:
        label: the class that carries it.
        share: how many of its pictures do, 0 to 1.
        test: in the test split: ``same`` as in training, ``absent``, or ``swapped`` to all the
            other classes, which fools whoever relies on it.
    """

    label: str
    share: float = 1.0
    test: MarkRule = "same"

    def marks(self, label: str, split: str, rng: np.random.Generator) -> bool:
        """Whether a picture of this class in this split carries the mark."""
        carrier = label == self.label
        if split == "test" and self.test != "same":
            carrier = self.test == "swapped" and not carrier
        return carrier and bool(rng.random() < self.share)


def draw_scene(
    label: str,
    number: int,
    *,
    seed: int = 0,
    split: str = "train",
    size: int = 160,
    shortcut: Shortcut | None = None,
) -> Scene:
    """Draw one scene.

    Args:
        label: one of `FRUITS`.
        number: which picture of its class.
        seed: of the whole set.
        split: pictures with the same number differ between splits.
        size: side in pixels, at least 32.
        shortcut: plants the mark.

    Returns:
        The scene; equal arguments give equal pixels.

    Raises:
        UsageError: no such class, or too small.

    Example:
        >>> scene = draw_scene("pear", 0)
        >>> scene.rgb.shape, scene.mask.dtype
        ((160, 160, 3), dtype('bool'))
    """
    _check(label, size)
    key = [seed, zlib.crc32(split.encode()), zlib.crc32(label.encode()), number]
    rng = np.random.default_rng(key)
    canvas = Canvas(size, rng)
    surface(canvas, rng)
    clutter(canvas, rng, int(rng.integers(4, 9)))
    scale = rng.uniform(0.15, 0.25) * size
    # Every fruit stays within 1.6 units of its centre, so none is cut by the frame.
    reach = min(1.6 * scale, size / 2)
    x, y = rng.uniform(reach, size - reach, 2)
    mask = draw_fruit(canvas, label, Placement(x, y, scale, rng.uniform(-0.6, 0.6)), rng)
    if rng.random() < 0.25:  # something lies across its edge
        turn = rng.uniform(0, 2 * np.pi)
        edge = np.array([x + np.cos(turn) * scale, y + np.sin(turn) * scale]) / size
        mask &= thing(canvas, rng, 0.06 * size, edge) >= 0
    mark = None
    if shortcut:
        own = np.random.default_rng([*key, 1])
        if shortcut.marks(label, split, own):
            mark = _sticker(canvas, own, mask)
            mask = mask & ~mark
    return Scene(canvas.finish(rng), mask, label, mark)


def draw_scenes(
    count: int,
    *,
    classes: Sequence[str] = FRUITS,
    seed: int = 0,
    split: str = "train",
    size: int = 160,
    shortcut: Shortcut | None = None,
) -> Iterator[Scene]:
    """Draw `count` scenes of each class, the classes in turn.

    Args:
        count: of each class.
        classes: which of `FRUITS`.
        seed: of the whole set.
        split: see `draw_scene`.
        size: side in pixels.
        shortcut: plants the mark.

    Yields:
        One scene after the other; nothing is kept.
    """
    for number in range(count):
        for label in classes:
            yield draw_scene(label, number, seed=seed, split=split, size=size, shortcut=shortcut)


def write_scenes(
    folder: Path,
    *,
    counts: dict[str, int] | None = None,
    classes: Sequence[str] = FRUITS,
    seed: int = 0,
    size: int = 160,
    shortcut: Shortcut | None = None,
    progress: Callable[[], object] | None = None,
) -> Path:
    """Write a data set: ``<split>/<class>/NNNN.jpg``, the masks and a table.

    The table ``scenes.csv`` has the columns path, label, split, mask and mark. Masks are PNGs,
    255 on the object, under ``masks/`` with the picture's relative path; those of the planted mark
    are under ``marks/`` (only where there is one).

    Args:
        folder: made here; it must not exist yet, or be empty.
        counts: scenes of each class in each split; by default 60 train, 15 val, 25 test.
        classes: which of `FRUITS`.
        seed: of the whole set.
        size: side in pixels.
        shortcut: plants a mark.
        progress: called after each scene.

    Returns:
        The path of the table.

    Raises:
        UsageError: the folder is not empty, or an unknown class.
        CamcliError: it cannot be written.
    """
    counts = counts or {"train": 60, "val": 15, "test": 25}
    for label in (*classes, *([shortcut.label] if shortcut else [])):
        _check(label, size)
    if len(set(classes)) < 2:
        raise UsageError("A classifier needs at least two different classes to draw.")
    if shortcut and shortcut.label not in classes:
        raise UsageError(f"The shortcut's class {shortcut.label!r} is not among those drawn.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not empty; name a new folder.")
    try:
        with whole_folder(folder, over=False) as part:
            rows = []
            for split, count in counts.items():
                scenes = draw_scenes(
                    count, classes=classes, seed=seed, split=split, size=size, shortcut=shortcut
                )
                for number, scene in enumerate(scenes):
                    name = f"{split}/{scene.label}/{number // len(classes):04}"
                    rows.append(_save(scene, part, name, split))
                    if progress:
                        progress()
            with (part / "scenes.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(("path", "label", "split", "mask", "mark"))
                writer.writerows(rows)
    except OSError as error:
        raise CamcliError(f"{folder} could not be written: {error.strerror or error}.") from error
    return folder / "scenes.csv"


def _check(label: str, size: int) -> None:
    if label not in FRUITS:
        raise UsageError(f"No drawn class {label!r}; there are {', '.join(FRUITS)}.")
    if size < 32:
        raise UsageError(f"Scenes need at least 32 pixels a side, not {size}.")


def _save(scene: Scene, folder: Path, name: str, split: str) -> tuple[str, str, str, str, str]:
    picture = folder / f"{name}.jpg"
    picture.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(scene.rgb).save(picture, quality=95, subsampling=0)
    names = {"masks": scene.mask, "marks": scene.mark}
    written = []
    for kind, mask in names.items():
        path = folder / kind / f"{name}.png"
        if mask is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(path)
        written.append(f"{kind}/{name}.png" if mask is not None else "")
    return f"{name}.jpg", scene.label, split, written[0], written[1]


def _sticker(canvas: Canvas, rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """A price tag with a bar code, off the object; returns its pixels."""
    size = canvas.size
    half = 0.085 * size
    best, least = (0.0, 0.0), None
    for _ in range(40):
        x, y = rng.uniform(1.4 * half, size - 1.4 * half, 2)
        near = (np.abs(canvas.x - x) < 1.3 * half) & (np.abs(canvas.y - y) < 1.3 * half)
        covered = int((near & mask).sum())
        if least is None or covered < least:
            best, least = (x, y), covered
        if not covered:
            break
    place = Placement(*best, half, rng.uniform(-0.2, 0.2))
    u, v = canvas.local(place)
    tag = (box(u, v, 1.2, 0.9, 0.12) * half).astype(np.float32)
    canvas.shadow(tag, 3.0)
    canvas.paint(tag, np.array([0.98, 0.97, 0.92], np.float32))
    head = (box(u, v + 0.58, 1.0, 0.18) * half).astype(np.float32)
    canvas.paint(head, np.array([0.1, 0.35, 0.85], np.float32))
    bars = np.maximum(box(u, v - 0.22, 0.95, 0.42), 0.07 - np.abs((u * 4) % 1 - 0.5) * 0.28)
    canvas.paint((bars * half).astype(np.float32), np.array([0.05, 0.05, 0.08], np.float32))
    return tag < 0
