"""Networks of which tracing could follow a part only: some modules are one node of the graph.

What is in such a piece is out of the graph's sight: its maps, and what it decides by its values.
"""

from __future__ import annotations

from torch import Tensor, fx, nn

from camcli.models.cutting import cut_graph, cut_hooks
from camcli.models.cutting.graph.fx_graph import PROBE, Traced
from camcli.models.cutting.tokens import layout_of
from camcli.models.cutting.types import Cut, NoMapError
from camcli.models.spec import LAST

# Their modules decide by shapes and settings, never by what is in a picture.
_LIBRARIES = ("transformers.", "timm.", "torchvision.", "torch.", "keras.")
_MARK = "camcli_goes_by_values"


def found_in_pieces(model: nn.Module, traced: Traced, name: str, probe: Tensor) -> fx.Node:
    """As `cut_graph.find`, where pieces may hide what is meant.

    Args:
        model: the network.
        traced: its graph.
        name: of a layer, or ``last``.
        probe: (PROBE, C, H, W).

    Raises:
        NoMapError: there is no such map, and nothing that could hide one.
        UsageError: the layer has no map.
        LookupError: a piece hides it.
    """
    try:
        node = cut_graph.find(traced, name)
    except NoMapError as error:
        if not traced.pieces:
            raise
        raise LookupError("what could not be traced hides the map") from error
    if name == LAST and traced.pieces and _hides_map(model, traced, node, probe):
        raise LookupError(f"what could not be traced hides a map after {traced.name(node)}")
    return node


def _hides_map(model: nn.Module, traced: Traced, node: fx.Node, probe: Tensor) -> bool:
    """Whether a piece after a node has a map (B, K, h, w) inside."""
    after = {node}
    for n in traced.whole.graph.nodes:
        if any(m in after for m in n.all_input_nodes):
            after.add(n)
    hiding = tuple(
        f"{n.target}."
        for n in after
        if n is not node and n.op == "call_module" and n.target in traced.pieces
    )
    if not hiding:
        return False
    image = (probe.shape[2], probe.shape[3])
    return any(
        name.startswith(hiding)
        and len(shape) == 4
        and shape[0] == PROBE
        and layout_of(shape, image) is not None
        for name, shape in cut_hooks.watch(model, probe).items()
    )


def inner_layers(
    model: nn.Module, traced: Traced, probe: Tensor
) -> dict[str, tuple[int, int, int]]:
    """The maps (K, h, w) inside of pieces, by name."""
    inside = tuple(f"{piece}." for piece in traced.pieces)
    if not inside:
        return {}
    seen = cut_hooks.watch(model, probe)
    return {
        name: held.shape
        for name, held in cut_hooks.layouts(model, seen, probe[0]).items()
        if name.startswith(inside)
    }


def not_to_convert(model: nn.Module, traced: Traced, made: Cut) -> None:
    """Mark a first part that another runtime must not take.

    A converter sees one way through a piece only, and a piece of code of one's own may go another
    for another picture.
    """
    own = [type(model.get_submodule(piece)).__module__ for piece in traced.pieces]
    if isinstance(made.first, nn.Module) and not all(m.startswith(_LIBRARIES) for m in own):
        vars(made.first)[_MARK] = True


def goes_by_values(backbone: object) -> bool:
    """Whether a backbone may compute in another way for another picture."""
    parts = backbone.modules() if isinstance(backbone, nn.Module) else (backbone,)
    return any(getattr(part, _MARK, False) is True for part in parts)
