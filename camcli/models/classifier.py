"""The classifier as camcli sees it: features, tail, and what is known about both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from camcli.data.decode.preprocess import Fit, Preprocess
from camcli.data.decode.preprocess_said import Said
from camcli.errors import UsageError
from camcli.models.cuda import to_device
from camcli.models.cutting.cut import Cut, LinearHead, Tail, cut, taken_for
from camcli.models.cutting.types import CutsItself, channels_first, channels_last
from camcli.models.loading.backbone import cut_with_head, fill_backbone
from camcli.models.loading.checkpoint import Checkpoint, load_checkpoint
from camcli.models.loading.ensemble import join, split_head
from camcli.models.loading.zoo import Provenance, build_model
from camcli.models.outputs import Output, is_two_named, probabilities, value_names
from camcli.models.spec import (
    BUNDLED,
    LAST,
    OutputKind,
    check_input_size,
    check_output,
    check_together,
    is_checkpoint_name,
    is_own_code,
    layer_names,
    same_code,
)
from camcli.models.weights.places import sha256_of
from camcli.printable import counted
from camcli.settings import check_arguments


@dataclass(frozen=True, slots=True)
class Part:
    """What a batch looks like at one layer.

    Attributes:
        layer: its name.
        A: the features (B, K, h, w), float32.
        tail: A -> logits, for these images.
        head: the tail as GAP + linear, or None when it is more than that.
    """

    layer: str
    A: Tensor
    tail: Tail
    head: LinearHead | None


@dataclass(frozen=True, slots=True)
class Look:
    """A batch, seen by the network.

    Attributes:
        images: normalised, (B, 3, H, W).
        logits: (B, C).
        parts: the batch at each layer that is explained.
    """

    images: Tensor
    logits: Tensor
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Classifier:
    """A frozen network, cut in two, in eval mode, with no gradients on its parameters.

    Attributes:
        features: normalised images (B, 3, H, W) -> A (B, K, h, w), float32.
        tail: A -> logits (B, C); where the cut has a context (a class token, say) it takes that
            too, and `look` binds it.
        head: the tail as GAP + linear, or None when it is more than that.
        classes: the C class names.
        preprocess: from RGB pixels to the network's input.
        provenance: which weights these are.
        layer: the name of the cut.
        device: where the network lives.
        cut: all places where the network is cut; None stands for `features` and `tail` alone.
        predicting: preprocess of a second pass that predictions are taken from, while maps come
            from the one at `preprocess`; None where one pass does both.
        output: what the logits are, and so how they become probabilities.
        layout: how images lie in memory: channels last is faster, and a few networks fail on it.
    """

    features: Callable[[Tensor], Tensor]
    tail: Callable[..., Tensor]
    head: LinearHead | None
    classes: tuple[str, ...]
    preprocess: Preprocess
    provenance: Provenance
    layer: str
    device: torch.device
    cut: Cut | None = None
    predicting: Preprocess | None = None
    output: Output = field(default_factory=Output)
    layout: torch.memory_format = torch.channels_last

    def probabilities(self, logits: Tensor) -> Tensor:
        """Of each class, (B, C) in [0, 1], from the logits (B, C) of this network.

        They sum to 1 unless several classes can be right at once.

        Raises:
            UsageError: its outputs are values (`Output.measures`): use the logits themselves.
        """
        return probabilities(logits, self.output.kind)

    def taken_for(self, output: Output) -> Classifier:
        """The same network with outputs that are something else than was thought.

        Args:
            output: of which ``none`` makes one output of the two columns of a binary network.
        """
        changed = replace(self, output=output)
        if self.output.kind != "binary" or output.kind == "binary":
            return changed
        tail, head = taken_for(self.tail, self.head, output.kind)
        places = tuple(
            replace(place, tail=tail, head=head)
            for place in (self.cut.places if self.cut else ())
            for tail, head in [taken_for(place.tail, place.head, output.kind)]
        )
        outputs = 1 if output.measures else 2
        return replace(
            changed, tail=tail, head=head,
            classes=value_names(self.classes, self.provenance.name)
            if output.measures
            else self.classes,
            cut=self.cut and replace(self.cut, places=places, outputs=outputs, output=output),
        )  # fmt: skip

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Feature maps and logits of a batch, without autograd.

        Args:
            pixels: (B, 3, size, size) uint8, as `Preprocess.pixels` makes them, on any device.

        Returns:
            A (B, K, h, w) and the logits (B, C), float32, on the classifier's device.
        """
        seen = self.look(pixels)
        return seen.parts[0].A, seen.logits

    def look(self, pixels: Tensor) -> Look:
        """All that a map is made from, without autograd.

        Args:
            pixels: as for a call.
        """
        with torch.inference_mode():
            images = self.preprocess.normalise(to_device(pixels, self.device))
            return self.see(images)

    def differentiable(self, images: Tensor) -> Tensor:
        """Logits (B, C) of normalised images (B, 3, H, W), with autograd through all of it."""
        backbone = self.features if self.cut is None else self.cut.first
        # Another runtime has no gradients; torch's own network stands behind it.
        first = getattr(backbone, "eager", backbone)
        if self.cut is None:
            return self.tail(first(images))
        A, tail = replace(self.cut, first=first).split(images)[-1]
        return tail(A)

    def see(self, images: Tensor) -> Look:
        """The same from normalised images, (B, 3, H, W) on the classifier's device."""
        with torch.inference_mode():
            images = images.contiguous(memory_format=self.layout)
            if self.cut is None:
                A = self.features(images).float()
                parts: tuple[Part, ...] = (Part(self.layer, A, Tail(self.tail), self.head),)
            else:
                parts = tuple(
                    Part(place.layer, A.float(), tail, place.head)
                    for (A, tail), place in zip(
                        self.cut.split(images), self.cut.places, strict=True
                    )
                )
            last = parts[-1]
            return Look(images, (last.head or last.tail)(last.A), parts)


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

    Args:
        model: ``efficientnet_lite0`` (bundled), a torchvision name, ``timm:NAME``, a file or folder
            with a trained network, or ``package.module:factory`` or ``path/file.py:factory`` for
            your own code; or a network that is in memory, which is copied and left as it is.
        checkpoint: a file that ``camcli train`` wrote; it replaces `model`, `weights`, `classes`.
            One that was trained on ``module:factory`` needs this as `model`, too: a file does not
            decide which code is run.
        weights: a file, or ``random`` for seeded random weights.
        weights_key: which of several sets of weights in that file, such as ``model_ema``.
        classes: class names, or a file of them, for weights of your own.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        offline: never touch the network.
        fit: override how a photograph is fitted to the network's square input.
        input_size: override the side of the input, in pixels.
        native_predictions: with `input_size`: only the maps come from a pass at that size, and
            the predictions from a second one at the weights' own.
        layer: which layer's maps to explain, as the network names it (``layer3``), or several
            with commas between; ``last`` is the last map before the logits.
        output: what the network returns: logits of classes that exclude each other, ``softmax``;
            logits of labels that do not, ``sigmoid``; one logit that tells two classes apart,
            ``binary``; ``probabilities``; or ``none`` of these but values; by default it is found
            out.
        threshold: probability above which a label is predicted, or from which on the second of two
            classes is; a number, or a CSV file with ``class,threshold``; None for one half.
        preprocess: how the network wants its pixels: words or a file, as ``--preprocess`` takes
            them; a `Preprocess`; a dict of its values; or a transform from a PIL picture to a
            tensor. Transforms of torchvision are read where they can be; others are run as they
            are, and maps are then laid over the whole photograph. By default its own way.
        trust_pickle: whether code that a file names may run: a pickled network can do anything.

    Returns:
        The classifier, ready for `camcli.explain` and `camcli.batch`.

    Raises:
        UsageError: an unknown model, device or layer, or `native_predictions` alone.
        UnavailableError: the weights are not on this machine.
        CamcliError: the network cannot be cut.

    Example:
        >>> classifier = load_classifier()
        >>> len(classifier.classes)
        1000
    """
    check_arguments(load_classifier, locals())
    name = "" if isinstance(model, nn.Module) else str(model)
    if checkpoint is None and is_checkpoint_name(name):
        name, checkpoint = BUNDLED, Path(name).expanduser()
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


def cut_classifier(
    module: nn.Module,
    *,
    classes: tuple[str, ...],
    preprocess: Preprocess,
    provenance: Provenance,
    device: torch.device,
    layers: Sequence[str] = (LAST,),
    output: OutputKind | None = None,
) -> Classifier:
    """Cut a network that is already in memory.

    Args:
        module: images (B, 3, H, W) -> logits (B, C). Put in eval mode; else left alone.
        classes: C names; two of a network with one output.
        preprocess: the network's own.
        provenance: which weights these are.
        device: where to run it.
        layers: where to cut it.
        output: what it returns; None to find out.

    Raises:
        CamcliError: it cannot be cut.
        UsageError: `classes` has another length than the logits, or there is no such layer.
    """
    if isinstance(module, CutsItself) and device.type != "cpu":
        raise UsageError(
            f"{provenance.name} is run by OpenVINO, which is for the CPU here, not for {device}: "
            "leave --device out, or say --device cpu."
        )
    module.eval().requires_grad_(False)
    halves = cut(module, preprocess.shape, layers, output=output)
    if halves.outputs == 1 and output is None and len(classes) == 2 and is_two_named(classes):
        halves = cut(module, preprocess.shape, layers, output="binary")  # whoever names two knows
    if halves.outputs == 1 and len(classes) == 2:
        classes = value_names(classes, provenance.name)
    if halves.outputs != len(classes):
        raise UsageError(
            f"The network has {counted(halves.outputs, 'class', 'classes')}, and "
            f"{counted(len(classes), 'name was', 'names were')} given."
        )
    channels_last(module.to(device))
    made = _classifier(halves, classes, preprocess, provenance, device)
    return made if provenance.source != "user" else _in_its_layout(made, module)


def _in_its_layout(classifier: Classifier, module: nn.Module) -> Classifier:
    """The same for a network whose forward has a ``view`` that wants channels to lie first."""
    blank = torch.zeros(2, *classifier.preprocess.shape, device=classifier.device)
    try:
        classifier.see(blank)
    except RuntimeError as error:
        if "view size is not compatible" not in str(error):
            raise
        channels_first(module)
        return replace(classifier, layout=torch.contiguous_format)
    return classifier


def _classifier(
    halves: Cut,
    classes: tuple[str, ...],
    preprocess: Preprocess,
    provenance: Provenance,
    device: torch.device,
) -> Classifier:
    halves = halves.to(device)
    features = halves.first if halves.plain else halves.features
    return Classifier(
        features, halves.tail, halves.head, classes, preprocess, provenance, halves.layer, device,
        None if halves.plain and halves.gradients else halves, output=halves.output,
    )  # fmt: skip


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
    head = LinearHead(saved.weight.float(), saved.bias.float())
    cuts = []
    for tensors, own in zip(saved.networks(), split_head(head, saved.members), strict=True):
        # Whatever weights it has are replaced one by one; what the cut leaves out is not used.
        module = build_model(architecture, weights=weights, input_size=preprocess.size).module
        missing = fill_backbone(module, tensors, path, architecture)
        cuts.append(cut_with_head(module, preprocess.shape, layers, own, missing, path))
        module.to(device)  # where hooks are needed it runs itself
    halves = cuts[0] if saved.members == 1 else join(cuts)
    provenance = Provenance(
        saved.architecture, str(path), sha256_of(path), "checkpoint", dict(saved.versions)
    )
    found = _classifier(halves, saved.classes, preprocess, provenance, device)
    if saved.output == "softmax":
        return found
    return replace(found, output=Output(saved.output, thresholds=saved.thresholds))


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
