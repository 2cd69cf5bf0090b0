"""Boxes and masks as people have them, by photograph.

Boxes: a folder of Pascal VOC XML files, a COCO JSON file, a CSV with a column for the path and
four for the corners, or wsolevaluation's ``localization.txt``. Masks: a folder of pictures with
the photographs' relative paths.

Which photograph an annotation belongs to: `camcli.evaluate.measured.belonging`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from camcli.data.sources.refs import ImageRef
from camcli.errors import UsageError
from camcli.evaluate.measured.belonging import bare, files_below, matched, some_of
from camcli.evaluate.measured.box_files import Box, NamedBox, read_files
from camcli.evaluate.measured.square_canvas import SIDE, Truth, box_of
from camcli.files import open_regular
from camcli.models.classes.label_index import label_index

MASK_SUFFIXES = (".png", ".bmp", ".gif", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes by photograph, in its pixels, by their edges.

    Attributes:
        by_file: relative path, or file name, as the annotations have it -> boxes.
    """

    by_file: dict[str, tuple[Box, ...]]

    @property
    def by_name(self) -> dict[str, tuple[Box, ...]]:
        """The same by names without their extension."""
        found: dict[str, tuple[Box, ...]] = {}
        for name, boxes in self.by_file.items():
            found[bare(name)] = found.get(bare(name), ()) + boxes
        return found

    def match(self, refs: Iterable[ImageRef]) -> dict[str, tuple[Box, ...]]:
        """Relative path of a photograph -> its boxes; photographs without any are left out.

        Raises:
            UsageError: no photograph has an annotation, or one could be of several.
        """
        refs = list(refs)
        found = matched(self.by_file, refs)
        if not found:
            raise UsageError(
                "None of the images has a box: "
                + (
                    f"the annotations are of {some_of(self.by_file)}, the images are "
                    f"{some_of(ref.rel for ref in refs)}."
                    if self.by_file
                    else "there is none in the annotations."
                )
            )
        return found


def read_boxes(path: Path) -> Boxes:
    """Boxes in any of the known forms.

    Args:
        path: a folder of ``.xml``, or a ``.xml``, ``.json``, ``.csv`` or ``.txt`` file.

    Raises:
        UsageError: not there, in none of the forms, or broken; names the file and the place.
    """
    if not path.exists():
        raise UsageError(f"There are no boxes at {path}: no such file or folder.")
    found = read_files(path)
    return Boxes({name: tuple(boxes) for name, boxes in found.items()})


def find_masks(folder: Path, refs: Iterable[ImageRef]) -> dict[str, Path]:
    """Relative path of a photograph -> the file of its mask.

    Args:
        folder: of masks with the photographs' relative paths (or file names) and any of
            `MASK_SUFFIXES`.
        refs: the photographs.

    Raises:
        UsageError: there is no such folder, or no photograph has a mask.
    """
    if not folder.is_dir():
        raise UsageError(f"There are no masks at {folder}: no such folder.")
    files = files_below(folder, MASK_SUFFIXES)
    by_file: dict[str, Path] = {}
    for file in files:
        name = file.relative_to(folder).with_suffix("").as_posix()
        if name in by_file:
            raise UsageError(
                f"{by_file[name].name} and {file.name} in {file.parent} are both masks of {name}: "
                "keep one."
            )
        by_file[name] = file
    found = matched(by_file, refs)
    if not found:
        raise UsageError(
            f"None of the images has a mask in {folder}: expected the image's relative path with "
            "the suffix .png."
        )
    return found


