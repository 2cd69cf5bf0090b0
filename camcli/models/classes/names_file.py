"""Class names from a file, in the forms that training scripts and hubs write them.

One a line; a JSON list; ``{"0": "cat"}``, ``{"cat": 0}`` or ``{"0": ["n02123045", "tabby"]}``; a
configuration of the Hugging Face hub or of YOLO; lines of text in the forms of
`camcli.models.classes.names_text`. Where there are indices, they decide the order and must be
complete. Nothing in a file is ever run.
"""

from __future__ import annotations

import ast
import contextlib
import json
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from camcli.errors import UsageError
from camcli.files import read_regular
from camcli.models.classes.names_order import (
    FORMS,
    KEYS,
    NAMES,
    WNID,
    is_whole,
    ordered,
    unknown,
    whole,
)
from camcli.models.classes.names_text import TextReader

MAX_BYTES = 8 << 20
"""A file of class names may have: 100,000 names take some 3 MB."""
_LITERAL = 1 << 20
_ASSIGNED = re.compile(r"\s*(?:#[^\n]*\n\s*)*[A-Za-z_]\w*\s*=\s*(?=[\[({])")


def read_class_names(classes: str | Path | Sequence[str] | None) -> tuple[str, ...] | None:
    """Class names as given, or from a file, in the order of the network's outputs.

    Names that occur twice (ImageNet has two cranes) are told apart by their index.

    Args:
        classes: the names, the path of a file, or None.

    Raises:
        UsageError: the file cannot be read or understood, an index is missing or occurs twice, or
            a name is empty.
    """
    if classes is None:
        return None
    if not isinstance(classes, (str, Path)):
        return _told_apart([str(name).strip() for name in classes], "the class names")
    origin = str(classes)
    try:
        text = decode(read_regular(classes, MAX_BYTES))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(
            f"The class names in {origin} cannot be read ({why.splitlines()[0]}): it should be "
            f"text in UTF-8 with {FORMS}."
        ) from error
    return _told_apart([name.strip() for name in _Reader(origin).read(text)], origin)


def names_of(value: Any, origin: str) -> tuple[str, ...]:
    """Class names from a list or mapping in one of the forms that files of them have.

    Args:
        value: plain values: ``["cat", "dog"]``, ``{0: "cat"}``, ``{"cat": 0}``.
        origin: where it is from, for messages.

    Raises:
        UsageError: it is none of the forms, an index is missing or occurs twice, or a name is
            empty.
    """
    return _told_apart([name.strip() for name in _Reader(origin).value(value)], origin)


