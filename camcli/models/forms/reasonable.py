"""Whether a configuration's numbers may be those of a network whose tensors are there.

A few digits in a configuration can ask for a network of any width and depth, and to build that
fills the memory or takes for ever before its weights are found not to fit. What the weights are
bounds both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from camcli.errors import UsageError
from camcli.printable import printable

_DEEP = re.compile(r"depths?|\w*layers|\w*blocks?|\w*repeats?|\w*stages", re.IGNORECASE)
_WIDE = re.compile(
    r"\w*(?:hidden|embed|dim|channel|width|label|class|intermediate|stem|head|in_chans|filter"
    r"|plane)\w*",
    re.IGNORECASE,
)
_NARROW = 4096  # what is said and not used may be wider than any tensor, but not by much
_DEEPEST = 50


def check_numbers(config: Mapping[str, Any], tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse a configuration of a network that is far larger than its weights.

    Args:
        config: as it was read.
        tensors: the weights.
        path: of both, for messages.

    Raises:
        UsageError: it is such.
    """
    wide = max((side for tensor in tensors.values() for side in tensor.shape), default=0)
    most = {_DEEP: max(len(tensors), 64), _WIDE: max(2 * wide, _NARROW)}
    for key, number in _numbers(config, "", 0):
        for kind, limit in most.items():
            if kind.fullmatch(key) and abs(number) > limit:
                raise UsageError(
                    f"{path}: its configuration says {printable(key)[:60]} {number:,}, and its "
                    "weights are of a far smaller network: one of the two is damaged or another's."
                )


def _numbers(value: Any, key: str, depth: int) -> Iterator[tuple[str, int | float]]:
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        for name, part in value.items():
            # Names of classes by their number, and the other way round, are no sizes.
            if name not in ("id2label", "label2id"):
                yield from _numbers(part, str(name), depth + 1)
    elif isinstance(value, list):
        for part in value:
            yield from _numbers(part, key, depth + 1)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield key, value
