"""Class names from a file, in the forms that training scripts and hubs write them.

One a line; a JSON list; ``{"0": "cat"}``, ``{"cat": 0}`` or ``{"0": ["n02123045", "tabby"]}``; a
configuration of the Hugging Face hub or of YOLO; a table with a header or with an index before or
after each name. Where there are indices, they decide the order and must be complete; a line is
split into an index and a name only if all lines are, and the indices count up.
"""

from __future__ import annotations

import ast
import contextlib
import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from camcli.errors import UsageError
from camcli.files import read_regular

MAX_BYTES = 8 << 20
"""A file of class names may have: 100,000 names take some 3 MB."""
_LITERAL = 1 << 20

_FORMS = (
    'one name a line, a JSON list, {"0": "name"}, {"name": 0}, or a table with the columns index '
    "and name"
)
# Where configurations keep their names, the surest first.
_KEYS = (
    "id2label", "idx_to_class", "idx2label", "index_to_name", "class_names", "label_names", "names",
    "classes", "categories", "label2id", "class_to_idx", "classes_to_idx", "labels",
)  # fmt: skip
_NAMES = (
    "name", "class_name", "classname", "label_name", "display_name", "names", "class_names",
    "class", "label", "category", "species", "description", "classes", "labels", "text", "title",
)  # fmt: skip
_WNID = re.compile(r"n\d{2,8}")
_WHOLE = re.compile(r"\s*\d{1,9}\s*")
_FIRST = re.compile(r"""["']?(\d{1,9})["']?(\s*[:,;\t|)]\s*|\s+-\s+|\s+|\.\s+)(\S.*)""")
_LAST = re.compile(r"(.*\S)(?:\s*[:,;\t|]\s*|\s+)(\d{1,9})")
_SURE = re.compile(r"\s*[:,;\t|)]\s*")
_INDEX = re.compile(r"(?:^|_)(?:index|idx|id|target)$")
_YAML = re.compile(rf"""["']?({"|".join(_KEYS)})["']?\s*:\s*(.*)""")


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
            f"text in UTF-8 with {_FORMS}."
        ) from error
    return _told_apart([name.strip() for name in _Reader(origin).read(text)], origin)


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
            return self._value(self._json(text))
        lines = [line for line in re.split(r"\r\n|\r|\n", text) if line.strip()]
        return (
            self._yaml(lines)
            or self._table(lines)
            or self._numbered(lines)
            or [line.strip() for line in lines]
        )

    # --- JSON ------------------------------------------------------------------------------------

    def _json(self, text: str) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            if len(text) <= _LITERAL:
                with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
                    # What Python prints of a dict, {0: 'cat'}: a literal, never evaluated.
                    return ast.literal_eval(text.strip())
            why = str(error).splitlines()[0]
            raise UsageError(f"{self._origin} is not JSON with class names: {why}.") from error

    def _value(self, value: Any, depth: int = 0) -> list[str]:
        """Names from a list or mapping of whatever form."""
        if depth < 4:
            if isinstance(value, (list, tuple)):
                return self._list(value)
            if isinstance(value, dict):
                return self._mapping(value, depth)
        raise self._unknown()

    def _list(self, values: Sequence[Any]) -> list[str]:
        if all(isinstance(value, str) for value in values):
            return list(values)
        if all(isinstance(value, (list, tuple)) and len(value) == 2 for value in values):
            pairs = [tuple(value) for value in values]
            if all(_is_whole(a) for a, _ in pairs):
                return self._ordered((a, self._name(b)) for a, b in pairs)
            if all(_is_whole(b) for _, b in pairs):
                return self._ordered((b, self._name(a)) for a, b in pairs)
            return [self._name(value) for value in values]
        if all(isinstance(value, dict) for value in values):
            ids = [next((v[k] for k in ("index", "id") if k in v), None) for v in values]
            names = [self._name(value) for value in values]
            if any(each is None for each in ids):
                return names
            return self._ordered(zip(ids, names, strict=True))
        raise UsageError(
            f"In {self._origin} every class name of the JSON list must be a string, not "
            f"{_short(next(v for v in values if not isinstance(v, str)))}."
        )

    def _mapping(self, values: Mapping[Any, Any], depth: int) -> list[str]:
        numbers = bool(values) and all(_is_whole(value) for value in values.values())
        texts = any(isinstance(value, str) for value in values.values())
        if values and all(_is_whole(key) for key in values) and (texts or not numbers):
            return self._ordered((key, self._name(value)) for key, value in values.items())
        # Settings are numbers, too, but no class has the index 768 alone.
        if numbers and {0, 1} & {int(value) for value in values.values()}:
            return self._ordered((value, str(key)) for key, value in values.items())
        for key in _KEYS:
            if isinstance(values.get(key), (list, dict)):
                return self._value(values[key], depth + 1)
        inner = [value for value in values.values() if isinstance(value, (list, dict))]
        if len(inner) == 1:
            return self._value(inner[0], depth + 1)
        raise self._unknown()

    def _name(self, value: Any) -> str:
        """The name in an entry: a text, ``[wnid, name]``, synonyms, or an object with a name."""
        if isinstance(value, str):
            return value
        if isinstance(value, dict):
            known = {str(key).lower(): part for key, part in value.items()}
            found = next((known[key] for key in _NAMES if isinstance(known.get(key), str)), None)
            if found is not None:
                return str(found)
        if isinstance(value, (list, tuple)) and value and all(isinstance(v, str) for v in value):
            rest = value[1:] if len(value) > 1 and _WNID.fullmatch(value[0]) else value
            return ", ".join(rest)
        raise UsageError(
            f"In {self._origin} {_short(value)} is no class name: names are texts in quotes."
        )

    def _ordered(self, pairs: Iterable[tuple[Any, str]]) -> list[str]:
        """Names by their indices, which count up from 0, or from 1.

        Raises:
            UsageError: one is missing, or occurs twice.
        """
        listed = [(int(index), name) for index, name in pairs]
        by_index = dict(listed)
        if len(by_index) < len(listed):
            twice = next(i for i, n in Counter(i for i, _ in listed).items() if n > 1)
            raise UsageError(f"In {self._origin} two class names have the index {twice}.")
        first = 1 if 0 not in by_index and 1 in by_index else 0
        for index in range(first, first + len(by_index)):
            if index not in by_index:
                raise UsageError(
                    f"In {self._origin} {len(by_index)} class names have indices up to "
                    f"{max(by_index)}, and {index} is missing: name every output of the network."
                )
        return [by_index[index] for index in range(first, first + len(by_index))]

    def _unknown(self) -> UsageError:
        return UsageError(f"In {self._origin} no class names are found: it should be {_FORMS}.")

    # --- lines -----------------------------------------------------------------------------------

    def _yaml(self, lines: Sequence[str]) -> list[str] | None:
        """A list of ``- name``, or the names in a configuration such as YOLO's data.yaml."""
        for place, line in enumerate(lines):
            if found := _YAML.fullmatch(line.rstrip()):
                if found[2][:1] in ("[", "{"):
                    return self._flow(" ".join([found[2], *lines[place + 1 :]]))
                if found[2] and not found[2].startswith("#"):
                    continue
                block = []
                for below in lines[place + 1 :]:
                    if below.lstrip().startswith("#"):
                        continue
                    if not below[:1].isspace() and not below.startswith("-"):
                        break
                    block.append(below.strip())
                return (self._dashes(block) or self._numbered(block)) if block else None
        return self._dashes([line.strip() for line in lines])

    def _flow(self, text: str) -> list[str]:
        """``[cat, dog]`` or ``{0: cat, 1: dog}``, with or without quotes."""
        end = text.find("]" if text[0] == "[" else "}")
        if end < 0:
            raise self._unknown()
        (cells,) = csv.reader([text[1:end].replace("'", '"')], skipinitialspace=True)
        cells = [cell.strip() for cell in cells if cell.strip()]
        if text[0] == "[":
            return cells
        return self._numbered(cells) or cells

    def _dashes(self, lines: Sequence[str]) -> list[str] | None:
        if not lines or not all(re.match(r"-\s", line) for line in lines):
            return None
        return [_unquoted(line[1:].strip()) for line in lines]

    def _table(self, lines: Sequence[str]) -> list[str] | None:
        """A table with a header that names a column of names."""
        if len(lines) < 2:
            return None
        delimiter = next((d for d in "\t;," if d in lines[0]), ",")
        try:
            rows = [[c.strip() for c in row] for row in csv.reader(lines, delimiter=delimiter)]
        except csv.Error:
            return None
        header = [re.sub(r"[\s-]+", "_", cell.lower()) for cell in rows[0]]
        width = len(header)
        # A name with commas that is not in quotes, in the last column, is one name.
        body = [
            [*row[: width - 1], ", ".join(row[width - 1 :])] if len(row) > width else row
            for row in rows[1:]
            if any(row)
        ]
        if not body or any(len(row) != width for row in body):
            return None
        if width == 1:
            return [row[0] for row in body] if header[0] in _NAMES else None
        whole = [c for c in range(width) if all(_is_whole(row[c]) for row in body)]
        called = [header.index(name) for name in _NAMES if name in header]
        names = [c for c in called if c not in whole] or called
        if not names or any(_is_whole(cell) for cell in header):
            return None
        whole = [c for c in whole if c != names[0]]
        # A column that is called an index must be right; another may happen to count.
        index = next(
            (c for c in whole if _counts([int(row[c]) for row in body])),
            next((c for c in whole if _INDEX.search(header[c])), None),
        )
        if index is not None:
            return self._ordered((row[index], row[names[0]]) for row in body)
        return [row[names[0]] for row in body]

    def _numbered(self, lines: Sequence[str]) -> list[str] | None:
        """``0 cat``, ``0: cat``, ``0,cat`` or ``cat 0`` in every line."""
        first = [_FIRST.fullmatch(line.strip()) for line in lines]
        if lines and all(first):
            found = [(match[1], _after_number(match[3])) for match in first if match]
            counts = _counts([int(index) for index, _ in found])
            if counts or all(_SURE.fullmatch(match[2]) for match in first if match):
                if all(re.match(r"n\d{8}\W", name) for _, name in found):
                    found = [(index, re.sub(r"^n\d{8}\W+", "", name)) for index, name in found]
                return self._ordered(found)
        last = [_LAST.fullmatch(line.strip()) for line in lines]
        if lines and all(last):
            found = [(match[2], _unquoted(match[1])) for match in last if match]
            # Not "room 0, room 1": there the numbers are what tells the names apart.
            distinct = len({name for _, name in found}) == len(found)
            if distinct and _counts([int(index) for index, _ in found]):
                return self._ordered(found)
        return None


def _after_number(text: str) -> str:
    """A name that may be in quotes, alone in its cell."""
    return _unquoted(text.strip().rstrip(",;").strip() if text[:1] in "\"'" else text.strip())


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1].replace('""', '"') if text[0] == '"' else text[1:-1]
    return text


def _counts(indices: Sequence[int]) -> bool:
    """Whether these are 0 to N-1, or 1 to N, in any order."""
    found = sorted(indices)
    return bool(found) and found[0] in (0, 1) and found == list(
        range(found[0], found[0] + len(found))
    )  # fmt: skip


def _is_whole(value: object) -> bool:
    if isinstance(value, str):
        return bool(_WHOLE.fullmatch(value)) and value.isascii()
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9


def _short(value: object) -> str:
    text = repr(value) if not isinstance(value, (dict, list, tuple)) else type(value).__name__
    return text if len(text) < 60 else text[:57] + "..."
