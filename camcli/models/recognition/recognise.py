"""Which architectures a file's tensors are of, from their names and shapes.

The tensors are compared with every classifier of the index, as trees (`forest`): all of what comes
before the classes has to be there, with the right shapes. What may differ is what people change:
the number of classes and of channels, the size of the input where tensors follow it, another head
in the place of the last layers or somewhere else, none at all, heads that only helped training,
and whatever stands in front of the names. A backbone whose modules were put into a
``nn.Sequential`` has numbers for names; they are the places of its modules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from camcli.models.recognition.forest import Difference, Forest, Node, Sizes
from camcli.models.recognition.index import Architecture, Index, shipped
from camcli.models.weights.state_dict import is_average

# A part of a file with fewer of its tensors is not the network that it was saved for.
_LEAST_SHARE = 0.2
# An architecture that shares fewer of its tensors with a file needs no closer look.
_LEAST_COMMON = 0.5
_MOST_ODD = 12
# Names that changed from one version of a library to the next: two differences each.
_MOST_RENAMED = 48


@dataclass(frozen=True)
class Recognised:
    """An architecture that a file's tensors are of.

    Attributes:
        architecture: in the index.
        prefix: what stands before its names in the file.
        renamed: its top names by those that the file has for them, where they are numbers.
        classes: rows of its head, None where it has none of its own.
        channels: of the input; None if that is not told.
        resized: names of tensors whose shapes say that the input has another size.
        place: the module, with a dot behind, in whose place another head belongs; empty if its
            own is there.
        head: that head's tensors by their names in the file; empty if there is none.
        beside: names in the file of what is no part of it.
        odd: what contradicts it; empty unless it is only the nearest.
    """

    architecture: Architecture
    prefix: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)
    classes: int | None = None
    channels: int | None = None
    resized: tuple[str, ...] = ()
    place: str = ""
    head: Mapping[str, Sizes] = field(default_factory=dict)
    beside: tuple[str, ...] = ()
    odd: tuple[Difference, ...] = ()

    def order(self) -> tuple[object, ...]:
        """Smaller for what is likelier meant, given that all of them fit.

        First what differs in less: what has its own head before what has another in the place of
        the last layer, or of several. Then torchvision before timm, and what the library has
        weights for, which people go on from, before what it only can build
        (``tf_efficientnetv2_s`` before ``efficientnetv2_s``). Then the shorter name before the
        longer one: variants that compute otherwise carry that in front or behind
        (``tf_efficientnet_b0``, ``resnetblur50``, ``vit_base_patch16_clip_quickgelu_224``). At
        last, the one with more sets of weights.
        """
        each = self.architecture
        replaced = 0 if not self.place else 1 if self.place in each.heads else 2
        return (
            is_average(self.prefix),  # a teacher beside its student
            replaced,
            len(self.beside),
            len(self.resized),
            self.channels not in (None, each.channels),
            len(self.prefix),
            len(self.renamed),
            each.library != "torchvision",
            not each.tags,
            len(each.name),
            -each.tags,
            each.name,
        )


@dataclass(frozen=True)
class _Part:
    """A part of a file that may be a network."""

    prefix: str
    root: int
    renamed: Mapping[str, str] = field(default_factory=dict)
    children: tuple[str, ...] | None = None

    def original(self, name: str) -> str:
        """A name in the file."""
        back = {new: old for old, new in self.renamed.items()}
        top, dot, rest = name.partition(".")
        return self.prefix + back.get(top, top) + dot + rest


def recognise(shapes: Mapping[str, Sizes], index: Index | None = None) -> list[Recognised]:
    """The architectures that tensors fit.

    Args:
        shapes: of a file's tensors by name.
        index: what they are compared with; None for the one that is shipped.

    Returns:
        The likeliest first; see `Recognised.order`. Empty if they are of none.
    """
    return sorted(
        (each for each in _looks(shapes, index or shipped()) if not each.odd),
        key=Recognised.order,
    )


def nearest(shapes: Mapping[str, Sizes], index: Index | None = None) -> Recognised | None:
    """The architecture that tensors nearly fit, or None if none is near; for messages."""
    near = [each for each in _looks(shapes, index or shipped()) if len(each.odd) < _MOST_ODD]
    return min(near, key=lambda each: (len(each.odd), each.order()), default=None)


def near(
    shapes: Mapping[str, Sizes], library: str, most: int, index: Index | None = None
) -> list[Recognised]:
    """A library's architectures that tensors nearly fit, the nearest first, at most so many."""
    found = [
        each
        for each in _looks(shapes, index or shipped(), _MOST_RENAMED)
        if each.odd and each.architecture.library == library
    ]
    return sorted(found, key=lambda each: (len(each.odd), each.order()))[:most]


