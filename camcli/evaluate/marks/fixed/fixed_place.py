"""Marks at a fixed place: rulers, lines of text, dates, logos that a predicted class has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.findings.pixel_cache import PixelCache
from camcli.evaluate.findings.suspect import Region, Suspect
from camcli.evaluate.marks.association import Association, association, believed
from camcli.evaluate.marks.fixed.canvases import LONG, SharedCanvas, Strokes, laid
from camcli.evaluate.marks.fixed.fixed_change import FixedChange, box_in
from camcli.evaluate.marks.fixed.laid_together import DifferingPlace, differing_patches
from camcli.evaluate.marks.fixed.likeness import PlaceLikeness, likeness
from camcli.evaluate.marks.place_words import place_words, size_words
from camcli.train.progress import Listener

OTHERS = 60  # photographs of other classes that a class is compared with
PLACES = 4  # places of a class that are looked at
WAYS = 2  # ways of laying photographs on each other in which each is looked at
DONORS = 16  # photographs whose marks are put on others
TESTS = 10  # that p is corrected for, beside the lots that were drawn
# The place was chosen for how much the class differs there, so it must differ clearly.
LEAST_SHARE = 0.33  # of the class that has it, less the others'
TALL = 240  # pixels of the longer side of the picture that is shown


@dataclass(frozen=True, slots=True, eq=False)
class FixedMark:
    """A mark and the photographs that have it.

    Attributes:
        patch: where it is.
        like: how much each photograph has it.
        found: how much more often the class has it.
    """

    patch: DifferingPlace
    like: PlaceLikeness
    found: Association

    @property
    def worth(self) -> float:
        """How clearly the class has it."""
        own = self.like.scores[: self.found.looked]
        return float(np.clip(own - self.like.limit, 0, None).sum()) * self.found.effect


def fixed_marks(
    groups: Mapping[str, Sequence[AuditedPhoto]],
    pixels: PixelCache,
    clock: Clock,
    listener: Listener,
) -> list[Suspect]:
    """What is drawn at the same place in photographs of one predicted class, and not in others.

    The place may be anchored to any corner, side or the middle, and its size be in pixels or in
    shares of the photograph. Each class is compared with at most `OTHERS` photographs of others.

    Args:
        groups: photographs by predicted class.
        pixels: their pixels.
        clock: what is not looked at for want of time is told to it.
        listener: told how far it is.

    Returns:
        Suspects of kind ``mark``, the strongest first.
    """
    suspects: list[Suspect] = []
    labels = [label for label, photos in groups.items() if photos]
    if len(labels) < 2:
        return suspects
    drawn = Strokes(pixels, [photo for label in labels for photo in groups[label]])
    both: list[DifferingPlace] | None = None
    with listener.bar("marks at fixed places", len(labels), "class") as bar:
        for label in labels:
            if clock.over:
                clock.skip("marks at fixed places of some classes, for want of time")
                break
            own, others = list(groups[label]), _others(label, labels, groups)
            patches = differing_patches(own, others, drawn, clock) if both is None else both
            if len(labels) == 2 and len(own) + len(others) == sum(map(len, groups.values())):
                both = patches  # two classes differ from each other at the same places
            suspects += _of_class(label, own, others, patches, drawn, pixels)
            bar.advance(1)
    return sorted(suspects, key=lambda suspect: -suspect.effect)


def _others(
    label: str, labels: Sequence[str], groups: Mapping[str, Sequence[AuditedPhoto]]
) -> list[AuditedPhoto]:
    """Photographs of other classes, as many of each as there is room for."""
    rest = [name for name in labels if name != label]
    queues = [list(groups[name]) for name in rest]
    chosen: list[AuditedPhoto] = []
    most = max(OTHERS, len(groups[label]))
    for turn in range(max(map(len, queues))):
        # Another class begins each turn, so that all have their say where there are many.
        start = turn % len(queues)
        for queue in queues[start:] + queues[:start]:
            if turn < len(queue) and len(chosen) < most:
                chosen.append(queue[turn])
    return chosen


def _of_class(
    label: str,
    own: list[AuditedPhoto],
    others: list[AuditedPhoto],
    patches: Sequence[DifferingPlace],
    drawn: Strokes,
    pixels: PixelCache,
) -> list[Suspect]:
    """The marks of one class."""
    marks = []
    for ways in _places(patches, own, drawn, pixels)[:PLACES]:
        tried = [_mark(label, patch, own, others, drawn) for patch in ways[:WAYS]]
        believable = [mark for mark in tried if mark is not None]
        if believable:
            marks.append(max(believable, key=lambda mark: mark.worth))
    suspects: list[Suspect] = []
    for mark in sorted(marks, key=lambda mark: -mark.worth):
        suspect = _suspect(mark, own, others, drawn, pixels)
        if suspect is not None and not any(_part(suspect, known) for known in suspects):
            suspects.append(suspect)
    return suspects


def _part(suspect: Suspect, known: Suspect) -> bool:
    """Whether a suspect is a piece of another, or the other way round."""
    shared = suspect.regions.keys() & known.regions.keys()
    if len(shared) < 0.6 * min(suspect.present, known.present):
        return False
    meeting = [
        rel
        for rel in shared
        if (one := suspect.regions[rel]) and (other := known.regions[rel]) and _meet(one, other)
    ]
    return len(meeting) > 0.6 * len(shared)


def _mark(
    label: str,
    patch: DifferingPlace,
    own: list[AuditedPhoto],
    others: list[AuditedPhoto],
    drawn: Strokes,
) -> FixedMark | None:
    """What the class has at a place, if photographs bear it out one by one."""
    like = likeness(patch, own, others, drawn)
    photos = [*own, *others]
    having = {
        photo.rel for photo, score in zip(photos, like.scores, strict=True) if score > like.limit
    }
    found = association(label, {label: own, "": others}, having)
    if not believed(found, TESTS, photos, having, least=LEAST_SHARE):
        return None
    return FixedMark(patch, like, found)


def _places(
    patches: Sequence[DifferingPlace],
    own: Sequence[AuditedPhoto],
    drawn: Strokes,
    pixels: PixelCache,
) -> list[list[DifferingPlace]]:
    """Patches that are at one place of the photographs, together; the clearest first."""
    some = [(photo, rgb) for photo in own[:: max(1, len(own) // 8)] if (rgb := pixels(photo))
            is not None]  # fmt: skip
    together: list[tuple[list[DifferingPlace], list[Region]]] = []
    for patch in patches:
        regions = [_region(photo, rgb, patch, drawn) for photo, rgb in some]
        for known, at in together:
            if sum(map(_meet, at, regions)) > len(some) / 2:
                known.append(patch)
                break
        else:
            together.append(([patch], regions))
    return [known for known, _ in together]


def _meet(one: Region, other: Region) -> bool:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    least = min((r[2] - r[0]) * (r[3] - r[1]) for r in (one, other))
    return width > 0 and height > 0 and width * height > 0.2 * least


def _region(
    photo: AuditedPhoto,
    rgb: np.ndarray,
    patch: DifferingPlace,
    drawn: Strokes,
    shift: np.ndarray | None = None,
) -> Region:
    """Where a patch is in a photograph, as shares; it may reach beyond it."""
    ratio = drawn.ratio(photo, rgb, patch.canvas.scale)
    height, width = (max(1, round(length * ratio)) for length in rgb.shape[:2])
    x, y = patch.canvas.corner((height, width))
    if shift is not None:
        x, y = x + int(shift[0]), y + int(shift[1])
    left, top, right, bottom = patch.box
    return (x + left) / width, (y + top) / height, (x + right) / width, (y + bottom) / height


def _suspect(
    mark: FixedMark,
    own: list[AuditedPhoto],
    others: list[AuditedPhoto],
    drawn: Strokes,
    pixels: PixelCache,
) -> Suspect | None:
    """A mark as a suspect, with its extent and its change."""
    photos = [*own, *others]
    found, like = mark.found, mark.like
    having = found.inside | found.outside
    members = [n for n, photo in enumerate(own) if photo.rel in found.inside]
    patch = _whole(mark.patch, [(own[n], like.shifts[n]) for n in members], drawn)
    regions: dict[str, Region] = {}
    sizes = []
    for number, photo in enumerate(photos):
        rgb = pixels(photo) if photo.rel in having else None
        if rgb is None:
            continue
        at = _region(photo, rgb, patch, drawn, like.shifts[number])
        left, top, right, bottom = (min(max(value, 0.0), 1.0) for value in at)
        if right > left and bottom > top:
            regions[photo.rel] = left, top, right, bottom
            sizes.append(((right - left) * photo.size[0], (bottom - top) * photo.size[1]))
    inside = {rel: region for rel, region in regions.items() if rel in found.inside}
    best = sorted(members, key=lambda n: -like.scores[n])
    donors = [(own[n], rgb) for n in best[:DONORS] if own[n].rel in inside
              and (rgb := pixels(own[n])) is not None]  # fmt: skip
    if not donors:
        return None
    plain = [(photo, rgb) for photo in others[:: max(1, len(others) // DONORS)]
             if photo.rel not in having and (rgb := pixels(photo)) is not None]  # fmt: skip
    change = FixedChange(
        regions, lambda photo, rgb: _region(photo, rgb, patch, drawn), donors, plain
    )
    return Suspect(
        kind="mark",
        label=found.label,
        what=f"a mark of {size_words(sizes)}, {place_words(list(inside.values()))}",
        regions=inside,
        looked=found.looked,
        elsewhere=len(found.outside),
        elsewhere_looked=found.elsewhere_looked,
        effect=found.effect,
        p=min(1.0, max(found.p * TESTS, mark.patch.p)),
        change=change,
        picture=_picture(donors[0][1], inside[donors[0][0].rel]),
        having=found.outside,
    )


def _whole(
    patch: DifferingPlace, members: Sequence[tuple[AuditedPhoto, np.ndarray]], drawn: Strokes
) -> DifferingPlace:
    """As far as those that have the mark agree: the place at which it was found may be a part."""
    # Seen on a larger canvas: a line of text may be found by what is of it along a side.
    large = SharedCanvas(patch.canvas.scale, patch.canvas.anchor, (LONG, LONG))
    x, y = large.corner(patch.canvas.size[::-1])
    left, top, right, bottom = (value - (y if n % 2 else x) for n, value in enumerate(patch.box))
    total = squares = None
    for photo, shift in members:
        features = drawn(photo, patch.canvas.scale)
        if features is None:
            continue
        one = np.roll(laid(features[0], large), -shift, (2, 1)).astype(np.float32)
        total = one if total is None else total + one
        squares = one**2 if squares is None else squares + one**2
    if total is None or squares is None:
        return patch
    count = len(members)
    mean = total / count
    spread = np.sqrt(np.maximum(squares / count - mean**2, 0) + 12.0**2)
    # Of 1 by chance, whatever the number of photographs.
    each = count * (mean / spread) ** 2
    edges, colours = (cv2.blur(each[n : n + 2].max(0), (3, 3)) for n in (0, 2))
    peak = float(np.quantile(edges[top:bottom, left:right], 0.9))
    around = np.s_[max(0, top - 16) : bottom + 16, max(0, left - 16) : right + 16]
    # Around a coloured mark all is unlike it, though far less so than the mark.
    coloured = colours > np.clip(0.2 * float(colours[around].max()), 40.0, 110.0)
    near = ((edges > max(0.08 * peak, 9.0 if count >= 16 else 12.0)) | coloured).astype(np.uint8)
    near = cv2.morphologyEx(near, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))  # letters to lines
    clear = ((edges > max(0.15 * peak, 16.0)) | coloured).astype(np.uint8)
    joined = cv2.morphologyEx(clear, cv2.MORPH_CLOSE, np.ones((19, 19), np.uint8))
    near = np.maximum(near, joined)  # a sign and its name
    _, names = cv2.connectedComponents(near)
    inside = np.bincount(names[top:bottom, left:right].ravel(), minlength=names.max() + 1)
    inside[0] = 0
    chosen = np.isin(names, np.flatnonzero(inside > 0.1 * max(inside.sum(), 1)))
    rows, columns = np.flatnonzero(chosen.any(1)), np.flatnonzero(chosen.any(0))
    if not len(rows):
        return patch
    box = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    return DifferingPlace(large, box, patch.strength, patch.p)


def _picture(rgb: np.ndarray, region: Region) -> np.ndarray | None:
    """The mark in one photograph."""
    box = box_in(region, rgb.shape, 2)
    if box is None:
        return None
    piece = rgb[box[1] : box[3], box[0] : box[2]]
    ratio = TALL / max(piece.shape[:2])
    if ratio < 1:
        size = max(1, round(piece.shape[1] * ratio)), max(1, round(piece.shape[0] * ratio))
        piece = cv2.resize(piece, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(piece)
