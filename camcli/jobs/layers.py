"""Which layers a network has that can be explained: what ``camcli layers`` is asked, and does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from camcli.jobs.model import ModelJob
from camcli.models import spec
from camcli.settings import Settings

if TYPE_CHECKING:
    from camcli.models.cutting.listing import Layer


@dataclass(frozen=True, slots=True)
class FoundLayers:
    """A network's layers.

    Attributes:
        layers: those with a map, in the order in which an image meets them.
        last: the name of the one that ``last`` stands for.
        shape: of its map, (K, h, w).
    """

    layers: list[Layer]
    last: str
    shape: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class LayersJob(Settings):
    """A network whose layers are to be listed.

    Attributes:
        model: its name, as `ModelJob` takes it.
        checkpoint: a file of ``camcli train`` instead.
        input_size: side of the input in pixels; None for the weights' own.
        preprocess: how the network wants its pixels, in words; None for its own way.
        trust_pickle: whether code that a file names may run.
    """

    model: str = spec.BUNDLED
    checkpoint: str | Path | None = None
    input_size: int | None = None
    preprocess: str | None = None
    trust_pickle: bool = False

    @property
    def network(self) -> ModelJob:
        """Which network."""
        return ModelJob(
            self.model, self.checkpoint, input_size=self.input_size, preprocess=self.preprocess,
            trust_pickle=self.trust_pickle,
        )  # fmt: skip

    def check(self) -> None:
        """Refuse, without torch, what cannot be a network.

        Raises:
            UsageError: a name that nothing has, a number out of range, or no checkpoint.
            CamcliError: a file that holds no weights.
        """
        self.network.check()

    def run(self) -> FoundLayers:
        """Build the network and look through it.

        Raises:
            UsageError: as `check`, or the network is code of one's own that does not run.
            CamcliError: it cannot be cut.
        """
        self.check()
        from camcli.models.cutting.cut import cut_before_head
        from camcli.models.cutting.listing import list_layers
        from camcli.models.loading.zoo import build_model

        network = self.network.settled()
        name, pooling = network.model, None
        if network.checkpoint is not None:
            from camcli.models.load import buildable
            from camcli.models.loading.checkpoint import load_checkpoint

            path = Path(network.checkpoint)
            saved = load_checkpoint(path)
            name = buildable(saved, path, name)
            pooling = None if saved.pooling.plain else saved.pooling
        # Weights do not matter here, and need not be on this machine. A user's factory has its own.
        own = spec.is_own_code(name) or spec.is_path(name)
        built = build_model(
            name, weights=None if own else "random", input_size=self.input_size,
            preprocess=self.preprocess, trust_pickle=self.trust_pickle,
        )  # fmt: skip
        size = built.preprocess.with_(size=self.input_size).shape
        last = cut_before_head(built.module, size, pooling).places[0]
        return FoundLayers(list_layers(built.module, size), last.layer, last.shape)
