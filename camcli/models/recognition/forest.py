"""Names and shapes as trees, in which equal parts are one part.

A network's names are paths (``layer1.0.conv1.weight``), so its tensors are the leaves of a tree,
and its blocks are subtrees that mostly differ in nothing. Each distinct subtree is kept once, under
a number: two networks, or two blocks, have the same names and shapes if they have the same number.
So a thousand networks fit into a small file, and comparing a file with all of them is a matter of
milliseconds, since whatever was compared once is not compared again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

Sizes = tuple[int, ...]
# From a name to a tensor's shape, or from a name with a dot behind it to the number of a subtree.
Node = Mapping[str, "Sizes | int"]
COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Difference:
    """A tensor that two networks do not share.

    Attributes:
        name: of the tensor, from the root.
        found: its shape in the first, or None if it is not there.
        wanted: its shape in the second, or None.
    """

    name: str
    found: Sizes | None
    wanted: Sizes | None


class Forest:
    """Trees that share their equal parts.

    Attributes:
        nodes: by number; a node's subtrees have smaller numbers than itself.
        sizes: how many tensors each has.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.sizes: list[int] = []
        self._numbers: dict[tuple[tuple[str, Sizes | int], ...], int] = {}
        self._common: dict[tuple[int, int], int] = {}

    def number(self, node: Node) -> int:
        """The number of a node, a new one if nothing equals it; the order of names is no matter."""
        key = tuple(sorted(node.items(), key=lambda item: item[0]))
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self.nodes)
            self.nodes.append(dict(node))
            self.sizes.append(
                sum(self.sizes[v] if isinstance(v, int) else 1 for v in node.values())
            )
        return found

    def add(self, shapes: Mapping[str, Sizes]) -> int:
        """The number of a network's tree, without the counters of its BatchNorms."""
        root: dict[str, object] = {}
        for name, shape in shapes.items():
            *path, last = name.split(".")
            if last == COUNTER:
                continue
            place = root
            for part in path:
                # With its dot, a module's name is never a tensor's.
                place = place.setdefault(f"{part}.", {})  # type: ignore[assignment]
            place[last] = tuple(shape)
        return self._grown(root)

    def _grown(self, tree: Mapping[str, object]) -> int:
        return self.number({
            name: self._grown(part) if isinstance(part, dict) else part  # type: ignore[misc]
            for name, part in tree.items()
        })  # fmt: skip

    def common(self, one: int, other: int) -> int:
        """How many tensors two trees share, in name and shape."""
        if one == other:
            return self.sizes[one]
        pair = (one, other) if one < other else (other, one)
        known = self._common.get(pair)
        if known is None:
            first, second = self.nodes[one], self.nodes[other]
            known = 0
            for name, part in first.items():
                there = second.get(name)
                if isinstance(part, int) and isinstance(there, int):
                    known += self.common(part, there)
                elif part == there:
                    known += 1
            self._common[pair] = known
        return known

    def differences(self, one: int | None, other: int | None, at: str = "") -> Iterator[Difference]:
        """What two trees do not share, in the order of the first, then of the second.

        Args:
            one: a tree, None for an empty one.
            other: another.
            at: what stands before the names.
        """
        if one == other:
            return
        first: Node = {} if one is None else self.nodes[one]
        second: Node = {} if other is None else self.nodes[other]
        for name in dict.fromkeys([*first, *second]):
            here, there = first.get(name), second.get(name)
            if here == there:
                continue
            if name.endswith("."):
                a = here if isinstance(here, int) else None
                b = there if isinstance(there, int) else None
                yield from self.differences(a, b, at + name)
            else:
                a_shape = here if isinstance(here, tuple) else None
                b_shape = there if isinstance(there, tuple) else None
                yield Difference(at + name, a_shape, b_shape)

    def leaves(self, root: int, at: str = "") -> Iterator[tuple[str, Sizes]]:
        """The tensors of a tree by name."""
        for name, part in self.nodes[root].items():
            if isinstance(part, int):
                yield from self.leaves(part, at + name)
            else:
                yield at + name, part

    def under(self, root: int, path: str) -> int | None:
        """The subtree at ``layer1.0.``, the root for an empty path; None if there is none."""
        place: int | None = root
        for part in path.split(".")[:-1]:
            below = None if place is None else self.nodes[place].get(f"{part}.")
            place = below if isinstance(below, int) else None
        return place

    def large_parts(self, root: int, least: int) -> Iterator[tuple[str, int]]:
        """The root and its subtrees of at least so many tensors, with their paths, from above."""
        waiting: list[tuple[str, int]] = [("", root)]
        while waiting:
            path, here = waiting.pop(0)
            if self.sizes[here] < least:
                continue
            yield path, here
            below: Iterable[tuple[str, Sizes | int]] = self.nodes[here].items()
            waiting += [(path + name, part) for name, part in below if isinstance(part, int)]
