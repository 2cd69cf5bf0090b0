"""Boxes and masks for a run's page: read, matched and measured as ``camcli evaluate`` does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camcli.errors import UsageError
from camcli.jobs.beside.files import mapping
from camcli.printable import counted
from camcli.train.progress import Listener

if TYPE_CHECKING:
    import numpy as np

    from camcli.evaluate.measured.annotations import Annotations
    from camcli.evaluate.measured.square_canvas import Truth
    from camcli.render.report.rows.objects import Objects

# An outline is drawn a few hundred pixels wide: a corner more is not seen.
_CORNERS, _PARTS, _BOXES = 120, 20, 200
_SIDE = 1000


class Annotated:
    """The annotations of a run's photographs; see `camcli.render.report.rows.objects.Annotator`."""

    def __init__(
        self, annotations: Annotations, several: bool, warn: Callable[[str], object]
    ) -> None:
        """Take what was found.

        Args:
            annotations: by relative path.
            several: whether the network gives a photograph any number of labels.
            warn: told of each mask that cannot be read.
        """
        self._annotations, self._several, self._warn = annotations, several, warn
        self._warned: set[str] = set()
        self._outside: dict[str, None] = {}
        self._cut: dict[str, str] = {}
        self.tick: Callable[[], object] = lambda: None
        """Called after each photograph."""
        self.options: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len({*self._annotations.boxes, *self._annotations.masks})

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and path in self._annotations

    def objects(
        self,
        path: str,
        size: tuple[int, int],
        view: list[float] | None,
        heat: Mapping[str, Any] | None,
        labels: int,
    ) -> Objects | None:
        """See `camcli.render.report.rows.objects.Annotator.objects`."""
        from camcli.evaluate.measured.box_sizes import cut_box
        from camcli.evaluate.measured.square_canvas import paint
        from camcli.evaluate.metrics.localization import energy
        from camcli.render.report.rows.objects import Objects

        self.tick()
        try:
            truth = self._annotations.truth(path, size)
        except UsageError as error:
            if path not in self._warned:
                self._warned.add(path)
                self._warn(f"{error} Its photograph is shown without.")
            return None
        boxes = self._annotations.boxes.get(path, ())
        if boxes and truth.mask is None and not len(truth.boxes):
            self._outside.setdefault(path)
        elif (told := cut_box(boxes, size)) is not None:
            self._cut.setdefault(path, told)
        found = Objects(_boxes(boxes, size), _outlines(truth.mask))
        own = self._of(path, heat, labels, truth, size)
        region = None if heat is None or own is None else own.region
        if heat is not None and own is not None and region is not None and region.any():
            own = replace(own, mask=region)  # filled once
            whole = (0.0, 0.0, float(size[0]), float(size[1]))
            x0, y0, x1, y1 = view or whole
            found.share = energy(paint(heat["values"], (x0, y0, x1, y1), size), own)
        return found

    def tell_outside(self) -> None:
        """Say which boxes are not in their pictures, or not wholly, once all were asked for."""
        from camcli.evaluate.comparison.questions.truths import cut_words, outside_words

        if self._outside:
            self._warn(
                f"{counted(len(self._outside), 'photograph')} without a box that counts: "
                f"{outside_words(list(self._outside))}"
            )
        if self._cut:
            self._warn(f"In the boxes, {cut_words(self._cut)}")

    def _of(
        self,
        path: str,
        heat: Mapping[str, Any] | None,
        labels: int,
        truth: Truth,
        size: tuple[int, int],
    ) -> Truth | None:
        """What is annotated of the class that is explained; None where that is not told."""
        if not self._several or heat is None:
            return truth
        names = (str(heat["target"]),)
        own = self._annotations.of_label(path, 0, labels == 1, names)
        if own is None or own is self._annotations:
            return None if own is None else truth
        return own.truth(path, size)


