"""Where the maps should lie: the annotations that belong to the photographs; without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camcli.errors import UsageError
from camcli.printable import counted, printable
from camcli.train.progress import Listener

if TYPE_CHECKING:
    from camcli.data.sources.refs import ImageRef


@dataclass(frozen=True, slots=True)
class Truths:
    """The annotations that belong to the photographs, read without torch.

    Attributes:
        boxes: by relative path, in the photograph's pixels.
        masks: files by relative path.
        trimap: whether those are trimaps.
    """

    boxes: dict[str, Any]
    masks: dict[str, Path]
    trimap: bool


def find_truths(
    refs: Sequence[ImageRef],
    *,
    boxes: Path | None,
    masks: Path | None,
    trimap: bool,
    listener: Listener | None,
    warn: Callable[[str], object] | None = None,
) -> Truths:
    """The annotations of photographs.

    Args:
        refs: the photographs.
        boxes: where their boxes are.
        masks: where their masks are.
        trimap: whether those are trimaps.
        listener: told how many have none; None for nobody.
        warn: told of boxes on pictures of another size; the listener by default.

    Raises:
        UsageError: broken annotations, or none that belongs to a photograph.
    """
    from camcli.evaluate.measured.annotations import check_trimap, find_masks, read_boxes
    from camcli.evaluate.measured.box_sizes import fitted

    warn = warn or (listener.warn if listener else lambda text: None)
    found = Truths(
        fitted(read_boxes(boxes).match(refs), refs, warn) if boxes else {},
        find_masks(masks, refs) if masks else {},
        trimap,
    )
    if trimap and found.masks:
        check_trimap(next(iter(found.masks.values())))
    if listener and (found.boxes or found.masks):
        missing = sum(ref.rel not in found.boxes and ref.rel not in found.masks for ref in refs)
        if missing:
            listener.say(
                f"Of {counted(len(refs), 'photograph')} {missing} "
                f"{'has no annotation and does' if missing == 1 else 'have no annotation and do'} "
                "not count."
            )
    return found


def outside_words(rels: Sequence[str]) -> str:
    """That none of the boxes of photographs, at least one, is in the picture."""
    more = f" and of {counted(len(rels) - 1, 'other')}" if len(rels) > 1 else ""
    return (
        f"the boxes of {printable(rels[0])}{more} lie outside the picture. Are they of other "
        "photographs, or of another size?"
    )


def cut_words(cut: Mapping[str, str]) -> str:
    """That boxes of photographs, at least one, are cut at the edges of their pictures.

    Args:
        cut: by relative path, as `camcli.evaluate.measured.box_sizes.cut_box` says it.
    """
    rel, box = next(iter(cut.items()))
    return (
        "what reaches out of the picture is cut at its edges, in "
        f"{counted(len(cut), 'photograph')}; the first box is that of {printable(rel)}, {box}. "
        "Were they drawn on pictures of another size, or are they x,y,width,height?"
    )


def without(truths: Truths, some: Mapping[str, Any], listener: Listener) -> Truths:
    """The annotations of the photographs that are not among some.

    Args:
        truths: of all.
        some: by relative path.
        listener: told how many were left out.

    Raises:
        UsageError: no other has an annotation.
    """
    known = truths.boxes.keys() | truths.masks.keys()
    if not known & some.keys():
        return truths
    if not known - some.keys():
        raise UsageError(
            "All photographs that --boxes and --masks annotate take part in --calibrate, so none "
            "is left to be measured: leave these out, or calibrate by fewer."
        )
    listener.say(
        f"{counted(len(known & some.keys()), 'photograph')} of --calibrate "
        "do not count among those of --boxes and --masks."
    )
    return Truths(
        {rel: each for rel, each in truths.boxes.items() if rel not in some},
        {rel: each for rel, each in truths.masks.items() if rel not in some},
        truths.trimap,
    )
