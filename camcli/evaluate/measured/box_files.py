"""Files of boxes: Pascal VOC, COCO, CSV and wsolevaluation's, each as people happen to have it.

What is wrong is told with the file, the place in it and what should be there.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from xml.parsers import expat

import numpy as np

from camcli.errors import UsageError
from camcli.evaluate.measured.belonging import files_below
from camcli.files import read_regular

Box = tuple[float, float, float, float]


class NamedBox(tuple[float, float, float, float]):
    """A box of which the annotation says more than where it is.

    Attributes:
        name: of the class or label of what is in it; empty where that is not told.
        of: (width, height) of the picture that it was drawn on; None where that is not told.
    """

    name: str
    of: tuple[int, int] | None

    def __new__(cls, box: Box, name: str, of: tuple[int, int] | None = None) -> NamedBox:
        """The same four edges."""
        found = super().__new__(cls, box)
        found.name, found.of = name, of
        return found


def named(box: Box, name: Any, of: tuple[int, int] | None = None) -> Box:
    """A box with the name of what is in it, and its picture's size, where there is either."""
    text = name.strip() if isinstance(name, str) else ""
    return NamedBox(box, text, of) if text or of else box


def _picture(width: Any, height: Any) -> tuple[int, int] | None:
    """The size of a picture, as programs write it; many write 0 where they do not know."""
    try:
        size = int(float(width)), int(float(height))
    except (TypeError, ValueError, OverflowError):
        return None
    return size if min(size) > 0 else None


# Corner columns of a CSV, and whether the third and fourth are a width and a height.
CORNERS = (
    (("x0", "y0", "x1", "y1"), False),
    (("xmin", "ymin", "xmax", "ymax"), False),
    (("x1", "y1", "x2", "y2"), False),
    (("left", "top", "right", "bottom"), False),
    (("x", "y", "w", "h"), True),
    (("x", "y", "width", "height"), True),
    (("left", "top", "width", "height"), True),
)
PATHS = (
    "path", "filepath", "imagepath", "imgpath", "image", "img", "filename", "imagename", "imgname",
    "file", "imageid",
)  # fmt: skip
CLASSES = ("class", "classname", "label", "labelname", "category")
# More on one photograph are no objects that a person drew; each map is compared with all of them.
MOST_BOXES = 10_000
_MASKS = (".png", ".bmp", ".gif", ".tif", ".tiff")
_XML_ERRORS = (expat.ExpatError, ValueError, LookupError)


def read_files(path: Path) -> dict[str, list[Box]]:
    """Boxes by the name of the photograph, in any of the known forms.

    Args:
        path: a folder of ``.xml``, or a ``.xml``, ``.json``, ``.csv`` or ``.txt`` file.

    Raises:
        UsageError: in none of the forms, or broken; names the file and the place.
    """
    readers: dict[str, Callable[[Path], Iterator[tuple[str, Box]]]] = {
        ".xml": lambda file: ((file.stem, box) for box in _voc(file)),
        ".json": _coco,
        ".csv": _table,
        ".tsv": _table,
        ".txt": _wsol,
    }
    found: dict[str, list[Box]] = {}
    try:
        if path.is_dir():
            pairs = _folder(path)
        elif path.suffix.lower() in readers:
            pairs = readers[path.suffix.lower()](path)
        else:
            raise UsageError(
                f"{path.name}: boxes are read from a folder of VOC .xml files, a COCO .json, "
                "a .csv or wsolevaluation's localization.txt."
            )
        most, whole = 0.0, True
        for name, box in pairs:
            most, whole = max(most, *box), whole and not any(edge % 1 for edge in box)
            boxes = found.setdefault(name, [])
            boxes.append(box)
            if len(boxes) > MOST_BOXES:
                raise UsageError(
                    f"{path} has more than {MOST_BOXES:,} boxes for the one photograph {name}."
                )
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error
    if most <= 1 and not whole:
        raise UsageError(
            f"{path}: all edges lie between 0 and 1, as shares of a picture do. Boxes are in "
            "pixels: multiply them by the width and the height of each photograph."
        )
    return found


def _folder(path: Path) -> Iterator[tuple[str, Box]]:
    files = files_below(path, (".xml",))
    if not files:
        yolo = bool(files_below(path, (".txt",)))
        raise UsageError(
            f"The folder {path} holds no .xml files (Pascal VOC boxes)."
            + (" YOLO's .txt files are not read: most programs write VOC or COCO as well."
               if yolo else "")
        )  # fmt: skip
    # The annotation's own name: <filename> is often that of another copy of the set.
    for file in files:
        name = file.relative_to(path).with_suffix("").as_posix()
        yield from ((name, box) for box in _voc(file))


