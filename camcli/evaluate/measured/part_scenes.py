"""Scenes that are there again without each of their parts: whose they are, where their files are.

Two forms: what ``camcli data synthetic --parts`` draws, and the data set of FunnyBirds (Hesse et
al. 2023, arXiv 2308.06248) as its authors publish it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from camcli.data.sources.refs import ImageRef
from camcli.data.synthetic.part_files import FILE, WHOLE, pixels_name, without_name
from camcli.errors import CamcliError, ImageError, UsageError
from camcli.files import why

Regions = list[tuple[str, np.ndarray]]
"""(H, W) bool by the name of the part, or of the thing beside it; a name may occur twice."""
_MOST_PARTS = 12  # whose sets are found by trying all of them


class PartScene(Protocol):
    """One picture, and the same without some of it."""

    @property
    def label(self) -> str:
        """The class."""

    @property
    def things(self) -> tuple[str, ...]:
        """Things beside the object, which no class has."""

    def regions(self) -> Regions:
        """The pixels of each part and thing."""

    def without(self, gone: Collection[str]) -> Path:
        """The picture without some parts, or without one thing."""


@dataclass(frozen=True, slots=True)
class PartScenes:
    """A folder of scenes.

    Attributes:
        parts: their names.
        classes: by label, which variant of each part it has.
        scenes: by the picture's absolute path.
    """

    parts: tuple[str, ...]
    classes: dict[str, dict[str, int]]
    scenes: dict[Path, PartScene] = field(repr=False)

    def of(self, ref: ImageRef) -> PartScene | None:
        """The scene that a photograph is; None where it is none of these."""
        return self.scenes.get(Path(ref.path).resolve())

    def matching(self, refs: Iterable[ImageRef]) -> list[ImageRef]:
        """Those of the photographs that are scenes.

        Raises:
            UsageError: none is.
        """
        found = [ref for ref in refs if self.of(ref) is not None]
        if not found:
            example = next(iter(self.scenes), None)
            raise UsageError(
                "None of these photographs is a scene of --parts; a scene is, for instance, "
                f"{example}."
            )
        return found

    def shared(self, one: str, other: str) -> frozenset[str]:
        """The parts of which two classes have the same variant."""
        first, second = self.classes[one], self.classes[other]
        return frozenset(part for part in self.parts if first[part] == second[part])

    def sufficient(self, label: str) -> list[frozenset[str]]:
        """The smallest sets of parts that no other class has as well.

        Args:
            label: one of `classes`.
        """
        others = [self.shared(label, each) for each in self.classes if each != label]
        found: list[frozenset[str]] = []
        for count in range(1, len(self.parts) + 1):
            for some in map(frozenset, combinations(self.parts, count)):
                if any(smaller <= some for smaller in found):
                    continue
                if not any(some <= other for other in others):
                    found.append(some)
        return found

    def rivals(self, label: str) -> tuple[str, str] | None:
        """Two classes that share two parts each with this one, and not the same; None for none."""
        near = [c for c in self.classes if c != label and len(self.shared(label, c)) == 2]
        for one, other in combinations(near, 2):
            if self.shared(label, one).isdisjoint(self.shared(label, other)):
                return one, other
        return None


def read_part_scenes(folder: Path) -> PartScenes:
    """Find the scenes of a folder.

    Args:
        folder: made by ``camcli data synthetic --parts``, or FunnyBirds' own.

    Raises:
        UsageError: it is neither, or is broken.
        CamcliError: it cannot be read.
    """
    if not (folder / FILE).is_file():
        raise UsageError(
            f"--parts {folder} has no {FILE}: make such a folder with 'camcli data synthetic "
            "FOLDER --parts', or name that of FunnyBirds."
        )
    try:
        record = _json(folder / FILE)
        if isinstance(record, dict) and "scenes" in record:
            found = _drawn(folder.resolve(), record)
        elif isinstance(record, dict) and (folder / "classes.json").is_file():
            found = _funnybirds(folder.resolve(), record)
        else:
            raise ValueError(
                f"{FILE} has no 'scenes', and there is no classes.json as FunnyBirds has it"
            )
    except ValueError as error:
        raise UsageError(
            f"{folder}: {FILE} and what is beside it describe no scenes with parts: {error}. Draw "
            "them anew with 'camcli data synthetic FOLDER --parts', or unpack FunnyBirds again."
        ) from error
    if not 2 <= len(found.parts) <= _MOST_PARTS:
        raise UsageError(f"{folder} has {len(found.parts)} parts; 2 to {_MOST_PARTS} can be asked.")
    return found


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CamcliError(f"Cannot read {path}: {why(error)}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}.") from error


def _inside(folder: Path, name: str) -> Path:
    """A file of the folder; a name that leads out of it is refused."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder):
        raise ValueError(f"{name!r} leads out of the folder")
    return path


def _values(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as picture:
            return np.asarray(picture)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path}: the picture of the parts cannot be read ({error}).") from error


@dataclass(frozen=True, slots=True)
class _Drawn:
    folder: Path
    name: str
    label: str
    numbers: dict[str, int]
    things: tuple[str, ...]
    parts: tuple[str, ...]

    def regions(self) -> Regions:
        values = _values(_inside(self.folder, pixels_name(self.name)))
        if values.ndim != 2:
            raise ImageError(f"{self.name}: the picture of its parts is not one of numbers.")
        known = (*self.parts, *self.things)
        return [(name, values == n) for name, n in self.numbers.items() if name in known]

    def without(self, gone: Collection[str]) -> Path:
        return _inside(self.folder, without_name(self.name, gone))


