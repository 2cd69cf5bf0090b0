"""Scenes of drawn birds, each again without every set of its parts and each thing beside it.

What a network says of a scene without a part is the truth that a map's share of heat on that part
is measured against: the protocol of FunnyBirds (Hesse et al. 2023, arXiv 2308.06248), whose scenes
are rendered in three dimensions; these are drawn in two.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Collection, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path

import numpy as np
from PIL import Image

from camcli.data.synthetic.birds import BODY, PARTS, REACH, SPECIES, USUAL, draw_bird
from camcli.data.synthetic.drawing import Canvas, Placement, surface, thing
from camcli.data.synthetic.part_files import FILE, WHOLE, pixels_name, without_name
from camcli.errors import CamcliError, UsageError
from camcli.files import whole_folder

SMALLEST = 64
"""Side in pixels below which the parts are a few pixels each."""
_SCALE = (0.14, 0.185)
_THINGS = (3, 6)
# Half of the scenes to train on lack parts, so that a network has seen birds without them. The
# label is that of the bird before it lost them: of birds that look the same then, each as often as
# it occurs, which is the loss of FunnyBirds' training with several targets, drawn one at a time.
_LACKING = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class BirdScene:
    """One drawn picture.

    Attributes:
        rgb: (S, S, 3) uint8.
        pixels: (S, S) bool of the body, of each part, and of each thing beside the bird
            (``thing-0`` ...): what is visible of it.
        label: the class.
    """

    rgb: np.ndarray
    pixels: dict[str, np.ndarray]
    label: str


def draw_bird_scene(
    label: str,
    number: int,
    *,
    seed: int = 0,
    split: str = "train",
    size: int = 160,
    without: Collection[str] = (),
) -> BirdScene:
    """Draw one scene.

    Args:
        label: one of `SPECIES`.
        number: which picture of its class.
        seed: of the whole set.
        split: pictures with the same number differ between splits.
        size: side in pixels.
        without: parts, or things (``thing-0``), that are left out; all else stays as it is.

    Returns:
        The scene; equal arguments give equal pixels.

    Raises:
        UsageError: no such class, or too small.

    Example:
        >>> whole = draw_bird_scene("heron", 0)
        >>> bare = draw_bird_scene("heron", 0, without=["beak"])
        >>> bool((whole.rgb != bare.rgb).any()), "beak" in bare.pixels
        (True, False)
    """
    _check([label], size)
    things = [name for name in without if name not in PARTS]
    return _ground(label, number, seed, split, size, things).scene(without)


@dataclass(frozen=True, slots=True, eq=False)
class _Ground:
    """A scene before the bird comes into it."""

    label: str
    key: list[int]
    canvas: Canvas
    pixels: dict[str, np.ndarray]
    place: Placement
    mirrored: bool

    def scene(self, without: Collection[str]) -> BirdScene:
        """The scene with a bird that lacks some parts; may be asked again and again."""
        canvas = copy(self.canvas)
        canvas.rgb = self.canvas.rgb.copy()
        bird = draw_bird(
            canvas, SPECIES[self.label], self.place, np.random.default_rng([*self.key, 3]),
            without=without, mirrored=self.mirrored,
        )  # fmt: skip
        covered = np.logical_or.reduce(list(bird.values()))
        things = {name: mask & ~covered for name, mask in self.pixels.items()}
        rgb = canvas.finish(np.random.default_rng([*self.key, 1]))
        return BirdScene(rgb, {**bird, **things}, self.label)


def _ground(
    label: str, number: int, seed: int, split: str, size: int, without: Collection[str]
) -> _Ground:
    """The surface and the things on it, but for some of these; and where the bird will stand."""
    key = [seed, zlib.crc32(split.encode()), zlib.crc32(label.encode()), number]
    rng = np.random.default_rng(key)
    canvas = Canvas(size, rng)
    surface(canvas, rng)
    pixels: dict[str, np.ndarray] = {}
    for n in range(int(rng.integers(*_THINGS, endpoint=True))):
        name, at = f"thing-{n}", rng.uniform(0, 1, 2)
        half = rng.uniform(0.05, 0.12) * size
        if name not in without:  # drawn from numbers of its own: leaving it out moves no other
            seen = thing(canvas, np.random.default_rng([*key, 2, n]), half, at) < 0
            pixels = {**{before: m & ~seen for before, m in pixels.items()}, name: seen}
    scale = rng.uniform(*_SCALE) * size
    reach = min(REACH * scale, size / 2)
    x, y = rng.uniform(reach, size - reach, 2)
    place = Placement(x, y, scale, rng.uniform(-0.35, 0.35))
    return _Ground(label, key, canvas, pixels, place, bool(rng.random() < 0.5))


def lacking(label: str, number: int, *, seed: int, split: str) -> tuple[str, ...]:
    """The parts that a scene to train on lacks: none in half of them, else one or more, not all."""
    key = [seed, zlib.crc32(split.encode()), zlib.crc32(label.encode()), number, 4]
    rng = np.random.default_rng(key)
    if rng.random() >= _LACKING:
        return ()
    parts = list(PARTS)
    gone = rng.choice(len(parts), int(rng.integers(1, len(parts))), replace=False)
    return tuple(parts[n] for n in sorted(gone))


def part_sets(parts: Sequence[str]) -> list[tuple[str, ...]]:
    """Every set of parts but the empty one, smaller ones first."""
    return list(chain.from_iterable(combinations(parts, n + 1) for n in range(len(parts))))


def write_bird_scenes(
    folder: Path,
    *,
    counts: dict[str, int] | None = None,
    classes: Sequence[str] = USUAL,
    seed: int = 0,
    size: int = 160,
    progress: Callable[[], object] | None = None,
) -> Path:
    """Write a data set: ``<split>/<class>/NNNN.jpg``, and ``parts.json``, which says what is where.

    Of each scene of the test split ``pixels/<path>.png`` says which pixels belong to what, and
    ``without/<path>/`` has it again without every set of parts (``beak+wing.jpg``) and without each
    thing beside the bird (``thing-0.jpg``). ``masks/<path>.png`` is 255 on the bird.

    Args:
        folder: made here; it must not exist yet, or be empty.
        counts: scenes of each class in each split; by default 60 train, 15 val, 25 test.
        classes: which of `SPECIES`.
        seed: of the whole set.
        size: side in pixels.
        progress: called after each scene.

    Returns:
        The path of ``parts.json``.

    Raises:
        UsageError: the folder is not empty, an unknown class, too few of them, or too small.
        CamcliError: it cannot be written.
    """
    counts = counts or {"train": 60, "val": 15, "test": 25}
    _check(classes, size)
    if len(set(classes)) < 2:
        raise UsageError("A classifier needs at least two different classes to draw.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not empty; name a new folder.")
    try:
        with whole_folder(folder, over=False) as root:
            scenes: dict[str, dict[str, object]] = {}
            for split, count in counts.items():
                for number in range(count):
                    for label in classes:
                        name = f"{split}/{label}/{number:04}.jpg"
                        known = _save(root, name, label, number, seed, split, size)
                        if known:
                            scenes[name] = known
                        if progress:
                            progress()
            record = {
                "parts": list(PARTS),
                "classes": {name: SPECIES[name] for name in classes},
                "scenes": scenes,
                "size": size,
                "seed": seed,
            }
            (root / FILE).write_text(json.dumps(record, indent=1), encoding="utf-8")
    except OSError as error:
        raise CamcliError(f"{folder} could not be written: {error.strerror or error}.") from error
    return folder / FILE


def _save(
    root: Path, name: str, label: str, number: int, seed: int, split: str, size: int
) -> dict[str, object] | None:
    """Write one scene, and all that is measured with it; what is known of one of the test split."""
    ground = _ground(label, number, seed, split, size, ())
    scene = ground.scene(lacking(label, number, seed=seed, split=split) if split == "train" else ())
    _picture(root / name, scene.rgb)
    bird = np.logical_or.reduce([scene.pixels[p] for p in (BODY, *PARTS) if p in scene.pixels])
    _mask(root / "masks" / Path(name).with_suffix(".png"), bird)
    if split != "test":
        return None
    things = [each for each in scene.pixels if each not in (BODY, *PARTS)]
    numbers = {each: n + 1 for n, each in enumerate((*PARTS, BODY, *things))}
    owners = np.zeros(bird.shape, np.uint8)
    for each, n in numbers.items():
        owners[scene.pixels[each]] = n
    _mask(root / pixels_name(name), owners)
    for gone in part_sets(list(PARTS)):
        _picture(root / without_name(name, gone), ground.scene(gone).rgb)
    for each in things:
        bare = _ground(label, number, seed, split, size, [each]).scene(())
        _picture(root / without_name(name, [each]), bare.rgb)
    return {"label": label, WHOLE: numbers, "things": things}


def _picture(path: Path, rgb: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path, quality=95, subsampling=0)


def _mask(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def _check(labels: Sequence[str], size: int) -> None:
    for label in labels:
        if label not in SPECIES:
            raise UsageError(f"No drawn bird {label!r}; there are {', '.join(SPECIES)}.")
    if size < SMALLEST:
        raise UsageError(f"Birds need at least {SMALLEST} pixels a side, not {size}.")
