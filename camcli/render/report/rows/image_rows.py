"""From a run's table and maps to the rows of a page.

The page knows classes by number; their names are sent once. A row has one *side* for each run that
it shows: one in a report, two in a comparison.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from camcli.cam.difference_facts import STRAIGHT
from camcli.data.decode.fit import seen_share
from camcli.data.sources.label_tables import split_labels
from camcli.models.classes.imagenet import imagenet_classes, plain, wnid_index
from camcli.ours import Inside, finite_number
from camcli.render.report.rows.beside import Beside
from camcli.render.report.rows.heat import PageMap
from camcli.render.report.rows.objects import Annotator, Objects

RIGHT, WRONG, UNKNOWN, ERROR, MISSING = "r", "w", "u", "e", "m"


@dataclass(slots=True)
class RunData:
    """A run, as whoever knows its folder hands it over.

    Attributes:
        name: what to call it.
        path: its folder, where ``overlays/`` is.
        info: what ``run.json`` says.
        rows: of the table, column name -> text.
        heatmaps: the maps: ``path``, ``view``, ``maps`` and ``truth``, with ``values`` as arrays,
            and ``features``.
        beside: what other commands found out about it.
        annotator: knows where the objects of its photographs are; None if nobody said.
    """

    name: str
    path: Path
    info: Mapping[str, Any]
    rows: Iterable[Mapping[str, str]]
    heatmaps: Iterable[Mapping[str, Any]] = ()
    beside: Beside = field(default_factory=Beside)
    annotator: Annotator | None = None

    @property
    def source(self) -> Path:
        """The folder that the rows' paths are relative to; one that is not there if not known."""
        source = self.setting("source")
        known = isinstance(source, str) and "\0" not in source
        return Path(source) if known and source else self.path / "source-not-recorded"

    @property
    def signed(self) -> bool:
        """Whether its pictures show negative evidence, too."""
        style = self.setting("style")
        return isinstance(style, Mapping) and style.get("signed") is True

    def setting(self, name: str) -> Any:
        """One of the settings that decided the rows; None if it was not recorded."""
        config = self.info.get("config")
        return config.get(name) if isinstance(config, Mapping) else None


@dataclass(slots=True)
class Side:
    """What one run says about one image.

    Attributes:
        verdict: right, wrong, unknown (no usable label), error, or missing from this run.
        pred: number of the predicted class; -1 on error.
        prob: its probability.
        top: further (class, probability), best first.
        border: share of the heat in the outer tenth of the frame; None where there is no heat.
        area: share of the view that is hot.
        box: around the hottest region, (x0, y0, x1, y1) in pixels.
        overlay: its picture relative to the run's folder, or None.
        error: why there is no prediction.
        view: the part of the photograph that the network saw, in its pixels; None if not known.
        maps: one for each explained class.
        truth: of the true class, where it is not among them.
        difference: of the prediction minus the class `against`, signed; None where there is none.
        against: number of that class; -1 where there is none.
        either: `maps` with what is negative in them, where the difference of any two of them can
            be taken; else empty.
        empty: there is no positive evidence.
        outside: the photograph would lie outside of the run's source, where nothing is taken from.
        positives: numbers of the labels that are predicted, the likeliest first; None where classes
            exclude each other.
        value: what the network says where its outputs are values, with its name; else None.
        number: the value alone; None where there is none, or none that is finite.
        seen: share of the photograph that the network saw; None if not known.
        on_object: share of the heat that lies on the object, where boxes or masks are known.
        features: what the photograph is to the network, (n,) float16; None if not known.
    """

    verdict: str
    pred: int = -1
    prob: float = 0.0
    top: list[tuple[int, float]] = field(default_factory=list)
    border: float | None = None
    area: float | None = None
    box: list[int] | None = None
    overlay: str | None = None
    error: str | None = None
    view: list[float] | None = None
    maps: list[PageMap] = field(default_factory=list)
    truth: PageMap | None = None
    difference: PageMap | None = None
    against: int = -1
    either: list[PageMap] = field(default_factory=list)
    empty: bool = False
    outside: bool = False
    positives: list[int] | None = None
    value: str | None = None
    number: float | None = None
    seen: float | None = None
    on_object: float | None = None
    features: np.ndarray | None = None


