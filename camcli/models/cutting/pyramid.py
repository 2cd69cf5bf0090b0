"""The layers of a feature pyramid: the last map of each of the last sizes that a network makes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from camcli.errors import UsageError
from camcli.models.cutting.cut import cut
from camcli.models.cutting.listing import Layer, list_layers
from camcli.models.cutting.scores.asking import Shape
from camcli.models.spec import LAST, PYRAMID, OutputKind

SIZES = 3
"""How many: as both torchcam's and grad-cam's examples of RefineCAM take them, of a ResNet
layer2, layer3 and layer4."""


def pyramid_layers(
    model: nn.Module, size: int | Shape, *, output: OutputKind | None = None
) -> tuple[str, ...]:
    """The layers that `PYRAMID` stands for, the finest map first.

    Of each size it is the last block through which everything passes. One that goes into a max
    pooling is passed over for what an earlier pooling left of that size: through a pooling its
    gradient reaches one place of four, and the other three would be cold for no other reason (the
    authors of LayerCAM take pool4 of a VGG for conv4_3, too).

    Args:
        model: as for `camcli.models.cutting.cut.cut`.
        size: likewise.
        output: likewise.

    Raises:
        UsageError: all its maps are of one size, as a plain vision transformer's are.
        CamcliError: it cannot be cut.
    """
    last = cut(model, size, (LAST,), output=output).places[0]
    area = last.shape[1] * last.shape[2]
    main = [layer for layer in list_layers(model, size) if layer.main]
    end = next((n for n, layer in enumerate(main) if layer.name == last.layer), len(main))
    sizes: dict[tuple[int, ...], list[int]] = {}
    for n, layer in enumerate(main[:end]):
        if layer.shape[1] * layer.shape[2] > area:
            sizes.setdefault(layer.shape[1:], []).append(n)
    found = []
    for of_size in sizes.values():
        if _is_pooling(model, main[of_size[-1] + 1 :]):
            if _is_pooling(model, main[of_size[0] :]):
                found.append(main[of_size[0]].name)
            continue
        # A whole block rather than the inner step of one that comes after it.
        outer = min(main[n].name.count(".") for n in of_size)
        found.append(next(main[n].name for n in of_size[::-1] if main[n].name.count(".") == outer))
    finer = found[1 - SIZES :]
    if not finer:
        raise UsageError(
            f"--layer {PYRAMID}, which is where refinecam looks, joins the last maps of several "
            f"sizes, and this network has none that is finer than {last.layer!r}: name layers, "
            "--layer a,b ('camcli layers' lists them), or take another method."
        )
    return (*finer, LAST)


def _is_pooling(model: nn.Module, layers: Sequence[Layer]) -> bool:
    """Whether the first of these is a max pooling, or a sequence that ends in one."""
    if not layers:
        return False
    try:
        module = model.get_submodule(layers[0].name)
    except AttributeError:  # a step that is no module
        return layers[0].kind.startswith("MaxPool")
    while isinstance(module, nn.Sequential) and len(module):
        module = module[-1]
    return type(module).__name__.startswith("MaxPool")