def _text(file: Path) -> str:
    """A file's text, UTF-8 with or without a mark at its beginning."""
    return read_regular(file).decode("utf-8-sig")


def _key(name: str) -> str:
    """A photograph's name with slashes, as relative paths have them."""
    return PurePosixPath(name.replace("\\", "/")).as_posix()


def _box(values: Any, where: str, *, sized: bool = False) -> Box:
    """Four numbers as edges."""
    try:
        if isinstance(values, str | dict):
            raise TypeError
        x0, y0, x1, y1 = (_number(value) for value in values)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"{where}: a box needs four numbers, not {_shown(values)}.") from None
    if sized:
        x1, y1 = x0 + x1, y0 + y1
    if not np.isfinite([x0, y0, x1, y1]).all():
        raise UsageError(f"{where}: an edge of the box {_shown(values)} is not a finite number.")
    if not (x1 > x0 and y1 > y0):
        swapped = x1 < x0 or y1 < y0
        why = "ends before it begins" if swapped else "has no area"
        raise UsageError(f"{where}: the box {x0:g},{y0:g},{x1:g},{y1:g} {why}.")
    return x0, y0, x1, y1


def _number(value: Any) -> float:
    """A number, which may be written as a text; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    return float(value)


def _shown(value: Any) -> str:
    """A value for the middle of a sentence."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _voc(file: Path) -> list[Box]:
    """Pascal VOC counts pixels from 1 and includes the last."""
    boxes: list[dict[str, str]] = []
    path: list[str] = []
    names: list[str] = []
    picture: dict[str, str] = {}
    text = ""

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal text
        path.append(tag)
        text = ""
        if path[-2:] == ["object", "bndbox"]:
            boxes.append({})

    def end(tag: str) -> None:
        nonlocal text
        if path[-2:-1] == ["bndbox"] and path[-3:-2] == ["object"]:
            boxes[-1][tag] = text
        if path[-2:] == ["object", "name"]:
            names.append(text)
        if path[-2:-1] == ["size"] and len(path) == 3:
            picture[tag] = text
        if path[-1:] == ["object"]:  # its name stands before or after its box
            for box in boxes:
                box.setdefault("name", names[-1] if names else "")
            names.clear()
        path.pop()
        text = ""

    def characters(more: str) -> None:
        nonlocal text
        text += more

    def refuse(*declaration: Any) -> None:
        # Entities can read files and grow without bounds; no annotation needs them.
        raise UsageError(f"{file}: a document type declaration is not allowed in annotations.")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = characters, refuse
    data = read_regular(file)
    try:
        parser.Parse(data, True)
    except _XML_ERRORS as error:
        raise UsageError(f"{file} is no XML file: {error}.") from None
    found = []
    of = _picture(picture.get("width"), picture.get("height"))
    for number, box in enumerate(boxes, 1):
        where = f"{file}, object {number}"
        for corner in ("xmin", "ymin", "xmax", "ymax"):
            if corner not in box:
                raise UsageError(f"{where}: its bndbox has no {corner}.")
        corners = [box[corner] for corner in ("xmin", "ymin", "xmax", "ymax")]
        x0, y0, x1, y1 = _numbers(corners, where)
        found.append(named(_box((x0 - 1, y0 - 1, x1, y1), where), box.get("name"), of))
    return found


def _numbers(texts: Iterable[str], where: str) -> list[float]:
    try:
        return [float(text) for text in texts]
    except (ValueError, OverflowError):
        raise UsageError(f"{where}: xmin, ymin, xmax and ymax must be numbers.") from None


def _coco(file: Path) -> Iterator[tuple[str, Box]]:
    """COCO: ``bbox`` is x, y, width, height; crowds are left out."""
    try:
        data = json.loads(_text(file))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is no JSON: {error}.") from None
    files: dict[Any, str] = {}
    sizes: dict[Any, tuple[int, int] | None] = {}
    for n, image in enumerate(_list(data, "images", f"{file}")):
        where = f"{file}, images[{n}]"
        files[number := _id(image, "id", where)] = _name(image, where)
        sizes[number] = _picture(image.get("width"), image.get("height"))
    categories = data.get("categories")
    names = {
        _hashable(each.get("id")): each.get("name")
        for each in (categories if isinstance(categories, list) else ())
        if isinstance(each, dict)
    }
    for n, one in enumerate(_list(data, "annotations", f"{file}")):
        where = f"{file}, annotations[{n}]"
        if _field(one, "iscrowd", where, default=0):
            continue
        image = _id(one, "image_id", where)
        if image not in files:
            raise UsageError(f"{where}: image_id {_shown(image)} is no id in images.")
        box = _box(_field(one, "bbox", where), f"{where}, bbox", sized=True)
        name = names.get(_hashable(one.get("category_id")))
        yield _key(files[image]), named(box, name, sizes[image])