def _drawn(folder: Path, record: dict[str, Any]) -> PartScenes:
    parts = tuple(map(str, _list(record, "parts", FILE)))
    classes = {
        str(label): _variants(variants, parts, f"class {label!r} of {FILE}")
        for label, variants in _table(record, "classes", FILE).items()
    }
    scenes: dict[Path, PartScene] = {}
    for name, known in _table(record, "scenes", FILE).items():
        where = f"scene {name!r} of {FILE}"
        label = str(_value(known, "label", where))
        if label not in classes:
            raise ValueError(f"{label!r}, the label of {where}, is none of its classes")
        pixels = _table(known, WHOLE, where)
        numbers = {each: _number(pixels, each, f"{WHOLE!r} of {where}") for each in pixels}
        things = tuple(map(str, _list(known, "things", where)))
        scenes[_inside(folder, name)] = _Drawn(folder, name, label, numbers, things, parts)
    return PartScenes(parts, classes, scenes)


def _variants(values: Any, parts: tuple[str, ...], where: str) -> dict[str, int]:
    return {part: _number(values, part, where) for part in parts}


def _value(values: Any, name: str, where: str) -> Any:
    """One of a table's values; what is wrong with a file is said in its own words."""
    if not isinstance(values, dict):
        raise ValueError(f"{where} is no table of names and values")
    if name not in values:
        raise ValueError(f"{where} has no {name!r}")
    return values[name]


def _table(values: Any, name: str, where: str) -> dict[str, Any]:
    found = _value(values, name, where)
    if not isinstance(found, dict):
        raise ValueError(f"{name!r} of {where} is no table of names and values")
    return found


def _list(values: Any, name: str, where: str) -> list[Any]:
    found = _value(values, name, where)
    if not isinstance(found, list):
        raise ValueError(f"{name!r} of {where} is no list")
    return found


def _number(values: Any, name: str, where: str) -> int:
    found = _value(values, name, where)
    # Also "3", as long as it is a whole number; true is none.
    if isinstance(found, str) and found.strip().isdecimal():
        return int(found)
    if isinstance(found, bool) or not isinstance(found, int):
        raise ValueError(f"{name!r} of {where} is no whole number")
    return found


# As the authors' loader reads them: colours of the picture of the parts, and of the things.
_COLOURS = {
    (255, 255, 253): "eye", (255, 255, 254): "eye", (255, 255, 0): "beak", (255, 0, 1): "foot",
    (255, 0, 2): "foot", (0, 255, 1): "wing", (0, 255, 2): "wing", (0, 0, 255): "tail",
}  # fmt: skip
_THING = (204, 204, 204)


@dataclass(frozen=True, slots=True)
class _FunnyBird:
    folder: Path
    label: str
    number: str
    things: tuple[str, ...]
    parts: tuple[str, ...]

    def regions(self) -> Regions:
        path = self.folder / "test_part_map" / self.label / f"{self.number}.png"
        values = _values(path)
        if values.ndim != 3:
            raise ImageError(f"{path}: the picture of the parts has no colours.")
        rgb = values[..., :3].astype(np.int64)
        found = [
            (part, (rgb == colour).all(2)) for colour, part in _COLOURS.items()
            if part in self.parts
        ]  # fmt: skip
        for n, name in enumerate(self.things):
            colour = (*_THING[:2], _THING[2] + n)
            found.append((name, (rgb == colour).all(2)))
        return found

    def without(self, gone: Collection[str]) -> Path:
        place = self.folder / "test_interventions" / self.label / self.number
        if gone and set(gone) <= set(self.things):
            (one,) = gone
            return place / "background_interventions" / f"{self.things.index(one)}.png"
        kept = sorted(set(self.parts) - set(gone))
        return place / ("body_" + "_".join(kept) + ".png")


def _listed(path: Path) -> list[Any]:
    found = _json(path)
    if not isinstance(found, list):
        raise ValueError(f"{path.name} is no list")
    return found


def _funnybirds(folder: Path, parts: dict[str, Any]) -> PartScenes:
    names = tuple(str(part) for part in parts)
    classes = {}
    for n, each in enumerate(_listed(folder / "classes.json")):
        where = f"entry {n + 1} of classes.json"
        variants = _table(each, "parts", where)
        classes[str(_number(each, "class_idx", where))] = _variants(
            variants, names, f"'parts' of {where}"
        )
    scenes: dict[Path, PartScene] = {}
    for n, known in enumerate(_listed(folder / "dataset_test.json")):
        where = f"entry {n + 1} of dataset_test.json"
        label, number = str(_number(known, "class_idx", where)), f"{n:06}"
        if label not in classes:
            raise ValueError(f"{label!r}, the class of {where}, is not in classes.json")
        listed = next((str(value) for key, value in known.items() if key.startswith("bg_")), "")
        things = tuple(f"thing-{i}" for i in range(len(re.findall(r"\b\d+\b", listed))))
        path = folder / "test" / label / f"{number}.png"
        scenes[path] = _FunnyBird(folder, label, number, things, names)
    return PartScenes(names, classes, scenes)
