"""Records of settings that hold what their fields say, or are not made."""

from __future__ import annotations

import os
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from camcli.errors import UsageError


class Settings:
    """A dataclass whose fields are checked for their types when it is made.

    A text may stand for a path, and becomes one. Whether a value is in its range, and a word one
    of those that are known, is said by the record's own check.

    Raises:
        UsageError: a value of another type.
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        check_types(self)


def check_types(record: Any) -> None:
    """Hold a dataclass's values against the annotations of its fields.

    Args:
        record: where a field takes paths and no texts, a text in it is replaced by the path.

    Raises:
        UsageError: names the field, what it takes, and what it was given.
    """
    kind: type = type(record)
    hints = _hints(kind)
    for each in fields(record):
        value, hint = getattr(record, each.name), hints[each.name]
        if isinstance(value, str) and _is_path(hint):
            object.__setattr__(record, each.name, Path(value))
        elif (
            _is_list(value) and hint == Sequence[Path] and all(_fits(v, str | Path) for v in value)
        ):
            object.__setattr__(record, each.name, [Path(v) for v in value])
        else:
            _check(each.name, value, hint)
        if _is_path(hint) and "\0" in str(value):
            raise UsageError(f"{each.name} is a path, which no zero byte can be in: {value!s:.60}.")


def check_arguments(function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Hold a function's arguments against its annotations.

    Args:
        function: any.
        given: its arguments, as ``locals()`` has them at its first line.

    Raises:
        UsageError: as `check_types`.
    """
    hints = _hints(function)
    for name, value in given.items():
        _check(name, value, hints[name])


def _check(name: str, value: Any, hint: Any) -> None:
    if not _fits(value, hint):
        said = repr(value)
        said = said if len(said) <= 60 else f"{said[:57]}..."
        raise UsageError(f"{name} is {_words(hint)}, not {said}.")


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """The types of fields or arguments; what is imported for types alone is known by its name."""
    unknown: dict[str, Any] = {}
    while True:
        try:
            return typing.get_type_hints(kind, localns=unknown)
        except NameError as error:
            name = error.name or ""
            unknown[name] = type(name, (_Named,), {})


class _Named:
    """Stands for a class that is not imported before it is needed, torch's say."""


def _is_path(hint: Any) -> bool:
    """Whether a field takes a path, and no other text."""
    return hint is Path or hint == Path | None


def _fits(value: Any, hint: Any) -> bool:
    if hint is Any:
        return True
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in get_args(hint))
    if origin is Literal:
        return isinstance(value, str)
    if origin is not None and issubclass(origin, Sequence):
        return _is_list(value) and all(_fits(each, get_args(hint)[0]) for each in value)
    kind: type = origin or hint
    if issubclass(kind, _Named):
        return any(each.__name__ == kind.__name__ for each in type(value).__mro__)
    # NumPy's numbers are numbers, and Python's True is none.
    truth = type(value).__name__ in ("bool", "bool_")
    if kind is bool:
        return truth
    if kind in (int, float):
        return isinstance(value, Integral if kind is int else Real) and not truth
    return isinstance(value, os.PathLike if kind is Path else kind)


def _is_list(value: Any) -> bool:
    plain = isinstance(value, str | bytes | bytearray | Mapping)
    return not plain and hasattr(value, "__len__") and hasattr(value, "__getitem__")


_WORDS: dict[Any, str] = {
    str: "a text", int: "a whole number", float: "a number", bool: "True or False",
    Path: "a path", NoneType: "None",
}  # fmt: skip


def _words(hint: Any) -> str:
    """What a field takes, for a message."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        words = dict.fromkeys(map(_words, get_args(hint)))
        return " or ".join(words)
    if origin is Literal:
        return _WORDS[str]
    if origin is not None and issubclass(origin, Sequence):
        words = dict.fromkeys(_words(each) + "s" for each in _parts(get_args(hint)[0]))
        return "a list of " + " or ".join(words).replace("a ", "")
    return _WORDS.get(hint) or f"a {(origin or hint).__name__}"


def _parts(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) or (hint,)