@dataclass(slots=True)
class ImageRow:
    """One image.

    Attributes:
        path: relative to the source.
        label: number of its true class; -1 if unknown.
        seq: its place in the table.
        size: (width, height) in pixels; None if it could not be read.
        sides: what each run says.
        similarity: cosine of the two sides' maps, in [0, 1]; None where there are none.
        labels: numbers of its true labels, where an image has any number of them and they are
            known; else None. `label` is then -1.
        objects: where its objects are; None where nobody said.
        was: of a comparison, `label` in the first run, where that was another class.
        were: likewise `labels`.
        moved: likewise its path in the second run, where that is another one.
        change: likewise what became of it, as `camcli.render.report.compare.change` calls it.
    """

    path: str
    label: int
    seq: int
    size: tuple[int, int] | None
    sides: list[Side]
    similarity: float | None = None
    labels: list[int] | None = None
    objects: Objects | None = None
    was: int | None = None
    were: list[int] | None = None
    moved: str | None = None
    change: str = ""

    def label_of(self, side: int) -> int:
        """`label` as the run of a side has it."""
        return self.label if side or self.was is None else self.was

    def labels_of(self, side: int) -> list[int] | None:
        """`labels` as the run of a side has them."""
        return self.labels if side or self.were is None else self.were


class Names:
    """Numbers for class names, in the order in which they are first met."""

    def __init__(self) -> None:
        self.list: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        """The number of a name; a new one gets the next."""
        if name not in self._numbers:
            self._numbers[name] = len(self.list)
            self.list.append(name)
        return self._numbers[name]


def is_straight(run: RunData) -> bool:
    """Whether the difference of two of its maps is the map of the difference."""
    plain = run.setting("smooth") is None and "," not in str(run.setting("layer"))
    scores = run.setting("score") in ("logit", "contrast")
    return plain and scores and run.setting("method") in STRAIGHT


def read_rows(run: RunData, names: Names, signed: bool = False) -> list[ImageRow]:
    """All rows of a run, each with one side.

    Args:
        run: its rows and maps are consumed.
        names: gets the classes that occur.
        signed: keep the maps' negative evidence.

    Returns:
        The rows in the order of the table; no pictures are held.
    """
    photos, pictures = Inside(run.source), Inside(run.path)
    heats: dict[str, Mapping[str, Any]] = {}  # as they are, where objects are measured by them
    maps: dict[str, Side] = {}
    straight = is_straight(run)
    features: dict[str, np.ndarray] = {}
    for record in run.heatmaps:
        if record.get("features") is not None:
            features[record["path"]] = record["features"]
        maps[record["path"]] = _seen_in(record, names, signed, straight)
        if run.annotator is not None and record["path"] in run.annotator:
            heats[record["path"]] = record["maps"][0]
    rows: dict[str, ImageRow] = {}  # a list of files may name one twice; then the later row counts
    labels: dict[str, str] = {}
    for values in run.rows:
        path = values["path"]
        side = _side(values, names)
        seen = maps.get(path)
        width, height = _whole(values.get("width")), _whole(values.get("height"))
        size = (width, height) if width and height else None
        if seen and not (seen.view and size and not _plausible(seen.view, size)):
            for name in _OF_MAPS:
                setattr(side, name, getattr(seen, name))
        side.features = features.get(path)
        side.seen = seen_share(_edges(side.view), width, height)
        if side.seen is None:  # the maps are not there, but the table may say it
            side.seen = _share(values.get("seen"))
        side.outside = not photos.holds(path)
        if side.overlay is not None and not pictures.holds(side.overlay):
            side.overlay = None
        rows[path] = ImageRow(path, -1, len(rows), size, [side])
        if side.positives is not None:
            if side.verdict in (RIGHT, WRONG):
                rows[path].labels = [names.number(n) for n in split_labels(values["labels"])]
            elif values.get("label"):  # what names none of the network's labels
                rows[path].label = names.number(values["label"])
        elif label := values.get("label"):
            labels[path] = sys.intern(label)
        _add_objects(rows[path], run.annotator, heats.get(path))
    known = _label_names(((label, rows[path].sides[0]) for path, label in labels.items()), names)
    for path, label in labels.items():
        rows[path].label = names.number(known.get(label, label))
    return list(rows.values())


_OF_MAPS = ("view", "maps", "truth", "difference", "against", "either")


def _seen_in(record: Mapping[str, Any], names: Names, signed: bool, straight: bool) -> Side:
    """What a line of maps says, as those attributes of a side."""
    view = [float(v) for v in record["view"]]
    one, against = record.get("difference"), record.get("against")
    difference = None if one is None or against is None else PageMap.of(one, names.number, True)
    several = straight and len(record["maps"]) > 1
    return Side(
        UNKNOWN,
        view=view if len(view) == 4 else None,
        maps=[PageMap.of(each, names.number, signed) for each in record["maps"]],
        truth=PageMap.of(record["truth"], names.number, signed) if record["truth"] else None,
        difference=difference,
        against=-1 if difference is None else names.number(str(against)),
        either=[PageMap.of(each, names.number, signed=True) for each in record["maps"]]
        if several
        else [],
    )


