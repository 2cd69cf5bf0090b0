"""The shipped index of all classifiers of torchvision and timm: names and shapes of their tensors.

A text file under gzip, which `ci/architectures.py` makes and ``zcat`` shows. First a line that says
what it was made of, then the nodes of a `Forest` (a line each, the subtrees before what they are
in: ``weight=64x3x7x7`` is a tensor, ``conv1.=12`` the node of line 12), an empty line, and then the
architectures. Reading it imports neither library.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib import resources

from camcli.models.recognition.forest import Forest, Node, Sizes

FILE = "architectures.txt.gz"
_FIRST = "camcli architectures 1"


@dataclass(frozen=True)
class Growing:
    """A dimension of a tensor that follows the number of channels of the input.

    Attributes:
        tensor: its name.
        axis: which dimension.
        each: by how much it grows with a channel.
    """

    tensor: str
    axis: int
    each: int


@dataclass(frozen=True)
class Architecture:
    """A classifier as its library builds it, with 7 classes and for its usual input.

    Attributes:
        library: ``torchvision`` or ``timm``.
        name: as the library calls it.
        root: its tree in the index's forest.
        size: side of the input that it is built for, in pixels.
        channels: of that input.
        tags: how many sets of weights the library has for it.
        norm: how the input is normalised for its usual weights: ``mean/std``, commas between.
        computing: a digest of what its modules are, apart from what has no effect when it is not
            trained. Of two architectures with the same tensors, those that agree here compute the
            same.
        heads: the modules that end in classes, with a dot behind; the last layers.
        helping: the same for heads that only help training.
        growing: what follows the number of channels.
        sized: names of tensors that follow the size of the input.
        children: its modules in order, those without tensors as well.
    """

    library: str
    name: str
    root: int
    size: int
    channels: int
    tags: int
    norm: str
    computing: str
    heads: tuple[str, ...]
    helping: tuple[str, ...]
    growing: tuple[Growing, ...]
    sized: tuple[str, ...]
    children: tuple[str, ...]

    @property
    def written(self) -> str:
        """As ``--model`` takes it."""
        return self.name if self.library == "torchvision" else f"timm:{self.name}"

    @property
    def told(self) -> str:
        """Such as ``resnet18 of torchvision``."""
        return f"{self.name} of {self.library}"


@dataclass(frozen=True)
class Index:
    """All architectures.

    Attributes:
        versions: of the libraries that built them.
        forest: their trees.
        architectures: in the order of the file.
    """

    versions: Mapping[str, str]
    forest: Forest
    architectures: Sequence[Architecture]


def written(index: Index) -> bytes:
    """An index as a file; the same bytes for the same architectures and versions."""
    versions = " ".join(f"{name} {version}" for name, version in index.versions.items())
    trees, numbers = _in_order(index)
    lines = [f"{_FIRST}; {versions}", *map(_node_line, trees), ""]
    for each in index.architectures:
        moved = replace(each, root=numbers[each.root])
        lines.append("\t".join(_told(getattr(moved, field.name)) for field in fields(moved)))
    return gzip.compress(("\n".join(lines) + "\n").encode(), 9, mtime=0)


def _in_order(index: Index) -> tuple[list[Node], dict[int, int]]:
    """The nodes that are in use, parts first, and their new numbers."""
    trees: list[Node] = []
    numbers: dict[int, int] = {}

    def visit(number: int) -> int:
        if number not in numbers:
            node = index.forest.nodes[number]
            # By name: which network brought a node's order with it is chance.
            parts = sorted(node.items())
            entries = {n: visit(p) if isinstance(p, int) else p for n, p in parts}
            numbers[number] = len(trees)
            trees.append(entries)
        return numbers[number]

    for each in index.architectures:
        visit(each.root)
    return trees, numbers


def _node_line(node: Node) -> str:
    return " ".join(
        f"{name}={part if isinstance(part, int) else 'x'.join(map(str, part)) or '-'}"
        for name, part in node.items()
    )


def _told(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(
            f"{part.tensor}:{part.axis}:{part.each}" if isinstance(part, Growing) else str(part)
            for part in value
        )
    return str(value)


def read(content: bytes) -> Index:
    """An index from what `written` made.

    Raises:
        ValueError: it is of another format.
    """
    first, *lines = gzip.decompress(content).decode().splitlines()
    head, _, versions = first.partition("; ")
    if head != _FIRST:
        raise ValueError(f"an index of another format: {first[:80]}")
    words = versions.split()
    forest = Forest()
    gap = lines.index("")
    for line in lines[:gap]:
        node: dict[str, Sizes | int] = {}
        for entry in line.split(" "):
            name, _, part = entry.partition("=")
            if name.endswith("."):
                node[name] = int(part)
            else:
                node[name] = () if part == "-" else tuple(map(int, part.split("x")))
        forest.number(node)
    found = []
    for line in lines[gap + 1 :]:
        library, name, root, size, channels, tags, norm, computing, *rest = line.split("\t")
        heads, helping, growing, sized, children = (tuple(text.split()) for text in rest)
        grown = (entry.rsplit(":", 2) for entry in growing)
        found.append(
            Architecture(
                library,
                name,
                int(root),
                int(size),
                int(channels),
                int(tags),
                norm,
                computing,
                heads,
                helping,
                tuple(Growing(t, int(axis), int(each)) for t, axis, each in grown),
                sized,
                children,
            )
        )
    return Index(dict(zip(words[::2], words[1::2], strict=True)), forest, tuple(found))


@cache
def shipped() -> Index:
    """The index that is part of the installation."""
    return read(resources.files(__package__).joinpath(FILE).read_bytes())
