"""Before training: the backbone, the images, and what the backbone says about each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from camcli.data.datasets import Dataset, Item, load_dataset
from camcli.data.layout import Split
from camcli.errors import UnavailableError, UsageError
from camcli.models.classifier import Classifier, cut_classifier, find_device
from camcli.models.zoo import build_model
from camcli.train.cache import FeatureCache
from camcli.train.config import TrainConfig
from camcli.train.features import View, backbone_tensors, digest_of, extract, hash_files, pooled
from camcli.train.listener import Listener

SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Backbone:
    """A frozen network without its head.

    Attributes:
        module: the whole network.
        classifier: the same, cut.
        tensors: those before the cut, by name.
        digest: of these tensors, SHA-256 in hex.
        channels: K.
    """

    module: nn.Module
    classifier: Classifier
    tensors: dict[str, Tensor]
    digest: str
    channels: int

    def space(self) -> dict[str, Any]:
        """All that its features depend on besides the pixels of a photograph."""
        return {
            "backbone": self.classifier.provenance.name,
            "tensors": self.digest,
            "layer": self.classifier.layer,
            "preprocess": self.classifier.preprocess.to_dict(),
            "precision": "bfloat16" if self.classifier.device.type == "cuda" else "float32",
        }


@dataclass
class Examples:
    """The images of one split.

    Attributes:
        items: N images and targets.
        contents: SHA-256 of each file, in hex.
    """

    items: list[Item]
    contents: list[str]

    @classmethod
    def of(cls, items: Sequence[Item]) -> Examples:
        """Reads and hashes the files."""
        return cls(list(items), hash_files([item.ref.path for item in items]))

    @property
    def paths(self) -> list[Path]:
        """Of the N files."""
        return [item.ref.path for item in self.items]

    @property
    def targets(self) -> Tensor:
        """(N,) int64."""
        return torch.tensor([item.target for item in self.items], dtype=torch.int64)

    def keep(self, wanted: Sequence[bool]) -> None:
        """Drop the others."""
        self.items = [x for x, keep in zip(self.items, wanted, strict=True) if keep]
        self.contents = [x for x, keep in zip(self.contents, wanted, strict=True) if keep]


def read_data(config: TrainConfig) -> Dataset:
    """The data set that the settings name.

    Raises:
        UsageError: none is named, or it is not fit for training.
        UnavailableError: it is not on this machine.
    """
    if not config.data:
        raise UsageError(
            "Nothing to train on: name a folder, a CSV of path,label[,split] or a data set with "
            "--data."
        )
    return load_dataset(
        config.data,
        data_dir=Path(config.data_dir) if config.data_dir else None,
        labels=config.labels,
        split=config.split,  # type: ignore[arg-type]  # checked by TrainConfig
        merge_varieties=config.merge_varieties,
        domain=config.domain,
        train_domain=config.train_domain,
        test_domain=config.test_domain,
        group=config.group,
        val=config.val,
        test=config.test,
        seed=config.seed,
    )


def load_backbone(config: TrainConfig, device: str, offline: bool) -> Backbone:
    """Build the network and cut it.

    Raises:
        UsageError: an unknown network, or one whose last map is not near its end.
        UnavailableError: its weights are not here; says what can be done.
    """
    where = find_device(device)
    name = config.backbone
    try:
        built = build_model(name, weights=config.weights, offline=offline, seed=config.seed)
    except (UnavailableError, UsageError) as error:
        # The zoo speaks of the option that the other commands have.
        raise type(error)(str(error).replace("--model ", "--backbone ")) from error
    if ":" in name and not name.startswith("timm:"):
        raise UsageError(
            f"--backbone {name}: a checkpoint could not be opened without that code; train on a "
            "network of torchvision or timm, with --weights FILE for weights of your own."
        )
    changes = {"fit": config.fit, "size": config.input_size}
    preprocess = built.preprocess.with_(**{k: v for k, v in changes.items() if v is not None})
    if preprocess.size < 32:
        raise UsageError(f"--input-size must be at least 32 pixels, not {preprocess.size}.")
    classifier = cut_classifier(
        built.module,
        classes=built.classes,
        preprocess=preprocess,
        provenance=built.provenance,
        device=where,
    )
    tensors = backbone_tensors(built.module, classifier)
    layers = sum(t.ndim > 1 for t in built.module.state_dict().values())
    before = sum(t.ndim > 1 for t in tensors.values())
    if 2 * before < layers:
        raise UsageError(
            f"The last spatial map of {name} is {classifier.layer!r}, and {layers - before} of its "
            f"{layers} layers come after it, so a GAP + linear head there would learn little: take "
            "a convolutional network."
        )
    blank = torch.zeros(1, 3, preprocess.size, preprocess.size, dtype=torch.uint8)
    channels = pooled(classifier, blank).shape[1]
    return Backbone(built.module, classifier, tensors, digest_of(tensors), channels)


class Looker:
    """Looks at images with a backbone, once each, and says which cannot be read.

    Attributes:
        skipped: one sentence for each unreadable image, by relative path.
    """

    def __init__(
        self, classifier: Classifier, cache: FeatureCache | None, listener: Listener
    ) -> None:
        self._classifier = classifier
        self._cache = cache
        self._listener = listener
        self.skipped: dict[str, str] = {}

    def look(self, examples: Examples, view: View, title: str) -> Tensor:
        """Features (N, K) float16; unreadable images leave `examples`, with a warning each."""
        with self._listener.bar(title, len(examples.items), "img") as bar:
            features, errors = extract(
                examples.paths,
                examples.contents,
                self._classifier,
                view,
                cache=self._cache,
                advance=bar.advance,
            )
        if not errors:
            return features
        for i, error in sorted(errors.items()):
            self.skipped[examples.items[i].ref.rel] = error
            self._listener.warn(f"left out {examples.items[i].ref.rel!a}: {error}")
        wanted = [i not in errors for i in range(len(examples.items))]
        examples.keep(wanted)
        return features[torch.tensor(wanted)]


def check_trained(examples: Examples, classes: Sequence[str]) -> Counter[int]:
    """Training images of each class.

    Raises:
        UsageError: a class has none that can be read.
    """
    counts = Counter(item.target for item in examples.items)
    lost = [name for c, name in enumerate(classes) if not counts[c]]
    if lost:
        raise UsageError(
            f"None of the training images of {', '.join(lost[:5])} can be read; see "
            "`camcli data describe`."
        )
    return counts


def class_weights(counts: Counter[int], classes: int) -> Tensor:
    """(C,) weights that make each class count the same: N / (C n_c)."""
    total = sum(counts.values())
    return torch.tensor([total / (classes * counts[c]) for c in range(classes)])