def read_mask(path: Path, *, trimap: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
    """A mask, and which pixels to ignore.

    Args:
        path: a picture. Any value but 0 is the object, but for 255 in a palette picture (VOC's
            border), which is ignored.
        trimap: 1 is the object, 2 the background and 3 ignored, as in the Oxford pets.

    Returns:
        (H, W) bool, and (H, W) bool or None.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with open_regular(path) as file, Image.open(file) as picture:
            palette = picture.mode == "P"
            plain = picture if palette or picture.mode in ("L", "1", "I;16") else None
            values = np.asarray(plain or picture.convert("L"))
    # Pillow's decoders raise what they happen to meet in a broken file.
    except Exception as error:
        why = "it is no picture" if isinstance(error, UnidentifiedImageError) else str(error)
        raise UsageError(f"The mask {path} cannot be read: {why}.") from None
    if trimap:
        if not np.isin(values, (1, 2, 3)).all():
            raise UsageError(f"{path} is no trimap: it holds other values than 1, 2 and 3.")
        return values == 1, values == 3
    if palette:
        return (values != 0) & (values != 255), (values == 255 if (values == 255).any() else None)
    return values != 0, None


def check_trimap(path: Path) -> None:
    """Refuse a mask that is no trimap; one that cannot be read is its photograph's affair.

    Args:
        path: a picture.

    Raises:
        UsageError: it holds other values than a trimap has.
    """
    try:
        read_mask(path)
    except UsageError:
        return
    read_mask(path, trimap=True)


def truth_of(
    size: tuple[int, int],
    boxes: Iterable[Box] = (),
    mask: np.ndarray | None = None,
    ignore: np.ndarray | None = None,
) -> Truth:
    """Annotations of one photograph, on the canvas.

    Args:
        size: (width, height) of the photograph.
        boxes: in its pixels; cut at its edges. Without any, the box around the mask.
        mask: (H, W) bool, of any size: it is taken to cover the photograph.
        ignore: (H, W) bool, likewise.
    """
    edges = np.array([*size, *size], np.float64)
    # Cut in pixels: 95 * (224 / 95) is less than 224, and a box outside would leave a sliver.
    placed = np.clip(np.array([*boxes], np.float64).reshape(-1, 4), 0, edges)
    placed = placed[(placed[:, 2] > placed[:, 0]) & (placed[:, 3] > placed[:, 1])] * SIDE / edges
    small = None if mask is None else _shrunk(mask)
    hidden = None if ignore is None else _shrunk(ignore)
    if small is not None and not len(placed):
        placed = box_of(small)
    return Truth(placed, small, hidden, size)


def _shrunk(mask: np.ndarray) -> np.ndarray:
    """A mask on the canvas: pixels that it covers by at least half."""
    area = cv2.resize(mask.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return area >= 0.5


@dataclass(frozen=True, slots=True)
class Annotations:
    """Where the objects of a set are.

    Attributes:
        boxes: by relative path, in the photograph's pixels.
        masks: files by relative path.
        trimap: whether the masks are trimaps.
    """

    boxes: dict[str, tuple[Box, ...]] = field(default_factory=dict)
    masks: dict[str, Path] = field(default_factory=dict)
    trimap: bool = False

    def __bool__(self) -> bool:
        return bool(self.boxes or self.masks)

    def __contains__(self, rel: str) -> bool:
        return rel in self.boxes or rel in self.masks

    def of_label(
        self, rel: str, label: int | None, alone: bool, classes: tuple[str, ...]
    ) -> Annotations | None:
        """Those of one label of a photograph that can have several; None where it is not told.

        Boxes that name what is in them are of that label. What names nothing is the label's if
        the photograph has no other.

        Args:
            rel: relative path of the photograph.
            label: index of the label; None where no label is known.
            alone: whether the photograph is known to have this label only.
            classes: the labels' names.
        """
        boxes = self.boxes.get(rel, ())
        if label is None:
            return None
        own = [box for box in boxes if isinstance(box, NamedBox) and box.name]
        if own and len(own) == len(boxes):
            mine = tuple(box for box in own if label_index(box.name, classes) == label)
            return Annotations({rel: mine}) if mine else None
        return self if alone else None

    def truth(self, rel: str, size: tuple[int, int]) -> Truth:
        """The annotation of one photograph of (width, height) pixels."""
        mask, ignore = (
            read_mask(self.masks[rel], trimap=self.trimap) if rel in self.masks else (None, None)
        )
        return truth_of(size, self.boxes.get(rel, ()), mask, ignore)
