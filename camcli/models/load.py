"""A classifier by its name, its file or its module: loaded, and cut where maps are to come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from camcli.data.decode.preprocess import Fit, Preprocess
from camcli.data.decode.preprocess_said import Said
from camcli.errors import CamcliError, UsageError
from camcli.files import expanded
from camcli.models.classifier import Classifier, _classifier, cut_classifier
from camcli.models.cutting.cut import Cut
from camcli.models.cutting.pyramid import pyramid_layers
from camcli.models.cutting.types import CutsItself
from camcli.models.loading.backbone import cut_with_head, fill_backbone
from camcli.models.loading.checkpoint import Checkpoint, load_checkpoint
from camcli.models.loading.ensemble import join
from camcli.models.loading.zoo import Provenance, build_model
from camcli.models.localizer import Localizer
from camcli.models.outputs import Output
from camcli.models.spec import (
    BUNDLED,
    LAST,
    PYRAMID,
    check_input_size,
    check_output,
    check_together,
    is_checkpoint_name,
    is_own_code,
    layer_names,
    same_code,
)
from camcli.models.weights.places import sha256_of
from camcli.settings import check_arguments


def load_classifier(
    model: str | Path | nn.Module = BUNDLED,
    *,
    checkpoint: str | Path | None = None,
    weights: str | Path | None = None,
    weights_key: str | None = None,
    classes: str | Path | Sequence[str] | None = None,
    device: str = "auto",
    offline: bool = False,
    fit: Fit | None = None,
    input_size: int | None = None,
    native_predictions: bool = False,
    layer: str = LAST,
    output: str = "auto",
    threshold: float | str | Path | None = None,
    preprocess: Said | None = None,
    trust_pickle: bool = False,
) -> Classifier:
    """Load a classifier, or take one from memory, and cut it at its last map or at other layers.

    The arguments are those of `camcli.load_classifier`, which says what each means.

    Raises:
        UsageError: an unknown model, device or layer, or `native_predictions` alone.
        UnavailableError: the weights are not on this machine.
        CamcliError: the network cannot be cut.
    """
    check_arguments(load_classifier, locals())
    name = "" if isinstance(model, nn.Module) else str(model)
    if checkpoint is None and is_checkpoint_name(name):
        name, checkpoint = BUNDLED, expanded(name)
    where = find_device(device)
    layers = layer_names(layer)
    kind = check_output(output)
    check_together(
        model=name, checkpoint=checkpoint, weights=weights, weights_key=weights_key, output=output,
        input_size=input_size, native_predictions=native_predictions, preprocess=preprocess,
    )  # fmt: skip
    if checkpoint is not None:
        saved = load_checkpoint(Path(checkpoint))
        own = saved.preprocess
        classifier = _from_checkpoint(
            saved, Path(checkpoint), name, where, _adjusted(own, fit, input_size), layers
        )
    else:
        built = build_model(
            name or model, weights=weights, weights_key=weights_key, offline=offline,
            classes=classes, input_size=input_size, preprocess=preprocess, output=kind,
            trust_pickle=trust_pickle,
        )  # fmt: skip
        own = built.preprocess
        if device == "auto" and isinstance(built.module, CutsItself):
            where = torch.device("cpu")
        classifier = cut_classifier(
            built.module,
            classes=built.classes,
            preprocess=_adjusted(own, fit, input_size),
            provenance=built.provenance,
            device=where,
            layers=layers,
            output=kind or built.output,
        )
    if threshold is not None:
        known = classifier.output.deciding(threshold, classifier.classes)
        classifier = replace(classifier, output=known)
    if own != classifier.preprocess:
        classifier = replace(classifier, own=own)
    return _predicting(classifier, _adjusted(own, fit, None)) if native_predictions else classifier


def _predicting(classifier: Classifier, native: Preprocess) -> Classifier:
    """The same classifier with predictions from another size, if it is another.

    Raises:
        UsageError: the network takes one size only.
    """
    if native == classifier.preprocess:
        return classifier
    try:
        classifier.look(torch.zeros(1, 3, *native.shape[1:], dtype=torch.uint8))
    except (AssertionError, RuntimeError) as error:
        raise UsageError(
            f"{classifier.provenance.name} cannot look at {classifier.preprocess.size} and "
            f"{native.size} pixels in one run: leave --native-predictions out."
        ) from error
    return replace(classifier, predicting=native)


def buildable(saved: Checkpoint, path: Path, model: str) -> str:
    """A checkpoint's architecture, if it may be built.

    Args:
        saved: the checkpoint.
        path: its file.
        model: what the user named beside it.

    Raises:
        UsageError: it needs code of the user's own, and the user did not say that it may run.
    """
    name = saved.architecture
    if is_own_code(name) and not (is_own_code(model) and same_code(model, name)):
        raise UsageError(
            f"{path} was trained on {name}, code of one's own, and a file must not decide which "
            f"code is run: if you trust it, add --model {name}."
        )
    if is_own_code(model) and not same_code(model, name):
        raise UsageError(f"{path} was trained on {name}, not on {model}: leave --model out.")
    # A file's name leads there from the folder where it was trained; the user's from this one.
    return model if is_own_code(name) else name


def _from_checkpoint(
    saved: Checkpoint,
    path: Path,
    model: str,
    device: torch.device,
    preprocess: Preprocess,
    layers: Sequence[str],
) -> Classifier:
    architecture = buildable(saved, path, model)
    weights = None if is_own_code(architecture) else "random"
    cuts = []
    for tensors, own in zip(saved.networks(), saved.heads(), strict=True):
        # Whatever weights it has are replaced one by one; what the cut leaves out is not used.
        module = build_model(architecture, weights=weights, input_size=preprocess.size).module
        missing = fill_backbone(module, tensors, path, architecture)
        where = pyramid_layers(module, preprocess.shape) if tuple(layers) == (PYRAMID,) else layers
        cuts.append(
            cut_with_head(module, preprocess.shape, where, own, missing, path, saved.pooling)
        )
        module.to(device)  # where hooks are needed it runs itself
    halves = cuts[0] if saved.members == 1 else join(cuts)
    provenance = Provenance(
        saved.architecture, str(path), sha256_of(path), "checkpoint", dict(saved.versions)
    )
    found = _classifier(halves, saved.classes, preprocess, provenance, device)
    found = replace(found, boxes=saved.boxes)
    found = replace(found, usual_layer=tuple(layers) in ((LAST,), (PYRAMID,)))
    if saved.localizer is not None:
        found = replace(found, localizer=_fitting(saved.localizer, found, halves, path))
    if saved.output == "softmax":
        return found
    return replace(found, output=Output(saved.output, thresholds=saved.thresholds))


def _fitting(localizer: Localizer, found: Classifier, halves: Cut, path: Path) -> Localizer:
    """A checkpoint's localizer, once its network has the map that it is for.

    Raises:
        CamcliError: that has another number of channels.
    """
    channels = halves.places[0].shape[0]
    if found.layer == localizer.layer and channels != localizer.channels:
        raise CamcliError(
            f"{path} is damaged: its localizer is for {localizer.channels} channels, and its "
            f"network has {channels}."
        )
    return localizer


def find_device(name: str) -> torch.device:
    """The device that a user means; ``auto`` is CUDA, then Apple's MPS, then the CPU.

    Raises:
        UsageError: no such device on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(
            f"Unknown device {name!r}. Choose auto, cpu, cuda, cuda:N or mps."
        ) from None
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if device.type not in present:
        raise UsageError(f"Unknown device {name!r}. Choose auto, cpu, cuda, cuda:N or mps.")
    if not present[device.type]:
        raise UsageError(f"Device {name!r} is not available on this machine; use --device cpu.")
    return device


def _adjusted(preprocess: Preprocess, fit: Fit | None, size: int | None) -> Preprocess:
    check_input_size(size)
    return preprocess.with_(fit=fit, size=size)