def _hashable(value: Any) -> Any:
    return value if isinstance(value, int | str) else None


_REQUIRED = object()


def _field(value: Any, key: str, where: str, default: Any = _REQUIRED) -> Any:
    """A key of a JSON object."""
    if not isinstance(value, dict):
        raise UsageError(f"{where} should be an object with {key}, not {_shown(value)}.")
    if key not in value and default is _REQUIRED:
        raise UsageError(
            f"{where} has no {key}: COCO's form is images with id and file_name, and annotations "
            "with image_id and bbox."
        )
    return value.get(key, default)


def _list(value: Any, key: str, where: str) -> list[Any]:
    found = _field(value, key, where)
    if not isinstance(found, list):
        raise UsageError(f"{where}: {key} should be a list, not {_shown(found)}.")
    return found


def _id(value: Any, key: str, where: str) -> int | str:
    found = _field(value, key, where)
    if isinstance(found, bool) or not isinstance(found, int | str):
        raise UsageError(f"{where}: {key} should be a number or a text, not {_shown(found)}.")
    return found


def _name(value: Any, where: str) -> str:
    found = _field(value, "file_name", where)
    if not isinstance(found, str) or not found.strip():
        raise UsageError(f"{where}: file_name should be a text, not {_shown(found)}.")
    return found


def _table(file: Path) -> Iterator[tuple[str, Box]]:
    """A CSV with a header; several rows may be of one image, and tell its size and a class."""
    text = _text(file)
    first = text.partition("\n")[0]
    # Where the comma is in numbers, programs put something else between columns.
    between = next((sign for sign in ",;\t" if sign in first), ",")
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=between)
    try:
        # x_min, xMin and "x min" are one name.
        header = {re.sub(r"[\s_-]", "", str(n).lower()): n for n in rows.fieldnames or ()}
        path = next((header[p] for p in PATHS if p in header), None)
        kind = next(((c, s) for c, s in CORNERS if all(x in header for x in c)), None)
        if path is None or kind is None:
            raise UsageError(
                f"{file} needs a header with path and x0,y0,x1,y1 (or xmin,..., x1,y1,x2,y2, or "
                f"x,y,w,h). Its first line is {_shown(first.strip())}."
            )
        corners, sized = kind
        label = next((header[name] for name in CLASSES if name in header), None)
        size = [header[x] for x in ("width", "height") if x in header and x not in corners]
        for row in rows:
            where = f"{file}, line {rows.line_num}"
            if not row[path]:
                raise UsageError(f"{where}: the path is missing.")
            box = _box([row[header[c]] for c in corners], where, sized=sized)
            of = _picture(*(row[each] for each in size)) if len(size) == 2 else None
            yield _key(row[path]), named(box, row[label] if label else "", of)
    except csv.Error as error:
        raise UsageError(f"{file}, line {rows.line_num} is no CSV: {error}.") from None


def _wsol(file: Path) -> Iterator[tuple[str, Box]]:
    """Wsolevaluation's ``localization.txt``: image,x0,y0,x1,y1 a line.

    That of its OpenImages names masks, image,mask,ignore, which `find_masks` reads.
    """
    for number, line in enumerate(_text(file).splitlines(), 1):
        if not line.strip():
            continue
        # The image's name may hold commas: the box is what comes last.
        image, *values = line.rsplit(",", 4)
        if line.rstrip().lower().endswith(_MASKS):
            raise UsageError(
                f"{file}, line {number} names a mask, not a box: give the folder of the masks with "
                "--masks."
            )
        if len(values) != 4:
            yolo = len(line.split()) >= 5 and "," not in line
            raise UsageError(
                f"{file}, line {number}: expected image,x0,y0,x1,y1, not {_shown(line)}."
                + (" YOLO's files, with shares of the picture and no name, are not read: most "
                   "programs write VOC or COCO as well." if yolo else "")
            )  # fmt: skip
        yield _key(image), _box(values, f"{file}, line {number}")
