"""Where an audit's facts come from, and the files that it leaves."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from torch import Tensor

from camcli.batch.heatmaps import read_heatmaps
from camcli.batch.journal import read_rows
from camcli.batch.rundir import CSV, HEATMAPS
from camcli.cam.look import make_how
from camcli.data.sources import ImageRef
from camcli.errors import CamcliError, ImageError, UsageError
from camcli.evaluate.annotations import find_masks, read_mask, truth_of
from camcli.evaluate.audit import ClassSummary, Fact, Suspicion, fact_of
from camcli.evaluate.clusters import LARGEST, kmeans, spectral, stretched
from camcli.evaluate.maps import see_photographs
from camcli.files import write_whole
from camcli.models.classifier import Classifier
from camcli.render.colormaps import get_colormap
from camcli.render.contact_sheet import Tile, contact_sheet
from camcli.render.picture import encode_jpeg

FILES = ("audit.json", "images.csv", "clusters.jpg")
DRAWN = 8  # classes whose clusters are drawn, those that look most suspicious first


def from_photographs(
    classifier: Classifier,
    refs: Sequence[ImageRef],
    method: str,
    masks: Path | None,
    *,
    failed: Callable[[ImageError], object],
    progress: Callable[[], object],
) -> list[Fact]:
    """Run the network and look at its maps; class-specific maps are contrasts between classes.

    Args:
        classifier: the network.
        refs: the photographs.
        method: name of the CAM.
        masks: folder of masks, or None.
        failed: told of unreadable photographs.
        progress: called after each photograph.
    """
    files = find_masks(masks, refs) if masks else {}
    how = make_how(method)
    if how.method.class_specific and not how.method.images:
        # What speaks for the class rather than for any class.
        how = make_how(method, score="contrast")
    facts = []
    for seen in see_photographs(classifier, refs, {method: how}, features=True, failed=failed):
        probs = seen.logits.softmax(0)
        best = int(probs.argmax())
        facts.append(
            fact_of(
                seen.maps[method], seen.view, seen.size, rel=seen.ref.rel,
                label=None if seen.label is None else classifier.classes[seen.label],
                pred=classifier.classes[best], prob=float(probs[best]),
                mask=_mask(files.get(seen.ref.rel), seen.size),
                evidence=evidence_of(classifier, seen.features, seen.index),
            )
        )  # fmt: skip
        progress()
    return facts


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


def from_run(folder: Path, masks: Path | None) -> list[Fact]:
    """The maps that a run kept.

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
    maps = {record["path"]: record for record in read_heatmaps(folder / HEATMAPS)}
    rows = [row for row in read_rows(folder / CSV) if row["path"] in maps and row["pred"]]
    refs = [ImageRef(folder / row["path"], row["path"], row["label"] or None) for row in rows]
    files = find_masks(masks, refs) if masks else {}
    facts = []
    for row in rows:
        record = maps[row["path"]]
        first = record["maps"][0]
        if first["target"] != row["pred"]:
            raise UsageError(
                f"{folder} explains {first['target']!r} rather than the predicted classes: audit "
                "a run without --target."
            )
        size = int(row["width"]), int(row["height"])
        label = {"1": row["pred"], "0": row["label"], "": None}[row["correct"]]
        facts.append(
            fact_of(
                first["values"], tuple(record["view"]), size, rel=row["path"], label=label,
                pred=row["pred"], prob=float(row["prob"]),
                mask=_mask(files.get(row["path"]), size),
            )
        )  # fmt: skip
    return facts


def _mask(file: Path | None, size: tuple[int, int]) -> np.ndarray | None:
    return None if file is None else truth_of(size, mask=read_mask(file)[0]).mask


def check_out(out: Path, *, overwrite: bool) -> None:
    """Refuse to replace an earlier audit unasked.

    Raises:
        UsageError: there is one.
    """
    for name in FILES:
        if not overwrite and (out / name).exists():
            raise UsageError(f"{out / name} exists. Add --overwrite, or choose another --out.")


