"""The types that a weight file may name besides tensors: for each a stand-in that does nothing.

`torch.load(weights_only=True)` makes tensors and plain values, and refuses a file that names
anything else, such as the settings that a training script saved beside its network. What has the
name of a harmless type is made as a stand-in: an object that takes all it is given and does nothing
with it, since only tensors are wanted. So no code of those types runs, not even a constructor's.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any


class StandIn:
    """Takes the place of an object that is not wanted: it keeps nothing and runs nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> StandIn:
        """Any arguments are taken."""
        return object.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class MappingStandIn:
    """Takes the place of a kind of dict: tensors may be in there, so the entries are kept."""

    def __new__(cls, *args: Any) -> Any:
        """A plain mapping; what the type was made with, such as a default, is left out."""
        return OrderedDict()


class ListStandIn:
    """Takes the place of a kind of list."""

    def __new__(cls, *args: Any) -> Any:
        """A plain list."""
        return []


_MAPPINGS = (
    "collections.defaultdict", "addict.addict.Dict", "easydict.EasyDict", "munch.Munch",
    "yacs.config.CfgNode", "fvcore.common.config.CfgNode", "box.box.Box", "attrdict.AttrDict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "lightning.pytorch.utilities.parsing.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict", "mmengine.config.config.ConfigDict",
    "mmcv.utils.config.ConfigDict", "builtins.dict", "collections.UserDict",
)  # fmt: skip
_LISTS = ("builtins.list", "collections.deque", "torch.nn.modules.container.ParameterList")
_PLAIN = (
    "argparse.Namespace", "types.SimpleNamespace", "typing.Any", "copyreg._reconstructor",
    "functools.partial", "decimal.Decimal", "fractions.Fraction", "uuid.UUID", "builtins.object",
    "builtins.slice",
    "builtins.range", "builtins.frozenset", "builtins.tuple", "builtins.int", "builtins.float",
    "builtins.bool", "builtins.str", "builtins.bytes", "time.struct_time",
    "zoneinfo.ZoneInfo._unpickle", "tensorboard.compat.proto.summary_pb2.Summary",
    "ml_collections.config_dict.ConfigDict",
)  # fmt: skip
# Families whose members are as harmless as each other once they are stand-ins.
_FAMILIES = re.compile(
    r"(?:numpy|datetime|pathlib|omegaconf|collections|random|sklearn|torchmetrics|PIL"
    r"|torchvision\.(?:transforms|datasets)|torch\.utils\.data|timm\.(?:data|utils)"
    r"|torch\.optim|torch\.nn\.modules\.(?:loss|activation)|torch\.cuda\.amp\.grad_scaler"
    r"|torch\.amp\.grad_scaler|timm\.scheduler|timm\.optim|transformers\.training_args"
    r"|(?:pytorch_lightning|lightning\.pytorch)\.callbacks)\..+"
)
_NAMED: dict[str, Any] = {
    **dict.fromkeys(_MAPPINGS, MappingStandIn),
    **dict.fromkeys(_LISTS, ListStandIn),
    **dict.fromkeys(_PLAIN, StandIn),
}


def stand_in(name: str) -> type | None:
    """What is made in place of an object of the type `name`, or None if it is to be refused.

    Args:
        name: such as ``argparse.Namespace``.
    """
    return _NAMED.get(name) or (StandIn if _FAMILIES.fullmatch(name) else None)