def _side(values: Mapping[str, str], names: Names) -> Side:
    if values.get("status") == "error":
        return Side(ERROR, error=values.get("error") or "unknown error")
    verdict = {"1": RIGHT, "0": WRONG}.get(values.get("correct") or "", UNKNOWN)
    if "value" in values:
        target = values.get("target") or ""
        between = ": " if target[-1:].isdigit() else " "  # not to be read as one number
        told = f"{target}{between}{values['value'] or ''}".strip()
        side = Side(UNKNOWN, names.number(target), value=told)
        side.number = finite_number(values["value"])
        _add_heat(side, values)
        return side
    side = Side(verdict, names.number(values.get("pred") or ""), _share(values.get("prob")) or 0.0)
    for n in range(2, 1000):
        name = values.get(f"top{n}")
        if not name:
            break
        side.top.append((names.number(name), _share(values.get(f"top{n}_prob")) or 0.0))
    if "positives" in values and "labels" in values:
        side.positives = [names.number(name) for name in split_labels(values["positives"] or "")]
    _add_heat(side, values)
    return side


def _add_objects(
    row: ImageRow, annotator: Annotator | None, heat: Mapping[str, Any] | None
) -> None:
    """Where the objects of a photograph are, and how much of its heat lies on them."""
    side = row.sides[0]
    if annotator is None or row.size is None or row.path not in annotator:
        return
    heat = heat if side.maps else None  # a map whose view cannot be right is not measured
    labels = 1 if row.labels is None else len(row.labels)
    row.objects = annotator.objects(row.path, row.size, side.view, heat, labels)
    side.on_object = row.objects.share if row.objects else None


def _add_heat(side: Side, values: Mapping[str, str]) -> None:
    """Where the heat of a row lies, and its picture."""
    side.empty = values.get("status") == "empty"
    if not side.empty:
        side.border = _share(values.get("heat_border"))
        side.area = _share(values.get("heat_area"))
    box = [_whole(values.get(f"box_{k}")) for k in ("x0", "y0", "x1", "y1")]
    side.box = [edge for edge in box if edge is not None] if None not in box else None
    side.overlay = values.get("overlay") or None


def _label_names(labelled: Iterable[tuple[str, Side]], names: Names) -> dict[str, str]:
    """What the network calls the labels: n02099601 is its "golden retriever".

    A right prediction says so, as does the map of a true class; a WordNet id can be looked up, and
    the rest keep the spelling of the folder or differ from a class in spelling only.
    """
    found: dict[str, str] = {}
    others: set[str] = set()
    for label, side in labelled:
        if label in found:
            continue
        if side.verdict == RIGHT:
            found[label] = names.list[side.pred]
        elif side.verdict == WRONG and side.truth is not None:
            found[label] = names.list[side.truth.target]
        else:
            others.add(label)
    spelled = {plain(name): name for name in names.list}
    for label in others - found.keys():
        index = wnid_index(label)
        name = spelled.get(plain(label)) if index is None else imagenet_classes()[index]
        if name is not None:
            found[label] = name
    return found


def _edges(view: list[float] | None) -> tuple[float, float, float, float] | None:
    return None if view is None else (view[0], view[1], view[2], view[3])


def _share(text: str | None) -> float | None:
    value = finite_number(text)
    return None if value is None else min(1.0, max(0.0, value))


def _whole(text: str | None) -> int | None:
    value = finite_number(text)
    return None if value is None or abs(value) >= 1 << 31 else round(value)


def _plausible(view: list[float], size: tuple[int, int]) -> bool:
    """Whether what the network saw is the photograph, with margins at most as large as it is."""
    long = max(size)
    return (
        all(-long <= edge <= 2 * long for edge in view) and view[0] < view[2] and view[1] < view[3]
    )


def in_order(rows: list[ImageRow]) -> list[ImageRow]:
    """Rows with the most suspicious first: what a reader wants to see, and the page's own order.

    Wrong ones, the most confident first; then those that nobody can judge and the right ones, the
    least confident first; failed ones last.
    """
    group = {WRONG: 0, UNKNOWN: 1, RIGHT: 2, ERROR: 3, MISSING: 3}

    def key(row: ImageRow) -> tuple[int, float, int]:
        side = row.sides[0]
        return group[side.verdict], -side.prob if side.verdict == WRONG else side.prob, row.seq

    return sorted(rows, key=key)


def view_or_all(row: ImageRow, side: Side) -> np.ndarray:
    """The view of a side as (4,) shares of the photograph: x0, y0, x1, y1."""
    if side.view is None or row.size is None:
        return np.array([0.0, 0.0, 1.0, 1.0])
    width, height = row.size
    return np.array(side.view) / [width, height, width, height]