def save(
    out: Path,
    facts: Sequence[Fact],
    found: Sequence[Suspicion],
    rows: Sequence[ClassSummary],
    *,
    spectral: bool,
    k: int,
    stretch: bool,
) -> str:
    """Cluster the maps of each class and write everything, each file whole or not at all.

    Args:
        out: folder, made if needed.
        facts: of all photographs.
        found: the suspicions.
        rows: the classes, in the order in which they are shown.
        spectral: spectral clusters rather than k-means.
        k: most clusters a class.
        stretch: stretch each map's histogram first.

    Returns:
        The names of the files, for a message.

    Raises:
        UsageError: a class has too many photographs for spectral clusters.
        CamcliError: nothing can be written.
    """
    numbers = cluster_classes(facts, use_spectral=spectral, k=k, stretch=stretch)
    files: dict[str, bytes | str] = {
        "audit.json": _json(facts, found, rows, numbers),
        "images.csv": _csv(facts, numbers),
    }
    picture = draw_clusters(facts, rows, numbers)
    if picture is not None:
        files["clusters.jpg"] = encode_jpeg(picture, 90)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_whole(out / name, content)
    except OSError as error:
        raise CamcliError(f"Cannot write {out}: {error.strerror}.") from error
    return ", ".join(files)


def cluster_classes(
    facts: Sequence[Fact], *, use_spectral: bool, k: int, stretch: bool
) -> dict[str, int]:
    """Relative path -> number of its cluster within the predicted class; empty maps have none.

    Raises:
        UsageError: a class has too many photographs for spectral clusters.
    """
    classes: dict[str, list[Fact]] = {}
    for fact in facts:
        if not fact.empty:
            classes.setdefault(fact.pred, []).append(fact)
    numbers: dict[str, int] = {}
    for name, own in classes.items():
        points = np.stack([(stretched(f.thumb) if stretch else f.thumb).ravel() for f in own])
        if use_spectral and len(own) > LARGEST:
            raise UsageError(
                f"{name} has {len(own)} photographs: too many for spectral clusters. Use kmeans."
            )
        found = spectral(points, k) if use_spectral else kmeans(points, k)
        numbers |= {f.rel: int(n) for f, n in zip(own, found, strict=True)}
    return numbers


def draw_clusters(
    facts: Sequence[Fact], rows: Sequence[ClassSummary], numbers: dict[str, int]
) -> np.ndarray | None:
    """Mean maps of the clusters, a row a class, (H, W, 3) uint8; None without any map."""
    palette = get_colormap("jet")
    members: dict[str, dict[int, list[Fact]]] = {}
    for fact in facts:
        if fact.rel in numbers:
            members.setdefault(fact.pred, {}).setdefault(numbers[fact.rel], []).append(fact)
    shown = [row for row in rows if row.label in members][:DRAWN]
    if not shown:
        return None
    columns = max(len(members[row.label]) for row in shown)
    tiles = []
    for row in shown:
        for number in range(columns):
            own = members[row.label].get(number, [])
            if not own:
                tiles.append(Tile(np.full((96, 96, 3), 245, np.uint8), ("", "")))
                continue
            mean = np.mean([f.thumb for f in own], axis=0)
            mean = cv2.resize(mean / max(float(mean.max()), 1e-9), (96, 96))
            heat = palette[(np.clip(mean, 0, 1) * 255).astype(np.uint8)]
            title = row.label + (" (flagged)" if row.flags else "")
            tiles.append(Tile(heat, (title, f"{len(own)} images")))
    return contact_sheet(
        tiles, len(shown), columns, title="Alike maps",
        tile=(150, 150),
    )  # fmt: skip


def _json(
    facts: Sequence[Fact],
    found: Sequence[Suspicion],
    rows: Sequence[ClassSummary],
    numbers: dict[str, int],
) -> str:
    def plain(values: dict[str, object]) -> dict[str, object]:
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}

    sizes: dict[str, dict[int, int]] = {}
    for fact in facts:
        if fact.rel in numbers:
            of = sizes.setdefault(fact.pred, {})
            of[numbers[fact.rel]] = of.get(numbers[fact.rel], 0) + 1
    record = {
        "photographs": len(facts),
        "flagged": [asdict(s) for s in found],
        "classes": [plain(asdict(row)) for row in rows],
        "clusters": {name: [of[n] for n in sorted(of)] for name, of in sizes.items()},
    }
    return json.dumps(record, indent=1, ensure_ascii=False)


def _csv(facts: Sequence[Fact], numbers: dict[str, int]) -> str:
    """Every photograph, those with most stray heat first, then those with most at the border."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(("path", "label", "pred", "prob", "correct", "stray", "border", "cluster"))
    order = sorted(facts, key=lambda f: (-(0 if math.isnan(f.stray) else f.stray), -f.border))
    for f in order:
        stray = "" if math.isnan(f.stray) else f"{f.stray:.4g}"
        correct = "" if f.label is None else int(f.right)
        cluster = numbers.get(f.rel, "")
        writer.writerow(
            (f.rel, f.label or "", f.pred, f"{f.prob:.5g}", correct, stray, f"{f.border:.4g}",
             cluster)
        )  # fmt: skip
    return out.getvalue()