def decode(data: bytes) -> str:
    """Text in UTF-8 or, with or without its mark, in UTF-16.

    Raises:
        ValueError: it is neither.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    sample = data[:1000]
    if len(sample) > 1 and b"\0" in sample:
        odd, even = sample[1::2].count(0), sample[::2].count(0)
        if max(odd, even) > len(sample) // 4 and min(odd, even) == 0:
            return data.decode("utf-16-le" if odd else "utf-16-be")
        raise ValueError("it is not text")
    return data.decode("utf-8-sig")


def _told_apart(names: Sequence[str], origin: str) -> tuple[str, ...]:
    """The names, with the index behind those that occur twice.

    Raises:
        UsageError: there are none, or one is empty.
    """
    if not names or "" in names:
        raise UsageError(f"In {origin} there are no names, or one of them is empty.")
    counts = Counter(names)
    taken = set(names)
    unique = []
    for index, name in enumerate(names):
        if counts[name] > 1:
            name = f"{name} ({index})"
            while name in taken:
                name += "'"
            taken.add(name)
        unique.append(name)
    return tuple(unique)


class _Reader:
    """Reads one file's text; `origin` is the file, for messages."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def read(self, text: str) -> list[str]:
        """The names in order; not yet cleaned.

        Raises:
            UsageError: it is none of the forms.
        """
        if text.lstrip()[:1] in ("[", "{"):
            return self.value(self._json(text))
        if _ASSIGNED.match(text):
            return self.value(self._assigned(text))
        return TextReader(self._origin).read(text)

    # --- JSON ------------------------------------------------------------------------------------

    def _json(self, text: str) -> Any:
        try:
            return json.loads(text, object_pairs_hook=self._distinct)
        except (ValueError, RecursionError) as error:
            if len(text) <= _LITERAL:
                with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
                    # What Python prints of a dict, {0: 'cat'}: a literal, never evaluated.
                    return ast.literal_eval(text.strip())
            lines = [line for line in text.splitlines() if line.strip()]
            if len(lines) > 1:
                with contextlib.suppress(ValueError, RecursionError):
                    return [json.loads(line) for line in lines]  # JSON Lines
            why = str(error).splitlines()[0]
            raise UsageError(f"{self._origin} is not JSON with class names: {why}.") from error

    def _distinct(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """A dict; of two values of one key JSON would keep the last and say nothing."""
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(key for n, (key, _) in enumerate(pairs) if key in dict(pairs[:n]))
            raise UsageError(f"In {self._origin} {twice!r} stands twice: keep one of them.")
        return found

    def _assigned(self, text: str) -> Any:
        """What ``classes = ["cat", "dog"]`` gives, in TOML or in Python: read, never run."""
        with contextlib.suppress(ValueError, RecursionError):
            return tomllib.loads(text)
        if len(text) <= _LITERAL and (found := _ASSIGNED.match(text)):
            with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
                return ast.literal_eval(text[found.end() :].strip())
        raise unknown(self._origin)

    def value(self, value: Any, depth: int = 0) -> list[str]:
        """Names from a list or mapping of whatever form."""
        if depth < 4:
            if isinstance(value, (list, tuple)):
                return self._list([v[0] if _alone(v) else v for v in value])
            if isinstance(value, dict):
                return self._mapping(value, depth)
        raise unknown(self._origin)

    def _list(self, values: Sequence[Any]) -> list[str]:
        if all(isinstance(value, str) for value in values):
            return list(values)
        if all(isinstance(value, (list, tuple)) and len(value) == 2 for value in values):
            pairs = [tuple(value) for value in values]
            if all(is_whole(a) for a, _ in pairs):
                return ordered(((a, self._name(b)) for a, b in pairs), self._origin)
            if all(is_whole(b) for _, b in pairs):
                return ordered(((b, self._name(a)) for a, b in pairs), self._origin)
            return [self._name(value) for value in values]
        if all(isinstance(value, dict) for value in values):
            ids = [next((v[k] for k in ("index", "id") if k in v), None) for v in values]
            names = [self._name(value) for value in values]
            if any(each is None for each in ids):
                return names
            return ordered(zip(ids, names, strict=True), self._origin)
        raise UsageError(
            f"In {self._origin} every class name of the JSON list must be a string, not "
            f"{_short(next(v for v in values if not isinstance(v, str)))}."
        )

    def _mapping(self, values: Mapping[Any, Any], depth: int) -> list[str]:
        numbers = bool(values) and all(is_whole(value) for value in values.values())
        texts = any(isinstance(value, str) for value in values.values())
        if values and all(is_whole(key) for key in values) and (texts or not numbers):
            return ordered(
                ((key, self._name(value)) for key, value in values.items()), self._origin
            )
        # Settings are numbers, too, but no class has the index 768 alone.
        if numbers and {0, 1} & {whole(value) for value in values.values()}:
            return ordered(((value, str(key)) for key, value in values.items()), self._origin)
        for key in KEYS:
            if isinstance(values.get(key), (list, dict)):
                return self.value(values[key], depth + 1)
        inner = [value for value in values.values() if isinstance(value, (list, dict))]
        if len(inner) == 1:
            return self.value(inner[0], depth + 1)
        raise unknown(self._origin)

    def _name(self, value: Any) -> str:
        """The name in an entry: a text, ``[wnid, name]``, synonyms, or an object with a name."""
        if isinstance(value, str):
            return value
        if isinstance(value, dict):
            known = {str(key).lower(): part for key, part in value.items()}
            found = next((known[key] for key in NAMES if isinstance(known.get(key), str)), None)
            if found is not None:
                return str(found)
        if isinstance(value, (list, tuple)) and value and all(isinstance(v, str) for v in value):
            rest = value[1:] if len(value) > 1 and WNID.fullmatch(value[0]) else value
            return ", ".join(rest)
        raise UsageError(
            f"In {self._origin} {_short(value)} is no class name: names are texts in quotes."
        )


def _alone(value: object) -> bool:
    """Whether it is a list of one text, as a row of JSON Lines can be."""
    return isinstance(value, list) and len(value) == 1 and isinstance(value[0], str)


def _short(value: object) -> str:
    text = repr(value) if not isinstance(value, (dict, list, tuple)) else type(value).__name__
    return text if len(text) < 60 else text[:57] + "..."
