"""Class names that lie beside the tensors in a weight file, as training scripts leave them there.

``{"state_dict": ..., "classes": ["cat", "dog"]}``, ``"class_to_idx": {"cat": 0}``, Lightning's
``hyper_parameters``, mmpretrain's ``meta``: where such names are as many as the network has
outputs, they are its classes', and nobody should have to write them down again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from camcli.errors import UsageError
from camcli.models.classes.names_file import names_of
from camcli.models.classes.names_order import KEYS

_DEEPEST = 4
_MOST = 100_000


def names_beside(loaded: object) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """All that looks like class names in what a weight file held.

    Args:
        loaded: what `camcli.models.weights.opening.open_weights` returned.

    Returns:
        For each, where it is in the file, and the names in their order; the surest key first.
    """
    found: list[tuple[int, int, str, tuple[str, ...]]] = []
    seen: set[int] = set()

    def walk(value: object, key: str, depth: int) -> None:
        if not isinstance(value, Mapping) or depth > _DEEPEST or id(value) in seen:
            return
        seen.add(id(value))
        for name, part in value.items():
            if not isinstance(name, str):
                continue
            here = f"{key}.{name}" if key else name
            if name.lower() in KEYS and (names := _names(part, here)):
                found.append((depth, KEYS.index(name.lower()), here, names))
            walk(part, here, depth + 1)

    walk(loaded, "", 0)
    return tuple((key, names) for _, _, key, names in sorted(found))


def _names(value: Any, key: str) -> tuple[str, ...] | None:
    """Names in a list of texts or in a mapping from or to indices, or None."""
    if not isinstance(value, Mapping | list | tuple) or not 2 <= len(value) <= _MOST:
        return None
    try:
        if isinstance(value, Mapping):
            return names_of(dict(value), key)
        return names_of(list(value), key) if all(isinstance(v, str) for v in value) else None
    except UsageError:
        return None
