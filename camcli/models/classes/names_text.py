"""Class names from lines of text: plain, numbered, marked, in a table, or in a little YAML.

A line is split into an index and a name only if all lines are, and the indices count up. What
looks half like it is refused: a name with a number in front would match no label, in silence.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

from camcli.data.picture_formats import EXTENSIONS
from camcli.errors import UsageError
from camcli.models.classes.names_order import (
    FORMS,
    KEYS,
    NAMES,
    counts,
    is_whole,
    ordered,
    unknown,
    whole,
)
from camcli.printable import counted

_FIRST = re.compile(r"""["']?(\d{1,9})["']?(\s*(?:[:,;\t|)=]|[-=]>)\s*|\s+-\s+|\s+|\.\s+)(\S.*)""")
_LAST = re.compile(r"(.*?[^\s:,;|=])(?:\s*(?:[:,;\t|=]|[-=]>)\s*|\s+)(\d{1,9})")
_SURE = re.compile(r"\s*(?:[:,;\t|)=]|[-=]>)\s*")
_MARK = re.compile(r"[-*+•]\s+(\S.*)")
_WORDNET = re.compile(r"(n\d{8})[\s,;:|]+(?:(\d{1,5})[\s,;:|]+)?(\S.*)")
_INDEX = re.compile(r"(?:^|_)(?:index|idx|id|target)$")
_YAML = re.compile(rf"""["']?({"|".join(KEYS)})["']?\s*:\s*(?:[&!][^\s\[{{]+\s*)?(.*)""")
_CELL = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^']|'')*)'|([^,\]}]*))\s*([,\]}]|$)""")
_ITEM = re.compile(r"item\s*\{([^{}]*)\}")
_FIELD = re.compile(r"""(\w+)\s*:\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s"',]+))""")


