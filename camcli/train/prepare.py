"""Before training: the data set and the backbones that the settings name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from camcli.data.decode.as_it_is import AsItIs
from camcli.data.decode.fit import Fit
from camcli.data.sources.splits import Split
from camcli.errors import UnavailableError, UsageError
from camcli.models.classifier import Classifier, cut_classifier
from camcli.models.cutting.cut import Cut, LinearHead, NoPoolingError, cut_before_head
from camcli.models.cutting.types import CutsItself
from camcli.models.load import find_device
from camcli.models.loading.zoo import build_model
from camcli.models.pooling.pooling import Pooling
from camcli.models.spec import check_input_size
from camcli.train.backbones import with_backbone
from camcli.train.config import TrainConfig
from camcli.train.feature_pass.cache import PoolingCache
from camcli.train.feature_pass.features import backbone_tensors, digest_of
from camcli.train.feature_pass.sight import Sight
from camcli.train.fitting.trainable_layers import find_head, module_names

SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Backbone:
    """A frozen network without its head.

    Attributes:
        kind: what its weights are at the start, one of `config.MEMBERS`.
        module: the whole network.
        classifier: the same, cut.
        tensors: those before the cut, by name.
        digest: of these tensors, SHA-256 in hex.
        layer: its last map, whatever its head is given.
        sight: looks at images with it.
    """

    kind: str
    module: nn.Module
    classifier: Classifier
    tensors: dict[str, Tensor]
    digest: str
    layer: str
    sight: Sight

    @property
    def pooling(self) -> Pooling:
        """What its head is given; the features of `classifier` are maps whose means that is."""
        return self.sight.pooling

    @property
    def channels(self) -> int:
        """K, numbers that its head is given."""
        return self.sight.channels

    @property
    def blocks(self) -> tuple[int, ...]:
        """How many of them each statistic has."""
        return tuple(channels for _, channels in self.sight.statistics)

    def cache(self, root: Path) -> PoolingCache:
        """What is kept of its features.

        Raises:
            CamcliError: it cannot be read or written.
        """
        return PoolingCache(root, self.space(), self.sight.statistics)

    def space(self) -> dict[str, Any]:
        """All that its features depend on besides the pixels of a photograph and the statistic."""
        return {
            "backbone": self.classifier.provenance.name,
            "tensors": self.digest,
            "layer": self.layer,
            "preprocess": self.classifier.preprocess.to_dict(),
            "precision": "bfloat16" if self.classifier.device.type == "cuda" else "float32",
        }

    def refitted(self, fit: Fit | None) -> Backbone:
        """The same network, which sees another part of a photograph at the same size."""
        preprocess = self.classifier.preprocess.with_(fit=fit)
        classifier = replace(self.classifier, preprocess=preprocess)
        return replace(self, classifier=classifier, sight=self.sight.of(classifier))


def load_backbones(config: TrainConfig, device: str, offline: bool) -> list[Backbone]:
    """The networks of a run: one, or the members of its ensemble.

    Raises:
        UsageError: an unknown network or layer, or a network whose last map is not near its end.
        UnavailableError: the weights are not here; says what can be done.
    """
    where = find_device(device)
    try:
        return [_backbone(config, kind, n, where, offline) for n, kind in enumerate(config.kinds())]
    except (UnavailableError, UsageError) as error:
        # The zoo speaks of the option that the other commands have.
        raise type(error)(str(error).replace("--model ", "--backbone ")) from error


def _backbone(
    config: TrainConfig, kind: str, number: int, device: torch.device, offline: bool
) -> Backbone:
    """Build one network and cut it; `number` is added to the seed of random weights."""
    name, seed = with_backbone(config).backbone, config.seed + number
    weights = "random" if kind == "random" else config.weights
    key = None if kind == "random" else config.weights_key
    built = build_model(
        name, weights=weights, weights_key=key, offline=offline, seed=seed,
        input_size=config.input_size,
    )  # fmt: skip
    if isinstance(built.module, CutsItself):
        raise UsageError(
            f"--model {name} is a graph that OpenVINO runs, and training needs torch's own layers: "
            "take the network that it was exported from, or one by its name."
        )
    if kind == "reinit":
        fresh = build_model(name, weights="random", seed=seed).module
        for layer in module_names(built.module, config.unfreeze or ""):
            own, other = (m.get_submodule(layer).state_dict() for m in (built.module, fresh))
            # A head with classes of its own is replaced anyway.
            own |= {n: t for n, t in other.items() if own[n].shape == t.shape}
            built.module.get_submodule(layer).load_state_dict(own)
    if isinstance(built.preprocess, AsItIs):
        raise UsageError(
            f"The preprocess of {name} is code that is run as it is: a checkpoint cannot hold it, "
            "and pictures cannot be varied for training. Give it as words or a camcli Preprocess."
        )
    preprocess = built.preprocess.with_(fit=config.fit, size=config.input_size)
    check_input_size(preprocess.size)
    pooling = Pooling.read(config.pooling)
    pooled_cut = None if pooling.plain else _pooled(built.module, preprocess.shape, pooling, name)
    classifier = cut_classifier(
        built.module,
        classes=built.classes,
        preprocess=preprocess,
        provenance=built.provenance,
        device=device,
    )
    tensors = backbone_tensors(built.module, classifier)
    if head := find_head(built.module, classifier):  # a cut by hooks does not tell what follows it
        tensors = {n: t for n, t in tensors.items() if not n.startswith(f"{head}.")}
    layers = sum(t.ndim > 1 for t in built.module.state_dict().values())
    before = sum(t.ndim > 1 for t in tensors.values())
    if 2 * before < layers:
        raise UsageError(
            f"The last spatial map of {name} is {classifier.layer!r}, and {layers - before} of its "
            f"{layers} layers come after it, so a GAP + linear head there would learn little: take "
            "a convolutional network."
        )
    layer = classifier.layer
    if pooled_cut:
        halves = pooled_cut.to(device)
        K = halves.places[0].shape[0]
        none = LinearHead(torch.zeros(1, K, device=device), torch.zeros(1, device=device))
        classifier = replace(
            classifier, features=halves.first, tail=none, head=none, classes=("",), cut=None,
            layer=halves.layer,
        )  # fmt: skip
    digest = digest_of(tensors)
    return Backbone(kind, built.module, classifier, tensors, digest, layer, Sight(classifier))


def _pooled(module: nn.Module, shape: tuple[int, int, int], pooling: Pooling, name: str) -> Cut:
    """The network up to the maps whose means the head is given.

    Raises:
        UsageError: one of its layers is unknown, or has no map.
    """
    module.eval().requires_grad_(False)
    try:
        with torch.no_grad():
            return cut_before_head(module, shape, pooling)
    except NoPoolingError as error:
        raise UsageError(f"--pooling {pooling}: {error}") from error
