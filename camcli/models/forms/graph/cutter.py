"""Cut a graph in two at its last map, or at others by name, as `camcli.models.cutting` does.

The cut is checked on numbers: both parts together say what the whole graph says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from camcli.errors import CamcliError
from camcli.models.cutting.listing import Layer
from camcli.models.cutting.scores.asking import Shape
from camcli.models.cutting.scores.final_activation import Family, explains
from camcli.models.cutting.scores.settled_output import settle
from camcli.models.cutting.tokens import Grid
from camcli.models.cutting.two_sided import two_sided_cut
from camcli.models.cutting.types import Cut, NoMapError, Place, Tail
from camcli.models.forms.graph.halves import First, GraphTail, Spot, linear_head, rest_of
from camcli.models.forms.graph.maps import GraphMaps, influence
from camcli.models.forms.graph.network import PROBE, Graph, not_run
from camcli.models.forms.graph.torch_tail import with_gradients
from camcli.models.forms.graph.values import Key
from camcli.models.outputs import Output, largest, rows_of
from camcli.models.spec import LAST, OutputKind


@dataclass(frozen=True)
class GraphCutter:
    """What `BuiltModel.cutter` is of a graph.

    Attributes:
        network: the graph, at the output that was chosen.
    """

    network: Graph

    def __call__(
        self, shape: Shape, layers: Sequence[str] = (LAST,), output: OutputKind | None = None
    ) -> Cut:
        """As `camcli.models.cutting.cut.cut`.

        Args:
            shape: (channels, height, width) of the pictures.
            layers: where to cut, as `layers` names them.
            output: what the network returns; None to find out.

        Raises:
            CamcliError: there is no map, or the parts are not the whole.
            UsageError: there is no such layer, or the outputs cannot be what `output` says.
        """
        size = (shape[1], shape[2])
        network, found, expected = self._ended(size, output)
        maps = GraphMaps(network, size)
        probe = network.probe(size)
        if tuple(layers) == (LAST,):
            made = _at_last(maps, probe, expected)
        else:
            spots = [_spot(maps, maps.find(name)) for name in layers]
            made = _cut(maps, spots, probe, expected)
        made = replace(made, output=found)
        return two_sided_cut(made) if made.outputs == 1 and not found.measures else made

    def layers(self, shape: Shape) -> list[Layer]:
        """The layers that a cut takes, as `camcli.models.cutting.listing.list_layers`."""
        return GraphMaps(self._ended((shape[1], shape[2]), None)[0], (shape[1], shape[2])).layers()

    def _ended(self, size: Grid, asked: OutputKind | None) -> tuple[Graph, Output, Tensor]:
        """The graph that ends in logits, what they are, and those of the trial's images."""
        network = self.network
        probe = network.probe(size)
        try:
            values = network.fixed(network.rows(PROBE), size)
            (_, raw), *before = self._said(network, probe).items()
        except RuntimeError as error:
            raise not_run(network.origin, size, error) from error
        end: tuple[Key, Tensor, Family] | None = None
        for key, logits in before:
            family = network.ends(values)[key]
            if family is not None and explains(family, logits, raw):
                end = key, logits, family
                break
        found, without = settle(raw, end and end[2], asked, linear=network.ends_linear(values))
        if end and without:
            return network.ending_at(end[0]), found, end[1]
        return network, found, raw

    def _said(self, network: Graph, probe: Tensor) -> dict[Key, Tensor]:
        """What the graph says of a trial's images, (B, C), and what is before its end."""
        said = {key: rows_of(value, len(probe)) for key, value in network.answers(probe).items()}
        if next(iter(said.values())) is None:
            raise CamcliError(f"{network.origin} returns no scores of classes, (B, C).")
        return {key: value for key, value in said.items() if value is not None}


def _spot(maps: GraphMaps, key: Key) -> Spot:
    """A place to cut at.

    Raises:
        CamcliError: what passes by it is not one row an image.
    """
    layout = maps.layout(key)
    assert layout is not None
    context = tuple(maps.values.crossing(key))
    rows = maps.network.rows(PROBE)
    for other in context:
        shape = maps.values.at(other).get_partial_shape()
        if shape.is_dynamic or not len(shape) or shape[0].get_length() != rows:
            raise CamcliError(
                f"The network cannot be cut at {key[0]!r}: {other[0]!r} passes by it and is not "
                "one row an image."
            )
    return Spot(key, layout, context)


def _at_last(maps: GraphMaps, probe: Tensor, expected: Tensor) -> Cut:
    """The cut at the last map that has an influence on the logits.

    A transformer's last class token has looked at the tokens of the block before: those after it
    are passed over.
    """
    tried: dict[Key, bool] = {}
    while True:
        key = maps.last(tried)
        made = _cut(maps, [_spot(maps, key)], probe, expected)
        if made.places[0].matters:
            return made
        tried[key] = False
        if len(tried) > len(maps.values.nodes):
            raise NoMapError("No map of the network decides its answer.")


def _cut(maps: GraphMaps, spots: list[Spot], probe: Tensor, expected: Tensor) -> Cut:
    """The cut at several places, checked on trial images."""
    network, outputs = maps.network, expected.shape[1]
    first = First(network, spots, maps.size)
    tails = [GraphTail(network, spot, outputs) for spot in spots]
    places = tuple(
        Place(
            spot.name,
            plain,
            (True,) * (bool(spot.layout.prefix) + len(spot.context)),
            None,
            spot.layout.shape,
        )
        for spot, plain in zip(spots, tails, strict=True)
    )
    made = Cut(first, places, outputs, gradients=False)
    pieces = made.split(probe)
    settled = []
    for spot, place, plain, (A, tail) in zip(spots, places, tails, pieces, strict=True):
        _check(place, A, tail, expected)
        rows = network.rows(PROBE)
        rest = rest_of(network, spot, rows, maps.size)
        # Torch runs a linear head as well as OpenVINO does, and has its gradients.
        head = None if place.batched else linear_head(tail, A, rest)
        if head is not None:
            settled.append(replace(place, tail=head, head=head))
            continue
        # Tokens after a transformer's last attention, of which only the class token is used.
        matters = spot.layout.kind != "tokens" or influence(tail, A)
        with_torch = with_gradients(plain, rest, rows, outputs, A, tail)
        settled.append(replace(place, tail=with_torch or place.tail, matters=matters))
    return replace(made, places=tuple(settled))


def _check(place: Place, A: Tensor, tail: Tail, expected: Tensor) -> None:
    """Both parts together are the network, for any rows.

    Raises:
        CamcliError: they are not.
    """
    rows = torch.tensor([1, 0, 1])
    tolerance = 1e-3 * largest(expected)
    for got, truth in ((tail(A), expected), (tail(A[rows], rows), expected[rows])):
        if not torch.allclose(got, truth, rtol=1e-3, atol=tolerance):
            raise CamcliError(
                f"The network cannot be cut at {place.layer!r}: the rest of it does not reproduce "
                "its logits."
            )