def compared(
    shapes: Mapping[str, Sizes], architecture: Architecture, forest: Forest
) -> Recognised | None:
    """How tensors fit one architecture, or None if they do not."""
    found = _looks(shapes, Index({}, forest, (architecture,)))
    return min((each for each in found if not each.odd), key=Recognised.order, default=None)


def _looks(
    shapes: Mapping[str, Sizes], index: Index, most: int = _MOST_ODD
) -> Iterator[Recognised]:
    """All parts of a file beside all architectures that share enough with them."""
    forest = index.forest
    whole = forest.add(shapes)
    least = max(2, int(_LEAST_SHARE * forest.sizes[whole]))
    sequences = {each.children for each in index.architectures}
    for prefix, root in forest.large_parts(whole, least):
        for part in (_Part(prefix, root), *_sequences(forest, prefix, root, sequences)):
            for each in index.architectures:
                if part.children not in (None, each.children):
                    continue
                if forest.common(part.root, each.root) < _LEAST_COMMON * forest.sizes[each.root]:
                    continue
                found = _Look(forest, shapes, part, each).result(most)
                if found is not None:
                    yield found


def _sequences(
    forest: Forest, prefix: str, root: int, sequences: set[tuple[str, ...]]
) -> Iterator[_Part]:
    """A part whose names are numbers, with the names that they stand for in a network."""
    node = forest.nodes[root]
    places = [name[:-1] for name in node]
    if not all(place.isdigit() for place in places) or len(places) < 2:
        return
    for children in sequences:
        renamed = {
            place: children[int(place)]
            for place in places
            if int(place) < len(children) and not children[int(place)].isdigit()
        }
        if len(renamed) < 2:
            continue
        other: Node = {f"{renamed.get(n[:-1], n[:-1])}.": part for n, part in node.items()}
        if len(other) == len(node):
            yield _Part(prefix, forest.number(other), renamed, children)


def region_of(forest: Forest, root: int, module: str) -> str:
    """The outermost module around `module` (with a dot behind) that is not most of the network.

    People replace ``classifier`` as a whole where its last layer is ``classifier.6``.
    """
    parts = module.split(".")[:-1]
    for count in range(1, len(parts) + 1):
        path = "".join(f"{part}." for part in parts[:count])
        under = forest.under(root, path)
        if under is not None and 2 * forest.sizes[under] <= forest.sizes[root]:
            return path
    return module


