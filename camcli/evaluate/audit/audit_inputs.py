"""What an audit starts from: photographs and a network, or the maps that a run kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from camcli.batch.run_files.run_paths import CSV, HEATMAPS
from camcli.batch.run_files.rundir import RunDirectory
from camcli.batch.tables.heatmaps import read_heatmaps
from camcli.batch.tables.reading import header, read_rows
from camcli.cam.automatic import suited
from camcli.cam.map_options import make_map_options
from camcli.data.decode.images import load_image
from camcli.data.sources.containers.lookup import ref_again
from camcli.data.sources.label_tables import split_labels
from camcli.data.sources.refs import Blob, ImageRef
from camcli.errors import CamcliError, ImageError, UsageError
from camcli.evaluate.audit.looked import Looked
from camcli.evaluate.audit.map_stats import fact_of
from camcli.evaluate.findings.audited_photo import AuditedPhoto
from camcli.evaluate.findings.clock import Clock
from camcli.evaluate.measured.annotations import find_masks, read_mask, truth_of
from camcli.evaluate.properties.measure import PhotoProperties, measure
from camcli.ours import Inside
from camcli.printable import counted

if TYPE_CHECKING:  # the maps that a run kept are read without torch, which takes seconds
    from torch import Tensor

    from camcli.models.classifier import Classifier


def from_photographs(
    classifier: Classifier,
    refs: Sequence[ImageRef],
    method: str,
    masks: Path | None,
    *,
    failed: Callable[[ImageError], object],
    progress: Callable[[], object],
    clock: Clock,
) -> Looked:
    """Run the network and look at its maps of what it predicts, contrasts between classes.

    Of a network of labels each true label of a photograph is looked at for itself: it is right
    where it is predicted. Its map is that of the label alone, as no other excludes it.

    Args:
        classifier: the network.
        refs: the photographs.
        method: name of the CAM.
        masks: folder of masks, or None.
        failed: told of unreadable photographs.
        progress: called after each photograph.
        clock: when it is over, the rest of the photographs is left out.

    Raises:
        UsageError: the network returns values.
    """
    from camcli.evaluate.measured.seen import see_photographs

    output, classes = classifier.output, classifier.classes
    if output.measures:
        raise UsageError(_VALUES.format(classifier.provenance.name))
    files = find_masks(masks, refs) if masks else {}
    # What speaks against a class is asked for, too.
    how = suited(make_map_options(method), classifier, signed=True)
    if how.method.class_specific and not how.method.images and not output.multi_label:
        # What speaks for the class rather than for any class.
        how = make_map_options(how.method.name, score="contrast")
    facts, photos = [], []
    properties: dict[str, PhotoProperties] = {}
    count = 0
    for seen in see_photographs(
        classifier, refs, {method: how}, features=True, every_label=True, predicted=True,
        failed=failed,
        also=lambda ref, rgb, data: properties.update({ref.rel: measure(rgb, ref, data)}),
    ):  # fmt: skip
        if seen.first:
            if clock.over:
                clock.skip(
                    f"{len(refs) - count} of {counted(len(refs), 'photograph')}, for want of time"
                )
                break
            progress()
            count += 1
        probs, several = seen.probs, seen.labels
        best = int(probs.argmax())
        if several is not None and not several:  # nothing is there that could be found
            continue
        pred, mask = classes[best], files.get(seen.ref.rel)
        if output.thresholds and not output.multi_label:
            best = int(output.best(seen.logits[None], 1)[0, 0])
            pred = classes[best]
        if several is not None:
            best = seen.index
            found = best in output.positives(probs.tolist())
            pred = classes[best] if found else f"not {classes[best]}"
            # It does not say which of several things it is of.
            mask = mask if len(several) == 1 else None
        facts.append(
            fact_of(
                seen.maps[method], seen.view, seen.size, rel=seen.ref.rel,
                label=None if seen.label is None else classes[seen.label],
                pred=pred, prob=float(probs[best]), mask=_mask(mask, seen.size),
                evidence=evidence_of(classifier, seen.features, seen.index), photo=seen.ref,
            )
        )  # fmt: skip
        last = facts[-1]
        photos.append(AuditedPhoto(seen.ref, last.label, last.pred, last.prob, seen.size))
    return Looked(tuple(facts), tuple(photos), properties)


_VALUES = (
    "{} returns values and no classes, and an audit compares what classes rest on: look at its "
    "maps with 'camcli batch', or measure where they lie with 'camcli evaluate --boxes'."
)


def evidence_of(classifier: Classifier, A: Tensor | None, index: int) -> np.ndarray | None:
    """What each channel says for a class rather than for any, (K, h, w), at least 0.

    max(w_c - mean w, 0) ⊙ A for a linear head; for another tail the channels themselves.
    """
    if A is None:
        return None
    if classifier.head is not None:
        w = classifier.head.weight[index] - classifier.head.weight.mean(0)
        A = w.clamp(min=0)[:, None, None] * A
    return A.float().cpu().numpy()


def from_run(folder: Path, masks: Path | None) -> Looked:
    """The maps that a run kept, and where its photographs should be; they are not read.

    Args:
        folder: a run directory.
        masks: folder of masks, or None.

    Raises:
        UsageError: the run kept no maps.
        CamcliError: a file cannot be read.
    """
    if not (folder / HEATMAPS).is_file():
        raise UsageError(
            f"{folder} holds no {HEATMAPS}: make the run anew with this version of camcli, or "
            "audit the photographs themselves."
        )
    columns = header(folder / CSV)
    if "pred" not in columns or "value" in columns:
        raise UsageError(_VALUES.format(f"The network of {folder}"))
    several = "positives" in columns
    maps = {record["path"]: record for record in read_heatmaps(folder / HEATMAPS)}
    needed = ("label", "pred", "prob", "correct", "width", "height")
    told = [
        row for row in read_rows(folder / CSV, needed)
        if all(row[name] for name in ("pred", "prob", "width", "height"))
    ]  # fmt: skip
    rows = [row for row in told if row["path"] in maps]
    lost: tuple[str, ...] = ()
    if len(rows) < len(told):
        lost = (
            f"{HEATMAPS} of the run has no map of {len(told) - len(rows)} of "
            f"{counted(len(told), 'photograph')} in {CSV}: it was cut short or changed.",
        )
    # Whatever a record says: what is no path names no folder.
    source = RunDirectory(folder).read_info().get("config", {}).get("source")
    root = Path(source) if isinstance(source, str) and "\0" not in source else folder
    inside = Inside(root)
    refs = [_ref(root, row["path"], row["label"] or None, inside) for row in rows]
    files = find_masks(masks, refs) if masks else {}
    facts, photos = [], []
    for row, ref in zip(rows, refs, strict=True):
        record = maps[row["path"]]
        first = record["maps"][0]
        if first["target"] != row["pred"]:
            raise UsageError(
                f"{folder} explains {first['target']!r} rather than the predicted classes: audit "
                "a run without --target."
            )
        size = int(row["width"]), int(row["height"])
        view = record["view"] or [0, 0, *size]
        if min(size) < 1 or not all(-max(size) <= edge <= 2 * max(size) for edge in view):
            raise CamcliError(
                f"{folder / HEATMAPS} and {CSV} do not fit together: {row['path']!r} is {size[0]}x"
                f"{size[1]} pixels and its map covers {view}. Make the run anew."
            )
        label = {"1": row["pred"], "0": row["label"] or None, "": None}[row["correct"]]
        pred, mask = row["pred"], files.get(row["path"])
        if several and row["correct"]:  # the map is of the likeliest label
            labels = split_labels(row["labels"])
            if not labels:
                continue
            label = pred if pred in labels else labels[0]
            if label == pred and pred not in split_labels(row["positives"]):
                pred = f"not {pred}"
            mask = mask if len(labels) == 1 else None
        facts.append(
            fact_of(
                first["values"], tuple(view), size, rel=row["path"], label=label,
                pred=pred, prob=float(row["prob"]), mask=_mask(mask, size), photo=ref,
            )
        )  # fmt: skip
        photos.append(AuditedPhoto(ref, label, pred, float(row["prob"]), size))
    return Looked(tuple(facts), tuple(photos), left_out=lost)


def seen_again(
    looked: Looked, refs: Sequence[ImageRef], clock: Clock, progress: Callable[[], object]
) -> Looked:
    """The photographs of a run, read again for what only pixels tell, where there is no network.

    Args:
        looked: as `from_run` has it.
        refs: its photographs, in the order in which they are read.
        clock: when it is over, the rest of the photographs is left out.
        progress: called after each photograph.

    Returns:
        With the photographs that are where they were, their properties, and what is wrong with
        those that are not.
    """
    properties: dict[str, PhotoProperties] = {}
    missing = []
    for count, ref in enumerate(refs):
        if clock.over:
            clock.skip(
                f"{len(refs) - count} of {counted(len(refs), 'photograph')}, for want of time"
            )
            break
        try:
            properties[ref.rel] = measure(load_image(ref), ref)
        except ImageError as error:
            missing.append(str(error))
        progress()
    photos = tuple(photo for photo in looked.photos if photo.rel in properties)
    return replace(looked, photos=photos, properties=properties, missing=tuple(missing))


def _ref(root: Path, rel: str, label: str | None, inside: Inside) -> ImageRef:
    """A row's photograph; nothing is taken from outside of the source, whatever a table says."""
    if inside.holds(rel):
        return ref_again(inside, root, rel, label)
    problem = "it is not below the run's photographs, so it is not read."
    return ImageRef(root / "outside", rel, label, Blob(str(root), problem=problem))


def _mask(file: Path | None, size: tuple[int, int]) -> np.ndarray | None:
    return None if file is None else truth_of(size, mask=read_mask(file)[0]).mask
