"""A localizer for a checkpoint: photographs with boxes looked at, and what they taught written."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from camcli.batch.run_files.rundir import now
from camcli.data.decode.images import load_image, printable
from camcli.data.decode.memory_budget import BUDGET
from camcli.data.sources.refs import ImageRef
from camcli.errors import ImageError, UsageError, of_image, stage
from camcli.files import expanded
from camcli.models.classifier import Classifier
from camcli.models.load import load_classifier
from camcli.models.loading.checkpoint import LEARNT, Checkpoint, load_checkpoint, save_checkpoint
from camcli.models.localizer import Localizer
from camcli.models.spec import is_checkpoint_name
from camcli.ours import told_folder
from camcli.printable import counted
from camcli.train.config import TrainConfig
from camcli.train.feature_pass.features import hash_files
from camcli.train.fitting.localizer import Boxed, Corners, fit_localizer, within
from camcli.train.prepare import load_backbones
from camcli.train.progress import Listener
from camcli.train.result import TrainResult, finished_result
from camcli.train.run_folder.rundir import BEST, SUMMARY, TrainDirectory, telling_how_to_go_on

FEW = 5
"""Photographs below which it is said that there are few."""
# Of these with a mirror image each, in a pass.
_BATCH = 4


def look_at(
    classifier: Classifier,
    refs: Sequence[ImageRef],
    boxes: Mapping[str, Sequence[Corners]],
    *,
    failed: dict[str, str],
    listener: Listener,
) -> Iterator[tuple[ImageRef, Boxed]]:
    """Photographs with their boxes and what the network saw, mirrored as well.

    Args:
        classifier: the network, cut at its last map.
        refs: the photographs.
        boxes: by relative path, in a photograph's pixels.
        failed: gets the errors of photographs that cannot be read, by relative path.
        listener: hears what is going on.
    """
    with listener.bar("boxes", len(refs), "image") as bar:
        for ref in refs:
            try:
                with BUDGET.held():
                    with stage("decode"):
                        rgb = load_image(ref)
                    with stage("resize"):
                        pixels = classifier.preprocess.pixels(rgb)
                    height, width = rgb.shape[:2]
                    del rgb
                own = within(boxes[ref.rel], (width, height))
                if not own:
                    raise ImageError(
                        f"{printable(ref.path)}: its boxes lie outside of its {width}x{height} "
                        "pixels."
                    )
                A = classifier.look(torch.stack([pixels, pixels.flip(2)])).parts[-1].A
                if not A.isfinite().all():
                    raise ImageError(f"{printable(ref.path)}: features that are not finite (NaN).")
            except Exception as error:
                failed[ref.rel] = str(of_image(error, printable(ref.path)))
            else:
                view = classifier.preprocess.view(width, height)
                # Of inference mode, which autograd cannot save.
                yield ref, Boxed(A.cpu().clone(), view, (width, height), own)
            bar.advance(1)


def trained_localizer(
    classifier: Classifier,
    refs: Sequence[ImageRef],
    boxes: Mapping[str, Sequence[Corners]],
    *,
    failed: dict[str, str],
    listener: Listener,
) -> Localizer:
    """A localizer of a network from photographs with boxes.

    Args:
        classifier: the network, cut at its last map.
        refs: the photographs; those without a box are left out.
        boxes: by relative path, in a photograph's pixels.
        failed: gets the errors of photographs that cannot be read, by relative path.
        listener: hears what is going on, and how good it is.

    Raises:
        UsageError: too few photographs can be read, or their boxes leave nothing to tell apart.
    """
    refs = [ref for ref in refs if boxes.get(ref.rel)]
    pairs = list(look_at(classifier, refs, boxes, failed=failed, listener=listener))
    learnt = hash_files([ref for ref, _ in pairs])
    with listener.slow("Training on boxes ..."):
        try:
            found = fit_localizer([boxed for _, boxed in pairs], classifier.layer, learnt=learnt)
        except UsageError as error:
            if not failed:
                raise
            raise UsageError(f"{error} The first that fails: {next(iter(failed.values()))}") from (
                error
            )
    facts = found.facts
    low, high = facts["box_iou_interval"]
    listener.say(
        f"Trained on boxes: {counted(facts['boxes'], 'box', 'boxes')} of "
        f"{counted(len(pairs), 'photograph')}; on photographs left out its box overlaps the true "
        f"one with a mean IoU of {facts['box_iou']:.2f} ({low:.2f} to {high:.2f})."
    )
    if len(pairs) < FEW:
        listener.warn(
            f"{counted(len(pairs), 'photograph')} with boxes {'is' if len(pairs) == 1 else 'are'} "
            "few: 5 to 10 of each class make a localizer that holds for others."
        )
    return found


def add_localizer(
    path: Path,
    refs: Sequence[ImageRef],
    boxes: Mapping[str, Sequence[Corners]],
    *,
    device: str,
    model: str,
    listener: Listener,
) -> Localizer | None:
    """Train a localizer for a checkpoint and write it into it; None where it has one already.

    Args:
        path: the checkpoint.
        refs: the photographs.
        boxes: by relative path, in a photograph's pixels.
        device: where the network runs.
        model: what was named as its backbone: code of one's own runs only where it is named.
        listener: hears what is going on.

    Raises:
        UsageError: as `trained_localizer`.
        CamcliError: the checkpoint cannot be read or written.
    """
    saved = load_checkpoint(path)
    if saved.localizer is not None:
        return None
    classifier = load_classifier(model, checkpoint=path, device=device)
    failed: dict[str, str] = {}
    found = trained_localizer(classifier, refs, boxes, failed=failed, listener=listener)
    for error in failed.values():
        listener.warn(error)
    save_checkpoint(path, replace(saved, localizer=found))
    return found


def train_localizer(
    config: TrainConfig,
    out: Path,
    refs: Sequence[ImageRef],
    boxes: Mapping[str, Sequence[Corners]],
    *,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    offline: bool = False,
    listener: Listener | None = None,
) -> TrainResult:
    """A network as it is, with a localizer, as a checkpoint: its head and its classes stay.

    Args:
        config: names the network (a checkpoint may be named, too) and how it looks.
        out: the run's folder.
        refs: the photographs.
        boxes: by relative path, in a photograph's pixels.
        resume: go on with an interrupted run there, which means to make it again.
        overwrite: replace an earlier run there.
        device: where the network runs.
        offline: never touch the network for weights.
        listener: hears what is going on.

    Raises:
        UsageError: as `trained_localizer`; a folder in use; a head that no checkpoint can hold.
        UnavailableError: the weights are not on this machine.
        CamcliError: what a disk or a damaged file can do.
    """
    listener = listener or Listener()
    directory, started, begun = TrainDirectory(out), now(), time.perf_counter()
    if directory.check(config, resume=resume, overwrite=overwrite) and (
        finished := finished_result(directory)
    ):
        listener.say(f"The run in {out} is finished already.")
        return finished
    base, classifier = _as_it_is(config, device, offline)
    failed: dict[str, str] = {}
    info = {
        "command": "train", **told_folder(), "status": "running", "started": started,
        "config": config.to_dict(),
        "backbone": {
            "name": classifier.provenance.name, "weights": classifier.provenance.weights,
            "sha256": classifier.provenance.sha256,
        },
        "preprocess": classifier.preprocess.to_dict(), "device": str(classifier.device),
        "versions": dict(classifier.provenance.versions), "classes": list(classifier.classes),
    }  # fmt: skip
    try:
        directory.hold()
        resuming = directory.check(config, resume=resume, overwrite=overwrite)
        # Before anything is written: boxes that teach nothing leave the folder as it was.
        found = trained_localizer(classifier, refs, boxes, failed=failed, listener=listener)
        if not resuming:
            directory.begin(config, info, overwrite=overwrite)
        with telling_how_to_go_on(out):
            save_checkpoint(out / BEST, replace(base, localizer=found))
        judged = {"localizer": dict(found.facts)}
        directory.write_json(SUMMARY, judged)
        if failed:
            table = [{"path": rel, "error": error} for rel, error in failed.items()]
            directory.write_csv("skipped.csv", table)
        seconds = {"localizer": round(time.perf_counter() - begun, 3)}
        directory.finish({
            **info, "status": "finished", "finished": now(), "seconds": seconds,
            "skipped": len(failed), "metrics": {}, "judged": judged,
        })  # fmt: skip
        return TrainResult(out / BEST, {}, len(failed), seconds)
    finally:
        directory.let_go()


def _as_it_is(config: TrainConfig, device: str, offline: bool) -> tuple[Checkpoint, Classifier]:
    """A network as a checkpoint would hold it, and cut.

    Raises:
        UsageError: its head is more than global average pooling and one linear layer.
    """
    name = config.backbone
    if is_checkpoint_name(name):
        path = expanded(name)
        classifier = load_classifier(
            checkpoint=path, device=device, fit=config.fit, input_size=config.input_size
        )
        saved = load_checkpoint(path)
        return replace(saved, preprocess=classifier.preprocess, localizer=None), classifier
    (backbone,) = load_backbones(config, device, offline)
    classifier = backbone.classifier
    head, kind, made = classifier.head, classifier.output.kind, classifier.provenance
    if head is None or kind not in LEARNT:
        raise UsageError(
            f"--head keep makes a checkpoint of {made.name} as it is, which needs global average "
            "pooling, one linear layer after it, and scores of classes, labels or values: leave "
            "--head out, and a new head is trained."
        )
    base = Checkpoint(
        architecture=made.name,
        classes=classifier.classes,
        preprocess=classifier.preprocess,
        backbone=backbone.tensors,
        weight=head.weight.float(),
        bias=head.bias.float(),
        config={
            **config.to_dict(),
            "backbone_weights": made.weights,
            "backbone_sha256": made.sha256,
        },
        versions=made.versions,
        output=kind,
        thresholds=classifier.output.thresholds,
    )
    return base, classifier