class _Look:
    """A part of a file beside an architecture."""

    def __init__(
        self, forest: Forest, shapes: Mapping[str, Sizes], part: _Part, each: Architecture
    ) -> None:
        self.forest, self.shapes, self.part, self.each = forest, shapes, part, each
        self.regions = {head: region_of(forest, each.root, head) for head in each.heads}
        self.helping = tuple(region_of(forest, each.root, head) for head in each.helping)
        self.tops = set(forest.nodes[each.root])
        self.growing = {(g.tensor, g.axis): g.each for g in each.growing}
        self.grown = {g.tensor for g in each.growing}
        self.odd: list[Difference] = []
        self.rows: set[int] = set()
        self.channels: set[int] = set()
        self.resized: list[str] = []
        self.changed: list[str] = []  # within a region of heads: another shape, or not there
        self.more: list[str] = []  # within a region of heads: not the architecture's
        self.beside: list[str] = []

    def result(self, most: int) -> Recognised | None:
        """What it comes to; None if more contradicts it than `most`."""
        for one in self.forest.differences(self.part.root, self.each.root):
            self._judge(one)
            if len(self.odd) > most:
                return None
        if len(self.channels) > 1 or len(self.rows) > 1:
            return None
        own = not (self.changed or self.more)
        place = ""
        head: dict[str, Sizes] = {}
        if not own:
            place, head = self._other_head()
        classes = (self.rows or {self._usual_rows()}).pop() if own else None
        original = self.part.original
        return Recognised(
            architecture=self.each,
            prefix=self.part.prefix,
            renamed=self.part.renamed,
            classes=classes,
            channels=self._channels(),
            resized=tuple(self.resized),
            place=place,
            head=head,
            beside=tuple(original(n) for n in self.beside if original(n) not in head),
            odd=tuple(self.odd),
        )

    def _judge(self, one: Difference) -> None:
        name, found, wanted = one.name, one.found, one.wanted
        if name.startswith(self.helping):
            return
        region = next((r for r in self.regions.values() if name.startswith(r)), None)
        if found is None:
            (self.odd.append(one) if region is None else self.changed.append(name))
        elif wanted is None:
            if region is not None:
                self.more.append(name)
            elif self._is_beside(name, found):
                self.beside.append(name)
            else:
                self.odd.append(one)
        elif name.startswith(self.each.heads) and found and found[1:] == wanted[1:]:
            self.rows.add(found[0])
        elif name in self.grown and (channels := self._grown_to(name, found, wanted)):
            self.channels.add(channels)
        elif name in self.each.sized:
            self.resized.append(name)
        elif region is not None:
            self.changed.append(name)
        else:
            self.odd.append(one)

    def _is_beside(self, name: str, shape: Sizes) -> bool:
        """Whether a tensor is something else that the file has beside the network."""
        top, dot, _ = name.partition(".")
        if f"{top}." in self.tops and dot:
            return all(side == 1 for side in shape)
        # A parameter of the network itself would be a token or a position of its own.
        return bool(dot) or len(shape) < 2

    def _grown_to(self, name: str, found: Sizes, wanted: Sizes) -> int | None:
        """The number of channels by a tensor's shape; None if it differs in other ways, too."""
        if len(found) != len(wanted):
            return None
        told = set()
        for axis, (mine, theirs) in enumerate(zip(found, wanted, strict=True)):
            step = self.growing.get((name, axis))
            if step is None:
                if mine != theirs:
                    return None
                continue
            more, rest = divmod(mine - theirs, step)
            if rest or self.each.channels + more < 1:
                return None
            told.add(self.each.channels + more)
        return told.pop() if len(told) == 1 else None

    def _channels(self) -> int | None:
        if self.channels:
            return next(iter(self.channels))
        return self.each.channels if self.grown else None

    def _usual_rows(self) -> int:
        """The rows of a head that is as in the index."""
        head = self.each.heads[0]
        under = self.forest.under(self.each.root, head)
        shapes = [] if under is None else [shape for _, shape in self.forest.leaves(under)]
        return shapes[0][0] if shapes else 0

    def _other_head(self) -> tuple[str, dict[str, Sizes]]:
        """The module that another head is in the place of, and its tensors by the file's names."""
        head, region = next(iter(self.regions.items()))
        within = [n for n in (*self.changed, *self.more) if not n.startswith(head)]
        place = region if within else head
        original = self.part.original
        names = {original(name) for name, _ in self.forest.leaves(self.part.root, "")}
        within_place = {n for n in names if n.startswith(original(place))}
        if not within_place:
            prefix = self.part.prefix
            outside = {n for n in self.shapes if prefix and not n.startswith(prefix)}
            within_place = outside | {original(n) for n in self.beside}
        # In the order of the file: layers by their own names have no other.
        return place, {n: s for n, s in self.shapes.items() if n in within_place}
