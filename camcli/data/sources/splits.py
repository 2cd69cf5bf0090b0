"""The parts of a data set, train, val and test, and the names that folders give them."""

from __future__ import annotations

import re
from typing import Literal

Split = Literal["train", "val", "test"]

SPLITS: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Words for a split, in lower case, and the split that each means; see `split_of`."""

_SPLIT = re.compile(
    rf"(seg[-_])?({'|'.join(SPLITS)})([-_ ]?(set|split|data|images))?[-_]?(\d{{4}})?"
)


def split_of(name: str) -> Split | None:
    """Which split a folder of this name is, if any: ``Training``, ``val2017``, ``test_set``."""
    match = _SPLIT.fullmatch(name.lower())
    return SPLITS[match[2]] if match else None
