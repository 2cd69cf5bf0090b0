"""A graph in the place of torch's network: it answers as a whole, and cuts itself."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from torch import Tensor, nn

from camcli.errors import CamcliError
from camcli.models.cutting.listing import Layer
from camcli.models.cutting.scores.asking import Shape
from camcli.models.cutting.types import Cut
from camcli.models.forms.graph.cutter import GraphCutter
from camcli.models.forms.graph.reading import reason
from camcli.models.spec import LAST, OutputKind

log = logging.getLogger(__name__)


class GraphNetwork(nn.Module):
    """Runs a graph in OpenVINO; it has no parameters that torch knows of, and no gradients.

    Attributes:
        cutter: cuts the graph.
    """

    def __init__(self, cutter: GraphCutter) -> None:
        super().__init__()
        self.cutter = cutter

    def forward(self, images: Tensor) -> Tensor:
        """What the graph says of images (B, C, H, W), before anything is left out."""
        return next(iter(self.cutter.network.answers(images).values()))

    def cut_itself(
        self, shape: Shape, layers: Sequence[str] = (LAST,), output: OutputKind | None = None
    ) -> Cut:
        """As `camcli.models.cutting.types.CutsItself`."""
        try:
            return self.cutter(shape, layers, output)
        except CamcliError:
            raise
        except Exception as error:  # whatever OpenVINO meets in a foreign graph
            log.debug("cannot be cut", exc_info=True)
            origin = self.cutter.network.origin
            raise CamcliError(f"OpenVINO cannot run {origin}: {reason(error)}.") from error

    def own_layers(self, shape: Shape) -> list[Layer]:
        """As `camcli.models.cutting.types.CutsItself`."""
        return self.cutter.layers(shape)