def annotated(
    info: Mapping[str, Any],
    rows: Iterable[Mapping[str, str]],
    evaluation: Mapping[str, Any] | None,
    listener: Listener,
    *,
    boxes: Path | None,
    masks: Path | None,
    trimap: bool,
) -> Annotated | None:
    """Boxes and masks of a run's photographs: the user's, else those of an evaluation of them.

    Args:
        info: the content of ``run.json``.
        rows: of the run's table.
        evaluation: as `camcli.jobs.beside.evaluation.find_evaluation` gives it.
        listener: see `find_objects`; told, too, why those of the evaluation are not shown.
        boxes: by the user's word, as for `find_objects`.
        masks: likewise.
        trimap: likewise.

    Raises:
        UsageError: the user's are broken, or none of them belongs to a photograph.
    """
    asked = {"boxes": boxes, "masks": masks, "trimap": trimap}
    by_user = boxes is not None or masks is not None
    where = asked if by_user else recorded_objects(evaluation)
    if where is None:
        return None
    config = mapping(info.get("config"))
    source = config.get("source")
    try:
        found = find_objects(
            Path(source if isinstance(source, str) and "\0" not in source else "."),
            (row.get("path", "") for row in rows),
            several=config.get("output") == "sigmoid", listener=listener, **where,
        )  # fmt: skip
    except UsageError as error:
        if by_user:
            raise
        listener.say(f"The evaluation's boxes or masks are not shown: {error}")
        return None
    if by_user:
        named = (("--boxes", boxes), ("--masks", masks))
        found.options = tuple(w for o, path in named if path for w in (o, str(path)))
        if trimap:
            found.options += ("--trimap",)
    return found


def find_objects(
    source: Path,
    paths: Iterable[str],
    *,
    boxes: Path | None,
    masks: Path | None,
    trimap: bool,
    several: bool,
    listener: Listener,
) -> Annotated:
    """The annotations of a run's photographs.

    Args:
        source: the run's folder of photographs.
        paths: their relative paths.
        boxes: where their boxes are, in any form that ``camcli evaluate --boxes`` takes.
        masks: folder of their masks.
        trimap: whether those are trimaps.
        several: whether the network gives a photograph any number of labels.
        listener: told how many photographs have none, and of masks that cannot be read.

    Raises:
        UsageError: broken annotations, or none that belongs to a photograph.
    """
    from camcli.data.sources.refs import ImageRef
    from camcli.evaluate.comparison.questions.truths import find_truths
    from camcli.evaluate.measured.annotations import Annotations

    refs = [ImageRef(source / path, path, None) for path in dict.fromkeys(paths) if path]
    found = find_truths(refs, boxes=boxes, masks=masks, trimap=trimap, listener=listener)
    annotations = Annotations(found.boxes, found.masks, found.trimap)
    return Annotated(annotations, several, listener.warn)


def recorded_objects(evaluation: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Where an evaluation of the same photographs had its boxes and masks; None if it had none."""
    told = mapping(mapping(evaluation).get("annotations"))
    found: dict[str, Any] = {}
    for key in ("boxes", "masks"):
        value = told.get(key)
        if isinstance(value, str) and value and "\0" not in value:
            found[key] = Path(value)
    if not found:
        return None
    return {"boxes": None, "masks": None, **found, "trimap": told.get("trimap") is True}


def _boxes(boxes: Iterable[tuple[float, ...]], size: tuple[int, int]) -> list[list[int]]:
    """In thousandths of the photograph, cut at its edges; those without area are left out."""
    found = []
    for box in list(boxes)[:_BOXES]:
        edges = [
            round(_SIDE * min(1.0, max(0.0, value / size[n % 2]))) for n, value in enumerate(box)
        ]
        if edges[2] > edges[0] and edges[3] > edges[1]:
            found.append(edges)
    return found


def _outlines(mask: np.ndarray | None) -> list[list[int]]:
    """The edges of a mask on the canvas, (SIDE, SIDE) bool, with as few corners as are seen."""
    if mask is None or not mask.any():
        return []
    import cv2
    import numpy as np

    # Edges run between pixels: on a canvas that is twice as fine, with a margin, they do.
    fine = np.kron(mask.astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(np.pad(fine, 1), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    contours = sorted(contours, key=cv2.contourArea, reverse=True)[:_PARTS]
    scale = _SIDE / fine.shape[0]
    found = []
    for contour in contours:
        slack = 1.0
        corners = cv2.approxPolyDP(contour, slack, True)
        while len(corners) > _CORNERS:
            slack *= 1.5
            corners = cv2.approxPolyDP(contour, slack, True)
        if len(corners) > 2:
            placed = np.clip(np.rint((corners[:, 0] - 0.5) * scale), 0, _SIDE).astype(int)
            found.append(placed.ravel().tolist())
    return found