class TextReader:
    """Reads one file's text; `origin` is the file, for messages."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def read(self, text: str) -> list[str]:
        """The names in order; not yet cleaned.

        Raises:
            UsageError: indices that are no list, a table without names, or half of a form.
        """
        if _ITEM.match(text.lstrip()):
            return self._items(text)
        lines = [line for line in re.split(r"\r\n|\r|\n", text) if line.strip()]
        remarks = next((n for n, line in enumerate(lines) if not line.startswith("# ")), 0)
        if not any(line.startswith("#") for line in lines[remarks:]):
            lines = lines[remarks:]
        return (
            self._yaml(lines)
            or self._table(lines)
            or self._numbered(lines)
            or _wordnet(lines, self._origin)
            or self._plain([line.strip() for line in lines])
        )

    # --- what is written in one line a name ------------------------------------------------------

    def _plain(self, lines: list[str]) -> list[str]:
        """Names as they are, once nothing about them is like an index.

        Raises:
            UsageError: something is.
        """
        if len(lines) == 1 and "," in lines[0]:
            (cells,) = csv.reader(lines, skipinitialspace=True)
            return [_unquoted(cell.strip()) for cell in cells if cell.strip()]
        if len(lines) > 1 and all(re.fullmatch(r"(\"[^\"]+\"|'[^']+'),?", one) for one in lines):
            return [_unquoted(line.rstrip(",")) for line in lines]
        found = [_FIRST.fullmatch(line) for line in lines]
        numbers = [(int(match[1]), match[3]) if match else None for match in found]
        known = [pair for pair in numbers if pair]
        if len(known) == len(lines) > 1:
            # "0 percent", "50 percent": the numbers are what tells the names apart.
            distinct = len({name for _, name in known}) == len(known)
            if distinct and min(index for index, _ in known) < 2:
                self._half(lines, "the numbers in front of the names do not count up")
        elif sum(pair is not None and pair[0] == n for n, pair in enumerate(numbers)) > max(
            1, len(lines) / 2
        ):
            odd = lines[numbers.index(None)]
            self._half(lines, f"most lines begin with an index and {odd[:40]!r} does not")
        self._headerless(lines)
        return lines

    def _half(self, lines: list[str], why: str) -> None:
        raise UsageError(
            f"In {self._origin} {why}: give every name its index, from 0 without a gap, or none; "
            f"or write the {counted(len(lines), 'name')} as a JSON list, which is taken as it is."
        )

    def _headerless(self, lines: list[str]) -> None:
        """Refuse rows of a table whose columns nobody names, and of which one holds numbers."""
        try:
            rows = [[c.strip() for c in row] for row in csv.reader(lines)]
        except csv.Error:
            return
        width = len(rows[0]) if rows else 0
        if width < 2 or any(len(row) != width for row in rows):
            return
        number = [c for c in range(width) if all(_is_number(row[c]) for row in rows)]
        if number:
            raise UsageError(
                f"In {self._origin} there are {width} columns, of which none says that it holds "
                "the names: add a first line such as index,name."
            )

    def _numbered(self, lines: Sequence[str]) -> list[str] | None:
        """``0 cat``, ``0: cat``, ``0,cat`` or ``cat 0`` in every line."""
        first = [_FIRST.fullmatch(line.strip()) for line in lines]
        if lines and all(first):
            found = [(match[1], _after_number(match[3])) for match in first if match]
            sure = all(_SURE.fullmatch(match[2]) for match in first if match)
            if sure or counts([int(index) for index, _ in found]):
                if all(re.match(r"n\d{8}\W", name) for _, name in found):
                    found = [(index, re.sub(r"^n\d{8}\W+", "", name)) for index, name in found]
                return ordered(found, self._origin)
        last = [_LAST.fullmatch(line.strip()) for line in lines]
        if lines and all(last):
            found = [(match[2], _unquoted(match[1])) for match in last if match]
            # Not "room 0, room 1": there the numbers are what tells the names apart.
            distinct = len({name for _, name in found}) == len(found)
            if distinct and counts([int(index) for index, _ in found]):
                return ordered(found, self._origin)
        return None

    def _items(self, text: str) -> list[str]:
        """TensorFlow's label maps: ``item { id: 1 name: 'cat' }``."""
        pairs = []
        for item in _ITEM.findall(text):
            fields = {key: a or b or c for key, a, b, c in _FIELD.findall(item)}
            name = fields.get("display_name") or fields.get("name")
            if name is None or not is_whole(fields.get("id", "")):
                raise unknown(self._origin)
            pairs.append((fields["id"], name))
        return ordered(pairs, self._origin)

    # --- YAML, as far as configurations of networks need it --------------------------------------

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
                    block.append(_without_remark(below.strip()))
                names = self._marked(block) or self._numbered(block) or self._keyed(block)
                if block and not names:
                    raise UsageError(
                        f"In {self._origin} what is below {found[1]!r} is no list of names: "
                        f"it should be {FORMS}."
                    )
                return names or None
        return self._marked([line.strip() for line in lines])

    def _keyed(self, block: Sequence[str]) -> list[str] | None:
        """``cat: 0`` is read above; ``'0': cat`` has its index in quotes."""
        pairs = [line.partition(":")[::2] for line in block]
        if pairs and all(is_whole(_unquoted(key.strip())) for key, _ in pairs):
            return ordered(
                ((_unquoted(key.strip()), _unquoted(name.strip())) for key, name in pairs),
                self._origin,
            )
        return None

    def _flow(self, text: str) -> list[str]:
        """``[cat, dog]`` or ``{0: cat, 1: dog}``, with or without quotes."""
        cells, at = [], 1
        while found := _CELL.match(text, at):
            cell = next((part for part in found.groups()[:3] if part is not None), "").strip()
            if text[0] == "{":  # there a quoted part is the key or the name, not the cell
                end = min(
                    (n for n in (text.find(c, at) for c in ",}") if n >= 0), default=len(text)
                )
                cell = text[at:end].strip()
                closing = text[end : end + 1]
                at = end + 1
            else:
                closing, at = found[4], found.end()
            if cell:
                cells.append(cell)
            if closing in ("]", "}"):
                break
            if not closing:
                raise unknown(self._origin)
        else:
            raise unknown(self._origin)
        if text[0] == "[":
            return cells
        return self._keyed(cells) or self._numbered(cells) or cells

    def _marked(self, lines: Sequence[str]) -> list[str] | None:
        """``- cat``, ``* cat``."""
        found = [_MARK.fullmatch(line) for line in lines]
        if not lines or not all(found):
            return None
        return [_unquoted(_without_remark(match[1].strip())) for match in found if match]

    # --- tables ----------------------------------------------------------------------------------

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
            return [row[0] for row in body] if header[0] in NAMES else None
        whole_ones = [c for c in range(width) if all(is_whole(row[c]) for row in body)]
        called = [header.index(name) for name in NAMES if name in header]
        names = [c for c in called if c not in whole_ones] or called
        if not names or any(is_whole(cell) for cell in header):
            return None
        pictures = next(
            (
                c
                for c in range(width)
                if all(r[c].lower().endswith(tuple(EXTENSIONS)) for r in body)
            ),
            None,
        )
        if pictures is not None:
            raise UsageError(
                f"{self._origin} lists pictures ({body[0][pictures][:60]}), and not the classes: "
                f"class names are {FORMS}."
            )
        whole_ones = [c for c in whole_ones if c != names[0]]
        # A column that is called an index must be right; another may happen to count.
        index = next(
            (c for c in whole_ones if counts([whole(row[c]) for row in body])),
            next((c for c in whole_ones if _INDEX.search(header[c])), None),
        )
        if index is not None:
            return ordered(((row[index], row[names[0]]) for row in body), self._origin)
        return [row[names[0]] for row in body]


def _wordnet(lines: Sequence[str], origin: str) -> list[str] | None:
    """``n02119789 kit fox`` in every line, or with an index between, as ImageNet's own kits do."""
    found = [_WORDNET.fullmatch(line.strip()) for line in lines]
    if not lines or not all(found):
        return None
    rows = [(match[2], _unquoted(match[3])) for match in found if match]
    indices = [index for index, _ in rows if index is not None]
    if len(indices) == len(rows):
        return ordered(((index, name) for index, name in rows), origin)
    return [name if index is None else f"{index} {name}" for index, name in rows]


def _without_remark(text: str) -> str:
    """YAML's ``name  # remark`` without the remark."""
    if text[:1] in ("'", '"'):
        quoted = re.match(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')\s+#.*""", text)
        return quoted[1] if quoted else text
    return re.sub(r"\s+#.*", "", text)


def _after_number(text: str) -> str:
    """A name that may be in quotes, alone in its cell."""
    return _unquoted(text.strip().rstrip(",;").strip() if text[:1] in "\"'" else text.strip())


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1].replace('""', '"') if text[0] == '"' else text[1:-1]
    return text


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?", text))
