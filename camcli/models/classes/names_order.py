"""What all files of class names share: where names may stand, and the order that indices give."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from camcli.errors import UsageError

FORMS = (
    'one name a line, a JSON list, {"0": "name"}, {"name": 0}, or a table with the columns index '
    "and name"
)
# Where configurations keep their names, the surest first.
KEYS = (
    "id2label", "idx_to_class", "idx2label", "index_to_name", "class_names", "label_names", "names",
    "classes", "categories", "label2id", "class_to_idx", "classes_to_idx", "labels",
)  # fmt: skip
NAMES = (
    "name", "class_name", "classname", "label_name", "display_name", "names", "class_names",
    "class", "label", "category", "species", "description", "classes", "labels", "text", "title",
)  # fmt: skip
WNID = re.compile(r"n\d{2,8}")
_WHOLE = re.compile(r"\s*\d{1,9}(\.0+)?\s*")


def ordered(pairs: Iterable[tuple[Any, str]], origin: str) -> list[str]:
    """Names by their indices, which count up from 0, or from 1.

    Args:
        pairs: of an index, as `is_whole` has it, and a name.
        origin: the file, for messages.

    Raises:
        UsageError: one is missing, or occurs twice.
    """
    listed = [(whole(index), name) for index, name in pairs]
    by_index = dict(listed)
    if len(by_index) < len(listed):
        twice = next(i for i, n in Counter(i for i, _ in listed).items() if n > 1)
        raise UsageError(f"In {origin} two class names have the index {twice}.")
    first = 1 if 0 not in by_index and 1 in by_index else 0
    for index in range(first, first + len(by_index)):
        if index not in by_index:
            raise UsageError(
                f"In {origin} {len(by_index)} class names have indices up to {max(by_index)}, and "
                f"{index} is missing: name every output of the network."
            )
    return [by_index[index] for index in range(first, first + len(by_index))]


def counts(indices: Sequence[int]) -> bool:
    """Whether these are 0 to N-1, or 1 to N, in any order."""
    found = sorted(indices)
    return bool(found) and found[0] in (0, 1) and found == list(
        range(found[0], found[0] + len(found))
    )  # fmt: skip


def is_whole(value: object) -> bool:
    """Whether it can be an index; spreadsheets write 3.0 for 3."""
    if isinstance(value, str):
        return bool(_WHOLE.fullmatch(value)) and value.isascii()
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9


def whole(value: str | int) -> int:
    """The number that `is_whole` found."""
    return int(value.partition(".")[0]) if isinstance(value, str) else value


def unknown(origin: str) -> UsageError:
    """That nothing of a file looks like class names."""
    return UsageError(f"In {origin} no class names are found: it should be {FORMS}.")
