"""The networks of a search: each loaded once, and made to give all that is tried in one pass."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from camcli.models.cutting.listing import list_layers
from camcli.models.pooling.pooling import Pooling
from camcli.train.config import TrainConfig
from camcli.train.fitting.trainable_layers import module_names
from camcli.train.prepare import Backbone, load_backbones
from camcli.train.search.looks import ImageLook, Native, widest


class Networks:
    """Networks by how they look.

    Attributes:
        native: how each looks by itself, by its name.
        whole: all statistics that are tried of each.
    """

    def __init__(self, config: TrainConfig, device: str, offline: bool) -> None:
        """Nothing is loaded yet."""
        self._config, self._device, self._offline = config, device, offline
        self.native: dict[str, Native] = {}
        self.whole: dict[str, Pooling] = {}
        self._loaded: dict[ImageLook, Backbone] = {}

    @property
    def first(self) -> Backbone:
        """The first one that was opened, as it looks by itself."""
        return next(iter(self._loaded.values()))

    def open(self, name: str) -> None:
        """Load a network as it looks by itself, and see what there is in it.

        Raises:
            UsageError: as `camcli.train.prepare.load_backbones`, or layers to unfreeze are unknown.
            UnavailableError: its weights are not here.
        """
        own = ImageLook(name, self._config.input_size, self._config.fit)
        plain = load_backbones(own.applied(self._config), self._device, self._offline)[0]
        if self._config.unfreeze:  # a wrong name should not wait for the end of the search
            module_names(plain.module, self._config.unfreeze)
        preprocess = plain.classifier.preprocess
        maps = {
            layer.name: layer.shape
            for layer in list_layers(plain.module, preprocess.shape)
            if layer.main
        }
        upto = list(maps)
        last = plain.classifier.layer
        maps = {n: maps[n] for n in upto[: upto.index(last) + 1]} if last in maps else {}
        self.native[name] = Native(
            preprocess.shape[1], preprocess.fit, maps, plain.channels
        )  # fmt: skip
        self.whole[name] = widest(self._config, self.native[name])
        self._loaded[own] = self.load(own) if not self.whole[name].plain else plain

    def load(self, look: ImageLook) -> Backbone:
        """The network that looks like this; `open` has loaded it before, or one of that name."""
        if look not in self._loaded:
            alike = (x for x in self._loaded if x._replace(fit=look.fit) == look)
            if other := next(alike, None):  # what was made to run it is for all fits
                fit = look.fit or self.native[look.backbone].fit
                self._loaded[look] = self._loaded[other].refitted(fit)
            else:
                config = look.applied(self._config)
                config = replace(config, pooling=str(self.whole[look.backbone]))
                self._loaded[look] = load_backbones(config, self._device, self._offline)[0]
        return self._loaded[look]

    def cost(self, look: ImageLook) -> float:
        """Of a look: the larger the network and its input, the dearer."""
        backbone = self.load(look)
        _, height, width = backbone.classifier.preprocess.shape
        return height * width * sum(t.numel() for t in backbone.tensors.values())


def part(backbone: Backbone, features: Tensor, pooling: Pooling) -> tuple[Tensor, list[int]]:
    """Of what was looked at once the part that a pooling takes, and the size of each statistic."""
    blocks = [n for each, n in backbone.sight.statistics if each in pooling.statistics]
    if pooling == backbone.sight.pooling:
        return features, blocks
    return features[:, backbone.sight.columns(pooling)], blocks
